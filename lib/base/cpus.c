// SPDX-License-Identifier: MIT
/*
 * How many CPUs' worth of time this process can have: what its affinity lets it
 * run on, and what the quota of its cgroup, and of each one above that, lets it
 * use. The tightest counts. Where a cgroup is mounted, mountinfo says; of what is
 * above a namespace or a container's mount nothing is seen, and nothing counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/base.h"

/**
 * struct mount - a line of mountinfo
 * @root: which directory of the hierarchy is mounted
 * @point: where
 * @type: cgroup2; or cgroup, and then
 * @options: the names of its controllers, among others
 */
struct mount {
	char *root, *point, *type, *options;
};

static unsigned int affinity(void)
{
	unsigned long mask[8192 / CHAR_BIT / sizeof(long)];
	unsigned int n = 0;
	long i, bytes;

	bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	for (i = 0; i < bytes / (long)sizeof(long); i++)
		n += __builtin_popcountl(mask[i]);
	return n ? n : UINT_MAX;
}

/* Is @word in a list with commas? */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list) {
		if (!strncmp(list, word, n) && strchr(",\n", list[n]))
			return true;
		list = strchr(list, ',');
		if (list)
			list++;
	}
	return false;
}

/* What mountinfo writes as a backslash and three octal digits, in place */
static void unescape(char *text)
{
	char *to = text;
	unsigned int c;

	while (*text) {
		if (*text == '\\' && sscanf(text + 1, "%3o", &c) == 1) {
			*to++ = c;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static bool parse_mount(struct mount *mount, char *line)
{
	char *tail = strstr(line, " - "), *rest;

	if (!tail)
		return false;
	*tail = '\0';
	strtok_r(line, " ", &rest);
	strtok_r(NULL, " ", &rest);
	strtok_r(NULL, " ", &rest);
	mount->root = strtok_r(NULL, " ", &rest);
	mount->point = strtok_r(NULL, " ", &rest);
	mount->type = strtok_r(tail + 3, " ", &rest);
	strtok_r(NULL, " ", &rest);
	mount->options = strtok_r(NULL, " ", &rest);
	if (!mount->point || !mount->options)
		return false;
	unescape(mount->root);
	unescape(mount->point);
	return true;
}

/* The number with which a file of the directory begins, and one after it */
static int read_numbers(const char *dir, const char *name, long long *first,
			long long *second)
{
	char *path;
	FILE *file;
	int n;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return 0;
	file = fopen(path, "re");
	free(path);
	if (!file)
		return 0;
	n = fscanf(file, "%lld %lld", first, second);
	fclose(file);
	return n;
}

/* The quota of one directory, rounded up; UINT_MAX if it has none */
static unsigned int read_quota(const char *dir, bool v1)
{
	long long quota = 0, period = 0, unused, n;

	if (v1) {
		read_numbers(dir, "cpu.cfs_quota_us", &quota, &unused);
		read_numbers(dir, "cpu.cfs_period_us", &period, &unused);
	} else {
		read_numbers(dir, "cpu.max", &quota, &period);
	}
	if (quota <= 0 || period <= 0)
		return UINT_MAX;
	n = (quota - 1) / period + 1;
	return n < UINT_MAX ? n : UINT_MAX;
}

/* Of a cgroup and all above it, as far as this mount has them */
static unsigned int tightest(const struct mount *mount, const char *cgroup,
			     bool v1)
{
	size_t root = strlen(mount->root), top;
	unsigned int least = UINT_MAX, n;
	char *dir;

	if (!strcmp(mount->root, "/"))
		root = 0;
	/* A path out of the namespace begins with "..": no mount shows it. */
	if (strncmp(cgroup, mount->root, root) != 0 ||
	    strncmp(cgroup, "/..", 3) == 0 ||
	    (cgroup[root] && cgroup[root] != '/'))
		return UINT_MAX;
	cgroup += root;
	if (!strcmp(cgroup, "/"))
		cgroup = "";
	top = strlen(mount->point);
	if (asprintf(&dir, "%s%s", mount->point, cgroup) < 0)
		return UINT_MAX;
	for (;;) {
		n = read_quota(dir, v1);
		if (least > n)
			least = n;
		if (strlen(dir) <= top)
			break;
		*strrchr(dir, '/') = '\0';
	}
	free(dir);
	return least;
}

/* Of a cgroup in the hierarchy that has the CPUs, wherever that is mounted */
static unsigned int mounted(const char *cgroup, bool v1)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	unsigned int least = UINT_MAX, n;
	struct mount mount;
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		if (!parse_mount(&mount, line))
			continue;
		if (strcmp(mount.type, v1 ? "cgroup" : "cgroup2") != 0 ||
		    (v1 && !has_word(mount.options, "cpu")))
			continue;
		n = tightest(&mount, cgroup, v1);
		if (least > n)
			least = n;
	}
	free(line);
	if (file)
		fclose(file);
	return least;
}

static unsigned int count_cpus(void)
{
	unsigned int least = affinity(), n;
	char *line = NULL, *names, *path;
	size_t size = 0;
	FILE *file;
	bool v1;

	file = fopen("/proc/self/cgroup", "re");
	while (file && getline(&line, &size, file) > 0) {
		/* number:controllers:path; version 2 has no controllers */
		names = strchr(line, ':');
		path = names ? strchr(++names, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		v1 = *names;
		if (v1 && !has_word(names, "cpu"))
			continue;
		n = mounted(path, v1);
		if (least > n)
			least = n;
	}
	free(line);
	if (file)
		fclose(file);
	return least < UINT_MAX ? least : 1;
}

unsigned int deadline_cpus(void)
{
	int state = cancel_off(), saved = errno;
	unsigned int cpus = count_cpus();

	cancel_restore(state);
	errno = saved;
	return cpus;
}
