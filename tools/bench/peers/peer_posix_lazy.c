// SPDX-License-Identifier: MIT
/*
 * One POSIX timer that signals the very thread that uses it, for a lazy heap of that
 * thread's timers. The handler looks through the heap and sets the timer for the next
 * one; if it comes while the thread itself is at the heap, the thread does that.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "../scenarios/bench.h"
#include "lazy.h"

/**
 * struct timers - a thread's
 * @timer: that of the kernel
 * @set: for when that is set; NEVER: it is not
 * @busy: the thread is at the heap, the handler must not be
 * @missed: the handler came then
 */
struct timers {
	sigset_t signal;
	timer_t timer;
	uint64_t set;
	volatile bool busy, missed;
	volatile unsigned int expired;
	struct heap heap;
	struct lazy timers[];
};

/* The handler, or the thread while busy */
static void set_timer(struct timers *timers, uint64_t when)
{
	struct itimerspec spec = {
		.it_value.tv_sec = when / S,
		.it_value.tv_nsec = when % S,
	};

	timers->set = when;
	must(!timer_settime(timers->timer, TIMER_ABSTIME, &spec, NULL),
	     "timer_settime");
}

static void look(struct timers *timers)
{
	uint64_t first;

	timers->set = DEADLINE_NEVER;
	timers->expired += lazy_look(&timers->heap, deadline_now());
	first = lazy_first(&timers->heap);
	if (first != DEADLINE_NEVER)
		set_timer(timers, first);
}

static void handler(int sig, siginfo_t *info, void *unused)
{
	struct timers *timers = info->si_value.sival_ptr;

	(void)sig;
	(void)unused;
	if (timers->busy)
		timers->missed = true;
	else
		look(timers);
}

/* Out of line, as most need not come here */
static __attribute__((__noinline__)) void put(struct timers *timers,
					      struct lazy *timer)
{
	uint64_t first;

	timers->busy = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	lazy_put(&timers->heap, timer);
	first = lazy_first(&timers->heap);
	if (first < timers->set)
		set_timer(timers, first);
	for (;;) {
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		timers->busy = false;
		if (!timers->missed)
			break;
		timers->busy = true;
		timers->missed = false;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		look(timers);
	}
}

static inline void set(struct timers *timers, struct lazy *timer, uint64_t when)
{
	if (lazy_set(timer, when))
		put(timers, timer);
}

static void *lazy_open(unsigned int n)
{
	struct timers *timers = calloc(1, sizeof(*timers) +
				       n * sizeof(*timers->timers));
	struct sigaction action = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGRTMIN,
		.sigev_value.sival_ptr = timers,
	};
	unsigned int i;

	if (!timers)
		return NULL;
	timers->heap.nodes = calloc(n + 1, sizeof(*timers->heap.nodes));
	must(timers->heap.nodes, "calloc");
	for (i = 0; i < n; i++)
		lazy_init(&timers->timers[i]);
	timers->set = DEADLINE_NEVER;
	event._sigev_un._tid = gettid();
	sigaction(SIGRTMIN, &action, NULL);
	sigemptyset(&timers->signal);
	sigaddset(&timers->signal, SIGRTMIN);
	must(!timer_create(CLOCK_MONOTONIC, &event, &timers->timer),
	     "timer_create");
	return timers;
}

/* A signal that is pending comes before timer_delete() returns. */
static void lazy_close(void *self)
{
	struct timers *timers = self;

	timer_delete(timers->timer);
	free(timers->heap.nodes);
	free(timers);
}

static void lazy_start(void *self, const uint64_t *when, unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(timers, &timers->timers[i], when[i]);
}

static void lazy_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			    unsigned int n)
{
	struct timers *timers = self;
	struct lazy *timer = &timers->timers[at];
	unsigned int i;

	for (i = 0; i < n; i++) {
		set(timers, timer, when[i]);
		lazy_cancel(timer);
	}
}

static void lazy_update(void *self, const uint32_t *which, const uint64_t *when,
			unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(timers, &timers->timers[which[i]], when[i]);
}

static bool lazy_over(void *self, unsigned int n)
{
	struct timers *timers = self;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = __atomic_load_n(&timers->timers[0].when,
				       __ATOMIC_ACQUIRE) == LAZY_OVER;
	return over;
}

static unsigned int lazy_take(void *self, uint64_t *unused)
{
	struct timers *timers = self;
	sigset_t none;

	(void)unused;
	sigemptyset(&none);
	pthread_sigmask(SIG_BLOCK, &timers->signal, NULL);
	while (!timers->expired)
		sigsuspend(&none);
	pthread_sigmask(SIG_UNBLOCK, &timers->signal, NULL);
	return __atomic_exchange_n(&timers->expired, 0, __ATOMIC_RELAXED);
}

const struct peer peer_posix_lazy = {
	.name		= "posix-lazy",
	.use		= "one SIGEV_THREAD_ID timer for a thread's lazy heap",
	.most		= 1000000,
	.steady		= true,
	.open		= lazy_open,
	.close		= lazy_close,
	.start		= lazy_start,
	.arm_cancel	= lazy_arm_cancel,
	.update		= lazy_update,
	.over		= lazy_over,
	.take		= lazy_take,
};
