// SPDX-License-Identifier: GPL-2.0
/*
 * The timer: when the next interrupt comes, what it looks at within its budget,
 * and until when the program is told that none comes.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include "compat.h"
#include "look.h"

/* What one interrupt may spend. Whichever is used up first ends it. */
#define DLN_BUDGET_LOOKS	512
#define DLN_BUDGET_NS \
	((IS_ENABLED(CONFIG_PREEMPT_RT) ? 10 : 40) * NSEC_PER_USEC)

#define DLN_TURN_NS	(5 * NSEC_PER_USEC)

/* No interrupt before @until, CLOCK_MONOTONIC; doorbells do not change that. */
void __dln_pause(struct dln_queue *q, u64 until)
{
	lockdep_assert_held(&q->lock);
	q->paused = true;
	hrtimer_start(&q->resume, ns_to_ktime(until), q->mode);
}

/*
 * The user's interrupts have used up their share: no interrupt of this queue before its
 * turn in the user's line.
 */
static void __dln_line_up(struct dln_queue *q, u64 now)
{
	u64 from = dln_served_from(q->user);

	lockdep_assert_held(&q->lock);
	q->paused = true;
	q->lined_up = now;
	dln_count(&q->status->throttled, 1);
	trace_dln_throttle(q, from > now ? from - now : 0);
	dln_line_join(q);
}

/*
 * Make the timer fire for the first node, unless it fires earlier anyway. False
 * if that node's time has come: a kernel that knows then starts no timer.
 *
 * Starting it is the only thing done to a timer whose callback may be running:
 * the callback leaves expires alone and returns NORESTART. (Were it to set
 * expires and return RESTART, then a doorbell that starts the timer while the
 * callback waits for the lock would have an enqueued timer's key changed in
 * place.)
 */
static bool __dln_start(struct dln_queue *q)
{
	struct dln_node *node = q->first;
	u64 when;

	lockdep_assert_held(&q->lock);
	if (!node)
		return true;
	if (q->paused) {
		if (dln_overdue(&q->resume, q->mode))
			hrtimer_start(&q->resume,
				      hrtimer_get_expires(&q->resume), q->mode);
		else if (dln_by_thread(q->mode))
			dln_line_revive(q);
		return true;
	}
	when = node->key;
	if (when > KTIME_MAX ||
	    (when >= q->programmed && !dln_overdue(&q->timer, q->mode)))
		return true;
	/* The host's clock may be behind the namespace's, or ahead of it. */
	when -= min_t(s64, when, q->offset);
	if (when > KTIME_MAX)
		return true;
	q->programmed = node->key & ~DEADLINE_WORD_STATE;
	if (hrtimer_start_range_ns_user(&q->timer, ns_to_ktime(when), 0,
					q->mode))
		return true;
	q->programmed = DEADLINE_QUEUED_NEVER;
	return false;
}

/* Start the timer. What need not wait for it is looked at here. */
static void __dln_start_timer(struct dln_queue *q)
{
	int tries = DLN_TRIES;

	lockdep_assert_held(&q->lock);
	while (!__dln_start(q)) {
		if (!tries--) {
			__dln_pause(q, ktime_get_ns() + DLN_AGAIN);
			break;
		}
		__dln_look(q, q->first, dln_now(q, ktime_get_ns()), false);
	}
}

/*
 * Tell until when no interrupt comes: whoever hands in a slot for later than
 * that does not ring. Returns false if somebody may have been told a time before
 * it and has not rung.
 *
 *	program				kernel
 *	-------				------
 *	swap inbox			start the timer, store wake
 *	full barrier [push]		full barrier [wake]
 *	load wake			load inbox
 *
 * Either the program finds the new time, or the kernel the slot. A time that is
 * not later than the one that was told needs no barrier: who goes by the old one
 * rings once too often. Where a thread may be kept from keeping its time, none is
 * told, so that everybody rings.
 */
static bool __dln_tell_wake(struct dln_queue *q)
{
	u64 when = q->paused ? 0 : q->programmed, told = q->wake;

	if (dln_by_thread(q->mode) || when == told)
		return true;
	q->wake = when;
	if (when < told) {
		WRITE_ONCE(q->status->wake, when);
		return true;
	}
	/* [wake] pairs with the swap of the inbox, and what stands above. */
	smp_store_mb(q->status->wake, when);
	return likely(!__dln_inbox_waits(q));
}

/* Plan the next interrupt, and take what was handed in meanwhile. */
void __dln_program(struct dln_queue *q)
{
	int tries = DLN_TRIES;

	for (;;) {
		__dln_start_timer(q);
		if (__dln_tell_wake(q))
			break;
		if (tries--)
			__dln_take_inbox(q, dln_now(q, ktime_get_ns()),
					 DLN_BATCH, true);
		else
			__dln_pause(q, ktime_get_ns() + DLN_AGAIN);
	}
}

