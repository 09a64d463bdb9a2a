// SPDX-License-Identifier: GPL-2.0
/*
 * The doorbell: the program's word for "look at this slot earlier than you
 * planned to". A due slot expires at once, in the caller's own time.
 */
#include <linux/align.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "trace.h"
#include "tree.h"

/* Slot numbers that are copied from the program at a time, on the stack */
#define DLN_COPY	128

static bool dln_flags_valid(const struct deadline_slot *slot, u32 flags)
{
	if (flags & ~(DEADLINE_SLOT_SIGNAL | DEADLINE_SLOT_PERIODIC))
		return false;
	return !(flags & DEADLINE_SLOT_PERIODIC) ||
	       READ_ONCE(slot->period) >= dln_period_min();
}

static int __dln_ring(struct dln_queue *q, u32 index, u64 now)
{
	struct deadline_slot *slot;
	struct dln_node *node;
	u64 word, due, key;
	u32 flags;

	if (index >= q->count)
		return -EINVAL;
	index = array_index_nospec(index, q->count);
	slot = &q->slots[index];
	node = &q->nodes[index];

	/* Acquire: flags, slack and period belong to this very arm. */
	word = smp_load_acquire(&slot->word);
	due = word & ~DEADLINE_WORD_STATE;
	if (!(word & DEADLINE_WORD_ARMED) || due == DEADLINE_TIME_NEVER)
		return 0;
	flags = READ_ONCE(slot->flags);
	if (unlikely(flags) && !dln_flags_valid(slot, flags))
		return -EINVAL;
	key = dln_key(slot, due);
	if (dln_queued(node) && node->key <= key)
		return 0;
	if (due > now)
		__dln_enqueue(q, node, key);
	else
		__dln_look(q, node, now);
	return 0;
}

/* At most DLN_BATCH slots. Returns how many were looked at, or the error. */
static int dln_ring(struct dln_queue *q, const u32 *slots, unsigned int n)
{
	unsigned int done;
	unsigned long flags;
	u64 now, tail;
	int ret = 0;
	bool wake;

	raw_spin_lock_irqsave(&q->lock, flags);
	now = dln_now(q, ktime_get_ns());
	tail = q->tail;
	for (done = 0; done < n; done++) {
		ret = __dln_ring(q, slots[done], now);
		if (ret)
			break;
	}
	dln_count(&q->status->doorbells, done);
	__dln_program(q);
	tail = q->tail - tail;
	trace_dln_doorbell(q, n, done, tail);
	wake = tail || q->signal;
	raw_spin_unlock_irqrestore(&q->lock, flags);

	if (wake)
		dln_wake(q);
	return done ? done : ret;
}

long dln_ring_one(struct dln_queue *q, u32 index)
{
	long ret;

	if (mutex_lock_interruptible(&q->mutex))
		return -ERESTARTSYS;
	ret = dln_ring(q, &index, 1);
	mutex_unlock(&q->mutex);
	return ret;
}

bool dln_bell_valid(const struct deadline_doorbell *bell)
{
	return !bell->flags && IS_ALIGNED(bell->slots, sizeof(u32));
}

/*
 * With q->mutex held. Returns how many slots were done, as write(2) does, or the
 * first's error. For @whole only a kill ends it early: io_uring marks a task as
 * signalled for reasons of its own.
 */
long dln_ring_list(struct dln_queue *q, const struct deadline_doorbell *bell,
		   bool whole)
{
	const u32 __user *from = u64_to_user_ptr(bell->slots);
	u32 count = min(bell->count, DEADLINE_SLOTS_MAX);
	u32 slots[DLN_COPY], done = 0;
	long ret = 0;

	while (done < count) {
		u32 at = done % DLN_COPY;
		u32 n = min_t(u32, count - done, DLN_COPY);

		if (at == 0 && copy_from_user(slots, from + done, n * 4)) {
			ret = -EFAULT;
			break;
		}
		n = min_t(u32, n, DLN_BATCH);
		ret = dln_ring(q, slots + at, n);
		if (ret < 0)
			break;
		done += ret;
		if (ret < n || (whole ? fatal_signal_pending(current) :
					signal_pending(current)))
			break;
		cond_resched();
	}
	return done ? done : ret;
}

long dln_ring_many(struct dln_queue *q, const struct deadline_doorbell *bell)
{
	long ret;

	if (!dln_bell_valid(bell))
		return -EINVAL;
	if (mutex_lock_interruptible(&q->mutex))
		return -ERESTARTSYS;
	ret = dln_ring_list(q, bell, false);
	mutex_unlock(&q->mutex);
	return ret;
}
