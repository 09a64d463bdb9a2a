// SPDX-License-Identifier: GPL-2.0
/*
 * The inline forms of deadline_inline.h and the exported functions do the same:
 * each call, in each state, answers alike and leaves the same word.
 */
#include <deadline_inline.h>
#include "library.h"

/* Through a volatile pointer the library's own is called. */
static typeof(deadline_slot_arm) *volatile exported_arm = deadline_slot_arm;
static typeof(deadline_slot_move) *volatile exported_move = deadline_slot_move;
static typeof(deadline_slot_cancel) *volatile exported_cancel =
	deadline_slot_cancel;
static typeof(deadline_slot_expire) *volatile exported_expire =
	deadline_slot_expire;
static typeof(deadline_over) *volatile exported_over = deadline_over;
static typeof(deadline_queue_pending) *volatile exported_pending =
	deadline_queue_pending;

/* Every state that a word may be in, by its low bits */
static const __u64 states[] = { 0, 1, 2, 6, 8, 9, 10 };

/* Both slots into one state, as if the queue had planned a look at @queued */
static void prepare(deadline_slot **slots, unsigned int state, __u64 queued)
{
	__u64 word = (deadline_in(1000 * SECOND) & ~DEADLINE_WORD_STATE) |
		states[state];
	int i;

	for (i = 0; i < 2; i++) {
		__atomic_store_n(&slots[i]->word, word, __ATOMIC_RELAXED);
		__atomic_store_n(&slots[i]->queued, queued, __ATOMIC_RELAXED);
	}
}

static bool alike(deadline_slot **slots)
{
	return slots[0]->word == slots[1]->word &&
		exported_over(deadline_slot_word(slots[0])) ==
		deadline_over(deadline_slot_word(slots[1]));
}

static const uint64_t times[] = { DEADLINE_NEVER, DEADLINE_NEVER - 14,
	DEADLINE_NEVER - 15, DEADLINE_NEVER - 31, 1ull << 63, (1ull << 63) + 1,
	(1ull << 62) + 15, (1ull << 62) + 16 };

/* With @queued at 1 no call rings, so that nobody else changes a word. */
TEST_F(lib, arm)
{
	deadline_slot **slots = self->slots;
	unsigned int i, j, flags;

	for (i = 0; i < ARRAY_SIZE(states) * ARRAY_SIZE(times); i++) {
		j = i / ARRAY_SIZE(states);
		for (flags = 0; flags < 3; flags++) {
			prepare(slots, i % ARRAY_SIZE(states), 1);
			EXPECT_EQ(exported_arm(slots[0], flags, times[j]),
				  deadline_slot_arm(slots[1], flags, times[j]));
			EXPECT_TRUE(alike(slots));
		}
	}
	EXPECT_EQ(0, stats_of(self->queue).handed_in);
}

TEST_F(lib, move)
{
	deadline_slot **slots = self->slots;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(states) * ARRAY_SIZE(times); i++) {
		j = i / ARRAY_SIZE(states);
		prepare(slots, i % ARRAY_SIZE(states), 1);
		EXPECT_EQ(exported_move(slots[0], times[j]),
			  deadline_slot_move(slots[1], times[j]));
		EXPECT_TRUE(alike(slots));
	}
	EXPECT_EQ(0, stats_of(self->queue).handed_in);
}

TEST_F(lib, end)
{
	deadline_slot **slots = self->slots;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		prepare(slots, i, 1);
		EXPECT_EQ(exported_cancel(slots[0]),
			  deadline_slot_cancel(slots[1]));
		EXPECT_TRUE(alike(slots));
		prepare(slots, i, 1);
		EXPECT_EQ(exported_expire(slots[0]),
			  deadline_slot_expire(slots[1]));
		EXPECT_TRUE(alike(slots));
	}
}

/*
 * One ns on either side of what is planned: both ring, or neither. Each round
 * is earlier than those before, whose looks are planned still.
 */
TEST_F(lib, doorbell)
{
	uint64_t planned = deadline_in(1000 * SECOND) & ~DEADLINE_WORD_STATE;
	deadline_slot **slots = self->slots;
	uint64_t rung = 0;
	int by;

	for (by = -33; by <= 33; by++) {
		planned -= US * DEADLINE_GRAIN;
		prepare(slots, 0, planned);
		ASSERT_EQ(0, exported_arm(slots[0], 0, planned + by));
		ASSERT_EQ(0, deadline_slot_arm(slots[1], 0, planned + by));
		EXPECT_TRUE(alike(slots));
		serve_inbox(self->queue, slots[2]);
		/* Rounded up to 16, it is earlier than planned. */
		rung += by <= -16 ? 2 + 2 : 2;
		ASSERT_EQ(1, exported_cancel(slots[0]));
		ASSERT_EQ(1, deadline_slot_cancel(slots[1]));
	}
	EXPECT_EQ(rung, stats_of(self->queue).handed_in);
}

/* The whole of it: armed, moved and reaped by the inline forms */
TEST_F(lib, expiry)
{
	struct deadline_record record;
	uint64_t when = deadline_in(5 * MS);

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0,
				       deadline_in(1000 * SECOND)));
	ASSERT_EQ(1, deadline_slot_move(self->slots[0], when));
	ASSERT_EQ(0, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	EXPECT_TRUE(deadline_queue_pending(self->queue));
	EXPECT_TRUE(exported_pending(self->queue));
	ASSERT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_LE(when, record.expired_at);
	EXPECT_FALSE(deadline_queue_pending(self->queue));
	EXPECT_FALSE(exported_pending(self->queue));
}

TEST_HARNESS_MAIN
