// SPDX-License-Identifier: GPL-2.0
/*
 * How a deadline expires: the look, by which the kernel examines a slot whose
 * time has come (deadline.rst, "The look"; selftests/model/slot.pml; lib/look.c
 * mirrors it line by line), and the timer interrupt that makes it.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include "ring.h"
#include "tree.h"

/*
 * The look, after the node's place in the queue was given up: expire the slot if
 * it is due, queue it again if its deadline is later, else forget it.
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
static __always_inline bool dln_examine(struct dln_queue *q,
					struct dln_node *node, u64 now)
{
	u32 index = node - q->nodes;
	struct deadline_slot *slot = &q->slots[index];
	int tries = DLN_TRIES;
	u64 word, due;

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
			return false;
		}
		if (due > now) {
			__dln_enqueue(q, node, due);
			dln_count(&q->status->moved, 1);
			return false;
		}
		/* Before the swap: who sees EXPIRED sees its time. */
		WRITE_ONCE(slot->expired_at, now);
		WRITE_ONCE(slot->overruns, 0);
		/* A full barrier on success; see __dln_post(). */
		if (try_cmpxchg(&slot->word, &word,
				due | DEADLINE_WORD_EXPIRED))
			break;
		if (!--tries) {
			__dln_enqueue(q, node, (now + DLN_AGAIN) &
					       ~DEADLINE_WORD_STATE);
			dln_count(&q->status->contended, 1);
			return false;
		}
	}
	__dln_post(q, node, index);
	return true;
}

void __dln_look(struct dln_queue *q, struct dln_node *node, u64 now)
{
	if (dln_queued(node))
		__dln_remove(q, node);
	dln_count(&q->status->expired, dln_examine(q, node, now));
}

/* What one interrupt may spend. Whichever is used up first ends it. */
#define DLN_BUDGET_LOOKS	512
#define DLN_BUDGET_NS		(40 * NSEC_PER_USEC)

/*
 * Make the timer fire for the first node, unless it fires earlier anyway.
 *
 * hrtimer_start() is the only function that touches a timer whose callback may
 * be running: the callback leaves expires alone and returns NORESTART. (Were it
 * to set expires and return RESTART, then a doorbell that starts the timer
 * while the callback waits for the lock would have an enqueued timer's key
 * changed in place.)
 */
void __dln_program(struct dln_queue *q)
{
	struct dln_node *node = q->first;
	u64 when;

	if (!node)
		return;
	when = max(node->key, q->not_before);
	if (when >= q->programmed || when > KTIME_MAX)
		return;
	q->programmed = when;
	hrtimer_start(&q->timer, ns_to_ktime(when), HRTIMER_MODE_ABS);
}

enum hrtimer_restart dln_interrupt(struct hrtimer *timer)
{
	struct dln_queue *q = container_of(timer, struct dln_queue, timer);
	struct dln_node *node;
	unsigned int looks = 0, expired = 0;
	unsigned long flags;
	bool full = false;
	u64 start, now, tail;

	raw_spin_lock_irqsave(&q->lock, flags);
	start = ktime_get_ns();
	now = start;
	tail = q->tail;
	q->programmed = DEADLINE_QUEUED_NEVER;

	while ((node = q->first) && node->key <= now) {
		if (looks && looks % DLN_BATCH == 0) {
			now = ktime_get_ns();
			full = looks >= DLN_BUDGET_LOOKS ||
			       now - start >= DLN_BUDGET_NS;
			if (full)
				break;
		}
		__dln_pass(q, node);
		expired += dln_examine(q, node, now);
		looks++;
	}
	/* After a full budget, others have the CPU for as long as we had it. */
	if (full) {
		q->not_before = now + (now - start);
		dln_count(&q->status->full, 1);
	}
	__dln_program(q);

	dln_count(&q->status->interrupts, 1);
	dln_count(&q->status->expired, expired);
	if (now - start > q->status->longest)
		WRITE_ONCE(q->status->longest, now - start);
	tail = q->tail - tail;
	raw_spin_unlock_irqrestore(&q->lock, flags);

	if (tail)
		dln_wake(q);
	return HRTIMER_NORESTART;
}
