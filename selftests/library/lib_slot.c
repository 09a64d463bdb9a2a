// SPDX-License-Identifier: GPL-2.0
/*
 * One slot through the library: what each call answers in each state, what it
 * leaves alone, and how times at the ends of the range are taken.
 */
#include "library.h"

#define FAR (deadline_in(1000 * SECOND))

TEST_F(lib, arm_and_expire)
{
	deadline_slot *slot = self->slots[5];
	struct deadline_record record;
	uint64_t when = deadline_in(2 * MS);

	EXPECT_TRUE(slot_is_over(slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, when));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_TRUE(slot_is_over(slot));
	EXPECT_EQ(slot, record.slot);
	EXPECT_EQ(5, record.user_data);
	EXPECT_LE(when, record.when);
	EXPECT_GT(when + 16, record.when);
	EXPECT_EQ(0, record.when % 16);
	EXPECT_LE(record.when, record.expired_at);
	EXPECT_GE(deadline_now(), record.expired_at);
	EXPECT_EQ(0, record.overruns);
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
}

TEST_F(lib, arm_refused)
{
	deadline_slot *slot = self->slots[0];
	int bit;

	for (bit = 0; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, deadline_slot_arm(slot, 1u << bit, FAR));
		EXPECT_TRUE(slot_is_over(slot));
	}
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, FAR));
	EXPECT_EQ(-EBUSY, deadline_slot_arm(slot, 0, 1));
	EXPECT_FALSE(slot_is_over(slot));
	EXPECT_EQ(1, deadline_slot_cancel(slot));
}

TEST_F(lib, cancel)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	EXPECT_EQ(0, deadline_slot_cancel(slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, FAR));
	EXPECT_FALSE(slot_is_over(slot));
	EXPECT_EQ(1, deadline_slot_cancel(slot));
	EXPECT_TRUE(slot_is_over(slot));
	EXPECT_EQ(0, deadline_slot_cancel(slot));
	EXPECT_EQ(0, deadline_slot_expire(slot));
	EXPECT_EQ(0, deadline_slot_move(slot, FAR));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(0, stats_of(self->queue).expired);
}

TEST_F(lib, request)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	EXPECT_EQ(0, deadline_slot_expire(slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, FAR));
	EXPECT_EQ(1, deadline_slot_expire(slot));
	EXPECT_TRUE(slot_is_over(slot));
	EXPECT_EQ(0, deadline_slot_expire(slot));
	EXPECT_EQ(0, deadline_slot_cancel(slot));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_FALSE(deadline_queue_pending(self->queue));
	/* The word tells a request from a cancel: EXPIRED and TAKEN. */
	EXPECT_EQ(6, *(const uint64_t *)deadline_slot_word(slot) % 16);
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, FAR));
	EXPECT_EQ(1, deadline_slot_cancel(slot));
	EXPECT_EQ(0, *(const uint64_t *)deadline_slot_word(slot) % 16);
}

TEST_F(lib, after_expiry)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(MS)));
	WAIT_FOR(slot_is_over(slot));
	EXPECT_EQ(0, deadline_slot_cancel(slot));
	EXPECT_EQ(0, deadline_slot_expire(slot));
	EXPECT_EQ(0, deadline_slot_move(slot, FAR));
	EXPECT_TRUE(slot_is_over(slot));
	EXPECT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(0, deadline_slot_cancel(slot));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
}

TEST_F(lib, move_later)
{
	uint64_t when = deadline_in(200 * MS);
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(slot, 0, when));
	ASSERT_EQ(1, deadline_slot_move(slot, when + 15 * MS));
	EXPECT_EQ(1, handed_in(self->queue, 1));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_LE(when + 15 * MS, record.when);
	EXPECT_LE(record.when, record.expired_at);
	EXPECT_EQ(1, handed_in(self->queue, 1));
}

TEST_F(lib, move_earlier)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;
	uint64_t when;

	ASSERT_EQ(0, deadline_slot_arm(slot, 0, FAR));
	EXPECT_EQ(1, handed_in(self->queue, 1));
	when = deadline_in(5 * MS);
	ASSERT_EQ(1, deadline_slot_move(slot, when));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_LE(when, record.when);
	EXPECT_GT(when + 16, record.when);
	EXPECT_LE(record.when, record.expired_at);
	EXPECT_EQ(2, handed_in(self->queue, 2));
}

/* A slot armed for later than another is moved to before it. */
TEST_F(lib, move_earlier_than_another)
{
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, FAR));
	handed_in(self->queue, 1);
	ASSERT_EQ(0, deadline_slot_arm(self->slots[1], 0, FAR + MS));
	ASSERT_EQ(1, deadline_slot_move(self->slots[1], deadline_in(5 * MS)));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(self->slots[1], record.slot);
}

