// SPDX-License-Identifier: MIT
/*
 * A POSIX timer that signals the very thread that computes: its handler sets a
 * flag, on that thread, so that no other thread need run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "demo.h"

static timer_t timer;
static volatile sig_atomic_t over;

static void handler(int sig)
{
	(void)sig;
	over = 1;
}

static int posix_open(void)
{
	struct sigaction action = {
		.sa_handler = handler,
		.sa_flags = SA_RESTART,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGRTMIN,
	};

	event._sigev_un._tid = gettid();
	sigaction(SIGRTMIN, &action, NULL);
	return timer_create(CLOCK_MONOTONIC, &event, &timer) ? -errno : 0;
}

static inline void set(uint64_t when)
{
	struct itimerspec spec = {
		.it_value.tv_sec = when / S,
		.it_value.tv_nsec = when % S,
	};

	must(!timer_settime(timer, TIMER_ABSTIME, &spec, NULL),
	     "timer_settime");
}

static inline void posix_cancel(void)
{
	set(0);
}

static inline void posix_arm(uint64_t when)
{
	over = 0;
	set(when);
}

static bool posix_over(void)
{
	return over;
}

static void posix_close(void)
{
	timer_delete(timer);
}

struct peer posix_timer = {
	.name	= "flag: POSIX signal",
	.open	= posix_open,
	.arm	= posix_arm,
	.over	= posix_over,
	.cancel	= posix_cancel,
	.close	= posix_close,
};

static inline void pair(void *unused, uint64_t base, const uint64_t *more)
{
	(void)unused;
	posix_arm(base + *more);
	posix_cancel();
}

double cost_posix(void)
{
	double cost;

	if (posix_open())
		return 0;
	cost = cost_of(pair, NULL, 8192, 1);
	posix_close();
	return cost;
}
