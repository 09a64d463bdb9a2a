// SPDX-License-Identifier: GPL-2.0
/*
 * Periods at the bounds: too small, at the end of time, more than can be counted;
 * and what the program scribbles over.
 */
#include "periodic.h"

/* A period that is too small is raised, whether a doorbell was rung or not. */
TEST_F(queue, raised)
{
	static const uint64_t periods[] = { 0, 1, 15, 16, 9999 };
	uint64_t least = self->q.setup.period_min, when;
	struct deadline_slot *slot = &self->q.slots[1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(periods); i++) {
		struct course c = { .period = least };

		ASSERT_GT(least, periods[i]);
		when = due(clock_ns() + 5 * MS);
		ASSERT_EQ(0, slot_arm(&self->q, 1, when));
		slot_cancel(&self->q, 1);
		slot->flags = DEADLINE_SLOT_PERIODIC;
		self->q.periods[1] = periods[i];
		c.start = due(when + MS);
		slot_arm_silent(&self->q, 1, c.start);
		if (i % 2 || slot_needs_look(&self->q, 1))
			ASSERT_EQ(1, ring_one(&self->q, 1));
		WAIT_FOR(course_claim(&self->q, 1, &c));
		ASSERT_EQ(0, course_stop(&self->q, 1));
		course_claim(&self->q, 1, &c);
		EXPECT_TRUE(course_complete(&self->q, 1, &c));
		slot->word = 0;
		slot->flags = 0;
	}
}

/* The last periods there are; what goes beyond them is never. */
TEST_F(queue, end_of_time)
{
	static const uint64_t periods[] = {
		UINT64_MAX, UINT64_MAX - 15, 1ull << 63, INT64_MAX,
		INT64_MAX - 15,
	};
	uint64_t start = just_past();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(periods); i++) {
		struct course c = { .start = start, .period = periods[i] };

		ASSERT_EQ(0, course_arm(&self->q, i, &c));
		EXPECT_EQ(DEADLINE_TIME_NEVER | DEADLINE_WORD_ARMED |
			  DEADLINE_WORD_EXPIRED, slot_word(&self->q, i));
		EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, i));
		EXPECT_EQ(0, self->q.slots[i].overruns);
		EXPECT_LE(start, self->q.slots[i].expired_at);
		EXPECT_TRUE(slot_claim(&self->q, i));
		EXPECT_FALSE(slot_over(&self->q, i));
	}
	/* Just so, and one ns beyond */
	for (; i < 8; i++) {
		struct course c = {
			.start = start,
			.period = INT64_MAX - start + i - 6,
		};

		ASSERT_EQ(0, course_arm(&self->q, i, &c));
		EXPECT_EQ((i == 7 ? DEADLINE_TIME_NEVER : 1ull << 63) |
			  DEADLINE_WORD_ARMED | DEADLINE_WORD_EXPIRED,
			  slot_word(&self->q, i));
		EXPECT_EQ(i == 7 ? DEADLINE_QUEUED_NEVER : 1ull << 63,
			  slot_queued(&self->q, i));
	}
	EXPECT_EQ(i, expired(&self->q, i));
	/* They keep nothing from its time, and can be had back. */
	EXPECT_EQ(1, slot_move(&self->q, 0, clock_ns() + MS));
	WAIT_FOR(slot_claim(&self->q, 0));
	EXPECT_EQ(1, slot_cancel(&self->q, 0));
	EXPECT_EQ(1, slot_cancel(&self->q, 7));
}

