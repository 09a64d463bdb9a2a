/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's side of the expired ring: hints to slots that expired
 * (deadline.rst, "The ring"; selftests/models/ring.pml).
 */
#ifndef DLN_RING_H
#define DLN_RING_H

#include "dln.h"

/* Program memory: a head that cannot be right counts as "all consumed". */
static inline u64 dln_head(const struct dln_queue *q, u64 tail)
{
	u64 head = READ_ONCE(q->header->head);

	return tail - head > q->ring_size ? tail : head;
}

/* Entries in the ring */
static inline u64 dln_waiting(const struct dln_queue *q)
{
	u64 tail = READ_ONCE(q->tail);

	return tail - dln_head(q, tail);
}

/*
 * Called right after the swap to EXPIRED.
 *
 *	kernel				consumer
 *	------				--------
 *	swap word to EXPIRED		swap head to h + 1
 *	full barrier [post]		full barrier [take]
 *	load head			load word
 *
 * If the slot's entry still stands in the ring, its consumer comes to look
 * after it moved head, hence after our swap: no second entry is needed. If
 * head is past it, we post. So each slot has at most one entry between head
 * and tail, and a ring of as many entries as slots never overflows.
 */
static inline void __dln_post(struct dln_queue *q, struct dln_node *node,
			      u32 index)
{
	u64 tail = q->tail;
	u64 waiting;

	lockdep_assert_held(&q->lock);
	/* [post]: the swap was a full barrier, being a successful cmpxchg(). */
	waiting = tail - READ_ONCE(q->header->head);
	if (waiting <= q->ring_size && tail - node->position <= waiting)
		return;
	WRITE_ONCE(q->ring[tail & (q->ring_size - 1)].slot, index);
	node->position = tail;
	/*
	 * Pairs with the consumers' acquire: a thread that sees tail sees the entry.
	 * read(2) and poll(2) go by this copy, which the program cannot write.
	 */
	smp_store_release(&q->tail, tail + 1);
	/* Likewise, for the program's consumers. */
	smp_store_release(&q->status->tail, tail + 1);
}

#endif
