// SPDX-License-Identifier: MIT
/* Nobody tells: the task compares a clock. It needs nothing, and has no more. */
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include "../scenarios/bench.h"

/**
 * struct due - when one deadline is due
 * @when: ns
 * @ticks: the same, of the CPU's counter
 * @rate: ticks per ns
 */
struct due {
	uint64_t when;
	uint64_t ticks;
	double rate;
};

static void *clock_open(unsigned int timers)
{
	prctl(PR_SET_TIMERSLACK, 1);
	return calloc(timers, sizeof(struct due));
}

static void clock_start(void *self, const uint64_t *when, unsigned int n)
{
	struct due *due = self;

	(void)n;
	due->when = *when;
}

static bool clock_over(void *self, unsigned int n)
{
	struct due *due = self;
	struct timespec now;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		over = now.tv_sec * S + now.tv_nsec >= due->when;
	}
	return over;
}

static unsigned int clock_take(void *self, uint64_t *unused)
{
	struct due *due = self;
	struct timespec until = {
		.tv_sec = due->when / S,
		.tv_nsec = due->when % S,
	};

	(void)unused;
	must(!clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL),
	     "clock_nanosleep");
	return 1;
}

const struct peer peer_clock = {
	.name		= "clock_gettime",
	.use		= "compared; clock_nanosleep, no slack, to sleep",
	.most		= 1,
	.open		= clock_open,
	.close		= free,
	.start		= clock_start,
	.over		= clock_over,
	.take		= clock_take,
};

#ifdef __x86_64__
#include <x86intrin.h>

static void *tsc_open(unsigned int timers)
{
	uint64_t start = deadline_now(), ticks = __rdtsc(), now;
	struct due *due = clock_open(timers);

	if (!due)
		return NULL;
	do {
		now = deadline_now();
		due->rate = (double)(__rdtsc() - ticks) / (now - start);
	} while (now - start < 20 * MS);
	return due;
}

static void tsc_start(void *self, const uint64_t *when, unsigned int n)
{
	struct due *due = self;

	clock_start(self, when, n);
	due->ticks = __rdtsc() + (*when - deadline_now()) * due->rate;
}

static bool tsc_over(void *self, unsigned int n)
{
	struct due *due = self;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = __rdtsc() >= due->ticks;
	return over;
}

const struct peer peer_tsc = {
	.name		= "rdtsc",
	.use		= "compared; clock_nanosleep, no slack, to sleep",
	.most		= 1,
	.open		= tsc_open,
	.close		= free,
	.start		= tsc_start,
	.over		= tsc_over,
	.take		= clock_take,
};
#endif
