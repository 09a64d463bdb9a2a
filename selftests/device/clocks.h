/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues on other clocks than MONOTONIC: setting a clock, and what is to be seen
 * of a slot on any of them.
 */
#ifndef SELFTESTS_CLOCKS_H
#define SELFTESTS_CLOCKS_H

#include <sys/timex.h>
#include "queue.h"

#define HOUR (3600 * SECOND)

/* Make CLOCK_REALTIME @now. */
static inline int set_realtime(uint64_t now)
{
	struct timespec to = { now / SECOND, now % SECOND };

	return clock_settime(CLOCK_REALTIME, &to);
}

/* By how many seconds TAI is ahead of UTC */
static inline int set_tai(long seconds)
{
	struct timex timex = { .modes = ADJ_TAI, .constant = seconds };

	return adjtimex(&timex) < 0 ? -1 : 0;
}

static inline uint64_t clock_sets(const struct queue *q)
{
	return status_of(&q->status->clock_sets);
}

/* Set REALTIME, and with it TAI, by so much; until @q has been told. */
static inline int step(const struct queue *q, int64_t by)
{
	uint64_t sets = clock_sets(q);

	if (set_realtime(ns_of(CLOCK_REALTIME) + by))
		return -1;
	WAIT_FOR(clock_sets(q) != sets);
	return 0;
}

/*
 * One-shot slots and a periodic one, by a queue on @clock, whose times are those
 * that the caller reads: never early, and stamped by that clock. Where both come
 * in time, "in time" is seconds.
 */
static inline void check_clock(struct __test_metadata *_metadata,
			       struct queue *q, clockid_t clock)
{
	uint64_t when = due(ns_of(clock) + 2 * MS), period = 2 * MS, next;
	struct deadline_expiry expiry;

	/* By the timer; read(2) waits for it. */
	ASSERT_EQ(0, slot_arm(q, 1, when));
	ASSERT_EQ(1, read_one(q, &expiry));
	EXPECT_LE(when, ns_of(clock));
	EXPECT_EQ(1, expiry.slot);
	EXPECT_EQ(when, expiry.deadline);
	EXPECT_LE(when, expiry.expired_at);
	EXPECT_GE(ns_of(clock), expiry.expired_at);

	/* Planned for its time, also while the interrupt is still about to end */
	ASSERT_EQ(0, slot_plan(q, 1, when + HOUR));
	EXPECT_EQ(when + HOUR, slot_queued(q, 1));
	EXPECT_FALSE(slot_over(q, 1));

	/* By the doorbell: what has just passed, on this clock */
	when = ns_of(clock);
	slot_arm_silent(q, 2, when - DEADLINE_GRAIN);
	ASSERT_EQ(1, ring_one(q, 2));
	EXPECT_TRUE(slot_over(q, 2));
	EXPECT_LE(when, q->slots[2].expired_at);
	EXPECT_GE(ns_of(clock), q->slots[2].expired_at);
	EXPECT_EQ(1, ring_collect(q, 1));

	/* Every period is one of this clock; the overruns count too. */
	next = due(ns_of(clock) + 2 * MS);
	when = next + 20 * period;
	q->slots[3].flags = DEADLINE_SLOT_PERIODIC;
	q->periods[3] = period;
	ASSERT_EQ(0, slot_arm(q, 3, next));
	while (next < when) {
		ASSERT_EQ(1, read_one(q, &expiry));
		next += expiry.overruns * period;
		ASSERT_EQ(3, expiry.slot);
		ASSERT_EQ(next, expiry.deadline);
		ASSERT_LE(next, expiry.expired_at);
		next += period;
		ASSERT_GT(next, expiry.expired_at);
		ASSERT_GE(ns_of(clock), expiry.expired_at);
	}
	ASSERT_EQ(1, slot_cancel(q, 3));
}

#endif
