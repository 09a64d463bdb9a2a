// SPDX-License-Identifier: GPL-2.0
/*
 * Periodic slots and slots with slack through the library, on either backend:
 * what the setters refuse, that no period is lost, doubled or early, and that
 * slack saves wake-ups. What the kernel does in detail: uapi_periodic, uapi_slack.
 */
#include "library.h"

#define FAR (deadline_in(1000 * SECOND))
/* No multiple of 16 */
#define PERIOD 200003ull

TEST_F(lib, refused)
{
	deadline_slot *slot = self->slots[0];

	EXPECT_EQ(-EINVAL, deadline_slot_set_period(slot, 1));
	EXPECT_EQ(-EINVAL, deadline_slot_set_period(slot, 9999));
	EXPECT_EQ(-EINVAL, deadline_slot_set_period(slot, 1ull << 63));
	EXPECT_EQ(0, deadline_slot_set_period(slot, 10000));
	EXPECT_EQ(0, deadline_slot_set_period(slot, 0));
	EXPECT_EQ(0, deadline_slot_set_slack(slot, UINT32_MAX));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, FAR));
	EXPECT_EQ(-EBUSY, deadline_slot_set_period(slot, 0));
	EXPECT_EQ(-EBUSY, deadline_slot_set_slack(slot, 0));
	EXPECT_EQ(1, deadline_slot_cancel(slot));
	EXPECT_EQ(0, deadline_slot_set_period(slot, 10000));
	EXPECT_EQ(0, deadline_slot_set_slack(slot, 0));
}

/*
 * Reaped and overrun together are the periods that passed, each at its time: to the
 * nanosecond, from the one that it was armed for, which was rounded up.
 */
TEST_F(lib, each_period)
{
	uint64_t start = deadline_in(5 * MS) | 1, passed = 0, exact;
	unsigned long i, n = rounds(500), early = 0, wrong = 0;
	deadline_slot *slot = self->slots[3];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_set_period(slot, PERIOD));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, start));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(1, reap_one(self->queue, &record));
		ASSERT_EQ(slot, record.slot);
		passed += record.overruns + 1;
		exact = (start + 15) / 16 * 16 + (passed - 1) * PERIOD;
		wrong += record.when != exact;
		early += record.expired_at < exact;
		EXPECT_FALSE(slot_is_over(slot));
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, early);
	EXPECT_EQ(1, deadline_slot_cancel(slot));
	EXPECT_TRUE(slot_is_over(slot));
	EXPECT_EQ(0, deadline_slot_cancel(slot));
}

/* What nobody reaps is told as overruns of the next. */
TEST_F(lib, merged)
{
	deadline_slot *slot = self->slots[3];
	uint64_t start = deadline_in(MS) & ~15ull;
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_set_period(slot, PERIOD));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, start));
	WAIT_FOR(stats_of(self->queue).expired >= 5);
	ASSERT_EQ(1, deadline_slot_cancel(slot));
	ASSERT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_LE(4, record.overruns);
	EXPECT_EQ(start + record.overruns * PERIOD, record.when);
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
}

/* What expired before the cancel is delivered, once; and no more comes. */
TEST_F(lib, cancelled_with_an_expiry)
{
	deadline_slot *slot = self->slots[3];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_set_period(slot, 500 * SECOND));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	ASSERT_EQ(0, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	ASSERT_EQ(1, deadline_slot_cancel(slot));
	ASSERT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(slot, record.slot);
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(0, deadline_slot_set_period(slot, 0));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(0, record.overruns);
	EXPECT_TRUE(slot_is_over(slot));
}

/* A slot that is freed is plain again for whoever gets it next. */
TEST_F(lib, freed)
{
	deadline_slot *slot = self->slots[63];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_set_period(slot, 500 * SECOND));
	ASSERT_EQ(0, deadline_slot_set_slack(slot, UINT32_MAX));
	deadline_slot_free(slot);
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 63, &self->slots[63]));
	ASSERT_EQ(slot, self->slots[63]);
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(MS)));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_GT(record.when + 4 * SECOND, record.expired_at);
	EXPECT_TRUE(slot_is_over(slot));
}

/* Arm 63 with slack and, last, one without, @ahead of now; are they in time? */
static bool arm_with_slack(struct __test_metadata *_metadata,
			   deadline_slot **slots, uint64_t ahead,
			   uint64_t *when)
{
	int i;

	*when = deadline_in(ahead);
	for (i = 0; i < 63; i++) {
		ASSERT_EQ(0, deadline_slot_set_slack(slots[i], 4 * SECOND));
		ASSERT_EQ(0, deadline_slot_arm(slots[i], 0, *when - i));
	}
	ASSERT_EQ(0, deadline_slot_arm(slots[63], 0, *when + 1000));
	if (deadline_now() < *when)
		return true;
	for (i = 0; i < 64; i++)
		deadline_slot_cancel(slots[i]);
	return false;
}

/* They wait for the one without, and share its wake-up. */
TEST_F(lib, slack)
{
	uint64_t when, ahead = 50 * MS, sum = 0, early = 0, late = 0;
	struct deadline_record record;
	uint64_t before;
	int i;

	while (!arm_with_slack(_metadata, self->slots, ahead, &when))
		ahead *= 2;
	before = stats_of(self->queue).interrupts;
	for (i = 0; i < 64; i++) {
		ASSERT_EQ(1, reap_one(self->queue, &record));
		early += record.expired_at < record.when;
		if (record.when < when - 64)
			continue;
		early += record.expired_at < when + 1000;
		late += record.expired_at > when + 3 * SECOND;
		sum += record.user_data;
	}
	EXPECT_EQ(0, early);
	/* A batch of 16 at least; there the budget of a slow machine ends. */
	EXPECT_GE(64 - 16, late);
	EXPECT_EQ(64 * 63 / 2, sum);
	EXPECT_GE(before + 8, stats_of(self->queue).interrupts);
}

/* Its time has passed when it is armed: none waits longer than its slack from there. */
TEST_F(lib, past_with_slack)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;
	unsigned int i;
	uint64_t when;

	for (i = 0; i < 2; i++) {
		when = deadline_now() - 100 * MS;
		ASSERT_EQ(0, deadline_slot_set_slack(slot,
						     i ? 300 * MS : MS));
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, when));
		ASSERT_EQ(1, reap_one(self->queue, &record));
		EXPECT_EQ(slot, record.slot);
		EXPECT_LE(when, record.when);
		EXPECT_GT(when + 3 * SECOND, record.expired_at);
	}
}

/*
 * What nobody reaps is looked at ever more rarely, and told of all the same; whoever
 * reaps it at last has the next one in time.
 */
TEST_F(lib, unread)
{
	uint64_t start = deadline_in(MS) & ~15ull, looks, bells;
	deadline_slot *slot = self->slots[3];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_set_period(slot, 20000));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, start));
	WAIT_FOR(deadline_now() >= start + 400 * MS);
	looks = stats_of(self->queue).expired;
	bells = stats_of(self->queue).doorbells;
	EXPECT_GT(16 + 16 * 8, looks);
	ASSERT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_LE(16, record.overruns);
	/* That was asked for by a doorbell. */
	WAIT_FOR(stats_of(self->queue).doorbells > bells);
	EXPECT_EQ(1, deadline_slot_cancel(slot));
}

TEST_HARNESS_MAIN
