/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of periodic slots share: courses and how they stop */
#ifndef SELFTESTS_PERIODIC_H
#define SELFTESTS_PERIODIC_H

#include "queue.h"

/* No multiple of 16: each period but every sixteenth is rounded. */
#define LONG 1000001

/* The last time for a word that is not in the future: due at once */
static inline uint64_t just_past(void)
{
	return clock_ns() & ~DEADLINE_WORD_STATE;
}

static inline __u64 word_due(const struct queue *q, uint32_t i)
{
	return slot_word(q, i) & ~DEADLINE_WORD_STATE;
}

static inline __u64 word_state(const struct queue *q, uint32_t i)
{
	return slot_word(q, i) & DEADLINE_WORD_STATE;
}

/*
 * What has come of a periodic slot: @start + n * @period, exactly. Expiries that
 * were consumed and their overruns are what passed.
 */
struct course {
	uint64_t start;
	uint64_t period;
	uint64_t passed;
	unsigned long consumed;
	unsigned long early;
	unsigned long wrong;
};

static inline uint64_t course_next(const struct course *c)
{
	return c->start + c->passed * c->period;
}

static inline void course_add(struct course *c, uint64_t expired_at,
			      uint32_t overruns)
{
	c->early += expired_at < course_next(c) + overruns * c->period;
	c->passed += overruns + 1ull;
	c->consumed++;
	/* The next one would have been due. */
	c->wrong += expired_at >= course_next(c);
}

/* Arm the slot for this course. */
static inline int course_arm(struct queue *q, uint32_t i, struct course *c)
{
	q->slots[i].flags = DEADLINE_SLOT_PERIODIC;
	q->periods[i] = c->period;
	return slot_arm(q, i, c->start);
}

/* Own the periodic slot's expiry, if there is one, and count it. */
static inline bool course_claim(struct queue *q, uint32_t i, struct course *c)
{
	const struct deadline_slot *slot = &q->slots[i];
	__u64 old = slot_word(q, i);
	uint64_t expired_at, deadline;
	uint32_t overruns;

	do {
		if ((old & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) !=
		    DEADLINE_WORD_EXPIRED)
			return false;
		expired_at = __atomic_load_n(&slot->expired_at,
					     __ATOMIC_RELAXED);
		overruns = __atomic_load_n(&slot->overruns, __ATOMIC_RELAXED);
		deadline = __atomic_load_n(&slot->deadline, __ATOMIC_RELAXED);
	} while (!slot_swap(q, i, &old, old | DEADLINE_WORD_TAKEN));
	course_add(c, expired_at, overruns);
	c->wrong += (old & ~DEADLINE_WORD_STATE) != due(course_next(c));
	c->wrong += deadline + c->period != course_next(c);
	return true;
}

/*
 * No more periods: from here on the word is what it is, for a look that was under
 * way has ended when a doorbell returns. 0, or -1 if it had stopped before
 */
static inline int course_stop(struct queue *q, uint32_t i)
{
	return slot_cancel(q, i) && ring_one(q, i) == 1 ? 0 : -1;
}

/* A stopped course, all of it consumed: is it where it ought to be? */
static inline bool course_complete(const struct queue *q, uint32_t i,
				   const struct course *c)
{
	return !c->early && !c->wrong && word_due(q, i) == due(course_next(c));
}

#endif
