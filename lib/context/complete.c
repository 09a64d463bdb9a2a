// SPDX-License-Identifier: MIT
/*
 * Whether a context is over, and how it and all below it come to be. Who ends a node
 * is whoever swaps its word: the kernel, a cancel, or a helper that has read the
 * clock. What is left to do then, ending the children and running the hooks, falls to
 * the first of the library's callers who sees it; the others wait for him.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/probe.h"
#include "context/context.h"

void context_wake(const __u64 *word)
{
	int saved = errno;

	preempt_off();
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
	preempt_on();
	errno = saved;
}

/* A reference, unless it is free or about to be */
static bool get_unless_zero(struct deadline_context *c)
{
	uint32_t refs = __atomic_load_n(&c->refs, __ATOMIC_RELAXED);

	do {
		if (!refs)
			return false;
	} while (!__atomic_compare_exchange_n(&c->refs, &refs, refs + 1, 0,
					      __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return true;
}

/* What the first cancel of a node has given, or 0 */
static inline uintptr_t given_cause(const struct deadline_context *node)
{
	uintptr_t cause = __atomic_load_n(&node->cancel_cause, __ATOMIC_ACQUIRE);

	return cause ? cause - 1 : 0;
}

/* The child of a node that is over is over for the same reason. Inline in a tree. */
inline void context_end_like(struct deadline_context *child,
			     const struct deadline_context *node)
{
	if (context_word(node) & DEADLINE_WORD_EXPIRED) {
		end(child, DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN);
		return;
	}
	if (!context_over(child))
		give_cause(child, given_cause(node));
	end(child, 0);
}

static inline void unlink_child(struct deadline_context *child)
{
	take_out(child);
	child->back = NULL;
}

/* Sleep until the node's subtree is over, which somebody is busy with. */
static void await(struct deadline_context *node)
{
	uint32_t state = __atomic_load_n(&node->state, __ATOMIC_ACQUIRE);
	int saved = errno;

	while (state == CONTEXT_COMPLETING || state == CONTEXT_AWAITED) {
		if (state == CONTEXT_AWAITED ||
		    __atomic_compare_exchange_n(&node->state, &state,
						CONTEXT_AWAITED, 0,
						__ATOMIC_ACQUIRE,
						__ATOMIC_ACQUIRE))
			syscall(SYS_futex, &node->state, FUTEX_WAIT_PRIVATE,
				CONTEXT_AWAITED, NULL);
		state = __atomic_load_n(&node->state, __ATOMIC_ACQUIRE);
	}
	errno = saved;
}

static void completed(struct deadline_context *node)
{
	int saved = errno;

	if (__atomic_exchange_n(&node->state, CONTEXT_COMPLETE,
				__ATOMIC_RELEASE) == CONTEXT_AWAITED) {
		syscall(SYS_futex, &node->state, FUTEX_WAKE_PRIVATE, INT_MAX);
		errno = saved;
	}
}

/*
 * Begin to complete a node that is over: its children are ended, and those that have
 * something below them put on @todo, each with a reference; its hooks on @hooks.
 * False if somebody else has begun.
 */
static bool begin(struct deadline_context *node,
		  struct deadline_context **todo, struct deadline_hook **hooks)
{
	struct deadline_context *child;
	bool mine;

	futex_lock(&node->lock);
	mine = context_state(node) <= CONTEXT_CROWDED;
	if (mine) {
		context_set_state(node, CONTEXT_COMPLETING);
		while ((child = node->child)) {
			context_end_like(child, node);
			/* Who releases the last reference completes it. */
			if (context_state(child) == CONTEXT_BARE ||
			    !get_unless_zero(child)) {
				unlink_child(child);
				continue;
			}
			unlink_child(child);
			child->next = *todo;
			*todo = child;
		}
		hooks_take(node, hooks);
	}
	futex_unlock(&node->lock);
	return mine;
}

/*
 * The node is over: have all below it be over as well, and its hooks run, before we
 * return, whoever does it. Waiting goes down the tree only, so it ends.
 */
void context_complete_slow(struct deadline_context *node)
{
	struct deadline_context *todo = NULL, *done = NULL, *busy = NULL, *next;
	struct deadline_hook *hooks = NULL;

	/*
	 * Or another task of this thread might await what we have begun. The program's
	 * executor is not stopped either: it has locks of its own.
	 */
	submit_hold();
	if (!begin(node, &todo, &hooks)) {
		await(node);
		submit_held();
		return;
	}
	while ((next = todo)) {
		todo = next->next;
		if (begin(next, &todo, &hooks)) {
			next->next = done;
			done = next;
		} else {
			next->next = busy;
			busy = next;
		}
	}
	while ((next = busy)) {
		busy = next->next;
		await(next);
		deadline_release(next);
	}
	while ((next = done)) {
		done = next->next;
		completed(next);
		deadline_release(next);
	}
	completed(node);
	submit_later(hooks);
	submit_held();
}

/* The clock says @now: if that is past its deadline, so does the word. */
bool context_help(struct deadline_context *node, uint64_t now)
{
	uint64_t when = context_word(node) & ~DEADLINE_WORD_STATE;

	if (now < when)
		return false;
	if (end(node, DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN))
		PROBE3(context_over, node, when, node->creator);
	return true;
}

/* The reaper of its queue says so, perhaps of one that had its slot before. */
void context_expired(struct deadline_context *node)
{
	if (!get_unless_zero(node))
		return;
	submit_hold();
	if (context_over(node)) {
		PROBE3(context_over, node, node->when, node->creator);
		context_complete(node);
	}
	deadline_release(node);
	submit_held();
}

int deadline_err(const deadline_context *context)
{
	uint64_t word = context_word(context);

	if (word & DEADLINE_WORD_ARMED)
		return 0;
	if (context_orphan(context->node))
		return -ECHILD;
	PROBE3(context_noticed, context->node, word & ~DEADLINE_WORD_STATE,
	       context->node->creator);
	context_complete(context->node);
	return word & DEADLINE_WORD_EXPIRED ? -ETIME : -ECANCELED;
}

/*
 * Whose deadline made the node over: its own, or that of a node above it? Then both
 * have the same one, as none is moved that has children. Whoever moved the node has
 * its lock until @when is what the word said.
 */
static const struct deadline_context *timed_by(struct deadline_context *node)
{
	const struct deadline_context *found = node, *up;

	if (__atomic_load_n(&node->lock, __ATOMIC_ACQUIRE) & LOCK_HELD) {
		preempt_off();
		futex_lock(&node->lock);
		futex_unlock(&node->lock);
		preempt_on();
	}
	while ((up = found->parent->node) &&
	       deadline_when(up) == deadline_when(found))
		found = up;
	return found;
}

uintptr_t deadline_cause(const deadline_context *context)
{
	uint64_t word = context_word(context);

	if (word & DEADLINE_WORD_ARMED)
		return 0;
	if (word & DEADLINE_WORD_EXPIRED)
		return timed_by(context->node)->timeout_cause;
	return given_cause(context->node);
}

uint64_t deadline_remaining(const deadline_context *context)
{
	uint64_t now, when;

	if (context_over(context))
		return 0;
	when = deadline_when(context);
	if (when == DEADLINE_NEVER)
		return DEADLINE_NEVER;
	now = deadline_now();
	if (now < when)
		return when - now;
	if (context_help(context->node, now))
		context_complete(context->node);
	return 0;
}
