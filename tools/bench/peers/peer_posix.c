// SPDX-License-Identifier: MIT
/*
 * POSIX timers that signal the very thread that uses them, so that no other thread
 * need run: it computes, and a handler sets a flag; or it sleeps, and takes the
 * signals with sigwaitinfo(2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "../scenarios/bench.h"

struct timers {
	sigset_t signal;
	volatile unsigned int expired;
	unsigned int count;
	timer_t timers[];
};

static void handler(int sig, siginfo_t *info, void *unused)
{
	struct timers *timers = info->si_value.sival_ptr;

	(void)sig;
	(void)unused;
	timers->expired++;
}

static inline void set_blocked(const struct timers *timers, int how)
{
	pthread_sigmask(how, &timers->signal, NULL);
}

/* A signal is set aside for each timer. */
static void raise_limit(unsigned int timers)
{
	struct rlimit limit;

	getrlimit(RLIMIT_SIGPENDING, &limit);
	if (limit.rlim_cur < timers + 64)
		limit.rlim_cur = timers + 64;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	setrlimit(RLIMIT_SIGPENDING, &limit);	/* or timer_create() tells */
}

static void posix_close(void *self)
{
	struct timers *timers = self;

	while (timers->count)
		timer_delete(timers->timers[--timers->count]);
	free(timers);
}

static void *posix_open(unsigned int n)
{
	struct timers *timers = malloc(sizeof(*timers) +
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

	if (!timers)
		return NULL;
	raise_limit(n);
	event._sigev_un._tid = gettid();
	sigaction(SIGRTMIN, &action, NULL);
	sigemptyset(&timers->signal);
	sigaddset(&timers->signal, SIGRTMIN);
	timers->expired = 0;
	for (timers->count = 0; timers->count < n; timers->count++) {
		if (timer_create(CLOCK_MONOTONIC, &event,
				 &timers->timers[timers->count])) {
			posix_close(timers);
			return NULL;
		}
	}
	return timers;
}

static void *wait_open(unsigned int n)
{
	struct timers *timers = posix_open(n);

	if (timers)
		set_blocked(timers, SIG_BLOCK);
	return timers;
}

static void wait_close(void *self)
{
	set_blocked(self, SIG_UNBLOCK);
	posix_close(self);
}

static inline void set(timer_t timer, uint64_t when)
{
	struct itimerspec spec = {
		.it_value.tv_sec = when / S,
		.it_value.tv_nsec = when % S,
	};

	must(!timer_settime(timer, TIMER_ABSTIME, &spec, NULL),
	     "timer_settime");
}

static void posix_start(void *self, const uint64_t *when, unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(timers->timers[i], when[i]);
}

static void posix_arm_cancel(void *self, unsigned int at,
			     const uint64_t *when, unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++) {
		timers->expired = 0;
		set(timers->timers[at], when[i]);
		set(timers->timers[at], 0);
	}
}

static void posix_update(void *self, const uint32_t *which,
			 const uint64_t *when, unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(timers->timers[which[i]], when[i]);
}

static bool posix_over(void *self, unsigned int n)
{
	struct timers *timers = self;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = timers->expired;
	return over;
}

static unsigned int posix_take(void *self, uint64_t *unused)
{
	struct timers *timers = self;
	sigset_t none;

	(void)unused;
	sigemptyset(&none);
	set_blocked(timers, SIG_BLOCK);
	while (!timers->expired)
		sigsuspend(&none);
	set_blocked(timers, SIG_UNBLOCK);	/* and those that are pending come */
	return __atomic_exchange_n(&timers->expired, 0, __ATOMIC_RELAXED);
}

static unsigned int wait_take(void *self, uint64_t *unused)
{
	struct timers *timers = self;

	(void)unused;
	must(sigwaitinfo(&timers->signal, NULL) == SIGRTMIN, "sigwaitinfo");
	return 1;
}

const struct peer peer_posix = {
	.name		= "posix",
	.use		= "SIGEV_THREAD_ID, a handler that sets a flag",
	.most		= 100000,
	.steady		= true,
	.open		= posix_open,
	.close		= posix_close,
	.start		= posix_start,
	.arm_cancel	= posix_arm_cancel,
	.update		= posix_update,
	.over		= posix_over,
	.take		= posix_take,
};

const struct peer peer_posix_wait = {
	.name		= "posix-sigwait",
	.use		= "SIGEV_THREAD_ID, taken by sigwaitinfo",
	.most		= 100000,
	.open		= wait_open,
	.close		= wait_close,
	.start		= posix_start,
	.take		= wait_take,
};
