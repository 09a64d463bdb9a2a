// SPDX-License-Identifier: MIT
/* What else the build made, if it could, lies beside this program. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"

/* @path has PATH_MAX bytes. */
bool beside_path(const char *name, char path[])
{
	ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 32);
	char *base;

	if (size < 0)
		return false;
	path[size] = 0;
	base = strrchr(path, '/') + 1;
	snprintf(base, 32, "%s", name);
	return !access(path, F_OK);
}
