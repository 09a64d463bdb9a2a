// SPDX-License-Identifier: GPL-2.0
/*
 * The doorbell: what it refuses, how it counts, and that a due slot is over
 * before the call returns.
 */
#include "queue.h"

static uint32_t list[4096];

/* A list of all slots, none of them armed */
static void fill_list(void)
{
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = i;
}

TEST_F(queue, bad_index)
{
	uint32_t count = self->q.setup.slots;
	uint32_t bad[] = { count, count + 1, 0x80000000, UINT32_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, ring_one(&self->q, bad[i]));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, ring_list(&self->q, &bad[i], 1));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(1, ring_one(&self->q, count - 1));
	EXPECT_EQ(1, status_of(&self->q.status->doorbells));
}

#if __SIZEOF_LONG__ == 8
/* The argument is as wide as a register: its upper half counts too. */
TEST_F(queue, wide_index)
{
	EXPECT_EQ(-1, ioctl(self->q.fd, DEADLINE_IOC_RING, 1ul << 32));
	EXPECT_EQ(EINVAL, errno);
}
#endif

/* How many were done, if any; the error, if none */
TEST_F(queue, bad_index_in_list)
{
	unsigned int at;

	for (at = 0; at < 300; at += 7) {
		fill_list();
		list[at] = UINT32_MAX;
		if (at) {
			EXPECT_EQ((int)at, ring_list(&self->q, list, 400));
			continue;
		}
		EXPECT_EQ(-1, ring_list(&self->q, list, 400));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(queue, flags)
{
	struct deadline_doorbell bell = {
		.slots = (uintptr_t)list,
		.count = 1,
	};
	int bit;

	for (bit = 0; bit < 32; bit++) {
		bell.flags = 1u << bit;
		EXPECT_EQ(-1, ioctl(self->q.fd, DEADLINE_IOC_DOORBELL, &bell));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(0, status_of(&self->q.status->doorbells));
	bell.flags = 0;
	EXPECT_EQ(1, ioctl(self->q.fd, DEADLINE_IOC_DOORBELL, &bell));
}

TEST_F(queue, bad_address)
{
	EXPECT_EQ(-1, ioctl(self->q.fd, DEADLINE_IOC_DOORBELL, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ring_list(&self->q, NULL, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ring_list(&self->q, (void *)(uintptr_t)-4096, 1));
	EXPECT_EQ(EFAULT, errno);
}

/* A list that ends in nowhere: what was done was done, the rest was not. */
TEST_F(queue, list_across_fault)
{
	size_t page = sysconf(_SC_PAGESIZE), good = page / 4;
	uint32_t *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i, queued = 0;
	int done;

	ASSERT_NE(MAP_FAILED, two);
	ASSERT_EQ(0, munmap(two + good, page));
	ASSERT_LE(good, self->q.setup.slots);
	for (i = 0; i < good - 5; i++) {
		two[i + 5] = i;
		slot_arm_silent(&self->q, i, clock_ns() + 1000 * SECOND);
	}
	done = ring_list(&self->q, two + 5, good + 100);
	EXPECT_LT(0, done);
	EXPECT_GE((int)good - 5, done);
	for (i = 0; i < good - 5; i++) {
		if (slot_queued(&self->q, i) != DEADLINE_QUEUED_NEVER)
			queued++;
	}
	EXPECT_EQ(done, (int)queued);
	EXPECT_NE(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, done - 1));
}

TEST_F(queue, empty_list)
{
	EXPECT_EQ(0, ring_list(&self->q, list, 0));
	EXPECT_EQ(0, ring_list(&self->q, NULL, 0));
	EXPECT_EQ(0, status_of(&self->q.status->doorbells));
}

/* Longer than any queue has slots: refused at the first that it has not */
TEST_F(queue, endless_list)
{
	fill_list();
	EXPECT_EQ((int)self->q.setup.slots,
		  ring_list(&self->q, list, ARRAY_SIZE(list)));
}

/* The same slot many times is no more than once. */
TEST_F(queue, repeated)
{
	memset(list, 0, sizeof(list));
	slot_arm_silent(&self->q, 0, clock_ns() + 1000 * SECOND);
	EXPECT_EQ(1000, ring_list(&self->q, list, 1000));
	EXPECT_EQ(1000, status_of(&self->q.status->doorbells));
	slot_arm_silent(&self->q, 0, 1);
	EXPECT_EQ(1000, ring_list(&self->q, list, 1000));
	EXPECT_EQ(1, status_of(&self->q.status->expired));
	EXPECT_EQ(1, ring_drain(&self->q));
}

/* A slot that wants what nobody knows, or a period that is too small */
TEST_F(queue, slot_members)
{
	struct deadline_slot *slot = &self->q.slots[9];
	uint64_t least = self->q.setup.period_min;
	const uint64_t too_small[] = { 0, 1, 16, least - 1 };
	unsigned int i;

	slot_arm_silent(&self->q, 9, clock_ns() + 1000 * SECOND);
	for (i = 2; i < 32; i++) {
		slot->flags = 1u << i;
		EXPECT_EQ(-1, ring_one(&self->q, 9));
		EXPECT_EQ(EINVAL, errno);
	}
	slot->flags = DEADLINE_SLOT_PERIODIC;
	for (i = 0; i < ARRAY_SIZE(too_small); i++) {
		slot->period = too_small[i];
		EXPECT_EQ(-1, ring_one(&self->q, 9));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 9));
	slot->period = least;
	EXPECT_EQ(1, ring_one(&self->q, 9));
	EXPECT_EQ(slot_word(&self->q, 9) & ~DEADLINE_WORD_STATE,
		  slot_queued(&self->q, 9));
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

/* All of a long list, in the order told */
TEST_F(queue, many_due_at_once)
{
	uint32_t i, n = self->q.setup.slots, hint = 0;

	for (i = 0; i < n; i++) {
		list[i] = n - 1 - i;
		slot_arm_silent(&self->q, i, 16);
	}
	ASSERT_EQ((int)n, ring_list(&self->q, list, n));
	for (i = 0; i < n; i++) {
		ASSERT_TRUE(ring_take(&self->q, &hint));
		ASSERT_EQ(list[i], hint);
		ASSERT_TRUE(slot_claim(&self->q, hint));
	}
	EXPECT_FALSE(ring_take(&self->q, &hint));
	EXPECT_EQ(n, status_of(&self->q.status->doorbells));
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
