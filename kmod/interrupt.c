// SPDX-License-Identifier: GPL-2.0
/*
 * The timer interrupt, its budget, and the one place that starts the timer.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include "dln.h"

/* What one interrupt may spend. Whichever is used up first ends it. */
#define DLN_BUDGET_LOOKS	256
#define DLN_BUDGET_NS		(40 * NSEC_PER_USEC)

static struct dln_node *dln_first(struct dln_queue *q)
{
	return rb_entry_safe(rb_first_cached(&q->tree), struct dln_node, rb);
}

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
	struct dln_node *node = dln_first(q);
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
	unsigned int looks = 0;
	unsigned long flags;
	bool full = false;
	u64 start, now, tail;

	raw_spin_lock_irqsave(&q->lock, flags);
	start = ktime_get_ns();
	now = start;
	tail = q->tail;
	q->programmed = DEADLINE_QUEUED_NEVER;

	while ((node = dln_first(q)) && node->key <= now) {
		if (looks && looks % DLN_BATCH == 0) {
			now = ktime_get_ns();
			full = looks >= DLN_BUDGET_LOOKS ||
			       now - start >= DLN_BUDGET_NS;
			if (full)
				break;
		}
		__dln_look(q, node - q->nodes, now);
		looks++;
	}
	/* After a full budget, others have the CPU for as long as we had it. */
	if (full) {
		q->not_before = now + (now - start);
		dln_count(&q->status->full, 1);
	}
	__dln_program(q);

	dln_count(&q->status->interrupts, 1);
	if (now - start > q->status->longest)
		WRITE_ONCE(q->status->longest, now - start);
	tail = q->tail - tail;
	raw_spin_unlock_irqrestore(&q->lock, flags);

	if (tail)
		dln_wake(q);
	return HRTIMER_NORESTART;
}
