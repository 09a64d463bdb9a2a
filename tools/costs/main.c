// SPDX-License-Identifier: MIT
/*
 * What each operation costs, as TAP: one figure a line, with its limit; what
 * stands beside io_uring, if so asked.
 *
 * In a guest under icount (tools/vm/run --icount -- costs) the kernel serves
 * and a ns is an instruction, so the figures are exact. Without the module the
 * thread backend serves, and only what needs no kernel is measured, in ns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "costs.h"

static unsigned int figures, failures;

void figure(const char *name, double value, double limit, const char *unit)
{
	bool ok = !limit || value <= limit;

	figures++;
	failures += !ok;
	printf("%sok %u - %s: %.*f %s", ok ? "" : "not ", figures, name,
	       value < 100 ? 1 : 0, value, unit);
	if (limit)
		printf(" (at most %.*f)", limit < 2 ? 2 : 0, limit);
	printf("\n");
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t percentile(uint64_t *values, unsigned int n, unsigned int p)
{
	unsigned int at = (uint64_t)n * p / 100;

	qsort(values, n, sizeof(*values), compare);
	return values[at < n ? at : n - 1];
}

void die(const char *what)
{
	fprintf(stderr, "costs: %s failed\n", what);
	exit(1);
}

static void all_of_kernel(void)
{
	costs_words_exact();
	costs_wakeups();
	costs_contexts();
	costs_crowds();
	costs_storms();
}

int main(int argc, char **argv)
{
	deadline_queue *queue = queue_of(0);
	int kernel = deadline_queue_backend(queue) == DEADLINE_BACKEND_KERNEL;
	void (*costs)(void) = kernel ? all_of_kernel : costs_words_in_ns;

	if (argc == 2 && !strcmp(argv[1], "uring")) {
		costs = costs_uring;
	} else if (argc > 1) {
		fprintf(stderr, "usage: costs [uring]\n");
		return 2;
	}
	deadline_queue_close(queue);
	printf("TAP version 13\n");
	costs();
	printf("1..%u\n", figures);
	return failures ? 1 : 0;
}
