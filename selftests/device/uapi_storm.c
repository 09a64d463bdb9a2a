// SPDX-License-Identifier: GPL-2.0
/*
 * 100,000 deadlines at one instant: all expire, none early, each is delivered
 * once, and no interrupt spends more than its budget on them.
 */
#include "queue.h"

#define STORM 100000

FIXTURE(storm) {
	struct queue q;
	uint32_t n;
	uint32_t *seen;
	uint64_t when;
};

/* Arm all slots at one instant, @ahead of now; are they before it comes? */
static bool arm_storm(struct __test_metadata *_metadata, struct queue *q,
		      uint32_t n, uint32_t *list, uint64_t *when,
		      uint64_t ahead)
{
	uint32_t i;

	ASSERT_EQ(0, queue_open(q, n, O_CLOEXEC));
	*when = due(clock_ns() + ahead);
	for (i = 0; i < n; i++) {
		list[i] = i;
		slot_arm_silent(q, i, *when);
	}
	ASSERT_EQ((int)n, ring_list(q, list, n));
	if (clock_ns() < *when)
		return true;
	queue_close(q);
	return false;
}

FIXTURE_SETUP(storm)
{
	uint64_t ahead = 250 * MS;

	self->n = STORM;
	self->seen = calloc(self->n, sizeof(*self->seen));
	ASSERT_NE(NULL, self->seen);
	while (!arm_storm(_metadata, &self->q, self->n, self->seen,
			  &self->when, ahead))
		ahead *= 2;
	memset(self->seen, 0, self->n * sizeof(*self->seen));
}

FIXTURE_TEARDOWN(storm)
{
	queue_close(&self->q);
	free(self->seen);
}

/* Each expired at its time, and was seen once. */
static void check(struct __test_metadata *_metadata, const struct queue *q,
		  const uint32_t *seen, uint32_t n, uint64_t when)
{
	uint32_t i, early = 0, unseen = 0, wrong = 0;

	for (i = 0; i < n; i++) {
		early += q->slots[i].expired_at < when;
		unseen += seen[i] != 1;
		wrong += slot_word(q, i) != (when | DEADLINE_WORD_EXPIRED |
					     DEADLINE_WORD_TAKEN);
	}
	EXPECT_EQ(0, early);
	EXPECT_EQ(0, unseen);
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(n, expired(q, n));
	EXPECT_EQ(n + 1, status_of(&q->status->tail));
	/* Deadlines of one instant do not fit into one budget. */
	EXPECT_LT(0, status_of(&q->status->full));
	EXPECT_LE(n / 512, status_of(&q->status->interrupts));
}

TEST_F(storm, read)
{
	struct deadline_expiry got[512];
	uint32_t n = 0;
	ssize_t i, size;

	while (n < self->n) {
		size = read(self->q.fd, got, sizeof(got));
		ASSERT_LT(0, size);
		for (i = 0; i < size / (ssize_t)sizeof(got[0]); i++, n++) {
			ASSERT_GT(self->n, got[i].slot);
			ASSERT_EQ(self->when, got[i].deadline);
			self->seen[got[i].slot]++;
		}
	}
	check(_metadata, &self->q, self->seen, self->n, self->when);
}

TEST_F(storm, mapped)
{
	uint32_t n = 0, slot;

	while (n < self->n) {
		if (!ring_take(&self->q, &slot))
			continue;
		ASSERT_TRUE(slot_claim(&self->q, slot));
		ASSERT_GT(self->n, slot);
		self->seen[slot]++;
		n++;
	}
	check(_metadata, &self->q, self->seen, self->n, self->when);
}

/* In the midst of it a doorbell still has its due slot over at once. */
TEST_F(storm, doorbell_meanwhile)
{
	uint32_t spare = self->n, n = 0, slot;

	ASSERT_LT(spare, self->q.setup.slots);
	WAIT_FOR(status_of(&self->q.status->tail) > 1);
	ASSERT_EQ(0, slot_expire(&self->q, spare));
	while (n < self->n + 1) {
		if (!ring_take(&self->q, &slot))
			continue;
		ASSERT_TRUE(slot_claim(&self->q, slot));
		n++;
	}
	EXPECT_EQ(self->n + 1, expired(&self->q, self->n + 1));
}

TEST_HARNESS_MAIN
