// SPDX-License-Identifier: GPL-2.0
/*
 * How a deadline expires: the look, by which the kernel examines a slot whose
 * time has come (deadline.rst, "The look"; selftests/model/slot.pml; lib/look.c
 * mirrors it line by line), and the timer interrupt that makes it.
 */
#include <linux/bitops.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include "compat.h"
#include "ring.h"
#include "trace.h"
#include "tree.h"

/*
 * A periodic slot is due: go on to the first period in the future and have it
 * looked at then. False if the word changed meanwhile.
 *
 * An expiry that nobody has consumed yet becomes one of the new one's overruns.
 * It is claimed for that before its stamps are written over, so that no consumer
 * owns one expiry with the stamps of another (selftests/model/periodic.pml).
 */
static bool __dln_repeat(struct dln_queue *q, struct dln_node *node, u64 word,
			 u64 now)
{
	struct deadline_slot *slot = &q->slots[node - q->nodes];
	u64 exact = word & ~DEADLINE_WORD_STATE;
	u32 rounded = exact - READ_ONCE(slot->phase);
	bool pending = (word & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) ==
		       DEADLINE_WORD_EXPIRED;
	u64 expired_at = READ_ONCE(slot->expired_at);
	u64 before = READ_ONCE(slot->overruns);
	u64 period, passed, next, due;

	/* Else the phase is of a deadline before the slot was armed or moved. */
	if (exact && rounded < DEADLINE_GRAIN)
		exact -= rounded;

	if (pending) {
		if (!try_cmpxchg(&slot->word, &word,
				 word | DEADLINE_WORD_TAKEN))
			return false;
		word |= DEADLINE_WORD_TAKEN;
	}

	period = clamp_t(u64, READ_ONCE(slot->period), dln_period_min(),
			 KTIME_MAX);
	passed = div64_u64(now - exact, period);
	next = exact + (passed + 1) * period;
	due = round_up(next, DEADLINE_GRAIN);
	if (next > KTIME_MAX || next < exact)
		due = DEADLINE_TIME_NEVER;
	if (pending)
		passed += before + 1;

	WRITE_ONCE(slot->expired_at, now);
	WRITE_ONCE(slot->overruns, min_t(u64, passed, INT_MAX));
	/* A full barrier on success; see __dln_post(). */
	if (try_cmpxchg(&slot->word, &word,
			due | DEADLINE_WORD_ARMED | DEADLINE_WORD_EXPIRED |
			(word & DEADLINE_WORD_WAKE))) {
		if (due != DEADLINE_TIME_NEVER) {
			__dln_enqueue(q, node, dln_key(slot, due));
			WRITE_ONCE(slot->phase, next);
		}
		return true;
	}

	/* Moved or cancelled: the expiry that we claimed is still to be had. */
	if (pending && (word & DEADLINE_WORD_TAKEN)) {
		WRITE_ONCE(slot->expired_at, expired_at);
		WRITE_ONCE(slot->overruns, before);
		if (try_cmpxchg(&slot->word, &word,
				word & ~DEADLINE_WORD_TAKEN))
			__dln_post(q, node, node - q->nodes);
	}
	return false;
}

static __always_inline bool dln_expire_once(struct deadline_slot *slot,
					    u64 word, u64 now)
{
	/* Before the swap: who sees EXPIRED sees its time. */
	WRITE_ONCE(slot->expired_at, now);
	WRITE_ONCE(slot->overruns, 0);
	/* A full barrier on success; see __dln_post(). */
	return try_cmpxchg(&slot->word, &word,
			   (word & ~DEADLINE_WORD_STATE) |
			   DEADLINE_WORD_EXPIRED);
}

/* A slot with flags */
static bool __dln_expire_special(struct dln_queue *q, struct dln_node *node,
				 u64 word, u64 now, u32 flags)
{
	bool expired;

	if (flags & DEADLINE_SLOT_PERIODIC)
		expired = __dln_repeat(q, node, word, now);
	else
		expired = dln_expire_once(&q->slots[node - q->nodes], word,
					  now);
	if (expired && flags & DEADLINE_SLOT_SIGNAL)
		WRITE_ONCE(q->signal, true);
	return expired;
}

/* Tell it. The lateness is the kernel's only in an interrupt. */
static __always_inline void __dln_expired(struct dln_queue *q,
					  struct dln_node *node, u32 index,
					  u64 due, u64 now, bool interrupt)
{
	__dln_post(q, node, index);
	if (interrupt)
		dln_count(&q->status->late[__fls((now - due) | 1)], 1);
	trace_dln_expire(q, index, due, now);
}

