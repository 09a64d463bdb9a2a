// SPDX-License-Identifier: MIT
/*
 * The least that the machine allows, of what no deadline can do without: a swap
 * to arm, with a fence and a load after it, as somebody else may have to be told,
 * and a swap to cancel; one swap to move; one load to look; a sleep in the kernel
 * with nothing around it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

/* As far apart as two deadlines of which either may be somebody else's */
struct line {
	uint64_t word, beside;
	uint64_t rest[6];
};

static void *floor_open(unsigned int timers)
{
	prctl(PR_SET_TIMERSLACK, 1);
	return calloc(timers, sizeof(struct line));
}

static inline void swap(struct line *line, uint64_t from, uint64_t to)
{
	__atomic_compare_exchange_n(&line->word, &from, to, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void floor_start(void *self, const uint64_t *when, unsigned int n)
{
	struct line *lines = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		lines[i].word = when[i];
}

static void floor_arm_cancel(void *self, unsigned int at,
			     const uint64_t *when, unsigned int n)
{
	struct line *line = (struct line *)self + at;
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < n; i++) {
		swap(line, 0, when[i]);
		__atomic_load_n(&line->beside, __ATOMIC_SEQ_CST);
		swap(line, when[i], 0);
	}
}

static void floor_update(void *self, const uint32_t *which,
			 const uint64_t *when, unsigned int n)
{
	struct line *line;
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < n; i++) {
		line = (struct line *)self + which[i];
		swap(line, line->word, when[i]);
	}
}

static bool floor_over(void *self, unsigned int n)
{
	struct line *line = self;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = __atomic_load_n(&line->word, __ATOMIC_RELAXED) & 1;
	return over;
}

static unsigned int floor_take(void *self, uint64_t *unused)
{
	struct line *line = self;
	struct timespec until = {
		.tv_sec = line->word / S,
		.tv_nsec = line->word % S,
	};

	(void)unused;
	must(syscall(SYS_futex, &line->rest, FUTEX_WAIT_BITSET_PRIVATE, 0,
		     &until, NULL, FUTEX_BITSET_MATCH_ANY) == -1 &&
	     errno == ETIMEDOUT, "futex");
	return 1;
}

const struct peer peer_floor = {
	.name		= "floor",
	.use		= "the bare instructions; a futex that times out, no slack",
	.most		= 1000000,
	.open		= floor_open,
	.close		= free,
	.start		= floor_start,
	.arm_cancel	= floor_arm_cancel,
	.update		= floor_update,
	.over		= floor_over,
	.take		= floor_take,
};
