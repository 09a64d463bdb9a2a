// SPDX-License-Identifier: GPL-2.0
/*
 * The doorbell: what it refuses, how it counts, and that a due slot is over
 * before the call returns.
 */
#include <limits.h>
#include "queue.h"

/* It has no argument. */
TEST_F(queue, argument)
{
	static const unsigned long arguments[] = {
		1, 2, 0x1000, ULONG_MAX, ULONG_MAX / 2 + 1,
	};
	unsigned int i;

	slot_arm_silent(&self->q, 0, 1);
	hand_in(&self->q, 0);
	for (i = 0; i < ARRAY_SIZE(arguments); i++) {
		EXPECT_EQ(-1, ioctl(self->q.fd, DEADLINE_IOC_DOORBELL,
				    arguments[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_FALSE(slot_over(&self->q, 0));
	EXPECT_EQ(0, status_of(&self->q.status->doorbells));
}

/* What is reserved is zero. */
TEST_F(queue, reserved)
{
	struct deadline_header *header = self->q.header;
	unsigned int i;

	slot_arm_silent(&self->q, 0, 1);
	hand_in(&self->q, 0);
	for (i = 0; i < ARRAY_SIZE(header->reserved); i++) {
		header->reserved[i] = 1u << (i + 3);
		EXPECT_EQ(-1, ring(&self->q));
		EXPECT_EQ(EINVAL, errno);
		header->reserved[i] = 0;
	}
	EXPECT_FALSE(slot_over(&self->q, 0));
	EXPECT_EQ(1, ring(&self->q));
	EXPECT_TRUE(slot_over(&self->q, 0));
}

TEST_F(queue, empty)
{
	EXPECT_EQ(0, ring(&self->q));
	EXPECT_EQ(1, status_of(&self->q.status->doorbells));
	EXPECT_EQ(0, status_of(&self->q.status->handed_in));
}

/* The same slot many times is no more than once. */
TEST_F(queue, repeated)
{
	unsigned int i;

	slot_arm_silent(&self->q, 0, clock_ns() + 1000 * SECOND);
	for (i = 0; i < 1000; i++)
		hand_in(&self->q, 0);
	EXPECT_EQ(1, ring(&self->q));
	EXPECT_EQ(0, ring(&self->q));
	slot_arm_silent(&self->q, 0, 1);
	for (i = 0; i < 1000; i++)
		hand_in(&self->q, 0);
	EXPECT_EQ(1, ring(&self->q));
	EXPECT_EQ(2, status_of(&self->q.status->handed_in));
	EXPECT_EQ(1, status_of(&self->q.status->expired));
	EXPECT_EQ(1, ring_drain(&self->q));
}

/*
 * A slot that wants what nobody knows is not served: neither planned nor, where a
 * look was planned before, expired. It is counted each time.
 */
TEST_F(queue, unknown_flags)
{
	struct deadline_slot *slot = &self->q.slots[9];
	uint64_t when;
	unsigned int i;

	slot_arm_silent(&self->q, 9, 1);
	for (i = 2; i < 32; i++) {
		slot->flags = 1u << i;
		EXPECT_EQ(1, ring_one(&self->q, 9));
		EXPECT_EQ(i - 1, status_of(&self->q.status->refused));
	}
	EXPECT_EQ(16 * 1 | DEADLINE_WORD_ARMED, slot_word(&self->q, 9));
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 9));

	/* By the look; unless the machine was too slow */
	do {
		slot->word = 0;
		slot->flags = 0;
		when = due(clock_ns() + 20 * MS);
		ASSERT_EQ(0, slot_plan(&self->q, 9, when));
		ASSERT_EQ(0, slot_plan(&self->q, 8, when));
		slot->flags = 1u << 31;
	} while (clock_ns() >= when);
	WAIT_FOR(slot_over(&self->q, 8));
	ring_drain(&self->q);
	ASSERT_EQ(0, ring(&self->q));
	EXPECT_EQ(31, status_of(&self->q.status->refused));
	EXPECT_EQ(when | DEADLINE_WORD_ARMED, slot_word(&self->q, 9));
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 9));
	EXPECT_EQ(0, ring_drain(&self->q));
}

