// SPDX-License-Identifier: MIT
/* Figures: those of Go, read from its program, and ours, of what was measured. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "beside.h"

bool go_rows(const char *name, struct row *rows, unsigned int n)
{
	char path[PATH_MAX], command[PATH_MAX + 16];
	struct row *row;
	FILE *pipe;

	if (!beside_path(name, path))
		return false;
	snprintf(command, sizeof(command), "exec '%s'", path);
	pipe = popen(command, "r");
	must(!!pipe, path);
	for (row = rows; row < rows + n; row++)
		must(fscanf(pipe, "%lf %lf %lf %lf", &row->p50, &row->p99,
			    &row->max, &row->cost) == 4, path);
	must(!pclose(pipe), path);
	return true;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct row row_of(uint64_t *late, unsigned int n, double cost)
{
	const uint64_t middle = n / 2, most = (uint64_t)n * 99 / 100;

	qsort(late, n, sizeof(*late), compare);
	return (struct row){ late[middle], late[most], late[n - 1], cost };
}

const char *scaled(char text[16], double ns)
{
	static const char *const units[] = { "us", "ms", "s" };
	int i;

	snprintf(text, 16, "%.0fns", ns);
	for (i = 0; i < 3 && ns >= 999.5; i++) {
		ns /= 1000;
		snprintf(text, 16, "%.*f%s", ns < 9.95, ns, units[i]);
	}
	return text;
}