/* The server does not wake for a slot that is due after the look it has planned. */
TEST_F(lib, later_ones_wake_nobody)
{
	uint64_t before;
	int i;

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, FAR));
	serve_inbox(self->queue, self->slots[1]);
	before = stats_of(self->queue).interrupts;
	for (i = 2; i < 64; i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0, FAR + i));
		/* In which somebody could wake */
		EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue,
						      deadline_in(100 * US)));
	}
	serve_inbox(self->queue, self->slots[1]);
	EXPECT_GE(before + 4, stats_of(self->queue).interrupts);
}

/* From never to soon, and from soon to never */
TEST_F(lib, move_never)
{
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, DEADLINE_NEVER));
	ASSERT_EQ(1, deadline_slot_move(self->slots[0], deadline_in(MS)));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(self->slots[0], record.slot);
	ASSERT_EQ(0, deadline_slot_arm(self->slots[1], 0,
				       deadline_in(200 * MS)));
	EXPECT_EQ(2, handed_in(self->queue, 2));
	ASSERT_EQ(1, deadline_slot_move(self->slots[1], DEADLINE_NEVER));
	/* The look at the old time finds it so. */
	WAIT_FOR(stats_of(self->queue).dropped == 1);
	EXPECT_FALSE(slot_is_over(self->slots[1]));
	EXPECT_EQ(1, deadline_slot_cancel(self->slots[1]));
}

/* Never: armed, and no doorbell for it; nor for what would be as late. */
TEST_F(lib, never)
{
	uint64_t never[] = { DEADLINE_NEVER, DEADLINE_NEVER - 1,
		DEADLINE_NEVER - 14 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(never); i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0, never[i]));
		EXPECT_FALSE(slot_is_over(self->slots[i]));
		EXPECT_EQ(UINT64_MAX - 14, *(const uint64_t *)
			  deadline_slot_word(self->slots[i]));
	}
	serve_inbox(self->queue, self->slots[9]);
	EXPECT_EQ(2, stats_of(self->queue).handed_in);
	for (i = 0; i < ARRAY_SIZE(never); i++) {
		EXPECT_FALSE(slot_is_over(self->slots[i]));
		EXPECT_EQ(1, deadline_slot_cancel(self->slots[i]));
	}
}

/* The last times before never do not wrap around to "now". */
TEST_F(lib, far_future)
{
	uint64_t far[] = { DEADLINE_NEVER - 15, DEADLINE_NEVER - 16,
		DEADLINE_NEVER - 31, DEADLINE_NEVER - 32, 1ull << 63 };
	unsigned int i, n = ARRAY_SIZE(far);
	struct deadline_record record;

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0, far[i]));
	ASSERT_EQ(0, deadline_slot_arm(self->slots[n], 0, deadline_in(MS)));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(self->slots[n], record.slot);
	for (i = 0; i < n; i++) {
		EXPECT_FALSE(slot_is_over(self->slots[i]));
		EXPECT_EQ(1, deadline_slot_cancel(self->slots[i]));
	}
}

TEST_F(lib, past)
{
	uint64_t past[] = { 0, 1, 16, deadline_now() };
	struct deadline_record record;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(past); i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0, past[i]));
		ASSERT_EQ(1, reap_one(self->queue, &record));
		EXPECT_EQ(self->slots[i], record.slot);
		EXPECT_LE(past[i], record.when);
		EXPECT_GE(past[i] + 15, record.when);
	}
	/* An armed one that is moved into the past */
	ASSERT_EQ(0, deadline_slot_arm(self->slots[9], 0, FAR));
	ASSERT_EQ(1, deadline_slot_move(self->slots[9], 0));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(0, record.when);
}

TEST(saturating)
{
	uint64_t now = deadline_now(), in = deadline_in(5);

	EXPECT_LE(now + 5, in);
	EXPECT_GE(deadline_now() + 5, in);
	EXPECT_EQ(DEADLINE_NEVER, deadline_in(DEADLINE_NEVER));
	EXPECT_EQ(DEADLINE_NEVER, deadline_in(DEADLINE_NEVER - 1));
	EXPECT_GT(DEADLINE_NEVER, deadline_in(DEADLINE_NEVER / 2));
	EXPECT_LE(clock_ns(), deadline_now());
}

/* An expiry that nobody reaped is claimed by the next arm. */
TEST_F(lib, rearm_claims)
{
	deadline_slot *slot = self->slots[0];
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, FAR));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_FALSE(deadline_queue_pending(self->queue));
	EXPECT_EQ(1, deadline_slot_cancel(slot));
}

/* An expiry that nobody reaped is gone with its slot. */
TEST_F(lib, free_forgets)
{
	struct deadline_record record;
	deadline_slot *slot = POISON;

	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 4711, &slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	deadline_slot_free(slot);
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	deadline_slot_free(NULL);
}

