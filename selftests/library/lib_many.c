// SPDX-License-Identifier: GPL-2.0
/*
 * deadline_slot_arm_many(): all of them or none, of one queue or of several,
 * with a doorbell for many at a time.
 */
#include "library.h"

#define MOST 3000

FIXTURE(many) {
	struct deadline_queue *queues[2];
	struct deadline_slot *slots[2][MOST];
};

FIXTURE_SETUP(many)
{
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, deadline_queue_open(&self->queues[i], NULL));
		ASSERT_EQ(0, slots_alloc(self->queues[i], self->slots[i],
					 MOST));
	}
}

FIXTURE_TEARDOWN(many)
{
	int i;

	for (i = 0; i < 2; i++) {
		slots_free(self->slots[i], MOST);
		EXPECT_EQ(0, deadline_queue_close(self->queues[i]));
	}
}

/* Reap @n expiries of @when; how many were wrong */
static unsigned int reap_many(deadline_queue *queue, unsigned int n,
			      uint64_t when)
{
	static unsigned char seen[MOST];
	struct deadline_record record;
	unsigned int i, wrong = 0;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < n; i++) {
		if (reap_one(queue, &record) != 1)
			return n;
		wrong += record.when < when || record.when > when + 15 ||
			record.expired_at < record.when ||
			seen[record.user_data]++;
	}
	return wrong + (deadline_queue_reap(queue, &record, 1) != 0);
}

TEST_F(many, all_expire)
{
	static const unsigned int sizes[] = { 1, 2, 127, 128, 129, 256, MOST };
	unsigned int i, n;
	uint64_t when;

	EXPECT_EQ(0, slots_arm(self->slots[0], 0, 1));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = sizes[i];
		when = deadline_in(i % 2 ? 2 * MS : 0);
		ASSERT_EQ(0, slots_arm(self->slots[0], n, when));
		EXPECT_EQ(0, reap_many(self->queues[0], n, when));
	}
	EXPECT_EQ(0, stats_of(self->queues[0]).contended);
}

/* All at once never: no doorbell; and none for those whose look is planned */
TEST_F(many, no_needless_doorbell)
{
	unsigned int i, j;

	ASSERT_EQ(0, slots_arm(self->slots[0], MOST, DEADLINE_NEVER));
	for (i = 0; i < MOST; i++)
		ASSERT_EQ(1, deadline_slot_cancel(self->slots[0][i]));
	for (i = 1; i <= 2; i++) {
		ASSERT_EQ(0, slots_arm(self->slots[0], MOST - 1,
				       deadline_in(i * 1000 * SECOND)));
		serve_inbox(self->queues[0], self->slots[0][MOST - 1]);
		EXPECT_EQ(MOST - 1 + 2 * i,
			  stats_of(self->queues[0]).handed_in);
		for (j = 0; j < MOST - 1; j++)
			ASSERT_EQ(1, deadline_slot_cancel(self->slots[0][j]));
	}
}

/* Each is due before those before it, so that all want a look sooner than is planned. */
static uint64_t doorbells_of(deadline_queue *queue, deadline_slot **slots,
			     unsigned int n)
{
	uint64_t before = stats_of(queue).doorbells;
	uint64_t when[2 * MOST], far = deadline_in(1000 * SECOND);
	unsigned int i;
	int ret;

	for (i = 0; i < n; i++)
		when[i] = far - i * MS;
	ret = deadline_slot_arm_many(slots, when, n);
	while (n--)
		ret |= deadline_slot_cancel(slots[n]) != 1;
	return ret ? UINT64_MAX : stats_of(queue).doorbells - before;
}

/*
 * One doorbell for up to 128 that follow each other and are of one queue; fewer where
 * the thread that serves is about to look anyway.
 */
