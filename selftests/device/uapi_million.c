// SPDX-License-Identifier: GPL-2.0
/*
 * 1,000,000 slots at once (or fewer, see rounds()), at spread deadlines, a third
 * of them cancelled on the way: each ends exactly once, none early.
 */
#include "module.h"
#include "queue.h"

#define MILLION 1000000

static uint32_t list[MILLION];
static uint8_t ends[MILLION];
static uint32_t million;

/* A deadline for each slot: @from plus up to a second, in no order */
static uint64_t when_of(uint64_t from, uint32_t slot)
{
	return due(from + (uint64_t)slot * 2654435761u % SECOND);
}

static int arm_all(struct queue *q, uint64_t from)
{
	uint32_t i;

	for (i = 0; i < million; i++) {
		list[i] = i;
		slot_arm_silent(q, i, when_of(from, i));
	}
	return ring_list(q, list, million);
}

/* Cancel some; how many it was in time for */
static uint32_t cancel_some(struct queue *q)
{
	uint32_t i, n = 0;

	for (i = 0; i < million; i += 3) {
		if (!slot_cancel(q, i))
			continue;
		ends[i]++;
		n++;
	}
	return n;
}

/* Consume @n expiries, some by the ring, some by read(2). */
static uint32_t consume(struct queue *q, uint64_t from, uint32_t n)
{
	struct deadline_expiry expiry;
	uint32_t slot, early = 0;

	while (n) {
		if (n % 16 == 0 && read_one(q, &expiry) == 1)
			slot = expiry.slot;
		else if (!ring_take(q, &slot) || !slot_claim(q, slot))
			continue;
		early += q->slots[slot].expired_at < when_of(from, slot);
		ends[slot]++;
		n--;
	}
	return early;
}

TEST(each_ends_once)
{
	uint32_t i, cancelled, wrong = 0;
	struct queue q;
	uint64_t from;

	million = rounds(MILLION);
	ASSERT_EQ(0, queue_open(&q, million, O_CLOEXEC | O_NONBLOCK));
	from = clock_ns() + SECOND;
	ASSERT_EQ(million, arm_all(&q, from));
	cancelled = cancel_some(&q);
	EXPECT_EQ(0, consume(&q, from, million - cancelled));
	for (i = 0; i < million; i++)
		wrong += ends[i] != 1;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, ring_drain(&q));
	EXPECT_EQ(million - cancelled, expired(&q, million - cancelled));
	WAIT_FOR(status_of(&q.status->dropped) +
		 status_of(&q.status->expired) >= million);
	EXPECT_EQ(cancelled, status_of(&q.status->dropped));
	queue_close(&q);
}

/* Close with a million armed: it takes no walk, and leaves nothing. */
TEST(close_armed)
{
	struct queue q;

	million = rounds(MILLION);
	ASSERT_EQ(0, queue_open(&q, million, O_CLOEXEC));
	ASSERT_EQ(million, arm_all(&q, clock_ns() + 1000 * SECOND));
	queue_close(&q);
	EXPECT_EQ(0, module_uses());
}

TEST_HARNESS_MAIN
