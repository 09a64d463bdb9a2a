// SPDX-License-Identifier: MIT
/*
 * A POSIX timer for each thread, SIGEV_THREAD_ID: it interrupts that thread alone,
 * and is set once, for all quanta.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "../scenarios/quantum.h"

static void handler(int sig, siginfo_t *info, void *unused)
{
	(void)sig;
	(void)unused;
	task_preempted(info->si_value.sival_ptr);
}

static void interval_open(struct task *task)
{
	struct sigaction action = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGRTMIN,
		.sigev_value.sival_ptr = task,
	};

	event._sigev_un._tid = gettid();
	must(!sigaction(SIGRTMIN, &action, NULL), "sigaction");
	task->own = malloc(sizeof(timer_t));
	must(task->own, "malloc");
	must(!timer_create(CLOCK_MONOTONIC, &event, task->own), "timer_create");
}

static void interval_compute(struct task *task)
{
	struct itimerspec spec = {
		.it_value.tv_sec = task->next / S,
		.it_value.tv_nsec = task->next % S,
		.it_interval.tv_nsec = task->quantum,
	};
	timer_t *timer = task->own;

	must(!timer_settime(*timer, TIMER_ABSTIME, &spec, NULL),
	     "timer_settime");
	while (task_turn(task))
		;
}

static void interval_close(struct task *task)
{
	timer_t *timer = task->own;

	timer_delete(*timer);
	free(timer);
}

static const struct preemption interval = {
	.open	 = interval_open,
	.compute = interval_compute,
	.close	 = interval_close,
};

static bool measure(struct histogram *result, const struct scenario *scenario,
		    unsigned int n, unsigned int percent)
{
	quantum_measure(result, scenario, n, percent, &interval);
	return true;
}

const struct peer peer_interval = {
	.name	  = "posix-interval",
	.use	  = "SIGEV_THREAD_ID, an interval and a handler that counts",
	.measure  = measure,
	.measures = QUANTA,
};
