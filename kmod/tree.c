// SPDX-License-Identifier: GPL-2.0
/* The tree of nodes: in and out. */
#include "tree.h"

void __dln_remove(struct dln_queue *q, struct dln_node *node)
{
	lockdep_assert_held(&q->lock);
	if (node == q->first)
		q->first = dln_next(node);
	if (node == q->last)
		q->last = NULL;
	q->planned -= !(node->key & DLN_LOOKED);
	rb_erase(&node->rb, &q->tree);
	node->key = 0;
}

/*
 * Where @key goes. Deadlines mostly grow, for most are the same timeout from
 * now: so the place right of the node that came last is tried first.
 */
static struct rb_node **__dln_place(struct dln_queue *q, u64 key,
				    struct rb_node **parent)
{
	struct dln_node *last = q->last, *next;
	struct rb_node *at, *up = NULL, **link;

	lockdep_assert_held(&q->lock);
	if (last && last->key <= key) {
		next = dln_next(last);
		if (!next || key < next->key) {
			/* One of the two places between neighbours is free. */
			link = &last->rb.rb_right;
			*parent = &last->rb;
			if (*link) {
				link = &next->rb.rb_left;
				*parent = &next->rb;
			}
			return link;
		}
	}
	for (at = q->tree.rb_node; at;) {
		up = at;
		if (key < rb_entry(at, struct dln_node, rb)->key)
			at = at->rb_left;
		else
			at = at->rb_right;
	}
	*parent = up;
	if (!up)
		return &q->tree.rb_node;
	return key < rb_entry(up, struct dln_node, rb)->key ? &up->rb_left :
							     &up->rb_right;
}

void __dln_enqueue(struct dln_queue *q, struct dln_node *node, u64 key)
{
	struct deadline_slot *slot = &q->slots[node - q->nodes];
	struct rb_node **link, *parent;

	lockdep_assert_held(&q->lock);
	if (node->key)
		__dln_remove(q, node);
	node->key = key;
	/*
	 * Right of all that have the same key, marked or not: where the clock
	 * was set back in their midst, the left is behind q->first.
	 */
	key |= DLN_LOOKED;
	link = __dln_place(q, key, &parent);
	rb_link_node(&node->rb, parent, link);
	rb_insert_color(&node->rb, &q->tree);
	q->last = node;
	q->planned++;
	if (!q->first || key < q->first->key)
		q->first = node;
	WRITE_ONCE(slot->queued, key & ~DEADLINE_WORD_STATE);
}
