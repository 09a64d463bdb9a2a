// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts with slack: over between their deadline and so much later, but not later
 * than a context above them, also after a move.
 */
#include "library.h"

/* 4.3 seconds, and a time after which what waits for that long is late */
#define LONG UINT32_MAX
#define LATE (2 * SECOND)

static bool is_over(const deadline_context *context)
{
	return deadline_over(deadline_context_word(context));
}

/* Until it is over, by its word alone: when it was last seen running */
static uint64_t ran_until(const deadline_context *context)
{
	uint64_t seen = 0, now;

	for (;;) {
		now = deadline_now();
		if (is_over(context))
			return seen;
		seen = now;
		relax();
	}
}

static int with_slack(deadline_context *parent, deadline_context **ret_context,
		      uint64_t when, uint32_t slack)
{
	return deadline_with_slack(parent, 4, ret_context, when, slack);
}

/*
 * An interrupt that comes anyway looks at what is planned next after it: it gets no
 * further than this one, which has no slack and is not due.
 */
static void keep_from_looking_on(struct __test_metadata *_metadata,
				 uint64_t after)
{
	deadline_context *context;

	ASSERT_EQ(0, deadline_with_deadline(deadline_background(), 0, &context,
					    after + SECOND));
}

/* Never before its deadline, and not after its slack by the word alone */
TEST(ends_in_its_slack)
{
	uint32_t slack = 200 * US;
	deadline_context *context;
	uint64_t when;
	int i;

	for (i = 0; i < 100; i++) {
		when = deadline_in(100 * US);
		ASSERT_EQ(0, with_slack(deadline_background(), &context, when,
					i % 2 ? slack : 0));
		EXPECT_GT(when + slack + LATE, ran_until(context));
		EXPECT_LE(when, deadline_now());
		EXPECT_EQ(-ETIME, deadline_err(context));
		EXPECT_EQ(4, deadline_cause(context));
		deadline_release(context);
	}
}

/* A move comes too late as soon as the deadline has passed, whatever slack is left. */
TEST(no_move_in_its_slack)
{
	deadline_context *context;
	uint64_t when = deadline_in(5 * MS);

	keep_from_looking_on(_metadata, when);
	ASSERT_EQ(0, with_slack(deadline_background(), &context, when, LONG));
	WAIT_FOR(deadline_now() > when);
	EXPECT_EQ(0, deadline_move(context, deadline_in(1000 * SECOND)));
	EXPECT_TRUE(is_over(context));
	EXPECT_EQ(-ETIME, deadline_err(context));
	deadline_release(context);
}

/* What comes for another one ends it too, long before its slack does. */
TEST(shares_an_interrupt)
{
	deadline_context *one, *other;
	uint64_t when = deadline_in(20 * MS);

	ASSERT_EQ(0, with_slack(deadline_background(), &one, when - MS, LONG));
	ASSERT_EQ(0, with_slack(deadline_background(), &other, when, 0));
	EXPECT_GT(when + LATE, ran_until(one));
	EXPECT_LE(when - MS, deadline_now());
	ran_until(other);
	deadline_release(one);
	deadline_release(other);
}

/* Who reads the clock sees that its time has come, and from then on all do. */
TEST(ended_by_who_reads_the_clock)
{
	deadline_context *context, *child;
	uint64_t when;
	int call;

	for (call = 0; call < 4; call++) {
		when = deadline_in(MS);
		ASSERT_EQ(0, with_slack(deadline_background(), &context, when,
					LONG));
		while (deadline_now() < when + 16)
			cpu_relax();
		switch (call) {
		case 0:
			EXPECT_EQ(0, deadline_remaining(context));
			break;
		case 1:
			EXPECT_EQ(0, deadline_wait(context, 0));
			break;
		case 2:
			EXPECT_EQ(-ETIME, deadline_sleep(context,
							 DEADLINE_NEVER));
			break;
		case 3:
			ASSERT_EQ(0, deadline_with_cancel(context, &child));
			EXPECT_TRUE(is_over(child));
			deadline_release(child);
			break;
		}
		EXPECT_TRUE(is_over(context));
		EXPECT_EQ(-ETIME, deadline_err(context));
		deadline_release(context);
	}
}

