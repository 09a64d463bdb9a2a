// SPDX-License-Identifier: MIT
/*
 * A timer thread with a heap, as many programs have one: it sleeps on a condition
 * until the first deadline, then sets the flags of all that are due. It is
 * signalled only if a deadline is earlier than it sleeps; who cancels lets it wake
 * up for nothing. SCHED_OTHER as programs have it, or SCHED_FIFO where that is
 * permitted; in either case with a timer slack of 1 ns, without which the first
 * would be 50 us later.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include "../scenarios/bench.h"
#include "heap.h"

/**
 * struct timer - one of them
 * @node: its place in the heap; not there if it is not armed
 * @done: its place among those that expired, from 1; 0: not there
 * @over: atomic
 */
struct timer {
	struct node node;
	unsigned int done;
	bool over;
};

/**
 * struct timers - a thread and what it serves
 * @expired: the length of @done
 * @waits: the consumer does, for one
 * @done: those that expired and were neither consumed nor armed again, from [1]
 * @heap: the armed ones
 */
struct timers {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	pthread_cond_t some;
	uint64_t sleeps_until;
	bool stop;
	bool waits;
	unsigned int expired;
	struct timer **done;
	struct heap heap;
	struct timer timers[];
};

/* An expiry that nobody consumes any more, if there is one */
static inline void forget(struct timers *timers, struct timer *timer)
{
	struct timer *last;

	if (!timer->done)
		return;
	last = timers->done[timers->expired--];
	last->done = timer->done;
	timers->done[last->done] = last;
	timer->done = 0;
}

/* Lock held. */
static void expire(struct timers *timers)
{
	uint64_t now = deadline_now();
	struct timer *timer;

	while (timers->heap.count && timers->heap.nodes[1]->when <= now) {
		timer = (struct timer *)timers->heap.nodes[1];
		heap_take_out(&timers->heap, &timer->node);
		timer->done = ++timers->expired;
		timers->done[timer->done] = timer;
		__atomic_store_n(&timer->over, true, __ATOMIC_RELEASE);
	}
	if (timers->waits && timers->expired)
		pthread_cond_signal(&timers->some);
}

/* Lock held. */
static void sleep_until_first(struct timers *timers)
{
	struct timespec until;

	if (!timers->heap.count) {
		timers->sleeps_until = DEADLINE_NEVER;
		pthread_cond_wait(&timers->change, &timers->lock);
	} else {
		timers->sleeps_until = timers->heap.nodes[1]->when;
		until.tv_sec = timers->sleeps_until / S;
		until.tv_nsec = timers->sleeps_until % S;
		pthread_cond_timedwait(&timers->change, &timers->lock, &until);
	}
	timers->sleeps_until = 0;	/* awake: it will look by itself */
}

static void *serve(void *self)
{
	struct timers *timers = self;

	prctl(PR_SET_TIMERSLACK, 1);
	pthread_mutex_lock(&timers->lock);
	while (!timers->stop) {
		expire(timers);
		sleep_until_first(timers);
	}
	pthread_mutex_unlock(&timers->lock);
	return NULL;
}

static int run(struct timers *timers, int policy)
{
	struct sched_param param = {
		.sched_priority = policy == SCHED_FIFO ? 50 : 0,
	};
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, policy);
	pthread_attr_setschedparam(&attr, &param);
	ret = pthread_create(&timers->thread, &attr, serve, timers);
	pthread_attr_destroy(&attr);
	return ret;
}

static void *open_policy(unsigned int n, int policy)
{
	struct timers *timers = calloc(1, sizeof(*timers) +
				       n * sizeof(*timers->timers));
	struct node **nodes = calloc(n + 1, sizeof(*nodes));
	struct timer **done = calloc(n + 1, sizeof(struct timer *));
	pthread_condattr_t attr;

	if (!timers || !nodes || !done)
		goto fail;
	timers->heap.nodes = nodes;
	timers->done = done;
	pthread_mutex_init(&timers->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&timers->change, &attr);
	pthread_cond_init(&timers->some, &attr);
	pthread_condattr_destroy(&attr);
	errno = run(timers, policy);
	if (!errno)
		return timers;
fail:
	free(done);
	free(nodes);
	free(timers);
	return NULL;
}

