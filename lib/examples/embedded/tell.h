/* SPDX-License-Identifier: MIT */
/* What the programs here print, for the tests: TAP, a line for what each shows. */
#ifndef TELL_H
#define TELL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int told, failed;

static inline void tell(bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++told, what);
	failed += !good;
}

/*
 * A figure in ns. Its limit is asserted in a guest under icount (tools/vm/run --icount):
 * time is exact there, and a ns is an instruction. It has its kernel's series, such as
 * 6.1, in DEADLINE_ICOUNT; the limits are that one's, and wider on others.
 */
static inline void tell_figure(const char *what, double ns, double most)
{
	const char *series = getenv("DEADLINE_ICOUNT");

	if (!series) {
		printf("# %s: %.1f ns, which is not exact here\n", what, ns);
		return;
	}
	if (strcmp(series, "6.1"))
		most *= 1.25;
	printf("# %s: %.1f ns (at most %.1f)\n", what, ns, most);
	tell(ns <= most, what);
}

static inline int tell_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The figure that @percent of the @n at @ns do not exceed; it sorts them */
static inline double tell_percentile(uint64_t *ns, unsigned int n, unsigned int percent)
{
	qsort(ns, n, sizeof(*ns), tell_compare);
	return ns[(uint64_t)n * percent / 100 - 1];
}

/* What the program's main() returns */
static inline int tell_end(void)
{
	printf("1..%d\n", told);
	return failed != 0;
}

/* What has to work before there is anything to show */
static inline void must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s\n", what);
	exit(1);
}

#define MS 1000000ull
#define SECOND (1000 * MS)

#endif
