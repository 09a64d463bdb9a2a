// SPDX-License-Identifier: GPL-2.0
/* The counters of a queue: what makes each of them more, and what they are with a thread. */
#include "library.h"

#define FAR (deadline_in(1000 * SECOND))
/* Not all of them expire in one interrupt. */
#define MANY 4096

static bool kernel_serves(deadline_queue *queue)
{
	return deadline_queue_backend(queue) == DEADLINE_BACKEND_KERNEL;
}

/* A deadline that has passed already when it is handed in needs no interrupt. */
TEST_F(lib, interrupts)
{
	uint64_t ahead = MS, before = stats_of(self->queue).interrupts;

	do {
		ahead *= 2;
		ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0,
					       deadline_in(ahead)));
		WAIT_FOR(slot_is_over(self->slots[0]));
	} while (stats_of(self->queue).interrupts == before && ahead < SECOND);
	EXPECT_LT(before, stats_of(self->queue).interrupts);
}

/* A look is planned, and before its time the deadline is moved on. */
TEST_F(lib, moved)
{
	deadline_slot *slot = self->slots[0];
	uint64_t ahead = 10 * MS, look;
	struct deadline_stats before;
	bool in_time;

	do {
		ahead *= 2;
		before = stats_of(self->queue);
		look = deadline_in(ahead);
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, look));
		handed_in(self->queue, before.handed_in + 1);
		in_time = deadline_slot_move(slot, FAR) == 1 &&
			  deadline_now() < look;
	} while (!in_time);
	WAIT_FOR(stats_of(self->queue).moved > before.moved);
	EXPECT_EQ(before.moved + 1, stats_of(self->queue).moved);
	EXPECT_LE(look, clock_ns());
	EXPECT_EQ(before.expired, stats_of(self->queue).expired);
}

TEST(full)
{
	struct deadline_options options = { .slots = MANY };
	static deadline_slot *slots[MANY];
	uint64_t ahead = 20 * MS, expired;
	deadline_queue *queue;

	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	ASSERT_EQ(0, slots_alloc(queue, slots, MANY));
	do {
		ahead *= 2;
		expired = stats_of(queue).expired;
		ASSERT_EQ(0, slots_arm(slots, MANY, deadline_in(ahead)));
		WAIT_FOR(stats_of(queue).expired == expired + MANY);
	} while (kernel_serves(queue) && !stats_of(queue).full &&
		 ahead < 4 * SECOND);
	EXPECT_EQ(kernel_serves(queue), stats_of(queue).full != 0);
	EXPECT_EQ(kernel_serves(queue), stats_of(queue).longest_ns != 0);
	deadline_queue_destroy(queue);
}

TEST_HARNESS_MAIN
