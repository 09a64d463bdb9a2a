// SPDX-License-Identifier: MIT
/*
 * The least that the machine allows, of what no deadline can do without: a swap
 * to arm, with a fence and a load after it, as somebody else may have to be told,
 * and a swap to cancel; one swap to move; one load to look; a sleep in the kernel
 * with nothing around it; an interrupt, after which a thread goes on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif
#include "../scenarios/bench.h"

#define ROUNDS 200u

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

void floor_sleep(uint64_t when)
{
	static uint32_t never;
	struct timespec until = {
		.tv_sec = when / S,
		.tv_nsec = when % S,
	};

	must(syscall(SYS_futex, &never, FUTEX_WAIT_BITSET_PRIVATE, 0, &until,
		     NULL, FUTEX_BITSET_MATCH_ANY) == -1 && errno == ETIMEDOUT,
	     "futex");
}

static unsigned int floor_take(void *self, uint64_t *unused)
{
	(void)unused;
	floor_sleep(((struct line *)self)->word);
	return 1;
}

static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	return deadline_now();
#endif
}

/* Look at nothing but ticks, until after @when more of them are gone at once. */
static uint64_t interrupted(uint64_t when, uint64_t more)
{
	uint64_t before, now;

	do {
		now = ticks();
		do {
			before = now;
			now = ticks();
		} while (now < before + more);
		now = deadline_now();
	} while (now < when);
	return now;
}

/* Far longer than a turn of it, and shorter than an interrupt */
static uint64_t many_ticks(void)
{
	uint64_t least = UINT64_MAX, before, now = ticks();
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		before = now;
		now = ticks();
		if (least > now - before)
			least = now - before;
	}
	return 16 * least;
}

/* The kernel's least interrupt: of a timerfd that nobody waits for */
static bool floor_measure(struct histogram *result,
			  const struct scenario *unused, unsigned int n,
			  unsigned int percent)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t when, more = many_ticks();
	struct itimerspec spec = { };
	unsigned int i;

	(void)unused;
	(void)n;
	for (i = 0; i < ROUNDS * percent / 100; i++) {
		when = deadline_in(MS) & ~15ull;
		spec.it_value.tv_sec = when / S;
		spec.it_value.tv_nsec = when % S;
		must(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL),
		     "timerfd_settime");
		histogram_add(result, interrupted(when, more) - when);
	}
	close(fd);
	return true;
}

const struct peer peer_floor = {
	.name		= "floor",
	.use		= "the bare instructions; a futex that times out, no slack",
	.most		= 1000000,
	.steady		= true,
	.open		= floor_open,
	.close		= free,
	.start		= floor_start,
	.arm_cancel	= floor_arm_cancel,
	.update		= floor_update,
	.over		= floor_over,
	.take		= floor_take,
	.measure	= floor_measure,
	.measures	= " noticed ",
};
