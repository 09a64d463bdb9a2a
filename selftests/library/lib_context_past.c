// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts that are over when they are made: their deadline has passed, or a context
 * above them is over. Whatever is planned for their slot, however late that is.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
#include "library.h"

/* As a program reads it that asks the library for no time */
static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static bool is_over(const deadline_context *context)
{
	return deadline_over(deadline_context_word(context));
}

/* Keep whoever serves the queues of this process from being on time. */
static void disturb(deadline_queue **queues, unsigned int n)
{
	deadline_slot *slot;
	unsigned int i, k;

	for (k = 0; k < n; k++) {
		if (deadline_queue_open(&queues[k], NULL))
			continue;
		for (i = 0; i < 64; i++) {
			if (deadline_slot_alloc(queues[k], 0, &slot) ||
			    deadline_slot_set_period(slot, 10 * US))
				break;
			deadline_slot_arm(slot, 0, deadline_in(US + i * 100));
		}
	}
}

/* The slot that the second context takes has a look planned that is overdue. */
static unsigned int running(unsigned int rounds)
{
	deadline_context *first, *second;
	unsigned int i, running = 0;
	uint64_t when;

	for (i = 0; i < rounds; i++) {
		when = deadline_in(50 * US);
		if (deadline_with_deadline(deadline_background(), 0, &first,
					   when))
			return rounds;
		deadline_release(first);
		when = deadline_in(50 * US);
		while (now() < when + 20 * US)
			cpu_relax();
		if (deadline_with_deadline(deadline_background(), 7, &second,
					   when))
			return rounds;
		running += !is_over(second) ||
			   deadline_err(second) != -ETIME ||
			   deadline_cause(second) != 7;
		deadline_release(second);
	}
	return running;
}

TEST(deadline_has_passed)
{
	EXPECT_EQ(0, running(3000));
}

/* For a child of its process: its user's interrupts have had their share. */
TEST(deadline_has_passed_while_served_late)
{
	deadline_queue *queues[16] = { NULL };
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		disturb(queues, 16);
		_exit(running(500) ? 1 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Moved from a time that has passed, which nobody has noticed, to a later such time */
static unsigned int running_after_a_move(unsigned int rounds)
{
	deadline_context *context;
	unsigned int i, running = 0;
	uint64_t when;

	for (i = 0; i < rounds; i++) {
		when = deadline_in(50 * US);
		if (deadline_with_deadline(deadline_background(), 7, &context,
					   when))
			return rounds;
		while (now() < when + US)
			cpu_relax();
		running += deadline_move(context, when + US / 2) < 0 ||
			   !is_over(context) || deadline_cause(context) != 7;
		deadline_release(context);
	}
	return running;
}

TEST(moved_to_what_has_passed_while_served_late)
{
	deadline_queue *queues[16] = { NULL };
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		disturb(queues, 16);
		_exit(running_after_a_move(500) ? 1 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST(parents_deadline_has_passed)
{
	deadline_context *parent, *child, *value;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 5,
						   &parent, 20 * US));
		ASSERT_EQ(0, deadline_with_value(parent, &parent, NULL,
						 &value));
		while (now() < deadline_when(parent))
			cpu_relax();
		ASSERT_EQ(0, deadline_with_cancel(i % 2 ? parent : value,
						  &child));
		EXPECT_TRUE(is_over(child));
		EXPECT_TRUE(is_over(parent));
		EXPECT_EQ(-ETIME, deadline_err(child));
		EXPECT_EQ(5, deadline_cause(child));
		deadline_release(child);
		deadline_release(value);
		deadline_release(parent);
	}
}

/* Its own deadline has passed, but its parent was over before. */
TEST(first_reason_is_the_parents)
{
	deadline_context *parent, *child, *value;
	uint64_t timeout;

	/* On a slow machine a short deadline passes before the cancel. */
	for (timeout = 5 * MS;; timeout *= 2) {
		ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 5,
						   &parent, timeout));
		deadline_cancel(parent, 9);
		if (deadline_err(parent) == -ECANCELED)
			break;
		deadline_release(parent);
	}
	ASSERT_EQ(0, deadline_with_value(parent, &parent, NULL, &value));
	while (now() < deadline_when(parent) + MS)
		cpu_relax();

	ASSERT_EQ(0, deadline_with_cancel(parent, &child));
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	EXPECT_EQ(9, deadline_cause(child));
	deadline_release(child);

	ASSERT_EQ(0, deadline_with_timeout(parent, 7, &child, SECOND));
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	EXPECT_EQ(9, deadline_cause(child));
	deadline_release(child);

	ASSERT_EQ(0, deadline_with_timeout(value, 7, &child, 0));
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	EXPECT_EQ(9, deadline_cause(child));
	deadline_release(child);

	ASSERT_EQ(0, deadline_with_slack(parent, 7, &child, 1, MS));
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	EXPECT_EQ(9, deadline_cause(child));
	deadline_release(child);
	deadline_release(value);
	deadline_release(parent);
}

/* The parent's deadline ended it, so the child does not tell of its own. */
TEST(expired_parent_gives_its_cause)
{
	deadline_context *parent, *child;

	ASSERT_EQ(0, deadline_with_deadline(deadline_background(), 5, &parent,
					    2));
	ASSERT_EQ(0, deadline_with_deadline(parent, 7, &child, 1));
	EXPECT_EQ(-ETIME, deadline_err(child));
	EXPECT_EQ(5, deadline_cause(child));
	deadline_release(child);
	deadline_release(parent);
}

/* What is over is over: a cancel that follows changes nothing. */
TEST(no_time_at_all)
{
	deadline_context *context;

	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 3, &context,
					   0));
	EXPECT_TRUE(is_over(context));
	EXPECT_EQ(0, deadline_cancel(context, 4));
	EXPECT_EQ(-ETIME, deadline_err(context));
	EXPECT_EQ(3, deadline_cause(context));
	EXPECT_EQ(0, deadline_remaining(context));
	deadline_release(context);
}

/* A hook is called at once, and a child of it is over, too. */
TEST(what_hangs_on_it)
{
	deadline_context *context, *child;

	ASSERT_EQ(0, deadline_with_deadline(deadline_background(), 3, &context,
					    1));
	ASSERT_EQ(0, deadline_with_timeout(context, 4, &child, SECOND));
	EXPECT_TRUE(is_over(child));
	EXPECT_EQ(3, deadline_cause(child));
	EXPECT_EQ(0, deadline_wait(child, 0));
	deadline_release(context);
	deadline_release(child);
}

TEST(timeouts_below_zero)
{
	deadline_context *context = POISON;

	EXPECT_EQ(-EINVAL, deadline_with_timeout(deadline_background(), 0,
						 &context, (uint64_t)-1000));
	EXPECT_EQ(-EINVAL, deadline_with_timeout(deadline_background(), 0,
						 &context,
						 (uint64_t)INT64_MAX + 1));
	EXPECT_EQ(POISON, context);
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &context,
					   INT64_MAX));
	EXPECT_FALSE(is_over(context));
	deadline_release(context);
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &context,
					   DEADLINE_NEVER));
	EXPECT_EQ(DEADLINE_NEVER, deadline_when(context));
	deadline_release(context);
}

TEST_HARNESS_MAIN
