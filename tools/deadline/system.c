// SPDX-License-Identifier: MIT
/* What procfs and the cgroups say: see system.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "system.h"
#include "tool.h"

#define CGROUPS	"/sys/fs/cgroup"

/* The first line of a file that begins with @start, without that */
static bool read_line(const char *path, const char *start, char *text, size_t size)
{
	FILE *from = fopen(path, "re");
	size_t n = strlen(start);
	bool found = false;

	while (from && !found && fgets(text, size, from))
		found = !strncmp(text, start, n);
	if (from)
		fclose(from);
	if (!found)
		return false;
	memmove(text, text + n, strlen(text + n) + 1);
	text[strcspn(text, "\n")] = 0;
	return true;
}

bool system_name(pid_t pid, char name[static 16])
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!read_line(path, "", text, sizeof(text)))
		return false;
	snprintf(name, 16, "%.15s", text);
	return true;
}

void system_quota(pid_t thread, char *path, size_t size)
{
	char file[PATH_MAX + 64], group[PATH_MAX], quota[64], *end;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", thread);
	*path = 0;
	if (!read_line(file, "0::", group, sizeof(group)))
		return;
	while (*group == '/' && group[1]) {
		snprintf(file, sizeof(file), CGROUPS "%s/cpu.max", group);
		if (read_line(file, "", quota, sizeof(quota)) && strncmp(quota, "max", 3)) {
			snprintf(path, size, "%s", group);
			return;
		}
		end = strrchr(group, '/');
		*end = 0;
	}
}

unsigned int system_stolen(uint64_t *ns, unsigned int n)
{
	FILE *from = fopen("/proc/stat", "re");
	unsigned long long ticks;
	unsigned int cpu, most = 0;
	char line[512];

	memset(ns, 0, n * sizeof(*ns));
	while (from && fgets(line, sizeof(line), from)) {
		if (sscanf(line, "cpu%u %*u %*u %*u %*u %*u %*u %*u %llu", &cpu, &ticks) != 2 ||
		    cpu >= n)
			continue;
		ns[cpu] = ticks * (NS_PER_SECOND / sysconf(_SC_CLK_TCK));
		if (cpu >= most)
			most = cpu + 1;
	}
	if (from)
		fclose(from);
	return most;
}

void system_files(pid_t pid, void (*take)(const char *path, void *arg), void *arg)
{
	char path[64], line[PATH_MAX + 128], file[PATH_MAX + 64];
	const char *name;
	FILE *from;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	take(path, arg);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	from = fopen(path, "re");
	while (from && fgets(line, sizeof(line), from)) {
		line[strcspn(line, "\n")] = 0;
		name = strchr(line, '/');
		if (!name || !strstr(strrchr(name, '/'), "/libdeadline.so"))
			continue;
		/* As the process sees it, which may be in a container */
		snprintf(file, sizeof(file), "/proc/%d/root%.*s", pid, PATH_MAX, name);
		take(file, arg);
	}
	if (from)
		fclose(from);
}
