// SPDX-License-Identifier: GPL-2.0
/*
 * The doorbell: the program asks to have the inbox taken now, because the next
 * interrupt would be too late for what it handed in. A slot that is due expires
 * at once, in the caller's own time.
 */
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include "trace.h"

/* Reserved bytes that are not zero are those of a program that is newer than we are. */
static bool dln_header_valid(const struct dln_queue *q)
{
	u32 any = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(q->header->reserved); i++)
		any |= READ_ONCE(q->header->reserved[i]);
	return !any;
}

/*
 * Take up to DLN_BATCH slots and plan the next interrupt. Returns how many were taken,
 * and in @more whether some are left. If this is the @last batch, interrupts take those
 * that are left, within their budget, and @more is false.
 */
static unsigned int dln_take_batch(struct dln_queue *q, bool last, bool *more)
{
	unsigned long flags;
	unsigned int n;
	u64 now, tail;
	bool wake;

	raw_spin_lock_irqsave(&q->lock, flags);
	now = ktime_get_ns();
	tail = q->tail;
	n = __dln_take_inbox(q, dln_now(q, now), DLN_BATCH, false);
	*more = __dln_inbox_waits(q);
	if (*more && last) {
		*more = false;
		if (!q->paused)
			__dln_pause(q, now + DLN_AGAIN);
	}
	__dln_program(q);
	tail = q->tail - tail;
	trace_dln_doorbell(q, n, tail);
	wake = tail || q->signal;
	raw_spin_unlock_irqrestore(&q->lock, flags);

	if (wake)
		dln_wake(q);
	return n;
}

/*
 * With q->mutex held. Returns how many slots were taken. A signal ends it early,
 * and so does a program that hands in faster than we take.
 */
long dln_doorbell_locked(struct dln_queue *q)
{
	unsigned int done = 0, batches = 0;
	bool last, more;

	lockdep_assert_held(&q->mutex);
	if (!dln_header_valid(q))
		return -EINVAL;
	dln_count(&q->status->doorbells, 1);
	do {
		last = ++batches > q->count / DLN_BATCH ||
		       signal_pending(current);
		done += dln_take_batch(q, last, &more);
		cond_resched();
	} while (more);
	return done;
}

long dln_doorbell(struct dln_queue *q)
{
	long ret;

	if (mutex_lock_interruptible(&q->mutex))
		return -ERESTARTSYS;
	ret = dln_doorbell_locked(q);
	mutex_unlock(&q->mutex);
	return ret;
}
