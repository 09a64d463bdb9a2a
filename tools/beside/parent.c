// SPDX-License-Identifier: MIT
/*
 * Threads that make, cancel and release contexts under one parent, which has a
 * list of its children to lock: as in Go's BenchmarkCommonParentCancel, which
 * tools/go/parent does after its manner.
 */
#include <pthread.h>
#include <stdio.h>
#include "beside.h"

#define EACH	200000u
#define RUNS	5
#define MOST	8
/* Times Go's rate, at least */
#define LEAST	3.0

static const unsigned int threads[] = { 2, MOST };

#define ROWS	(sizeof(threads) / sizeof(*threads))

static void *make_and_cancel(void *above)
{
	deadline_context *context;
	unsigned int i;

	for (i = 0; i < EACH; i++) {
		must(!deadline_with_cancel(above, &context),
		     "deadline_with_cancel");
		deadline_cancel(context, 0);
		deadline_release(context);
	}
	return NULL;
}

/* Contexts per second */
static double once(unsigned int n)
{
	pthread_t ids[MOST];
	deadline_context *above;
	uint64_t start, took;
	unsigned int i;

	must(!deadline_with_cancel(deadline_background(), &above),
	     "deadline_with_cancel");
	start = deadline_now();
	for (i = 0; i < n; i++)
		must(!pthread_create(&ids[i], NULL, make_and_cancel, above),
		     "pthread_create");
	for (i = 0; i < n; i++)
		pthread_join(ids[i], NULL);
	took = deadline_now() - start;
	deadline_release(above);
	return (double)n * EACH * S / took;
}

/* The best of some runs is the least disturbed. */
static double best(unsigned int n)
{
	double most = 0, rate;
	int i;

	for (i = 0; i < RUNS; i++) {
		rate = once(n);
		if (most < rate)
			most = rate;
	}
	return most;
}

int parent(void)
{
	double go[ROWS], ours;
	bool ok, there = go_numbers("parent", go, ROWS);
	unsigned int i, failures = 0;

	for (i = 0; i < ROWS; i++) {
		ours = best(threads[i]);
		ok = !there || ours >= LEAST * go[i];
		failures += !ok;
		printf("%sok %u - %u threads under one parent: ours %.2f M/s",
		       ok ? "" : "not ", i + 1, threads[i], ours / 1e6);
		if (there)
			printf(", Go %.2f M/s: %.1f times (at least %.1f)",
			       go[i] / 1e6, ours / go[i], LEAST);
		printf("\n");
		fflush(stdout);
	}
	printf("1..%u\n", i);
	return failures;
}
