// SPDX-License-Identifier: MIT
/*
 * What a scheduler has without deadlines: a thread that sleeps until the first timer
 * of a list, and makes ready those whose time has come. It is scheduled as threads
 * are, and its workers are busy.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include "beside.h"

struct timer {
	uint64_t when;
	struct fiber_group over;
	struct timer *next;
};

/* @first: the list, the next one to be due first */
static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct timer *first;
	bool stop;
} timers = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void expire(void)
{
	struct timer *timer;

	while ((timer = timers.first) && timer->when <= deadline_now()) {
		timers.first = timer->next;
		fiber_group_done(&timer->over);
	}
}

static void sleep_until_first(void)
{
	struct timespec until;

	if (!timers.first) {
		pthread_cond_wait(&timers.change, &timers.lock);
		return;
	}
	until.tv_sec = timers.first->when / 1000000000;
	until.tv_nsec = timers.first->when % 1000000000;
	pthread_cond_timedwait(&timers.change, &timers.lock, &until);
}

static void *serve(void *unused)
{
	(void)unused;
	prctl(PR_SET_TIMERSLACK, 1);
	pthread_mutex_lock(&timers.lock);
	while (!timers.stop) {
		expire();
		sleep_until_first();
	}
	pthread_mutex_unlock(&timers.lock);
	return NULL;
}

void timers_start(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&timers.change, &attr);
	pthread_condattr_destroy(&attr);
	timers.stop = false;
	if (pthread_create(&timers.thread, NULL, serve, NULL))
		abort();
}

void timers_stop(void)
{
	pthread_mutex_lock(&timers.lock);
	timers.stop = true;
	pthread_cond_signal(&timers.change);
	pthread_mutex_unlock(&timers.lock);
	pthread_join(timers.thread, NULL);
	pthread_cond_destroy(&timers.change);
}

int timers_sleep(deadline_context *unused, uint64_t until)
{
	struct timer timer = { .when = until, .over.left = 1 }, **at;

	(void)unused;
	deadline_preempt_off();
	pthread_mutex_lock(&timers.lock);
	for (at = &timers.first; *at && (*at)->when <= until;)
		at = &(*at)->next;
	timer.next = *at;
	*at = &timer;
	if (timers.first == &timer)
		pthread_cond_signal(&timers.change);
	pthread_mutex_unlock(&timers.lock);
	deadline_preempt_on();
	fiber_wait(&timer.over);
	return 0;
}
