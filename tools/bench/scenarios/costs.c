// SPDX-License-Identifier: MIT
/* What an operation costs: to arm and cancel, to move, to ask, to start anew. */
#include <stdlib.h>
#include "bench.h"

/* At most so many blocks are measured, and as many as that time has room for. */
#define BLOCKS 16u
#define ENOUGH (100 * MS)
#define WARM_UP 2u

static const unsigned int one[] = { 1, NUMBERS_END };

static const unsigned int outstanding[] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, NUMBERS_END
};

static const unsigned int few_and_many[] = { 1, 10000, NUMBERS_END };
static const unsigned int batches[] = { 1, 128, NUMBERS_END };

/**
 * struct block - what is measured at once
 * @random: state
 * @which: of the outstanding timers
 * @when: for each operation
 * @base: a time before everything
 * @times: of all outstanding ones
 * @others: how many those are, where one more is armed
 */
struct block {
	uint64_t random;
	uint32_t which[BLOCK];
	uint64_t when[BLOCK];
	uint64_t base;
	uint64_t *times;
	unsigned int others;
};

/* The loop by itself, which is not what is asked for */
static void nothing(const uint32_t *which, const uint64_t *when, unsigned int n)
{
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < n; i++)
		__asm__ volatile("" : : "r"(which[i]), "r"(when[i]));
}

uint64_t block_loop(void)
{
	static struct block block;
	uint64_t least = UINT64_MAX, start, took;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		start = deadline_now();
		nothing(block.which, block.when, BLOCK);
		took = deadline_now() - start;
		if (least > took)
			least = took;
	}
	return least;
}

/*
 * Run @measure over blocks that @prepare set up, and add what each took, less
 * @bare. The first ones warm up.
 */
static void blocks(struct histogram *result, const struct peer *peer,
		   void *self, struct block *block, unsigned int percent,
		   uint64_t bare,
		   void (*prepare)(struct block *block),
		   void (*measure)(const struct peer *peer, void *self,
				   const struct block *block))
{
	uint64_t start, took, end = deadline_in(ENOUGH);
	unsigned int i;

	for (i = 0; i < WARM_UP + BLOCKS * percent / 100; i++) {
		prepare(block);
		start = deadline_now();
		measure(peer, self, block);
		took = deadline_now() - start;
		if (i >= WARM_UP || deadline_now() >= end)
			histogram_add(result, took > bare ? took - bare : 0);
		if (deadline_now() >= end)
			break;
	}
}

void block_ahead(uint64_t when[BLOCK])
{
	uint64_t now = deadline_now();
	unsigned int i;

	for (i = 0; i < BLOCK; i++)
		when[i] = now + ahead(i);
}

/* Start the first @n of them for 20 to 30 s from now. */
static void start_far(const struct peer *peer, void *self, struct block *block,
		      unsigned int n)
{
	unsigned int i;

	block->base = deadline_in(20 * S);
	block->times = calloc(n + 1, sizeof(*block->times));
	must(block->times, "calloc");
	for (i = 0; i < n; i++)
		block->times[i] = block->base + ((10 * S / 16 *
			(uint64_t)random32(&block->random) >> 32) << 4);
	if (n)
		peer->start(self, block->times, n);
}

static void prepare_ahead(struct block *block)
{
	block_ahead(block->when);
}

static void measure_arm_cancel(const struct peer *peer, void *self,
			       const struct block *block)
{
	peer->arm_cancel(self, block->others, block->when, BLOCK);
}

/* The last one of them; the others are due long after it. */
static void run_arm_cancel(struct histogram *result, const struct peer *peer,
			   unsigned int n, unsigned int percent)
{
	struct block block = { .others = n - 1 };
	void *self = peer_open(peer, n);

	start_far(peer, self, &block, n - 1);
	blocks(result, peer, self, &block, percent, block_loop(),
	       prepare_ahead, measure_arm_cancel);
	peer->close(self);
	free(block.times);
}

const struct scenario scenario_arm_cancel = {
	.name	 = "arm-cancel",
	.what	 = "arm one of so many, 1 to 50 ms ahead, and cancel it",
	.timers	 = true,
	.numbers = few_and_many,
	.scale	 = BLOCK,
	.can	 = peer_can_arm_cancel,
	.run	 = run_arm_cancel,
};

static void prepare_over(struct block *block)
{
	(void)block;
}

