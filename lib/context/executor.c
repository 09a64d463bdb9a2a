// SPDX-License-Identifier: MIT
/*
 * On their way to be run: functions go to the executor that the program has set, or
 * else to threads of the library's own (runners.c).
 *
 * The program's may throw an exception, or end the thread. So nothing is submitted in
 * the midst of a call, but as the last that the call does: what it has taken to be run
 * is kept until then.
 */
#include <errno.h>
#include "context/context.h"

static int (*program)(void (*fn)(void *arg), void *arg);

/*
 * @first: what this thread's call has taken
 * @holds: in how many sections it is that have more to do; 0: in none
 */
static __thread struct {
	struct deadline_hook *first;
	unsigned int holds;
} mine __attribute__((tls_model("initial-exec")));

/* In the child of a fork: it has no executor. */
void executor_begin(void)
{
	program = NULL;
}

/**
 * struct submission - functions on their way to an executor
 * @ready: a list of those that nobody has yet
 * @state: whether the thread could be cancelled before
 */
struct submission {
	struct deadline_hook *ready;
	int state;
};

/* Also if the program's submit throws or ends its thread: then it has refused. */
static void end_submission(void *arg)
{
	struct submission *submission = arg;
	struct deadline_hook *hook;

	while ((hook = submission->ready)) {
		submission->ready = hook->next;
		runners_take(hook);
	}
	cancel_restore(submission->state);
}

/* With preemption off once more than the caller found it, and it is no more then. */
static void submit(struct deadline_hook *ready)
{
	struct submission submission = { .ready = ready };
	int (*fn)(void (*fn)(void *arg), void *arg);
	struct deadline_hook *hook, *next;
	int saved = errno;

	fn = __atomic_load_n(&program, __ATOMIC_ACQUIRE);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &submission.state);
	pthread_cleanup_push(end_submission, &submission);
	while (fn && (hook = submission.ready)) {
		next = hook->next;
		if (fn(hook_run, hook))
			runners_take(hook);
		submission.ready = next;
	}
	pthread_cleanup_pop(1);
	errno = saved;
}

void submit_hold(void)
{
	preempt_off();
	mine.holds++;
}

void submit_later(struct deadline_hook *ready)
{
	struct deadline_hook **at = &mine.first;

	while (*at)
		at = &(*at)->next;
	*at = ready;
}

void submit_held(void)
{
	struct deadline_hook *ready = mine.first;

	if (--mine.holds || !ready) {
		preempt_on();
		return;
	}
	mine.first = NULL;
	submit(ready);
}

void submit_cancelled(void)
{
	mine.holds = 0;
}

int deadline_set_executor(int (*submit)(void (*fn)(void *arg), void *arg))
{
	fork_check();
	if (runners_started())
		return -EBUSY;
	__atomic_store_n(&program, submit, __ATOMIC_RELEASE);
	return 0;
}
