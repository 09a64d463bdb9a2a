// SPDX-License-Identifier: GPL-2.0
/*
 * The inbox: slots that the program handed in, for a look to be planned
 * (deadline.rst, "The inbox"; selftests/models/inbox.pml). The interrupt takes
 * them when it comes anyway, the doorbell when that would be too late.
 *
 * The stack is taken as a whole, so that nothing of it can be pushed again below
 * us, and then followed by a private cursor, which the next interrupt goes on
 * with if this one's budget is spent.
 */
#include <linux/nospec.h>
#include "look.h"

/* Plan a look at the slot, unless one is early enough, or look if it is due. */
static void __dln_plan(struct dln_queue *q, u32 index, u64 now, bool interrupt)
{
	struct deadline_slot *slot = &q->slots[index];
	struct dln_node *node = &q->nodes[index];
	u64 word, due, key;
	u32 flags;

	lockdep_assert_held(&q->lock);
	/* Acquire: flags and slack belong to this very arm. */
	word = smp_load_acquire(&slot->word);
	due = word & ~DEADLINE_WORD_STATE;
	if (!(word & DEADLINE_WORD_ARMED) || due == DEADLINE_TIME_NEVER)
		return;
	flags = READ_ONCE(slot->flags);
	if (unlikely(flags) && __dln_refuse(q, index, flags))
		return;
	key = dln_key(slot, due);
	if (dln_queued(node) && node->key <= key)
		return;
	if (due > now)
		__dln_enqueue(q, node, key);
	else
		__dln_look(q, node, now, interrupt);
}

/*
 * Take what is on top of the stack off it. It is program memory: the link is read
 * once, and of one stack no more links are followed than there are slots.
 *
 * False if it names no slot, or one too many: that ends this stack.
 */
static bool __dln_pop(struct dln_queue *q, u32 *index)
{
	u32 link;

	lockdep_assert_held(&q->lock);
	*index = q->inbox - 1;
	if (*index >= q->count || !q->inbox_left) {
		q->inbox = 0;
		return false;
	}
	*index = array_index_nospec(*index, q->count);
	q->inbox_left--;
	/*
	 * A full barrier [pop]; pairs with the program's exchange of the link
	 * [push]. If a thread found the slot pushed before this, the look that
	 * follows sees the word that the thread stored.
	 */
	link = xchg(&q->slots[*index].link, 0);
	q->inbox = link & DEADLINE_INBOX_SLOT;
	return true;
}

/*
 * Take up to @most slots from the inbox and plan looks at them. A stack that ends counts
 * as one, too, so that empty ones cannot keep the kernel here. Returns how many slots
 * were taken.
 */
unsigned int __dln_take_inbox(struct dln_queue *q, u64 now, unsigned int most,
			      bool interrupt)
{
	unsigned int n = 0;
	u32 index;

	lockdep_assert_held(&q->lock);
	for (; most; most--) {
		if (!q->inbox) {
			if (!READ_ONCE(q->header->inbox))
				break;
			q->inbox = xchg(&q->header->inbox, 0) &
				   DEADLINE_INBOX_SLOT;
			q->inbox_left = q->count;
		}
		if (__dln_pop(q, &index)) {
			__dln_plan(q, index, now, interrupt);
			n++;
		}
	}
	dln_count(&q->status->handed_in, n);
	return n;
}
