// SPDX-License-Identifier: MIT
/*
 * The threads of the library's own on which functions of deadline_after() run.
 *
 * One of them is in front: it runs functions, one after another. While some wait, a
 * spare one looks on: if the one in front sleeps in its function, the spare one takes
 * its place at once, and so it does if a function has run for long. So one that blocks
 * holds up no other, and there are as many threads as functions that block, and two. A
 * thread that finds those two waiting ends.
 *
 * Functions that compute are told from those that block, or many of them at once would
 * each get a thread: the more there are that were passed for that, the longer must the
 * next one have run. In n ms no more than the root of 2n are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "context/context.h"

/* The spare thread looks so often, ns; one that computes is passed after that */
#define LOOK	50000
#define LONG	1000000

/**
 * struct run - a function that is being run
 * @hook: which
 * @thread: where
 * @since: from when on
 * @passed: it computes for long, and another thread is in front
 * @forked: by the function: this is the child
 */
struct run {
	struct deadline_hook *hook;
	pid_t thread;
	uint64_t since;
	bool passed;
	bool forked;
};

/*
 * @first, @last: functions to be run
 * @front: what the others wait for; NULL: nothing
 * @begun: how many were begun
 * @passed: how many are, and have not ended
 * @waiting: threads that wait for something to do, or were just started
 * @looking: one of them looks on
 * @started: there is a thread; it is too late for deadline_set_executor()
 * @mask: the signal mask of the thread that started the first
 */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct deadline_hook *first;
	struct deadline_hook **last;
	struct run *front;
	uint64_t begun;
	unsigned int passed;
	unsigned int waiting;
	bool looking;
	bool started;
	sigset_t mask;
} own = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.last = &own.first,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* What this thread runs, if it is one of those */
static __thread struct run *current
	__attribute__((tls_model("initial-exec")));

struct deadline_hook *runner_current(void)
{
	return current ? current->hook : NULL;
}

