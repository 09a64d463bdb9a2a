// SPDX-License-Identifier: GPL-2.0
/*
 * The look: the kernel examines a slot whose time has come (deadline.rst, "The
 * look"; selftests/model/slot.pml). lib/look.c mirrors it line by line.
 */
#include "dln.h"

static bool dln_earlier(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct dln_node, rb)->key <
	       rb_entry(b, struct dln_node, rb)->key;
}

/* Plan the next look at @key, earlier or later than the one planned so far. */
void __dln_enqueue(struct dln_queue *q, struct dln_node *node, u64 key)
{
	if (node->key)
		rb_erase_cached(&node->rb, &q->tree);
	node->key = key;
	rb_add_cached(&node->rb, &q->tree, dln_earlier);
	WRITE_ONCE(q->slots[node - q->nodes].queued, key);
}

/*
 * Expire the slot if it is due, queue it again if its deadline is later, drop
 * it if it is not armed.
 *
 *	program				kernel
 *	-------				------
 *	swap word to (D, ARMED)		queued = never
 *	full barrier [arm]		smp_mb() [look]
 *	load queued			load word
 *
 * One of the two sees the other: either the program finds queued = never and
 * rings, or the look finds D. With the two lines of either side exchanged, a
 * deadline can be lost (slot.pml, BREAK_ORDER).
 */
void __dln_look(struct dln_queue *q, u32 index, u64 now)
{
	struct dln_node *node = &q->nodes[index];
	struct deadline_slot *slot = &q->slots[index];
	int tries = DLN_TRIES;
	u64 word, due;

	if (node->key) {
		rb_erase_cached(&node->rb, &q->tree);
		node->key = 0;
	}
	WRITE_ONCE(slot->queued, DEADLINE_QUEUED_NEVER);
	/* [look] pairs with the program's swap and full barrier [arm]. */
	smp_mb();

	for (;;) {
		/* Acquire: flags and period belong to this very arm. */
		word = smp_load_acquire(&slot->word);
		due = word & ~DEADLINE_WORD_STATE;
		if (!(word & DEADLINE_WORD_ARMED) ||
		    due == DEADLINE_TIME_NEVER) {
			dln_count(&q->status->dropped, 1);
			return;
		}
		if (due > now) {
			__dln_enqueue(q, node, due);
			dln_count(&q->status->moved, 1);
			return;
		}
		/* Before the swap: who sees EXPIRED sees its time. */
		WRITE_ONCE(slot->expired_at, now);
		WRITE_ONCE(slot->overruns, 0);
		/* A full barrier on success; see __dln_post(). */
		if (cmpxchg(&slot->word, word,
			    due | DEADLINE_WORD_EXPIRED) == word)
			break;
		if (!--tries) {
			__dln_enqueue(q, node, now + DLN_AGAIN);
			dln_count(&q->status->contended, 1);
			return;
		}
	}
	dln_count(&q->status->expired, 1);
	__dln_post(q, index);
}
