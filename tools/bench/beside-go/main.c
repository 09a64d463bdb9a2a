// SPDX-License-Identifier: MIT
/* Measures of this library beside the same ones of Go, from tools/bench/go. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "beside.h"

static const char help[] =
"Usage: beside-go MEASURE\n"
"\n"
"Measure this library beside Go, if the build found Go, as TAP:\n"
"\n"
"	scenes	how late a loop notices that its context is over\n"
"	timers	how late 10,000 callbacks start, and what it costs to set one\n"
"\n"
"Exits: 0; 1 a check failed; 2 usage\n";

static const struct {
	const char *name;
	int (*run)(void);
} measures[] = {
	{ "scenes", scenes },
	{ "timers", timers },
};

void die(const char *what)
{
	fprintf(stderr, "beside-go: %s failed: %s\n", what, strerror(errno));
	exit(1);
}

/* Says who serves. */
static void head(void)
{
	deadline_queue *queue;

	must(!deadline_queue_open(&queue, NULL), "deadline_queue_open");
	printf("# the %s serves\n", deadline_queue_backend(queue) ==
	       DEADLINE_BACKEND_KERNEL ? "kernel" : "library's thread");
	fflush(stdout);
	deadline_queue_close(queue);
}

int main(int argc, char **argv)
{
	const char *name = argc == 2 ? argv[1] : "";
	unsigned int i;

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		fputs(help, stdout);
		return 0;
	}
	for (i = 0; i < sizeof(measures) / sizeof(*measures); i++) {
		if (strcmp(name, measures[i].name) != 0)
			continue;
		head();
		return measures[i].run() ? 1 : 0;
	}
	fputs("beside-go: wants one measure; see --help\n", stderr);
	return 2;
}
