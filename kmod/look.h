/* SPDX-License-Identifier: GPL-2.0 */
/* The look, as far as the interrupt has it inline; see look.c. */
#ifndef DLN_LOOK_H
#define DLN_LOOK_H

#include <linux/bitops.h>
#include "ring.h"
#include "trace.h"
#include "tree.h"

/* Any slot, with or without flags. Returns whether it expired. */
bool __dln_examine(struct dln_queue *q, struct dln_node *node, u64 now,
		   bool interrupt);
/* The same for a node that may be in the tree; it counts what expired. */
void __dln_look(struct dln_queue *q, struct dln_node *node, u64 now,
		bool interrupt);
/* Does the slot have flags that no feature allows? That is counted. */
bool __dln_refuse(struct dln_queue *q, u32 index, u32 flags);

static __always_inline bool dln_expire_once(struct deadline_slot *slot,
					    u64 word, u64 now)
{
	/* Before the swap: a thread that sees EXPIRED sees these, too. */
	WRITE_ONCE(slot->deadline, word & ~DEADLINE_WORD_STATE);
	WRITE_ONCE(slot->expired_at, now);
	WRITE_ONCE(slot->overruns, 0);
	/* A full barrier on success; see __dln_post(). */
	return try_cmpxchg(&slot->word, &word,
			   (word & ~DEADLINE_WORD_STATE) |
			   DEADLINE_WORD_EXPIRED);
}

/*
 * Post the expiry, count and trace it. Only in an interrupt is the lateness the kernel's
 * own; if several periods have passed, it is that of the first, which was @due.
 */
static __always_inline void __dln_expired(struct dln_queue *q,
					  struct dln_node *node, u32 index,
					  u64 due, u64 deadline, u64 now,
					  bool interrupt)
{
	lockdep_assert_held(&q->lock);
	__dln_post(q, node, index);
	if (interrupt)
		dln_count(&q->status->late[__fls((now - due) | 1)], 1);
	trace_dln_expire(q, index, deadline, now);
}

/* Is the slot no longer armed? Then forget it, until it is handed in again. */
static __always_inline bool __dln_drop(struct dln_queue *q, u32 index, u64 word)
{
	u64 due = word & ~DEADLINE_WORD_STATE;

	lockdep_assert_held(&q->lock);
	if ((word & DEADLINE_WORD_ARMED) && due != DEADLINE_TIME_NEVER)
		return false;
	dln_count(&q->status->dropped, 1);
	trace_dln_drop(q, index, due);
	return true;
}

/* __dln_examine() for the interrupt: what is most likely first, without a call */
static __always_inline bool __dln_examine_due(struct dln_queue *q,
					      struct dln_node *node, u64 now)
{
	u32 index = node - q->nodes;
	struct deadline_slot *slot = &q->slots[index];
	u64 word, due;

	lockdep_assert_held(&q->lock);
	/* [look] and acquire: see __dln_examine(). */
	smp_store_mb(slot->queued, DEADLINE_QUEUED_NEVER);
	/* Acquire: flags belong to this very arm. */
	word = smp_load_acquire(&slot->word);
	due = word & ~DEADLINE_WORD_STATE;
	if (likely((word & DEADLINE_WORD_ARMED) && due <= now &&
		   !READ_ONCE(slot->flags) &&
		   dln_expire_once(slot, word, now))) {
		__dln_expired(q, node, index, due, due, now, true);
		return true;
	}
	return __dln_examine(q, node, now, true);
}

#endif