/* The parent's deadline comes before its own, or before the end of its slack. */
TEST(none_beyond_the_parents)
{
	deadline_context *parent, *late, *early;
	uint64_t when, ahead;

	/* On a slow machine a short time passes before they are made. */
	for (ahead = 20 * MS;; ahead *= 2) {
		when = deadline_in(ahead);
		keep_from_looking_on(_metadata, when);
		ASSERT_EQ(0, deadline_with_deadline(deadline_background(), 5,
						    &parent, when));
		ASSERT_EQ(0, with_slack(parent, &late, when + MS, LONG));
		ASSERT_EQ(0, with_slack(parent, &early, when - MS, LONG));
		if (!is_over(early))
			break;
		deadline_release(late);
		deadline_release(early);
		deadline_release(parent);
	}
	ran_until(parent);
	EXPECT_GT(when + LATE, ran_until(late));
	EXPECT_GT(when + LATE, ran_until(early));
	EXPECT_EQ(5, deadline_cause(late));
	EXPECT_EQ(4, deadline_cause(early));
	deadline_release(late);
	deadline_release(early);
	deadline_release(parent);
}

/*
 * The same by a move, from where there was time for slack. It has more of it than LATE,
 * and a look is planned at its end, before the parent's deadline.
 */
TEST(none_beyond_the_parents_after_a_move)
{
	const uint32_t slack = LATE + 200 * MS;
	uint64_t when = deadline_in(3 * SECOND);
	deadline_context *parent, *late, *early;

	keep_from_looking_on(_metadata, when);
	ASSERT_EQ(0, deadline_with_deadline(deadline_background(), 5, &parent,
					    when));
	ASSERT_EQ(0, with_slack(parent, &late, when - 2900 * MS, slack));
	ASSERT_EQ(0, with_slack(parent, &early, when - 2900 * MS, slack));
	/* On a slow machine they may be over by now. */
	if (deadline_move(late, DEADLINE_NEVER) == 1)
		EXPECT_EQ(when, deadline_when(late));
	deadline_move(early, when - MS);
	ran_until(parent);
	EXPECT_GT(when + LATE, ran_until(late));
	EXPECT_GT(when + LATE, ran_until(early));
	deadline_release(late);
	deadline_release(early);
	deadline_release(parent);
}

/* Moved away from the parent's deadline again, it has its slack as before. */
TEST(has_it_again)
{
	deadline_context *parent, *child;
	uint64_t when, ahead;

	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 5, &parent,
					   1000 * SECOND));
	/* On a slow machine a short time passes before the slot is looked at. */
	for (ahead = MS;; ahead *= 2) {
		ASSERT_EQ(0, with_slack(parent, &child, DEADLINE_NEVER, LONG));
		EXPECT_EQ(deadline_when(parent), deadline_when(child));
		when = deadline_in(ahead);
		ASSERT_EQ(1, deadline_move(child, when));
		while (deadline_now() < when + MS)
			cpu_relax();
		if (!is_over(child))
			break;
		deadline_release(child);
	}
	EXPECT_EQ(0, deadline_remaining(child));
	EXPECT_EQ(4, deadline_cause(child));
	deadline_release(child);
	deadline_release(parent);
}

/* It is moved to a time that has passed: it ends at once, without the slack. */
TEST(moved_to_what_has_passed)
{
	deadline_context *context;
	uint64_t when;

	ASSERT_EQ(0, with_slack(deadline_background(), &context,
				deadline_in(1000 * SECOND), LONG));
	when = deadline_now() - MS;
	EXPECT_EQ(1, deadline_move(context, when));
	EXPECT_TRUE(is_over(context));
	EXPECT_EQ(-ETIME, deadline_err(context));
	EXPECT_EQ(4, deadline_cause(context));
	EXPECT_EQ(when, deadline_when(context));
	deadline_release(context);
}

TEST_HARNESS_MAIN
