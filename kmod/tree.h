/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which look comes next: the nodes of a queue in the order of their keys, a key
 * being the latest time at which the slot may expire, deadline and slack.
 *
 * A node that was looked at is not taken out of the rbtree: it is marked, and
 * q->first moves on, so that the interrupt never rebalances anything. It is
 * taken out when its slot is queued again, by the doorbell or from the inbox.
 * So left of q->first are only marked nodes, and from there on none, unless the
 * clock was set back or a look was contended: then a marked node may be looked at
 * once more, in vain.
 */
#ifndef DLN_TREE_H
#define DLN_TREE_H

#include "dln.h"

/* In dln_node.key, which is a multiple of DEADLINE_GRAIN otherwise */
#define DLN_LOOKED	1
#define DLN_SLACK	2	/* the deadline lies before it */

/*
 * Plan the next look at @key. In the future, but for a look that is to be made
 * again: that keeps the marked nodes, whose time has come, to the left.
 */
void __dln_enqueue(struct dln_queue *q, struct dln_node *node, u64 key);

/* Take the node out of the tree, marked or not; it must be there. */
void __dln_remove(struct dln_queue *q, struct dln_node *node);

static inline bool dln_queued(const struct dln_node *node)
{
	return node->key && !(node->key & DLN_LOOKED);
}

/* rb_next(), inline: each look goes this way, and the call is a tenth of it. */
static inline struct dln_node *dln_next(struct dln_node *node)
{
	struct rb_node *at = &node->rb, *up;

	if (at->rb_right) {
		at = at->rb_right;
		while (at->rb_left)
			at = at->rb_left;
		return rb_entry(at, struct dln_node, rb);
	}
	while ((up = rb_parent(at)) && at == up->rb_right)
		at = up;
	return rb_entry_safe(up, struct dln_node, rb);
}

/*
 * The first node's time has come: mark it and go on to the next. One that is marked
 * already was not counted any more.
 */
static inline void __dln_pass(struct dln_queue *q, struct dln_node *first)
{
	lockdep_assert_held(&q->lock);
	q->planned += (u32)(first->key & DLN_LOOKED) - 1;
	first->key |= DLN_LOOKED;
	q->first = dln_next(first);
}

/* A marked key that may take the place of that of the first node */
static inline u64 __dln_past(const struct dln_queue *q)
{
	struct rb_node *left = rb_prev(&q->first->rb);

	lockdep_assert_held(&q->lock);
	return (left ? rb_entry(left, struct dln_node, rb)->key :
		DEADLINE_GRAIN) | DLN_LOOKED;
}

/* The key of a slot that is @due, with the slack that it has now */
static inline u64 dln_key(const struct deadline_slot *slot, u64 due)
{
	u64 slack = READ_ONCE(slot->slack) & ~DEADLINE_WORD_STATE;

	if (likely(!slack) || due + slack < due)
		return due;
	return (due + slack) | DLN_SLACK;
}

#endif
