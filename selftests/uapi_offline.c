// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU whose timers are to fire goes offline: they move to another one, and
 * nothing is lost or early.
 */
#include "queue.h"

#define SLOTS 64u
#define ONLINE "/sys/devices/system/cpu/cpu1/online"

static int set_online(bool on)
{
	int fd = open(ONLINE, O_WRONLY | O_CLOEXEC);
	int ret = write(fd, on ? "1" : "0", 1) == 1 ? 0 : -1;

	close(fd);
	return ret;
}

FIXTURE(offline) {
	struct queue q[8];
};

FIXTURE_SETUP(offline)
{
	uint32_t i;

	ASSERT_EQ(0, set_online(true));
	for (i = 0; i < ARRAY_SIZE(self->q); i++)
		ASSERT_EQ(0, queue_open(&self->q[i], SLOTS, O_CLOEXEC));
}

FIXTURE_TEARDOWN(offline)
{
	uint32_t i;

	EXPECT_EQ(0, set_online(true));
	for (i = 0; i < ARRAY_SIZE(self->q); i++)
		queue_close(&self->q[i]);
}

TEST_F(offline, under_the_timer)
{
	uint64_t when[ARRAY_SIZE(self->q)][SLOTS], early = 0, seed = 1;
	unsigned long round, n = rounds(10);
	uint32_t i, k;

	for (round = 0; round < n; round++) {
		/* A timer that is started here fires here. */
		pin_to(1);
		for (k = 0; k < ARRAY_SIZE(self->q); k++) {
			for (i = 0; i < SLOTS; i++) {
				when[k][i] = due(clock_ns() +
						 next_random(&seed) % (60 * MS));
				ASSERT_EQ(0, slot_arm(&self->q[k], i,
						      when[k][i]));
			}
		}
		pin_to(0);
		ASSERT_EQ(0, set_online(false));
		for (k = 0; k < ARRAY_SIZE(self->q); k++) {
			for (i = 0; i < SLOTS; i++) {
				WAIT_FOR(slot_over(&self->q[k], i));
				early += self->q[k].slots[i].expired_at <
					 when[k][i];
			}
			EXPECT_EQ(SLOTS, ring_collect(&self->q[k], SLOTS));
		}
		ASSERT_EQ(0, set_online(true));
	}
	EXPECT_EQ(0, early);
}

TEST_HARNESS_MAIN