TEST_F(many, doorbells)
{
	static const unsigned int sizes[] = { 1, 128, 129, 256, 257 };
	deadline_slot *mixed[256];
	unsigned int i;
	uint64_t rung, least;

	least = deadline_queue_backend(self->queues[0]) ==
		DEADLINE_BACKEND_KERNEL;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		rung = doorbells_of(self->queues[0], self->slots[0] + i * 300,
				    sizes[i]);
		EXPECT_LE(least, rung);
		EXPECT_GE((sizes[i] + 127) / 128, rung);
	}
	/* In two halves, and then by turns */
	for (i = 0; i < 256; i++)
		mixed[i] = self->slots[i / 128][2000 + i % 128];
	rung = doorbells_of(self->queues[1], mixed, 256);
	EXPECT_LE(least, rung);
	EXPECT_GE(1, rung);
	for (i = 0; i < 256; i++)
		mixed[i] = self->slots[i % 2][2500 + i / 2];
	rung = doorbells_of(self->queues[1], mixed, 256);
	EXPECT_LE(least, rung);
	EXPECT_GE(128, rung);
}

/* Before the first of them is due: else that would have to wait for all. */
TEST_F(many, later_ones_served_ahead)
{
	deadline_queue *queue = self->queues[0];
	uint64_t far = deadline_in(1000 * SECOND);
	unsigned int i;

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0][0], 0, far));
	serve_inbox(queue, self->slots[0][MOST - 1]);
	for (i = 1; i < MOST - 1; i++)
		ASSERT_EQ(0, deadline_slot_arm(self->slots[0][i], 0, far + i));
	EXPECT_LE(3 + MOST / 2, handed_in(queue, 3 + MOST / 2));
}

/* Of two queues, in turns, in pairs, in halves */
TEST_F(many, two_queues)
{
	static const unsigned int runs[] = { 1, 2, 130, MOST };
	static struct deadline_slot *mixed[2 * MOST];
	unsigned int i, j, k, next[2];
	uint64_t when;

	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		memset(next, 0, sizeof(next));
		for (j = 0; j < 2 * MOST; j++) {
			k = j / runs[i] % 2;
			if (next[k] == MOST)
				k = !k;
			mixed[j] = self->slots[k][next[k]++];
		}
		when = deadline_in(5 * MS);
		ASSERT_EQ(0, slots_arm(mixed, 2 * MOST, when));
		EXPECT_EQ(0, reap_many(self->queues[0], MOST, when));
		EXPECT_EQ(0, reap_many(self->queues[1], MOST, when));
	}
}

/* Each at its own time, in any order */
TEST_F(many, own_times)
{
	static uint64_t when[MOST];
	struct deadline_record record;
	uint64_t base = deadline_in(5 * MS);
	unsigned int i, wrong = 0;

	for (i = 0; i < MOST; i++)
		when[i] = base + i * 7919 % MOST * US;
	ASSERT_EQ(0, deadline_slot_arm_many(self->slots[0], when, MOST));
	for (i = 0; i < MOST; i++) {
		ASSERT_EQ(1, reap_one(self->queues[0], &record));
		wrong += record.when < when[record.user_data] ||
			 record.when > when[record.user_data] + 15 ||
			 record.expired_at < record.when;
	}
	EXPECT_EQ(0, wrong);
}

/* One slot is armed already: the call fails, and those before it are cancelled. */
TEST_F(many, rolled_back)
{
	static const unsigned int at[] = { 0, 1, 127, 128, 129, 300, MOST - 1 };
	unsigned int i, j, armed;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[0][at[i]], 0,
					       DEADLINE_NEVER));
		EXPECT_EQ(-EBUSY, slots_arm(self->slots[0], MOST,
					    deadline_in(1000 * SECOND)));
		armed = 0;
		for (j = 0; j < MOST; j++)
			armed += !slot_is_over(self->slots[0][j]);
		EXPECT_EQ(1, armed);
		EXPECT_EQ(1, deadline_slot_cancel(self->slots[0][at[i]]));
	}
	EXPECT_EQ(0, stats_of(self->queues[0]).expired);
}

/* A slot that is listed twice counts as armed already: the call fails. */
TEST_F(many, listed_twice)
{
	struct deadline_slot *twice[] = { self->slots[0][0], self->slots[1][0],
		self->slots[0][0] };

	EXPECT_EQ(-EBUSY, slots_arm(twice, 3, deadline_in(1000 * SECOND)));
	EXPECT_TRUE(slot_is_over(self->slots[0][0]));
	EXPECT_TRUE(slot_is_over(self->slots[1][0]));
}

TEST_HARNESS_MAIN
