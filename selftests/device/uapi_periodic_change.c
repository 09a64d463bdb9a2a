// SPDX-License-Identifier: GPL-2.0
/*
 * Periodic slots that are cancelled, armed again or moved in the midst of their
 * course: an expiry that is there is delivered once, and the periods that follow
 * are counted from where they were put.
 */
#include "periodic.h"

/* Pending, then cancelled: it is delivered once, and there are no more periods. */
TEST_F(queue, cancelled_with_an_expiry)
{
	struct course c = { .period = 20 * MS };
	struct deadline_expiry got;
	__u64 word;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	c.start = just_past();
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	WAIT_FOR(slot_word(&self->q, 1) & DEADLINE_WORD_EXPIRED);
	ASSERT_EQ(0, course_stop(&self->q, 1));
	word = slot_word(&self->q, 1);
	EXPECT_TRUE(slot_over(&self->q, 1));
	EXPECT_EQ(DEADLINE_WORD_EXPIRED, word & DEADLINE_WORD_STATE);
	/* The look that was planned for the next period */
	WAIT_FOR(status_of(&self->q.status->dropped) == 1);
	EXPECT_EQ(word, slot_word(&self->q, 1));
	ASSERT_EQ(1, read_one(&self->q, &got));
	course_add(&c, got.expired_at, got.overruns);
	EXPECT_TRUE(course_complete(&self->q, 1, &c));
	EXPECT_EQ(0, read_one(&self->q, &got));
	EXPECT_FALSE(slot_claim(&self->q, 1));
	EXPECT_EQ(2, status_of(&self->q.status->tail));
}

/* Nothing pending: it stops, before the first expiry or after one. */
TEST_F(queue, cancelled_without_one)
{
	struct course c = { .period = 20 * MS };

	c.start = due(clock_ns() + 200 * MS);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	ASSERT_EQ(0, course_stop(&self->q, 1));
	EXPECT_EQ(c.start, slot_word(&self->q, 1));
	WAIT_FOR(status_of(&self->q.status->dropped) == 1);
	EXPECT_LE(c.start, clock_ns());
	EXPECT_EQ(c.start, slot_word(&self->q, 1));
	EXPECT_EQ(0, status_of(&self->q.status->expired));

	c.start = just_past();
	c.period = 500 * SECOND;
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	ASSERT_TRUE(course_claim(&self->q, 1, &c));
	ASSERT_EQ(0, course_stop(&self->q, 1));
	EXPECT_EQ(DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN,
		  word_state(&self->q, 1));
	EXPECT_EQ(0, slot_cancel(&self->q, 1));
	EXPECT_TRUE(course_complete(&self->q, 1, &c));
	EXPECT_EQ(1, status_of(&self->q.status->expired));
}

/* A new arm consumes what is there, and is a course of its own. */
TEST_F(queue, armed_again)
{
	static const uint64_t starts[] = { 0, 16, 1600 };
	struct course c = { .start = 16 }, old = { .period = 500 * SECOND };
	struct deadline_slot *slot = &self->q.slots[1];
	struct deadline_expiry got;
	unsigned int i;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	old.start = just_past();
	ASSERT_EQ(0, course_arm(&self->q, 1, &old));
	ASSERT_EQ(0, course_stop(&self->q, 1));
	c.period = 300 * SECOND;
	c.start = due(clock_ns() + 1000 * SECOND);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	EXPECT_EQ(c.start | DEADLINE_WORD_ARMED, slot_word(&self->q, 1));
	EXPECT_EQ(0, read_one(&self->q, &got));
	ASSERT_EQ(0, course_stop(&self->q, 1));

	/* Nothing is left of the phase that another course had. */
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		c = (struct course){ .period = 300 * SECOND + 1 + i };
		c.start = just_past();
		ASSERT_EQ(0, course_arm(&self->q, 1, &c));
		/* A look that was left by the last course may be coming. */
		WAIT_FOR(course_claim(&self->q, 1, &c));
		/* It has one. */
		EXPECT_NE(course_next(&c), word_due(&self->q, 1));
		ASSERT_EQ(0, course_stop(&self->q, 1));
		c = (struct course){ .start = due(starts[i]), .period = LONG };
		ASSERT_EQ(0, course_arm(&self->q, 1, &c));
		ASSERT_TRUE(course_claim(&self->q, 1, &c));
		EXPECT_EQ(0, c.early);
		EXPECT_EQ(0, c.wrong);
		EXPECT_FALSE(slot_over(&self->q, 1));
		ASSERT_EQ(0, course_stop(&self->q, 1));
	}

	/* As a plain slot it expires once, whatever it was before. */
	slot->flags = 0;
	ASSERT_EQ(0, slot_arm(&self->q, 1, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_EQ(0, slot->overruns);
}

/* Move a course in the midst of it, all of it consumed so far. */
static int course_move(struct queue *q, uint32_t i, struct course *c,
		       int64_t by)
{
	__u64 old, to;

	do {
		course_claim(q, i, c);
		old = slot_word(q, i);
		to = old + by;
	} while (!(old & DEADLINE_WORD_TAKEN) || !slot_swap(q, i, &old, to));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	c->wrong += (old & ~DEADLINE_WORD_STATE) != due(course_next(c));
	c->start = to & ~DEADLINE_WORD_STATE;
	c->passed = 0;
	return slot_needs_look(q, i) ? ring_one(q, i) : 1;
}

/* Moved: the periods that follow are counted from there, to the ns. */
TEST_F(queue, moved)
{
	static const int64_t by[] = { 16, -16, 32, 400000, -400000, 7000000 };
	unsigned long i, n = rounds(60);
	struct course c = { .period = LONG };
	unsigned int j;

	c.start = due(clock_ns() + MS);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	for (i = 0; i < n; i++) {
		for (j = 0; j < 3; j++)
			WAIT_FOR(course_claim(&self->q, 1, &c));
		ASSERT_EQ(1, course_move(&self->q, 1, &c,
					 by[i % ARRAY_SIZE(by)]));
	}
	WAIT_FOR(course_claim(&self->q, 1, &c));
	EXPECT_EQ(0, c.early);
	EXPECT_EQ(0, c.wrong);
}

/* An expiry that is pending when the slot is moved is not lost by that. */
TEST_F(queue, moved_with_an_expiry)
{
	struct course c = { .period = 500 * SECOND };
	uint64_t later = due(clock_ns() + 1000 * SECOND);
	struct deadline_expiry got;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	c.start = just_past();
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	ASSERT_EQ(1, slot_move(&self->q, 1, later));
	EXPECT_EQ(later | DEADLINE_WORD_ARMED | DEADLINE_WORD_EXPIRED,
		  slot_word(&self->q, 1));
	EXPECT_EQ(1, read_one(&self->q, &got));
	EXPECT_EQ(0, got.overruns);
	EXPECT_EQ(0, read_one(&self->q, &got));
	/* At once: an expiry of the new course, whose first it is */
	ASSERT_EQ(1, slot_move(&self->q, 1, just_past()));
	EXPECT_EQ(1, read_one(&self->q, &got));
	EXPECT_EQ(0, got.overruns);
}

TEST_HARNESS_MAIN
