/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel tells of the module elsewhere than in a queue: its parameters,
 * how many files use it, a file's fdinfo, and what kernel this is.
 */
#ifndef SELFTESTS_MODULE_H
#define SELFTESTS_MODULE_H

#include <sys/utsname.h>
#include "harness.h"

/* How many files hold the module */
static inline int module_uses(void)
{
	char text[16] = "";
	int fd = open("/sys/module/deadline/refcnt", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -1;
	close(fd);
	return atoi(text);
}

/* What the administrator can set, in /sys/module/deadline/parameters */
static inline int parameter_open(const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/deadline/parameters/%s",
		 name);
	return open(path, flags | O_CLOEXEC);
}

static inline long parameter(const char *name)
{
	int fd = parameter_open(name, O_RDONLY);
	char text[24] = "-1";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -1;
	close(fd);
	return atol(text);
}

/* 0 or -errno */
static inline int set_parameter(const char *name, unsigned long value)
{
	int ret = 0, fd = parameter_open(name, O_WRONLY);

	if (fd < 0 || dprintf(fd, "%lu", value) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* What /proc/self/fdinfo says of the queue; -1 if it has no such line */
static inline long long queue_fdinfo(int fd, const char *name)
{
	char path[64], line[128], key[64];
	long long value, found = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "deadline-%63[^:]:\t%lld", key, &value) == 2 &&
		    !strcmp(key, name))
			found = value;
	if (file)
		fclose(file);
	return found;
}

/* Is this kernel PREEMPT_RT? */
static inline bool is_rt(void)
{
	struct utsname name;

	return uname(&name) == 0 && strstr(name.version, "PREEMPT_RT");
}

#endif