/* An expiry was consumed: plan its slot's next look in time, if it is not. */
void dln_look_on_time(struct dln_queue *q, u32 index)
{
	struct dln_node *node = &q->nodes[index];
	u64 now, tail, due, word;
	unsigned long flags;
	bool wake;

	raw_spin_lock_irqsave(&q->lock, flags);
	now = dln_now(q, ktime_get_ns());
	tail = q->tail;
	word = READ_ONCE(q->slots[index].word);
	due = dln_key(&q->slots[index], word & ~DEADLINE_WORD_STATE);
	if ((word & DEADLINE_WORD_ARMED) && dln_queued(node) &&
	    node->key > due) {
		__dln_look(q, node, now, false);
		__dln_program(q);
	}
	wake = q->tail != tail || q->signal;
	raw_spin_unlock_irqrestore(&q->lock, flags);

	if (wake)
		dln_wake(q);
}

/* Take the first node out of the queue, if it is to be looked at; or NULL. */
static __always_inline struct dln_node *__dln_take_due(struct dln_queue *q, u64 now)
{
	struct dln_node *node = q->first;
	u64 word;

	lockdep_assert_held(&q->lock);
	if (!node)
		return NULL;
	if (likely(node->key <= now)) {
		__dln_pass(q, node);
		return node;
	}
	if (likely(!(node->key & DLN_SLACK)))
		return NULL;
	/* It has slack left, but since we are here ... */
	word = READ_ONCE(q->slots[node - q->nodes].word);
	if (!(word & DEADLINE_WORD_ARMED) ||
	    (word & ~DEADLINE_WORD_STATE) > now)
		return NULL;
	/* No mark: its key may not be left of those to come. */
	__dln_remove(q, node);
	return node;
}

/*
 * The CPU is idle, so more work in this interrupt delays nobody: look at slots that are
 * planned for later. Each of them that was cancelled or moved since saves an interrupt.
 *
 * As long as such slots are the first in the order, they are not taken out of the tree:
 * each is given the key of its left neighbour, which has been looked at already. That
 * leaves the order as it is.
 */
static void __dln_sweep(struct dln_queue *q, u64 now, u64 start,
			unsigned int looks)
{
	struct dln_node *node = q->first, *next;
	u64 past = node ? __dln_past(q) : 0;
	struct deadline_slot *slot;
	u64 word, due;

	lockdep_assert_held(&q->lock);
	for (; node && looks < DLN_BUDGET_LOOKS; node = next) {
		if (++looks % DLN_BATCH == 0 &&
		    ktime_get_ns() - start >= DLN_BUDGET_NS)
			break;
		next = dln_next(node);
		slot = &q->slots[node - q->nodes];
		word = READ_ONCE(slot->word);
		due = word & ~DEADLINE_WORD_STATE;
		if ((word & DEADLINE_WORD_ARMED) && due > now &&
		    dln_key(slot, due) == node->key)
			continue;
		if (node != q->first) {
			__dln_look(q, node, now, false);
			continue;
		}
		q->first = next;
		q->planned -= !(node->key & DLN_LOOKED);
		node->key = past;
		/* [look], and acquire, as above */
		smp_store_mb(slot->queued, DEADLINE_QUEUED_NEVER);
		word = smp_load_acquire(&slot->word);	/* as above */
		if (__dln_drop(q, node - q->nodes, word))
			continue;
		dln_count(&q->status->expired,
			  __dln_examine(q, node, now, false));
	}
}

/*
 * Interrupts further apart than this are timed one in DLN_SAMPLE, at random, and
 * then count for so many: that saves most of them a read of the clock. Closer than
 * this, and of more than DLN_BATCH looks, all are.
 */
#define DLN_APART	(500 * NSEC_PER_USEC)
#define DLN_SAMPLE	8

static DEFINE_PER_CPU(u64, dln_last);

/* For how many does an interrupt that began at @start count? */
static __always_inline unsigned int dln_weight(u64 start, bool always)
{
	u64 last = this_cpu_read(dln_last);

	this_cpu_write(dln_last, start);
	if (always || start - last < DLN_APART)
		return 1;
	return hash_64(start, ilog2(DLN_SAMPLE)) ? 0 : DLN_SAMPLE;
}

/* What has dln_serve() look */
enum dln_reason {
	DLN_TIMER,
	DLN_RESUME,
	DLN_TURN,
	DLN_CLOCK_SET,
};

/*
 * Take what was handed in, with what is left of the budget, and a batch in any
 * case: slots that are always due do not keep others from being planned. Returns
 * @end, or when the clock was read since.
 */
static noinline u64 __dln_serve_inbox(struct dln_queue *q, u64 start, u64 end,
				      unsigned int looks)
{
	unsigned int n;

	lockdep_assert_held(&q->lock);
	do {
		n = __dln_take_inbox(q, dln_now(q, end), DLN_BATCH, true);
		looks += n;
		if (n < DLN_BATCH)
			break;
		end = ktime_get_ns();
	} while (looks < DLN_BUDGET_LOOKS && end - start < DLN_BUDGET_NS);
	return end;
}