/* A slot with this word is not wanted any more: forget it until its doorbell. */
static __always_inline bool __dln_drop(struct dln_queue *q, u32 index, u64 word)
{
	u64 due = word & ~DEADLINE_WORD_STATE;

	if ((word & DEADLINE_WORD_ARMED) && due != DEADLINE_TIME_NEVER)
		return false;
	dln_count(&q->status->dropped, 1);
	trace_dln_drop(q, index, due);
	return true;
}

/*
 * The look, after the node's place in the queue was given up: expire the slot if
 * it is due, queue it again if its deadline is later, else forget it.
 *
 *	program				kernel
 *	-------				------
 *	swap word to (D, ARMED)		queued = never
 *	full barrier [arm]		full barrier [look]
 *	load queued			load word
 *
 * One of the two sees the other: either the program finds queued = never and
 * rings, or the look finds D. With the two lines of either side exchanged, a
 * deadline can be lost (slot.pml, BREAK_ORDER).
 *
 * Returns whether it expired.
 */
static bool __dln_examine(struct dln_queue *q, struct dln_node *node, u64 now,
			  bool interrupt)
{
	u32 index = node - q->nodes;
	struct deadline_slot *slot = &q->slots[index];
	int tries = DLN_TRIES;
	u64 word, due;
	u32 flags;

	/* [look] pairs with the program's swap and full barrier [arm]. */
	smp_store_mb(slot->queued, DEADLINE_QUEUED_NEVER);

	do {
		/* Acquire: flags and period belong to this very arm. */
		word = smp_load_acquire(&slot->word);
		due = word & ~DEADLINE_WORD_STATE;
		if (__dln_drop(q, index, word))
			return false;
		if (due > now) {
			__dln_enqueue(q, node, dln_key(slot, due));
			dln_count(&q->status->moved, 1);
			trace_dln_move(q, index, due);
			return false;
		}
		flags = READ_ONCE(slot->flags);
		if (flags ? __dln_expire_special(q, node, word, now, flags) :
			    dln_expire_once(slot, word, now)) {
			__dln_expired(q, node, index, due, now, interrupt);
			return true;
		}
	} while (--tries);

	/*
	 * Again at once, but by an interrupt, which has a budget. By its own
	 * time, which a clock that is set does not make a later one.
	 */
	__dln_enqueue(q, node, max_t(u64, due, DEADLINE_GRAIN));
	dln_count(&q->status->contended, 1);
	return false;
}

/* The same, for the interrupt: what is most likely first, without a call */
static __always_inline bool __dln_examine_due(struct dln_queue *q,
					      struct dln_node *node, u64 now)
{
	u32 index = node - q->nodes;
	struct deadline_slot *slot = &q->slots[index];
	u64 word, due;

	/* [look], and acquire, as above */
	smp_store_mb(slot->queued, DEADLINE_QUEUED_NEVER);
	/* Acquire: flags belong to this very arm. */
	word = smp_load_acquire(&slot->word);
	due = word & ~DEADLINE_WORD_STATE;
	if (likely((word & DEADLINE_WORD_ARMED) && due <= now &&
		   !READ_ONCE(slot->flags) &&
		   dln_expire_once(slot, word, now))) {
		__dln_expired(q, node, index, due, now, true);
		return true;
	}
	return __dln_examine(q, node, now, true);
}

void __dln_look(struct dln_queue *q, struct dln_node *node, u64 now)
{
	if (dln_queued(node))
		__dln_remove(q, node);
	dln_count(&q->status->expired, __dln_examine(q, node, now, false));
}

/* What one interrupt may spend. Whichever is used up first ends it. */
#define DLN_BUDGET_LOOKS	512
#define DLN_BUDGET_NS \
	((IS_ENABLED(CONFIG_PREEMPT_RT) ? 10 : 40) * NSEC_PER_USEC)

/* No interrupt before @until, CLOCK_MONOTONIC, whoever rings. */
static void __dln_pause(struct dln_queue *q, u64 until)
{
	q->paused = true;
	hrtimer_start(&q->resume, ns_to_ktime(until), q->mode);
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

	if (!node || q->paused)
		return true;
	when = node->key;
	if (when >= q->programmed || when > KTIME_MAX)
		return true;
	/* The host's clock may be behind the namespace's, or ahead of it. */
	when -= min_t(s64, when, q->offset);
	if (when > KTIME_MAX)
		return true;
	q->programmed = node->key;
	if (hrtimer_start_range_ns_user(&q->timer, ns_to_ktime(when), 0,
					q->mode))
		return true;
	q->programmed = DEADLINE_QUEUED_NEVER;
	return false;
}