static void measure_over(const struct peer *peer, void *self,
			 const struct block *block)
{
	(void)block;
	must(!peer->over(self, BLOCK), "a deadline that is far away");
}

static void run_over(struct histogram *result, const struct peer *peer,
		     unsigned int n, unsigned int percent)
{
	void *self = peer_open(peer, n);
	struct block block = { .when = { deadline_in(1000 * S) & ~15ull } };

	peer->start(self, block.when, 1);
	blocks(result, peer, self, &block, percent, 0, prepare_over,
	       measure_over);
	peer->close(self);
}

static bool can_over(const struct peer *peer)
{
	return peer->over;
}

const struct scenario scenario_over = {
	.name	 = "over",
	.what	 = "ask whether it is over",
	.numbers = one,
	.scale	 = BLOCK,
	.can	 = can_over,
	.run	 = run_over,
};

/* So many times in all is each timer moved, on the average; at least once */
static uint64_t moves_of(unsigned int n)
{
	return BLOCK * (BLOCKS + WARM_UP) / n + 1;
}

/*
 * All timers lie some 20 to 30 s ahead of a base; each is moved by up to 4 s in
 * all, so that they change their order.
 */
static unsigned int timers;

static uint64_t step(struct block *block)
{
	return 16 + ((4 * S / moves_of(timers) * random32(&block->random)) >> 32);
}

static void prepare_later(struct block *block)
{
	unsigned int i, at;

	for (i = 0; i < BLOCK; i++) {
		at = random32(&block->random) % timers;
		block->which[i] = at;
		block->when[i] = block->times[at] += step(block);
	}
}

static void prepare_earlier(struct block *block)
{
	unsigned int i, at;

	for (i = 0; i < BLOCK; i++) {
		at = random32(&block->random) % timers;
		block->which[i] = at;
		block->when[i] = block->times[at] -= step(block);
	}
}

static void measure_update(const struct peer *peer, void *self,
			   const struct block *block)
{
	peer->update(self, block->which, block->when, BLOCK);
}

static void run_update(struct histogram *result, const struct peer *peer,
		       unsigned int n, unsigned int percent,
		       void (*prepare)(struct block *block))
{
	void *self = peer_open(peer, n);
	struct block block = { };

	start_far(peer, self, &block, n);
	timers = n;
	blocks(result, peer, self, &block, percent, block_loop(), prepare,
	       measure_update);
	must(deadline_now() < block.base, "moving before they are due");
	peer->close(self);
	free(block.times);
}

static void run_later(struct histogram *result, const struct peer *peer,
		      unsigned int n, unsigned int percent)
{
	run_update(result, peer, n, percent, prepare_later);
}

static void run_earlier(struct histogram *result, const struct peer *peer,
			unsigned int n, unsigned int percent)
{
	run_update(result, peer, n, percent, prepare_earlier);
}

static bool can_update(const struct peer *peer)
{
	return peer->update;
}

const struct scenario scenario_later = {
	.name	 = "later",
	.what	 = "move any one of those outstanding to a later time",
	.timers	 = true,
	.numbers = outstanding,
	.scale	 = BLOCK,
	.can	 = can_update,
	.run	 = run_later,
};

const struct scenario scenario_earlier = {
	.name	 = "earlier",
	.what	 = "move any one of those outstanding to an earlier time",
	.timers	 = true,
	.numbers = outstanding,
	.scale	 = BLOCK,
	.can	 = can_update,
	.run	 = run_earlier,
};

/* Timers that were never armed before, all for one far time */
static void run_start(struct histogram *result, const struct peer *peer,
		      unsigned int n, unsigned int percent)
{
	uint64_t start, when[128];
	unsigned int i, round;
	void *self;

	for (round = 0; round < WARM_UP + BLOCKS * percent / 100; round++) {
		self = peer_open(peer, n);
		when[0] = deadline_in(1000 * S);
		for (i = 1; i < n; i++)
			when[i] = when[0];
		start = deadline_now();
		peer->start(self, when, n);
		if (round >= WARM_UP)
			histogram_add(result, (deadline_now() - start) *
					      BLOCK / n);
		peer->close(self);
	}
}

static bool can_start(const struct peer *peer)
{
	return peer->update;	/* unlike those that have only one */
}

const struct scenario scenario_start = {
	.name	 = "start",
	.what	 = "arm new ones, so many at once, each",
	.timers	 = true,
	.numbers = batches,
	.scale	 = BLOCK,
	.can	 = can_start,
	.run	 = run_start,
};
