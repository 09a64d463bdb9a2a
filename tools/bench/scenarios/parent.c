// SPDX-License-Identifier: MIT
/*
 * Threads that make, cancel and release contexts under one parent, which has a
 * list of its children to lock: as in Go's BenchmarkCommonParentCancel, which
 * tools/bench/go/bench does after its manner.
 */
#include <pthread.h>
#include "bench.h"

#define EACH	20000u
#define RUNS	8u
#define MOST	8u

static const unsigned int threads[] = { 1, 2, MOST, NUMBERS_END };

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

/* Returns what it took. */
static uint64_t once(unsigned int n)
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
	return took;
}

void parent_measure(struct histogram *result, unsigned int n,
		    unsigned int percent)
{
	unsigned int i;

	for (i = 0; i < RUNS * percent / 100; i++)
		histogram_add(result, once(n) * BLOCK / n / EACH);
}

const struct scenario scenario_parent = {
	.name	 = "parent",
	.what	 = "contexts under one parent, made and cancelled by so many threads",
	.numbers = threads,
	.scale	 = BLOCK,
};