static void *open_other(unsigned int n)
{
	return open_policy(n, SCHED_OTHER);
}

static void *open_fifo(unsigned int n)
{
	return open_policy(n, SCHED_FIFO);
}

static void thread_close(void *self)
{
	struct timers *timers = self;

	pthread_mutex_lock(&timers->lock);
	timers->stop = true;
	pthread_cond_signal(&timers->change);
	pthread_mutex_unlock(&timers->lock);
	pthread_join(timers->thread, NULL);
	pthread_cond_destroy(&timers->change);
	pthread_cond_destroy(&timers->some);
	free(timers->done);
	free(timers->heap.nodes);
	free(timers);
}

/* Lock held. Returns whether the thread must be told. */
static inline bool first_changed(struct timers *timers)
{
	uint64_t first = timers->heap.nodes[1]->when;

	if (first >= timers->sleeps_until)
		return false;
	timers->sleeps_until = first;	/* so signalled once */
	return true;
}

static inline void arm(struct timers *timers, struct timer *timer,
		       uint64_t when)
{
	bool earlier;

	pthread_mutex_lock(&timers->lock);
	timer->node.when = when;
	forget(timers, timer);
	__atomic_store_n(&timer->over, false, __ATOMIC_RELAXED);
	heap_insert(&timers->heap, &timer->node);
	earlier = first_changed(timers);
	pthread_mutex_unlock(&timers->lock);
	if (earlier)
		pthread_cond_signal(&timers->change);
}

static void thread_start(void *self, const uint64_t *when, unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		arm(timers, &timers->timers[i], when[i]);
}

static void thread_arm_cancel(void *self, unsigned int at,
			      const uint64_t *when, unsigned int n)
{
	struct timers *timers = self;
	struct timer *timer = &timers->timers[at];
	unsigned int i;

	for (i = 0; i < n; i++) {
		arm(timers, timer, when[i]);
		pthread_mutex_lock(&timers->lock);
		if (timer->node.at)
			heap_take_out(&timers->heap, &timer->node);
		else
			forget(timers, timer);
		pthread_mutex_unlock(&timers->lock);
	}
}

static inline void move(struct timers *timers, struct timer *timer,
			uint64_t when)
{
	bool earlier = false;

	pthread_mutex_lock(&timers->lock);
	if (timer->node.at) {
		timer->node.when = when;
		heap_sift(&timers->heap, &timer->node, timer->node.at);
		earlier = first_changed(timers);
	}
	pthread_mutex_unlock(&timers->lock);
	if (earlier)
		pthread_cond_signal(&timers->change);
}

static void thread_update(void *self, const uint32_t *which,
			  const uint64_t *when, unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		move(timers, &timers->timers[which[i]], when[i]);
}

static bool thread_over(void *self, unsigned int n)
{
	struct timers *timers = self;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = __atomic_load_n(&timers->timers[0].over,
				       __ATOMIC_ACQUIRE);
	return over;
}

static unsigned int thread_take(void *self, uint64_t *unused)
{
	struct timers *timers = self;
	unsigned int got;

	(void)unused;
	pthread_mutex_lock(&timers->lock);
	timers->waits = true;
	while (!timers->expired)
		pthread_cond_wait(&timers->some, &timers->lock);
	timers->waits = false;
	got = timers->expired;
	while (timers->expired)
		timers->done[timers->expired--]->done = 0;
	pthread_mutex_unlock(&timers->lock);
	return got;
}

const struct peer peer_thread = {
	.name		= "thread",
	.use		= "a timer thread with a heap, SCHED_OTHER",
	.most		= 1000000,
	.steady		= true,
	.open		= open_other,
	.close		= thread_close,
	.start		= thread_start,
	.arm_cancel	= thread_arm_cancel,
	.update		= thread_update,
	.over		= thread_over,
	.take		= thread_take,
};

/* Costs the same, but where the thread must come in between */
const struct peer peer_thread_fifo = {
	.name		= "thread-fifo",
	.use		= "a timer thread with a heap, SCHED_FIFO",
	.most		= 1000000,
	.open		= open_fifo,
	.close		= thread_close,
	.start		= thread_start,
	.over		= thread_over,
	.take		= thread_take,
};
