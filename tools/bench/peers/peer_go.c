// SPDX-License-Identifier: MIT
/* Go, by a program of tools/bench/go. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../scenarios/bench.h"

/* Starts it with these words; NULL if it is not there. */
static FILE *run(const char *words)
{
	char path[PATH_MAX], command[PATH_MAX + 80];

	if (!beside_path("go-bench", path))
		return NULL;
	snprintf(command, sizeof(command), "exec '%s' %s", path, words);
	return popen(command, "r");
}

static const char *go_version(void)
{
	static char version[32];
	FILE *pipe = run("version");

	must(pipe && fscanf(pipe, "%31s", version) == 1, "go-bench version");
	pclose(pipe);
	return version;
}

static bool go_measure(struct histogram *result,
		       const struct scenario *scenario, unsigned int n,
		       unsigned int percent)
{
	bool quota = !strncmp(scenario->name, "quota-", 6);
	uint64_t value;
	char words[80];
	FILE *pipe;
	int stat = -1;

	if (quota)
		stat = quota_enter();
	snprintf(words, sizeof(words), "%s %u %u", scenario->name, n, percent);
	pipe = run(words);
	while (pipe && fscanf(pipe, "%lu", &value) == 1)
		histogram_add(result, value);
	must(!pipe || !pclose(pipe), "go-bench");
	if (quota)
		quota_leave(stat);
	return pipe;
}

#define QUOTA " quota-seen quota-throttled quota-rest "
static const char measures[] = QUOTA
" arm-cancel later earlier over wake concurrent context nested tree parent ";

const struct peer peer_go = {
	.name		= "go",
	.use		= "time.Timer, package context; a program of its own",
	.version	= go_version,
	.most		= 1000000,
	.measure	= go_measure,
	.measures	= measures,
};
