// SPDX-License-Identifier: MIT
/*
 * A timer thread that sets a flag, as many programs have one: it sleeps on a
 * condition until the deadline, which stands for the first one of a heap. It is
 * signalled only if the deadline is earlier than it sleeps; who cancels lets it
 * wake up for nothing. SCHED_OTHER, as programs have it, but with a timer slack
 * of 1 ns, without which it would be 50 us later.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>
#include "demo.h"

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	uint64_t when;		/* DEADLINE_NEVER: not armed */
	uint64_t sleeps_until;
	bool stop;
	bool over;		/* atomic */
} timer = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

/* Lock held. */
static void sleep_until(uint64_t when)
{
	struct timespec until = {
		.tv_sec = when / S,
		.tv_nsec = when % S,
	};

	timer.sleeps_until = when;
	if (when == DEADLINE_NEVER)
		pthread_cond_wait(&timer.change, &timer.lock);
	else
		pthread_cond_timedwait(&timer.change, &timer.lock, &until);
	timer.sleeps_until = 0;		/* awake: it will look by itself */
}

static void *serve(void *unused)
{
	prctl(PR_SET_TIMERSLACK, 1);
	pthread_mutex_lock(&timer.lock);
	while (!timer.stop) {
		if (timer.when != DEADLINE_NEVER &&
		    timer.when <= deadline_now()) {
			timer.when = DEADLINE_NEVER;
			__atomic_store_n(&timer.over, true, __ATOMIC_RELEASE);
		}
		sleep_until(timer.when);
	}
	pthread_mutex_unlock(&timer.lock);
	return unused;
}

static int flag_open(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&timer.change, &attr);
	pthread_condattr_destroy(&attr);
	timer.when = DEADLINE_NEVER;
	timer.sleeps_until = 0;
	timer.stop = false;
	timer.over = false;
	return -pthread_create(&timer.thread, NULL, serve, NULL);
}

static inline void flag_arm(uint64_t when)
{
	bool earlier;

	pthread_mutex_lock(&timer.lock);
	timer.when = when;
	__atomic_store_n(&timer.over, false, __ATOMIC_RELAXED);
	earlier = when < timer.sleeps_until;
	if (earlier)
		timer.sleeps_until = when;	/* so signalled once */
	pthread_mutex_unlock(&timer.lock);
	if (earlier)
		pthread_cond_signal(&timer.change);
}

static bool flag_over(void)
{
	return __atomic_load_n(&timer.over, __ATOMIC_ACQUIRE);
}

static inline void flag_cancel(void)
{
	pthread_mutex_lock(&timer.lock);
	timer.when = DEADLINE_NEVER;
	pthread_mutex_unlock(&timer.lock);
}

static void flag_close(void)
{
	pthread_mutex_lock(&timer.lock);
	timer.stop = true;
	pthread_cond_signal(&timer.change);
	pthread_mutex_unlock(&timer.lock);
	pthread_join(timer.thread, NULL);
	pthread_cond_destroy(&timer.change);
}

struct peer flag_by_thread = {
	.name	= "flag: thread, OTHER",
	.open	= flag_open,
	.arm	= flag_arm,
	.over	= flag_over,
	.cancel	= flag_cancel,
	.close	= flag_close,
};

static inline void pair(void *unused, uint64_t base, const uint64_t *more)
{
	(void)unused;
	flag_arm(base + *more);
	flag_cancel();
}

double cost_flag(void)
{
	double cost;

	if (flag_open())
		return 0;
	cost = cost_of(pair, NULL, 1u << 17, 1);
	flag_close();
	return cost;
}
