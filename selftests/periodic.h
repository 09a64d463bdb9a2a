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