/*
 * Look at all that is due, within the budget, and plan the next interrupt. The
 * queue's clock may be set at any moment, so what was spent is counted in
 * CLOCK_MONOTONIC.
 */
static __always_inline void dln_serve(struct dln_queue *q,
				      enum dln_reason reason)
{
	/* A user at the limit has less at a time. */
	const u64 budget = reason == DLN_TURN ? DLN_TURN_NS : DLN_BUDGET_NS;
	unsigned int looks = 0, futile = 0, batch = DLN_BATCH;
	u64 start, end, now, tail, until = 0;
	unsigned int weight = 0;
	struct dln_node *node;
	unsigned long flags;
	bool wake;

	raw_spin_lock_irqsave(&q->lock, flags);
	tail = q->tail;
	if (reason == DLN_TIMER)
		q->programmed = DEADLINE_QUEUED_NEVER;
	if (reason == DLN_RESUME || reason == DLN_TURN)
		q->paused = q->closed;
	if (reason == DLN_CLOCK_SET ? q->closed : q->paused)
		goto unlock;

	start = ktime_get_ns();
	end = start;
	now = dln_now(q, start);
	if (reason == DLN_TURN)
		trace_dln_turn(q, start - q->lined_up);
	/* Ask before any look: any number of queues may be due at one instant. */
	if (unlikely(dln_over(q->user, start)) &&
	    (q->first || __dln_inbox_waits(q)) &&
	    (reason == DLN_TIMER || reason == DLN_RESUME)) {
		__dln_line_up(q, start);
		dln_charge_refusal(q->user, start);
		goto unlock;
	}
	while ((node = __dln_take_due(q, now))) {
		if (!__dln_examine_due(q, node, now))
			futile++;
		if (--batch)
			continue;
		batch = DLN_BATCH;
		looks += DLN_BATCH;
		end = ktime_get_ns();
		now = dln_now(q, end);
		if (looks < DLN_BUDGET_LOOKS && end - start < budget &&
		    (looks > DLN_BATCH || !dln_over(q->user, end)))
			continue;
		/* If more is due, leave the CPU to others for as long as this took. */
		if (q->first && q->first->key <= now) {
			until = end + (end - start);
			dln_count(&q->status->full, 1);
		}
		break;
	}
	looks += DLN_BATCH - batch;
	if (__dln_inbox_waits(q)) {
		end = __dln_serve_inbox(q, start, end, looks);
		/* What is left comes after as long a pause. */
		if (end != start && __dln_inbox_waits(q)) {
			until = end + (end - start);
			dln_count(&q->status->full, 1);
		}
	}
	dln_count(&q->status->interrupts, reason != DLN_CLOCK_SET);
	dln_count(&q->status->expired, looks - futile);
	if (reason == DLN_CLOCK_SET ||
	    (looks == futile && is_idle_task(current))) {
		__dln_sweep(q, now, start, looks);
		end = ktime_get_ns();
	}
	if (end != start && end - start > q->status->longest)
		WRITE_ONCE(q->status->longest, end - start);
	if (reason == DLN_TIMER || reason == DLN_RESUME)
		weight = dln_weight(start, end != start);
	/*
	 * The queue stays in the line even if the bucket has room by now, as when others
	 * held up the CPU: all queues that left the line then would catch up at once.
	 * With nothing due it leaves: turns for nothing would keep the bucket full.
	 */
	if (reason == DLN_TURN && looks)
		__dln_line_up(q, start);
	else if (until)
		__dln_pause(q, until);
	__dln_program(q);
	/* Told after what is due by the new time */
	if (reason == DLN_CLOCK_SET) {
		WRITE_ONCE(q->clock_sets, q->clock_sets + 1);
		WRITE_ONCE(q->status->clock_sets, q->clock_sets);
	}
unlock:
	wake = q->tail != tail || q->signal;
	raw_spin_unlock_irqrestore(&q->lock, flags);

	if (wake && reason == DLN_CLOCK_SET)
		dln_wake(q);
	else if (wake)
		dln_wake_from_timer(q);
	if (weight)
		dln_charge_interrupt(q->user, q->mode, start, weight);
}

enum hrtimer_restart dln_interrupt(struct hrtimer *timer)
{
	dln_serve(container_of(timer, struct dln_queue, timer), DLN_TIMER);
	return HRTIMER_NORESTART;
}

enum hrtimer_restart dln_resume(struct hrtimer *timer)
{
	dln_serve(container_of(timer, struct dln_queue, resume), DLN_RESUME);
	return HRTIMER_NORESTART;
}

enum hrtimer_restart dln_turn(struct hrtimer *timer)
{
	struct dln_line *line = container_of(timer, struct dln_line, timer);
	struct dln_queue *q = dln_line_next(line);

	if (q) {
		dln_serve(q, DLN_TURN);
		dln_line_done(line);
	}
	return HRTIMER_NORESTART;
}

/* The caller has a reference, and the file may be closed meanwhile. */
void dln_look_clock_set(struct dln_queue *q)
{
	dln_serve(q, DLN_CLOCK_SET);
}
