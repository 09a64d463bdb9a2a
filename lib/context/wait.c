// SPDX-License-Identifier: MIT
/*
 * Sleeping until a context is over. The sleeper has the context's deadline as its
 * own timeout, so an expiry needs nobody to tell it; the WAKE bit in the word has
 * whoever cancels wake the futex.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/probe.h"
#include "context/context.h"

/*
 * While a thread sleeps here its timer slack is the least there is, so that the sleep
 * ends on time; then the slack is again what the program has set, be it a signal handler
 * that did so meanwhile.
 */
static long get_slack(void)
{
	/* prctl(3) would return an int. */
	return syscall(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0);
}

static long lower_slack(void)
{
	long slack = get_slack();

	if (slack > 1)
		syscall(SYS_prctl, PR_SET_TIMERSLACK, 1, 0, 0, 0);
	return slack;
}

/* Also if the thread is cancelled in its sleep */
static void restore_slack(void *arg)
{
	long slack = *(long *)arg;

	if (slack > 1 && get_slack() == 1)
		syscall(SYS_prctl, PR_SET_TIMERSLACK, slack, 0, 0, 0);
}

/*
 * futex_sleep() as a cancellation point. It is a function of its own so that wherever
 * in it the thread ends, the caller's cleanup is found. 0 or -EINTR
 */
static __attribute__((__noinline__))
int cancellable_sleep(uint32_t *futex, uint32_t value, uint64_t until)
{
	int type, ret;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	ret = futex_sleep(futex, value, until);
	pthread_setcanceltype(type, NULL);
	return ret == -EINTR ? ret : 0;
}

/* Sleep once: until @when, @futex is not @value, or for no reason. 0 or -EINTR */
static int sleep_once(uint32_t *futex, uint32_t value, uint64_t when)
{
	long slack;
	int ret;

	if (when == DEADLINE_NEVER)
		return cancellable_sleep(futex, value, when);
	slack = lower_slack();
	pthread_cleanup_push(restore_slack, &slack);
	ret = cancellable_sleep(futex, value, when);
	pthread_cleanup_pop(1);
	return ret;
}

/* For a context that is never over */
static int sleep_until(uint64_t when)
{
	static uint32_t nobody;
	int ret = 0;

	while (!ret && deadline_now() < when)
		ret = sleep_once(&nobody, 0, when);
	return ret ? ret : -ETIME;
}

static int wait_node(struct deadline_context *node, uint64_t until)
{
	struct deadline_slot *slot = context_slot(node);
	__u64 word;
	uint64_t now, due;
	int ret = 0;

	while (!ret) {
		word = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
		if (!(word & DEADLINE_WORD_ARMED))
			break;
		now = deadline_now();
		if (context_help(node, now))
			break;
		if (now >= until)
			return -ETIME;
		if (!(word & DEADLINE_WORD_WAKE) &&
		    !deadline_swap_(&slot->word, &word,
				    word | DEADLINE_WORD_WAKE))
			continue;
		due = word & ~DEADLINE_WORD_STATE;
		if (due == DEADLINE_TIME_NEVER || until < due)
			due = until;
		ret = sleep_once(state_half(&slot->word),
				 (uint32_t)word | DEADLINE_WORD_WAKE, due);
	}
	return ret;
}

int deadline_wait(deadline_context *context, uint64_t until)
{
	struct deadline_context *node = context->node;
	int ret, saved = errno;

	/* How a thread sleeps is the thread's affair: its slack, its cancellation. */
	preempt_off();
	if (!node)
		ret = sleep_until(until);
	else if (context_orphan(node))
		ret = -ECHILD;
	else
		ret = wait_node(node, until);
	preempt_on();
	errno = saved;
	if (ret || !node)
		return ret;
	context_complete(node);
	PROBE3(context_noticed, node, context_word(node) & ~DEADLINE_WORD_STATE,
	       node->creator);
	return 0;
}
