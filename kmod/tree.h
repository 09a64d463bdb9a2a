/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which look comes next: the nodes of a queue in the order of their keys.
 *
 * A node that was looked at is not taken out of the rbtree: it is marked, and
 * q->first moves on, so that the interrupt never rebalances anything. It is
 * taken out when its slot is queued again, in the doorbell of whoever wants it.
 * So left of q->first are only marked nodes, and from there on none.
 */
#ifndef DLN_TREE_H
#define DLN_TREE_H

#include "dln.h"

/* In dln_node.key, which is a multiple of DEADLINE_GRAIN otherwise */
#define DLN_LOOKED	1

/*
 * Plan the next look at @key, which must lie in the future: that keeps the
 * marked nodes, whose time has come, to the left.
 */
void __dln_enqueue(struct dln_queue *q, struct dln_node *node, u64 key);

/* Take the node out of the tree, marked or not; it must be there. */
void __dln_remove(struct dln_queue *q, struct dln_node *node);

static inline bool dln_queued(const struct dln_node *node)
{
	return node->key && !(node->key & DLN_LOOKED);
}

static inline struct dln_node *dln_next(const struct dln_node *node)
{
	return rb_entry_safe(rb_next(&node->rb), struct dln_node, rb);
}

/* The first node's time has come: mark it and go on to the next. */
static inline void __dln_pass(struct dln_queue *q, struct dln_node *first)
{
	q->first = dln_next(first);
	first->key |= DLN_LOOKED;
}

#endif