/* Armed for the end of time, or never: nothing comes, until it is moved. */
TEST_F(queue, far_away)
{
	static const uint64_t starts[] = {
		INT64_MAX - 15, INT64_MAX, UINT64_MAX - 31, UINT64_MAX - 15,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct course c = { .start = starts[i], .period = LONG };

		ASSERT_EQ(0, course_arm(&self->q, i, &c));
		ASSERT_EQ(1, ring_one(&self->q, i));
		EXPECT_EQ(due(starts[i]) == DEADLINE_TIME_NEVER ?
			  DEADLINE_QUEUED_NEVER : due(starts[i]),
			  slot_queued(&self->q, i));
		EXPECT_EQ(due(starts[i]) | DEADLINE_WORD_ARMED,
			  slot_word(&self->q, i));
	}
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct course c = { .period = LONG };

		c.start = due(clock_ns() + MS);
		ASSERT_EQ(1, slot_move(&self->q, i, c.start));
		WAIT_FOR(course_claim(&self->q, i, &c));
		WAIT_FOR(course_claim(&self->q, i, &c));
		EXPECT_EQ(0, c.early);
		EXPECT_EQ(0, c.wrong);
		ASSERT_EQ(1, slot_cancel(&self->q, i));
	}
}

/*
 * A clock that has run for decades, and the smallest period: more periods than
 * fit into overruns (CVE-2018-12896), unconsumed or not, scribbled over or not.
 */
TEST(capped)
{
	static const uint32_t before[] = { 0, INT32_MAX - 1, INT32_MAX,
		(uint32_t)INT32_MAX + 1, UINT32_MAX };
	struct queue q = {
		.setup = { .slots = 64, .clock = CLOCK_REALTIME },
	};
	struct deadline_slot *slot;
	struct course c = {};
	unsigned int i;
	uint64_t sum;

	q.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, q.fd);
	ASSERT_EQ(0, ioctl(q.fd, DEADLINE_IOC_SETUP, &q.setup));
	ASSERT_EQ(0, queue_map(&q));
	slot = &q.slots[1];
	for (i = 0; i < ARRAY_SIZE(before); i++) {
		c.start = 16;
		c.period = q.setup.period_min;
		slot->overruns = before[i];
		ASSERT_EQ(0, course_arm(&q, 1, &c));
		ASSERT_EQ(0, course_stop(&q, 1));
		EXPECT_EQ(DEADLINE_WORD_EXPIRED, word_state(&q, 1));
		EXPECT_EQ(INT32_MAX, slot->overruns);
		/* No period was left out for all that. */
		c.passed = (slot->expired_at - 16) / c.period + 1;
		ASSERT_LT(INT32_MAX, c.passed);
		EXPECT_EQ(due(course_next(&c)), word_due(&q, 1));
		/* Not consumed, and there comes another one. */
		WAIT_FOR(slot_queued(&q, 1) == DEADLINE_QUEUED_NEVER);
		slot->overruns = before[i];
		q.periods[1] = 500 * SECOND;
		__atomic_store_n(&slot->word, 16 | DEADLINE_WORD_ARMED |
				 DEADLINE_WORD_EXPIRED, __ATOMIC_SEQ_CST);
		ASSERT_EQ(1, ring_one(&q, 1));
		sum = (slot->expired_at - 16) / q.periods[1] + before[i] + 1;
		EXPECT_EQ(sum < INT32_MAX ? sum : INT32_MAX, slot->overruns);
		slot->word = 0;
	}
	queue_close(&q);
}

/* The record, scribbled over, moves a period by less than it is rounded. */
TEST_F(queue, record_scribbled)
{
	static const uint64_t offsets[] = { 0, 1, 15, 16, 17, INT32_MAX,
		-1ull, -15ull, -16ull, INT64_MAX };
	struct deadline_slot *slot = &self->q.slots[1];
	unsigned int i;
	uint64_t next;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct course c = { .period = LONG };

		c.start = due(clock_ns() + MS);
		ASSERT_EQ(0, course_arm(&self->q, 1, &c));
		slot->deadline = c.start - c.period - offsets[i];
		WAIT_FOR(slot_word(&self->q, 1) & DEADLINE_WORD_EXPIRED);
		slot->deadline = slot->deadline - offsets[i];
		ASSERT_EQ(0, course_stop(&self->q, 1));
		EXPECT_LE(c.start, slot->expired_at);
		c.passed = slot->overruns + 1ull;
		next = word_due(&self->q, 1);
		EXPECT_LT(course_next(&c), next + 32);
		EXPECT_LT(next, course_next(&c) + 32);
		EXPECT_LT(slot->expired_at, next + 32);
		slot->word = 0;
	}
}

TEST_HARNESS_MAIN
