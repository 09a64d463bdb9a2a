// SPDX-License-Identifier: MIT
/*
 * Sleeping until a context is over. The sleeper has the context's deadline as its
 * own timeout, so an expiry needs nobody to tell it; the WAKE bit in the word has
 * whoever cancels wake the futex.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "context.h"

static struct timespec *timespec_of(struct timespec *ts, uint64_t when)
{
	if (when == DEADLINE_NEVER)
		return NULL;
	ts->tv_sec = when / 1000000000;
	ts->tv_nsec = when % 1000000000;
	return ts;
}

/* Sleep once: until @when, the word is no longer @word, or for no reason. */
static int sleep_on(struct deadline_slot *slot, uint64_t word, uint64_t when)
{
	struct timespec ts;

	if (!syscall(SYS_futex, state_half(&slot->word), FUTEX_WAIT_BITSET_PRIVATE,
		     (uint32_t)word, timespec_of(&ts, when), NULL,
		     FUTEX_BITSET_MATCH_ANY))
		return 0;
	return errno == EINTR ? -EINTR : 0;
}

/* For a context that is never over */
static int sleep_until(uint64_t when)
{
	struct timespec ts;

	if (!timespec_of(&ts, when))
		ts.tv_sec = INT64_MAX, ts.tv_nsec = 0;
	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ?
	       -EINTR : -ETIME;
}

static int wait_node(struct deadline_context *node, uint64_t until)
{
	struct deadline_slot *slot = context_slot(node);
	__u64 word;
	uint64_t now;
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
		ret = sleep_on(slot, word | DEADLINE_WORD_WAKE,
			       until < node->when ? until : node->when);
	}
	if (ret)
		return ret;
	context_complete(node);
	return 0;
}

int deadline_wait(deadline_context *context, uint64_t until)
{
	struct deadline_context *node = context->node;
	int ret, saved = errno;

	if (!node)
		ret = sleep_until(until);
	else if (context_orphan(node))
		ret = -ECHILD;
	else
		ret = wait_node(node, until);
	errno = saved;
	return ret;
}
