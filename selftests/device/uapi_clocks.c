// SPDX-License-Identifier: GPL-2.0
/*
 * Each clock that a queue can be on: its deadlines, stamps and periods are times
 * of that clock and of no other. TAI is ahead of REALTIME here, or nobody could
 * tell them apart; MONOTONIC and BOOTTIME are for uapi_timens.
 */
#include "clocks.h"

#define TAI_AHEAD 37

FIXTURE(clock) {
	struct queue q;
};

FIXTURE_VARIANT(clock) {
	clockid_t id;
};

FIXTURE_VARIANT_ADD(clock, monotonic) { .id = CLOCK_MONOTONIC };
FIXTURE_VARIANT_ADD(clock, boottime) { .id = CLOCK_BOOTTIME };
FIXTURE_VARIANT_ADD(clock, realtime) { .id = CLOCK_REALTIME };
FIXTURE_VARIANT_ADD(clock, tai) { .id = CLOCK_TAI };

/* Set how far TAI is ahead, and see all be told who are to be. */
static int move_tai(long ahead)
{
	struct queue witness;

	if (queue_open_on(&witness, CLOCK_TAI, 1, O_CLOEXEC) || set_tai(ahead))
		return -1;
	WAIT_FOR(clock_sets(&witness) == 1);
	queue_close(&witness);
	return 0;
}

FIXTURE_SETUP(clock)
{
	uint64_t now = ns_of(CLOCK_REALTIME);

	ASSERT_EQ(0, move_tai(TAI_AHEAD));
	ASSERT_LE(now + TAI_AHEAD * SECOND, ns_of(CLOCK_TAI));
	ASSERT_EQ(0, queue_open_on(&self->q, variant->id, 1024, O_CLOEXEC));
}

FIXTURE_TEARDOWN(clock)
{
	queue_close(&self->q);
	ASSERT_EQ(0, move_tai(0));
}

TEST_F(clock, its_times)
{
	check_clock(_metadata, &self->q, variant->id);
}

/* Many, armed in any order */
TEST_F(clock, each_at_its_time)
{
	uint64_t sum = 0;
	uint32_t i;

	check_each_time(_metadata, &self->q, 0);
	/* Lateness is by the same clock: no more than 2^33 ns. */
	for (i = 33; i < 64; i++)
		sum += status_of(&self->q.status->late[i]);
	EXPECT_EQ(0, sum);
	EXPECT_EQ(0, clock_sets(&self->q));
}

TEST_HARNESS_MAIN
