// SPDX-License-Identifier: GPL-2.0
/*
 * What can be asked of a slot and changed of it: its deadline and how much is left of
 * it, its user data, the slack that it begins with; and an expiry that is dropped.
 */
#include "library.h"

#define HOUR (3600 * SECOND)

TEST_F(lib, tells_its_deadline)
{
	deadline_slot *slot = self->slots[0];
	uint64_t when = deadline_in(HOUR);

	EXPECT_EQ(0, deadline_slot_when(slot));
	EXPECT_EQ(0, deadline_slot_remaining(slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, when));
	EXPECT_LE(when, deadline_slot_when(slot));
	EXPECT_GT(when + 16, deadline_slot_when(slot));
	EXPECT_LT(0, deadline_slot_remaining(slot));
	EXPECT_GE(HOUR + 16, deadline_slot_remaining(slot));
	ASSERT_EQ(1, deadline_slot_move(slot, DEADLINE_NEVER));
	EXPECT_EQ(DEADLINE_NEVER, deadline_slot_when(slot));
	EXPECT_EQ(DEADLINE_NEVER, deadline_slot_remaining(slot));
	ASSERT_EQ(1, deadline_slot_cancel(slot));
	EXPECT_EQ(0, deadline_slot_when(slot));
	EXPECT_EQ(0, deadline_slot_remaining(slot));
}

TEST_F(lib, drops_an_expiry)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	EXPECT_EQ(0, deadline_slot_drop(slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	WAIT_FOR(slot_is_over(slot));
	EXPECT_EQ(1, deadline_slot_drop(slot));
	EXPECT_EQ(0, deadline_slot_drop(slot));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	EXPECT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(slot, record.slot);
	EXPECT_EQ(0, deadline_slot_drop(slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, DEADLINE_NEVER));
	EXPECT_EQ(0, deadline_slot_drop(slot));
	EXPECT_FALSE(slot_is_over(slot));
}

/* A periodic slot's expiry is dropped, and it goes on; with a cancel nothing comes. */
TEST_F(lib, drops_of_a_periodic_one)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_set_period(slot, MS));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	ASSERT_EQ(0, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	EXPECT_EQ(1, deadline_slot_drop(slot));
	EXPECT_FALSE(slot_is_over(slot));
	EXPECT_EQ(1, reap_one(self->queue, &record));
	ASSERT_EQ(0, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	WAIT_FOR(deadline_queue_pending(self->queue));
	ASSERT_EQ(1, deadline_slot_cancel(slot));
	deadline_slot_drop(slot);
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
}

TEST_F(lib, user_data_changes)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_set_user_data(slot, 1234));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(HOUR)));
	EXPECT_EQ(-EBUSY, deadline_slot_set_user_data(slot, 5));
	ASSERT_EQ(1, deadline_slot_move(slot, 1));
	EXPECT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(1234, record.user_data);
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	ASSERT_EQ(0, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	ASSERT_EQ(0, deadline_slot_set_user_data(slot, UINT64_MAX));
	EXPECT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(UINT64_MAX, record.user_data);
}

/* What is tried on an expiry in vain leaves it as it was told. */
TEST_F(lib, keeps_its_deadline)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 4711));
	WAIT_FOR(slot_is_over(slot));
	EXPECT_EQ(0, deadline_slot_move(slot, deadline_in(HOUR)));
	EXPECT_EQ(0, deadline_slot_cancel(slot));
	EXPECT_EQ(0, deadline_slot_expire(slot));
	EXPECT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(slot, record.slot);
	EXPECT_EQ(4711 / 16 * 16 + 16, record.when);
}

/* Nothing else has the queue looked at, so the slot expires when its slack is spent. */
TEST(slack_of_the_queue)
{
	struct deadline_options options = { .slots = 64, .slack = 200 * MS };
	struct deadline_record record;
	deadline_queue *queue;
	deadline_slot *slot;
	int i;

	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, deadline_slot_alloc(queue, 1, &slot));
		/* Not so soon that a busy machine arms it when that has passed */
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(500 * MS)));
		EXPECT_EQ(1, reap_one(queue, &record));
		EXPECT_LE(record.when + 200 * MS, record.expired_at);
		/* The next one that is allocated begins with that again. */
		ASSERT_EQ(0, deadline_slot_set_slack(slot, 0));
		deadline_slot_free(slot);
	}
	deadline_queue_destroy(queue);
}

TEST_HARNESS_MAIN