/* A slot freed while it is armed does not expire. */
TEST_F(lib, free_cancels)
{
	uint64_t when = deadline_in(5 * MS);
	struct deadline_record record;
	deadline_slot *slot, *again;

	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 4711, &slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, when));
	deadline_slot_free(slot);
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 4712, &again));
	EXPECT_EQ(slot, again);
	EXPECT_TRUE(slot_is_over(again));
	WAIT_FOR(stats_of(self->queue).dropped +
		 stats_of(self->queue).expired == 1);
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	/* And serves again, for its new owner. */
	ASSERT_EQ(0, deadline_slot_arm(again, 0, deadline_in(MS)));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(4712, record.user_data);
	deadline_slot_free(again);
}

/* The slot freed last is allocated first: its parked look still serves. */
TEST_F(lib, last_in_first_out)
{
	deadline_slot *slots[3], *again;
	int i;

	ASSERT_EQ(0, slots_alloc(self->queue, slots, 3));
	EXPECT_EQ(67, stats_of(self->queue).allocated);
	for (i = 0; i < 3; i++)
		deadline_slot_free(slots[i]);
	EXPECT_EQ(64, stats_of(self->queue).allocated);
	for (i = 2; i >= 0; i--) {
		ASSERT_EQ(0, deadline_slot_alloc(self->queue, 0, &again));
		EXPECT_EQ(slots[i], again);
	}
	for (i = 0; i < 3; i++)
		deadline_slot_free(slots[i]);
}

TEST(all_taken)
{
	struct deadline_options options = { .slots = 64 };
	deadline_slot *slots[64 + 64], *more;
	deadline_queue *queue;
	unsigned int i, n, j;

	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	n = stats_of(queue).slots;
	ASSERT_GE(ARRAY_SIZE(slots), n);
	ASSERT_EQ(0, slots_alloc(queue, slots, n));
	more = POISON;
	EXPECT_EQ(-ENOSPC, deadline_slot_alloc(queue, 0, &more));
	EXPECT_EQ(POISON, more);
	for (i = 0; i < n; i++) {
		for (j = 0; j < i; j++)
			EXPECT_NE(slots[i], slots[j]);
	}
	deadline_slot_free(slots[17]);
	EXPECT_EQ(0, deadline_slot_alloc(queue, 0, &slots[17]));
	EXPECT_EQ(-ENOSPC, deadline_slot_alloc(queue, 0, &more));
	slots_free(slots, n);
	EXPECT_EQ(0, deadline_queue_close(queue));
}

/* No call touches errno, whatever it answers. */
TEST_F(lib, errno_untouched)
{
	deadline_slot *slot = self->slots[0], *other;
	struct deadline_record record;
	struct deadline_stats stats;
	deadline_queue *queue;
	uint64_t far[20];
	unsigned int i;

#define KEEPS(call) do {				\
	errno = 4711;					\
	(void)(call);					\
	EXPECT_EQ(4711, errno) TH_LOG("%s", #call);	\
} while (0)
	for (i = 0; i < 20; i++)
		far[i] = FAR;
	KEEPS(deadline_now());
	KEEPS(deadline_in(1));
	KEEPS(deadline_version());
	KEEPS(deadline_slot_arm(slot, 0, 1));
	KEEPS(deadline_slot_arm(self->slots[1], 0, FAR));
	KEEPS(deadline_slot_arm(self->slots[1], 0, FAR));
	KEEPS(deadline_slot_arm(self->slots[2], 77, FAR));
	KEEPS(deadline_slot_arm_many(&self->slots[10], far, 20));
	KEEPS(deadline_slot_move(self->slots[1], deadline_in(MS)));
	KEEPS(deadline_queue_fd(self->queue));
	KEEPS(deadline_queue_backend(self->queue));
	KEEPS(deadline_queue_wait(self->queue, FAR));
	KEEPS(deadline_queue_reap(self->queue, &record, 1));
	KEEPS(deadline_queue_wait(self->queue, FAR));
	KEEPS(deadline_queue_reap(self->queue, &record, 1));
	KEEPS(deadline_queue_reap(self->queue, &record, 1));
	KEEPS(deadline_queue_wait(self->queue, deadline_in(MS)));
	KEEPS(deadline_queue_wait(self->queue, 0));
	KEEPS(deadline_queue_stats(self->queue, &stats));
	KEEPS(deadline_slot_cancel(slot));
	KEEPS(deadline_slot_expire(slot));
	KEEPS(deadline_slot_alloc(self->queue, 0, &other));
	KEEPS(deadline_slot_free(other));
	KEEPS(deadline_queue_close(self->queue));
	KEEPS(deadline_queue_open(&queue, NULL));
	KEEPS(deadline_queue_close(queue));
#undef KEEPS
}

TEST(version)
{
	int major = -1, minor = -1, patch = -1;
	int found;
	char rest;

	found = sscanf(deadline_version(), "%d.%d.%d%c", &major, &minor, &patch,
		       &rest);
	EXPECT_EQ(3, found);
	EXPECT_LE(0, major);
}

TEST_HARNESS_MAIN