/* Plan the next interrupt. What need not wait for one is looked at here. */
void __dln_program(struct dln_queue *q)
{
	int tries = DLN_TRIES;

	while (!__dln_start(q)) {
		if (!tries--) {
			__dln_pause(q, ktime_get_ns() + DLN_AGAIN);
			break;
		}
		__dln_look(q, q->first, dln_now(q, ktime_get_ns()));
	}
}

/* Take the first node out of the queue, if it is to be looked at; or NULL. */
static __always_inline struct dln_node *__dln_take(struct dln_queue *q, u64 now)
{
	struct dln_node *node = q->first;
	u64 word;

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
 * Nobody has work to be kept from, so look at what is planned for later: each
 * slot that was cancelled or moved since is an interrupt less.
 *
 * While those are the first ones, none is taken out of the tree: each is given
 * the time of its left neighbour, which has been looked at. That leaves the order
 * as it is.
 */
static void __dln_sweep(struct dln_queue *q, u64 now, u64 start,
			unsigned int looks)
{
	struct dln_node *node = q->first, *next;
	u64 past = node ? __dln_past(node) : 0;
	struct deadline_slot *slot;
	u64 word, due;

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
			__dln_look(q, node, now);
			continue;
		}
		q->first = next;
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
 * Short interrupts far apart cannot add up to much: they are not counted, which
 * saves them a read of the clock. Closer than this, all are.
 */
#define DLN_THICK	(500 * NSEC_PER_USEC)

static DEFINE_PER_CPU(u64, dln_last);

static __always_inline bool dln_thick(u64 start)
{
	u64 last = this_cpu_read(dln_last);

	this_cpu_write(dln_last, start);
	return start - last < DLN_THICK;
}

/* What has dln_serve() look */
enum dln_reason {
	DLN_TIMER,
	DLN_RESUME,
	DLN_CLOCK_SET,
};

/*
 * Look at all that is due, within the budget, and plan the next interrupt. The
 * queue's clock may be set at any moment, so what was spent is counted in
 * CLOCK_MONOTONIC.
 */
static __always_inline void dln_serve(struct dln_queue *q,
				      enum dln_reason reason)
{
	unsigned int looks = 0, futile = 0, batch = DLN_BATCH;
	u64 start, end, now, tail, share = 0, until = 0;
	struct dln_node *node;
	unsigned long flags;
	bool wake;

	raw_spin_lock_irqsave(&q->lock, flags);
	tail = q->tail;
	if (reason == DLN_TIMER)
		q->programmed = DEADLINE_QUEUED_NEVER;
	if (reason == DLN_RESUME)
		q->paused = false;
	if (q->paused && reason != DLN_CLOCK_SET)
		goto unlock;

	start = ktime_get_ns();
	end = start;
	now = dln_now(q, start);
	while ((node = __dln_take(q, now))) {
		if (!__dln_examine_due(q, node, now))
			futile++;
		if (--batch)
			continue;
		batch = DLN_BATCH;
		looks += DLN_BATCH;
		end = ktime_get_ns();
		now = dln_now(q, end);
		if (looks < DLN_BUDGET_LOOKS && end - start < DLN_BUDGET_NS &&
		    (looks > DLN_BATCH || !dln_spent(q->user, end)))
			continue;
		/* If that was not all, others have the CPU for as long. */
		if (q->first && q->first->key <= now) {
			until = end + (end - start);
			dln_count(&q->status->full, 1);
		}
		break;
	}
	looks += DLN_BATCH - batch;
	dln_count(&q->status->interrupts, reason != DLN_CLOCK_SET);
	dln_count(&q->status->expired, looks - futile);
	if (reason == DLN_CLOCK_SET ||
	    (looks == futile && is_idle_task(current))) {
		__dln_sweep(q, now, start, looks);
		end = ktime_get_ns();
	}
	if (end != start && end - start > q->status->longest)
		WRITE_ONCE(q->status->longest, end - start);
	if (dln_thick(start) || end != start)
		share = dln_charge(q->user, start);
	if (unlikely(share)) {
		dln_count(&q->status->throttled, 1);
		trace_dln_throttle(q, share - start);
	}
	if (share || until)
		__dln_pause(q, max(share, until));
	__dln_program(q);
unlock:
	wake = q->tail != tail || q->signal;
	raw_spin_unlock_irqrestore(&q->lock, flags);

	if (wake)
		dln_wake_from_timer(q);
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

void dln_look_now(struct dln_queue *q)
{
	dln_serve(q, DLN_CLOCK_SET);
}
