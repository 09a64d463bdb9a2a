// SPDX-License-Identifier: GPL-2.0
/*
 * How a deadline expires: the look, by which the kernel examines a slot whose
 * time has come (deadline.rst, "The look"; selftests/models/slot.pml; the
 * library's thread backend mirrors it line by line).
 */
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include "look.h"

/*
 * How much later than its next period a slot is looked at, if nobody has consumed its
 * expiries for @overruns periods: so that expiries which nobody reads do not cost an
 * interrupt per period for ever. When one is consumed, the next look is planned in time
 * again.
 */
static u64 dln_unread(u64 overruns, u64 period)
{
	return min_t(u64, overruns / DEADLINE_UNREAD,
		     div64_u64(NSEC_PER_SEC, period)) * period &
	       ~DEADLINE_WORD_STATE;
}

/*
 * Give back the expiry that the kernel has claimed, unless the owner has armed the slot
 * anew. The swap fails if a thread cancels or moves the slot, or goes to sleep on it,
 * at that moment. A program that does so again and again loses the expiry.
 */
static void __dln_give_back(struct dln_queue *q, struct dln_node *node, u64 word)
{
	const u64 ours = DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN;
	u32 index = node - q->nodes;
	int tries = DLN_TRIES;

	lockdep_assert_held(&q->lock);
	while ((word & ours) == ours && tries--) {
		if (!try_cmpxchg(&q->slots[index].word, &word,
				 word & ~DEADLINE_WORD_TAKEN))
			continue;
		__dln_post(q, node, index);
		break;
	}
}

/*
 * A periodic slot is due: go on to the first period in the future and have it
 * looked at then. False if the word changed meanwhile, else @last is the deadline
 * that expired.
 *
 * An expiry that nobody has consumed yet becomes one of the new one's overruns.
 * It is claimed for that before its stamps are written over, so that no consumer
 * owns one expiry with the stamps of another (selftests/models/periodic.pml).
 */
static bool __dln_repeat(struct dln_queue *q, struct dln_node *node, u64 word,
			 u64 now, u32 flags, u64 *last)
{
	u32 index = node - q->nodes;
	struct deadline_slot *slot = &q->slots[index];
	u64 exact = word & ~DEADLINE_WORD_STATE;
	bool pending = (word & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) ==
		       DEADLINE_WORD_EXPIRED;
	u64 expired_at = READ_ONCE(slot->expired_at);
	u64 deadline = READ_ONCE(slot->deadline);
	u64 before = READ_ONCE(slot->overruns);
	u64 period, passed, next, due;

	lockdep_assert_held(&q->lock);
	if (pending) {
		if (!try_cmpxchg(&slot->word, &word,
				 word | DEADLINE_WORD_TAKEN))
			return false;
		word |= DEADLINE_WORD_TAKEN;
	}

	period = clamp_t(u64, READ_ONCE(q->periods[index]), dln_period_min(),
			 KTIME_MAX);
	/* Not armed or moved since: it is due one period after the last time. */
	if (exact - (deadline + period) < DEADLINE_GRAIN)
		exact = deadline + period;
	passed = div64_u64(now - exact, period);
	*last = exact + passed * period;
	next = *last + period;
	due = round_up(next, DEADLINE_GRAIN);
	if (next > KTIME_MAX || next < exact)
		due = DEADLINE_TIME_NEVER;
	if (pending)
		passed += before + 1;

	WRITE_ONCE(slot->deadline, *last);
	WRITE_ONCE(slot->expired_at, now);
	WRITE_ONCE(slot->overruns, min_t(u64, passed, INT_MAX));
	/* A full barrier on success; see __dln_post(). */
	if (try_cmpxchg(&slot->word, &word,
			due | DEADLINE_WORD_ARMED | DEADLINE_WORD_EXPIRED |
			(word & DEADLINE_WORD_WAKE))) {
		if (pending && !(flags & DEADLINE_SLOT_SIGNAL))
			next = due + dln_unread(passed, period);
		else
			next = due;
		if (due != DEADLINE_TIME_NEVER)
			__dln_enqueue(q, node, dln_key(slot, next));
		return true;
	}

	/* Moved or cancelled: none has expired since the last one, and that one stays. */
	WRITE_ONCE(slot->deadline, deadline);
	WRITE_ONCE(slot->expired_at, expired_at);
	WRITE_ONCE(slot->overruns, before);
	if (pending)
		__dln_give_back(q, node, word);
	return false;
}

/* A slot with flags */
static bool __dln_expire_special(struct dln_queue *q, struct dln_node *node,
				 u64 word, u64 now, u32 flags, u64 *deadline)
{
	bool expired;

	lockdep_assert_held(&q->lock);
	if (flags & DEADLINE_SLOT_PERIODIC)
		expired = __dln_repeat(q, node, word, now, flags, deadline);
	else
		expired = dln_expire_once(&q->slots[node - q->nodes], word,
					  now);
	if (expired && flags & DEADLINE_SLOT_SIGNAL)
		WRITE_ONCE(q->signal, true);
	return expired;
}

#define DLN_SLOT_FLAGS	(DEADLINE_SLOT_SIGNAL | DEADLINE_SLOT_PERIODIC)

/* A slot with flags that no feature allows is neither served nor changed. */
bool __dln_refuse(struct dln_queue *q, u32 index, u32 flags)
{
	if (!(flags & ~DLN_SLOT_FLAGS))
		return false;
	dln_count(&q->status->refused, 1);
	trace_dln_refuse(q, index, flags);
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
bool __dln_examine(struct dln_queue *q, struct dln_node *node, u64 now,
		   bool interrupt)
{
	u32 index = node - q->nodes;
	struct deadline_slot *slot = &q->slots[index];
	int tries = DLN_TRIES;
	u64 word, due, deadline;
	u32 flags;

	lockdep_assert_held(&q->lock);
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
		if (flags && __dln_refuse(q, index, flags))
			return false;
		deadline = due;
		if (flags ? __dln_expire_special(q, node, word, now, flags,
						 &deadline) :
			    dln_expire_once(slot, word, now)) {
			__dln_expired(q, node, index, due, deadline, now,
				      interrupt);
			return true;
		}
	} while (--tries);

	/*
	 * Every swap failed: look again at once, but by an interrupt, which has a
	 * budget. The key is the slot's own deadline, so that it stays due if
	 * somebody sets the clock back meanwhile.
	 */
	__dln_enqueue(q, node, max_t(u64, due, DEADLINE_GRAIN));
	dln_count(&q->status->contended, 1);
	return false;
}

void __dln_look(struct dln_queue *q, struct dln_node *node, u64 now,
		bool interrupt)
{
	lockdep_assert_held(&q->lock);
	if (dln_queued(node))
		__dln_remove(q, node);
	dln_count(&q->status->expired, __dln_examine(q, node, now, interrupt));
}
