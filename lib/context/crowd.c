// SPDX-License-Identifier: MIT
/*
 * Crowds: threads that make children of one node queue for its lock, and its cache
 * lines go round. Whoever first finds the lock held gives the node stand-ins: nodes
 * below it that end with it, and that have the children which threads make from then
 * on. To all else in the library those are children like any.
 *
 * A stand-in has the node's deadline, but its slot is armed for none: it need not be
 * over on time, as what is below it has slots of its own. So to move the node is to
 * move one slot, if there are only stand-ins below it, and nothing below those.
 *
 * So that nothing of the node is written any more, the stand-ins have no reference to
 * it; but it has one to each. This is turned round when it has no other left: what is
 * below the stand-ins keeps the node, as if it were its own.
 */
#include <errno.h>
#include <stdlib.h>
#include "context/context.h"

#define STAND_INS	8

struct crowd {
	struct deadline_context *stand_ins[STAND_INS];
};

/* Of a node that is to have none: a stand-in, or when it was tried */
static struct crowd none;

static void release_all(struct crowd *crowd, unsigned int n)
{
	while (n)
		deadline_release(crowd->stand_ins[--n]);
	free(crowd);
}

static bool make_stand_in(struct deadline_context *node,
			  struct deadline_context **stand_in)
{
	if (deadline_with_cancel(node, stand_in))
		return false;
	deadline_slot_move(context_slot(*stand_in), DEADLINE_NEVER);
	(*stand_in)->creator = NULL;
	(*stand_in)->crowd = &none;
	/* So that whoever frees it clears it */
	context_set_state(*stand_in, CONTEXT_OPEN);
	return true;
}

static void form(struct deadline_context *node)
{
	struct crowd *crowd = NULL;
	int saved = errno;
	unsigned int n;
	bool open;

	if (!__atomic_compare_exchange_n(&node->crowd, &crowd, &none, 0,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	crowd = malloc(sizeof(*crowd));
	errno = saved;
	if (!crowd)
		return;
	for (n = 0; n < STAND_INS; n++) {
		if (!make_stand_in(node, &crowd->stand_ins[n])) {
			release_all(crowd, n);
			return;
		}
	}
	futex_lock(&node->lock);
	open = context_state(node) == CONTEXT_OPEN;
	if (open) {
		__atomic_store_n(&node->crowd, crowd, __ATOMIC_RELAXED);
		__atomic_store_n(&node->state, CONTEXT_CROWDED,
				 __ATOMIC_RELEASE);
		__atomic_fetch_sub(&node->refs, STAND_INS, __ATOMIC_RELAXED);
	}
	futex_unlock(&node->lock);
	if (!open)
		release_all(crowd, STAND_INS);
}

/* The caller has a reference, and nothing to do after it: functions may run. */
void crowd_form(struct deadline_context *node)
{
	submit_hold();
	form(node);
	submit_held();
}

/* This thread's. The caller has a reference to the node, and found it CROWDED. */
struct deadline_context *crowd_stand_in(const struct deadline_context *node)
{
	static uintptr_t threads;
	struct crowd *crowd = __atomic_load_n(&node->crowd, __ATOMIC_RELAXED);
	uintptr_t number = (uintptr_t)self.upper[THREAD_NUMBER];

	if (!number) {
		number = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
		self.upper[THREAD_NUMBER] = (void *)number;
	}
	return crowd->stand_ins[number % STAND_INS];
}

/*
 * Nobody has a reference to the node. If it has stand-ins, each gets one, and the
 * node gives up its own to them: the last of those to go frees it. Meanwhile it may
 * have come to its end, and who saw that found no reference to take:
 *
 *	ender				dissolver
 *	-----				---------
 *	swap word: over			swap refs: some
 *	load refs: if there are any,	load word: if over, complete
 *	take one, and complete
 */
bool crowd_dissolve(struct deadline_context *node)
{
	struct crowd *crowd = node->crowd;

	if (!crowd || crowd == &none)
		return false;
	node->crowd = &none;
	if (context_state(node) == CONTEXT_CROWDED)
		context_set_state(node, CONTEXT_OPEN);
	__atomic_exchange_n(&node->refs, STAND_INS + 1, __ATOMIC_SEQ_CST);
	if (!context_armed(node) && !context_orphan(node))
		context_complete(node);
	release_all(crowd, STAND_INS);
	deadline_release(node);
	return true;
}

static bool stand_in_has_children(struct deadline_context *stand_in)
{
	bool has;

	futex_lock(&stand_in->lock);
	has = stand_in->child;
	futex_unlock(&stand_in->lock);
	return has;
}

bool crowd_has_children(const struct deadline_context *node)
{
	struct deadline_context *child;

	for (child = node->child; child; child = child->next) {
		if (child->creator || stand_in_has_children(child))
			return true;
	}
	return false;
}

void crowd_follow(struct deadline_context *node)
{
	struct deadline_context *child;

	for (child = node->child; child; child = child->next)
		__atomic_store_n(&child->when, node->when, __ATOMIC_RELAXED);
}

bool crowd_is_held(const struct deadline_context *node)
{
	return node->crowd && node->crowd != &none;
}
