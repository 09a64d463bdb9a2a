// SPDX-License-Identifier: MIT
/* So many threads, each with timers of its own, arm and cancel all at once. */
#include <pthread.h>
#include <stdlib.h>
#include "bench.h"

#define BLOCKS	200u
#define WARM_UP	20u
#define MOST	8u

static const unsigned int threads[] = { 1, 2, 4, MOST, NUMBERS_END };

/**
 * struct arming - one of the threads
 */
struct arming {
	const struct peer *peer;
	pthread_barrier_t *start;
	unsigned int blocks;
	uint64_t took[BLOCKS];
	uint64_t bare;
};

static void *arm(void *arg)
{
	struct arming *arming = arg;
	void *self = peer_open(arming->peer, 1);
	uint64_t when[BLOCK], start;
	unsigned int i;

	arming->bare = block_loop();
	pthread_barrier_wait(arming->start);
	for (i = 0; i < WARM_UP + arming->blocks; i++) {
		block_ahead(when);
		start = deadline_now();
		arming->peer->arm_cancel(self, 0, when, BLOCK);
		if (i >= WARM_UP)
			arming->took[i - WARM_UP] = deadline_now() - start;
	}
	arming->peer->close(self);
	return NULL;
}

static void run_threads(struct histogram *result, const struct peer *peer,
			unsigned int n, unsigned int percent)
{
	static struct arming arming[MOST];
	pthread_barrier_t start;
	pthread_t ids[MOST];
	unsigned int i, j;

	pthread_barrier_init(&start, NULL, n);
	for (i = 0; i < n; i++) {
		arming[i].peer = peer;
		arming[i].start = &start;
		arming[i].blocks = BLOCKS * percent / 100;
		must(!pthread_create(&ids[i], NULL, arm, &arming[i]),
		     "pthread_create");
	}
	for (i = 0; i < n; i++) {
		pthread_join(ids[i], NULL);
		for (j = 0; j < arming[i].blocks; j++)
			histogram_add(result, arming[i].took[j] >
					      arming[i].bare ?
					      arming[i].took[j] -
					      arming[i].bare : 0);
	}
	pthread_barrier_destroy(&start);
}

const struct scenario scenario_threads = {
	.name	 = "threads",
	.what	 = "arm and cancel, in so many threads at once, each on its own",
	.numbers = threads,
	.scale	 = BLOCK,
	.can	 = peer_can_arm_cancel,
	.run	 = run_threads,
};