TEST_F(queue, not_armed)
{
	__u64 words[] = { 0, due(clock_ns()), 16 | DEADLINE_WORD_EXPIRED,
		16 | DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN,
		16 | DEADLINE_WORD_WAKE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		self->q.slots[3].word = words[i];
		EXPECT_EQ(1, ring_one(&self->q, 3));
		EXPECT_EQ(words[i], slot_word(&self->q, 3));
		EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 3));
	}
	EXPECT_EQ(1, status_of(&self->q.status->tail));
}

TEST_F(queue, never)
{
	__u64 never = DEADLINE_TIME_NEVER | DEADLINE_WORD_ARMED;

	self->q.slots[3].word = never;
	EXPECT_EQ(1, ring_one(&self->q, 3));
	EXPECT_EQ(never, slot_word(&self->q, 3));
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 3));
	EXPECT_EQ(0, status_of(&self->q.status->expired));
}

/* The last deadlines there are do not wrap around to "now". */
TEST_F(queue, far_future)
{
	__u64 far[] = { DEADLINE_TIME_NEVER - 16, 1ull << 63,
		(1ull << 63) - 16, INT64_MAX & ~15ull };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(far); i++) {
		slot_arm_silent(&self->q, i, far[i]);
		EXPECT_EQ(1, ring_one(&self->q, i));
		EXPECT_EQ(far[i], slot_queued(&self->q, i));
	}
	/* And whoever is due earlier is not kept waiting. */
	ASSERT_EQ(0, slot_arm(&self->q, 10, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 10));
	for (i = 0; i < ARRAY_SIZE(far); i++)
		EXPECT_EQ(far[i] | DEADLINE_WORD_ARMED, slot_word(&self->q, i));
	EXPECT_EQ(1, expired(&self->q, 1));
}

TEST_F(queue, due_at_once)
{
	__u64 when[] = { 0, 16, due(clock_ns()) - 16 };
	struct deadline_slot *slot = &self->q.slots[4];
	uint64_t before;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(when); i++) {
		slot->expired_at = 1;
		slot->overruns = 0xA5;
		slot_arm_silent(&self->q, 4, when[i]);
		before = clock_ns();
		ASSERT_EQ(1, ring_one(&self->q, 4));
		EXPECT_EQ(when[i] | DEADLINE_WORD_EXPIRED,
			  slot_word(&self->q, 4));
		EXPECT_LE(before, slot->expired_at);
		EXPECT_GE(clock_ns(), slot->expired_at);
		EXPECT_EQ(0, slot->overruns);
		EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 4));
		EXPECT_EQ(1, ring_drain(&self->q));
	}
	EXPECT_EQ(0, status_of(&self->q.status->interrupts));
}

/* All that was handed in, the last one first */
TEST_F(queue, many_due_at_once)
{
	uint32_t i, n = self->q.setup.slots, hint = 0;

	for (i = 0; i < n; i++) {
		slot_arm_silent(&self->q, i, 16);
		hand_in(&self->q, i);
	}
	ASSERT_EQ((int)n, ring(&self->q));
	for (i = 0; i < n; i++) {
		ASSERT_TRUE(ring_take(&self->q, &hint));
		ASSERT_EQ(n - 1 - i, hint);
		ASSERT_TRUE(slot_claim(&self->q, hint));
	}
	EXPECT_FALSE(ring_take(&self->q, &hint));
	EXPECT_EQ(n, status_of(&self->q.status->handed_in));
}

/* A ring for a deadline later than the look already planned plans nothing. */
TEST_F(queue, later_than_planned)
{
	uint64_t first = due(clock_ns() + 1000 * SECOND);

	ASSERT_EQ(0, slot_arm(&self->q, 6, first));
	slot_arm_silent(&self->q, 6, first + SECOND);
	EXPECT_EQ(1, ring_one(&self->q, 6));
	EXPECT_EQ(first, slot_queued(&self->q, 6));
	slot_arm_silent(&self->q, 6, first - SECOND);
	EXPECT_EQ(1, ring_one(&self->q, 6));
	EXPECT_EQ(first - SECOND, slot_queued(&self->q, 6));
}

TEST_HARNESS_MAIN