int start_detached(void *(*fn)(void *arg), void *arg)
{
	struct sched_param param;
	pthread_attr_t attr;
	pthread_t thread;
	int ret, policy;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Not by sched_getscheduler(3), which musl has not */
	if (!pthread_getschedparam(pthread_self(), &policy, &param) &&
	    policy != SCHED_OTHER) {
		param.sched_priority = 0;
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
		pthread_attr_setschedparam(&attr, &param);
	}
	ret = start_thread(&thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return ret;
}

/* With the mutex held */
static void end_run(struct run *run)
{
	if (own.front == run)
		own.front = NULL;
	own.passed -= run->passed;
}

/*
 * The function ended its thread, by pthread_exit(3) or pthread_cancel(3), or by its return
 * in a child: a child in which nothing else runs has no need of a thread that waits.
 */
static void lost(void *run)
{
	bool started;

	/* What the thread's destructors call is not called by the function. */
	current = NULL;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	mutex_lock(&own.mutex);
	end_run(run);
	started = own.started;
	mutex_unlock(&own.mutex);
	if (started)
		runners_start();
}

/* The thread may be cancelled here and nowhere else, by who was told its number. */
static void run_function(struct run *run)
{
	int state;

	pthread_cleanup_push(lost, run);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	call_catching(hook_run, run->hook);
	pthread_testcancel();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	fork_check();
	if (run->forked)
		pthread_exit(NULL);
	pthread_cleanup_pop(0);
}

/* With the mutex held, which is let go meanwhile */
static void run_first(struct run *run)
{
	bool alone = !own.waiting;

	run->hook = own.first;
	run->since = clock_read();
	run->passed = false;
	own.begun++;
	own.front = run;
	own.first = run->hook->next;
	if (!own.first)
		own.last = &own.first;
	else if (!own.looking)
		pthread_cond_signal(&own.more);
	mutex_unlock(&own.mutex);
	if (alone)
		runners_start();
	current = run;
	run_function(run);
	current = NULL;
	mutex_lock(&own.mutex);
	end_run(run);
}

static void sleep_until(uint64_t when)
{
	struct timespec ts = timespec_of(when);

	pthread_cond_timedwait(&own.more, &own.mutex, &ts);
}

/*
 * Some wait. Pass the one in front if they had to wait for it, or let some time pass.
 * The mutex is let go while one looks: the one in front may have ended its function, and
 * would seem to sleep if it had to wait for the mutex.
 */
static void look_on(void)
{
	struct run *front = own.front;
	pid_t thread = front->thread;
	uint64_t begun = own.begun;
	bool runs;

	mutex_unlock(&own.mutex);
	runs = thread_runs(thread);
	mutex_lock(&own.mutex);
	if (own.front != front || own.begun != begun)
		return;
	if (!runs) {
		own.front = NULL;
	} else if (clock_read() - front->since >= LONG * (1ull + own.passed)) {
		front->passed = true;
		own.passed++;
		own.front = NULL;
	} else {
		sleep_until(clock_in(LOOK));
	}
}

/* Until there may be something to run for this thread */
static void wait_for_more(void)
{
	bool look = own.first && own.front && !own.looking;

	own.waiting++;
	if (look) {
		own.looking = true;
		look_on();
		own.looking = false;
	} else {
		pthread_cond_wait(&own.more, &own.mutex);
	}
	own.waiting--;
}

static void *own_thread(void *unused)
{
	struct run run = { .thread = syscall(SYS_gettid) };
	sigset_t all;

	(void)unused;
	prctl(PR_SET_NAME, "deadline-after");
	take_affinity();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	sigfillset(&all);
	mutex_lock(&own.mutex);
	own.waiting--;
	while (own.first || own.waiting < 2) {
		if (!own.first || own.front) {
			wait_for_more();
			continue;
		}
		/* What a function starts shall not have all signals blocked. */
		pthread_sigmask(SIG_SETMASK, &own.mask, NULL);
		do {
			run_first(&run);
		} while (own.first && !own.front);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	}
	mutex_unlock(&own.mutex);
	return NULL;
}

/*
 * In the child of a fork: the threads are gone, and what had not been run is the
 * parent's to run. The function that forked, if one did, goes on in the child, and its
 * thread ends with it.
 */
void runners_begin(void)
{
	const pthread_once_t again = PTHREAD_ONCE_INIT;

	once = again;
	pthread_mutex_init(&own.mutex, NULL);
	own.first = NULL;
	own.last = &own.first;
	own.front = current;
	own.passed = 0;
	if (current) {
		current->thread = syscall(SYS_gettid);
		current->passed = false;
		current->forked = true;
	}
	own.waiting = 0;
	own.looking = false;
	own.started = false;
}

static void make_condition(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&own.more, &attr);
	pthread_condattr_destroy(&attr);
}

/*
 * See to it that a thread waits. Called before there can be anything to run, when it is
 * not too late to fail.
 */
int runners_start(void)
{
	int ret = 0;

	fork_check();
	pthread_once(&once, make_condition);
	mutex_lock(&own.mutex);
	if (!own.started)
		pthread_sigmask(SIG_SETMASK, NULL, &own.mask);
	if (!own.waiting) {
		ret = start_detached(own_thread, NULL);
		own.waiting = !ret;
		own.started |= !ret;
	}
	mutex_unlock(&own.mutex);
	return ret;
}

bool runners_started(void)
{
	bool started;

	mutex_lock(&own.mutex);
	started = own.started;
	mutex_unlock(&own.mutex);
	return started;
}

void runners_take(struct deadline_hook *hook)
{
	mutex_lock(&own.mutex);
	hook->next = NULL;
	if (!own.first)
		pthread_cond_signal(&own.more);
	*own.last = hook;
	own.last = &hook->next;
	mutex_unlock(&own.mutex);
}
