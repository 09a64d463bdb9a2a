// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts, by their rules, on either backend: over once and for good, for the
 * first reason; the whole subtree with it; causes; effective deadlines; values.
 */
#include "context.h"

TEST(background_is_never_over)
{
	deadline_context *root = deadline_background();

	EXPECT_EQ(0, deadline_err(root));
	EXPECT_EQ(0, deadline_cause(root));
	EXPECT_FALSE(word_over(root));
	EXPECT_EQ(-EINVAL, deadline_cancel(root, 1));
	EXPECT_EQ(DEADLINE_NEVER, deadline_when(root));
	EXPECT_EQ(DEADLINE_NEVER, deadline_remaining(root));
	EXPECT_EQ(-ETIME, deadline_wait(root, deadline_in(MS)));
	EXPECT_EQ(-EINVAL, deadline_done_fd(root));
	deadline_release(root);
	deadline_release(deadline_ref(root));
	EXPECT_EQ(0, deadline_err(root));
}

TEST_F(context, first_reason_wins)
{
	deadline_context *context;

	EXPECT_EQ(0, deadline_err(self->root));
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE));
	EXPECT_EQ(0, deadline_cancel(self->root, CAUSE + 1));
	EXPECT_EQ(-ECANCELED, deadline_err(self->root));
	EXPECT_EQ(CAUSE, deadline_cause(self->root));
	EXPECT_TRUE(word_over(self->root));

	/* An expiry, then a cancel */
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), CAUSE,
					   &context, MS));
	WAIT_FOR(word_over(context));
	EXPECT_EQ(0, deadline_cancel(context, CAUSE + 1));
	EXPECT_EQ(-ETIME, deadline_err(context));
	EXPECT_EQ(CAUSE, deadline_cause(context));
	deadline_release(context);

	/* A cancel, then its deadline */
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), CAUSE,
					   &context, 20 * MS));
	EXPECT_EQ(1, deadline_cancel(context, CAUSE + 1));
	WAIT_FOR(deadline_now() > deadline_when(context) + MS);
	EXPECT_EQ(-ECANCELED, deadline_err(context));
	EXPECT_EQ(CAUSE + 1, deadline_cause(context));
	deadline_release(context);
}

TEST_F(context, no_cause)
{
	EXPECT_EQ(-EINVAL, deadline_cancel(self->root, UINTPTR_MAX));
	EXPECT_EQ(0, deadline_err(self->root));
	EXPECT_EQ(1, deadline_cancel(self->root, 0));
	EXPECT_EQ(0, deadline_cancel(self->root, CAUSE));
	EXPECT_EQ(0, deadline_cause(self->root));
}

TEST_F(context, passed_at_creation)
{
	deadline_context *context;

	ASSERT_EQ(0, deadline_with_timeout(self->root, CAUSE, &context, 0));
	EXPECT_EQ(-ETIME, deadline_err(context));
	EXPECT_EQ(0, deadline_cancel(context, 1));
	EXPECT_EQ(CAUSE, deadline_cause(context));
	deadline_release(context);
	ASSERT_EQ(0, deadline_with_deadline(self->root, CAUSE, &context, 1));
	EXPECT_TRUE(word_over(context));
	EXPECT_EQ(0, deadline_remaining(context));
	EXPECT_EQ(0, deadline_wait(context, DEADLINE_NEVER));
	deadline_release(context);
	EXPECT_EQ(0, deadline_err(self->root));
}

/* Never early, by its own word, in a loop that calls nothing */
TEST_F(context, on_time)
{
	const deadline_word *word;
	deadline_context *context;
	unsigned long i, early = 0;
	uint64_t now;

	for (i = 0; i < rounds(100); i++) {
		ASSERT_EQ(0, deadline_with_timeout(self->root, 0, &context,
						   200 * US));
		word = deadline_context_word(context);
		while (!deadline_over(word))
			cpu_relax();
		now = deadline_now();
		early += now < deadline_when(context);
		EXPECT_EQ(-ETIME, deadline_err(context));
		deadline_release(context);
	}
	EXPECT_EQ(0, early);
}

/* What is told of one that runs: its deadline, counted from the call, and no cause */
TEST_F(context, while_it_runs)
{
	deadline_context *context;
	uint64_t before, after, when, left;

	before = deadline_in(SECOND * 1000);
	ASSERT_EQ(0, deadline_with_timeout(self->root, CAUSE, &context,
					   SECOND * 1000));
	after = deadline_in(SECOND * 1000);
	when = deadline_when(context);
	EXPECT_LE(before, when);
	EXPECT_GE(after, when);
	before = deadline_now();
	left = deadline_remaining(context);
	after = deadline_now();
	EXPECT_GE(when - before, left);
	EXPECT_LE(when - after, left);
	EXPECT_EQ(0, deadline_err(context));
	EXPECT_EQ(0, deadline_cause(context));
	EXPECT_EQ(DEADLINE_NEVER, deadline_remaining(self->root));
	deadline_release(context);
}

TEST_F(context, the_earlier_deadline_holds)
{
	uint64_t when = deadline_in(20 * MS);
	deadline_context *parent, *late, *early, *never;

	ASSERT_EQ(0, deadline_with_deadline(self->root, CAUSE, &parent, when));
	ASSERT_EQ(0, deadline_with_deadline(parent, 1, &late,
					    when + 1000 * SECOND));
	ASSERT_EQ(0, deadline_with_deadline(parent, 2, &early,
					    when - 15 * MS));
	ASSERT_EQ(0, deadline_with_cancel(parent, &never));
	EXPECT_EQ(when, deadline_when(late));
	EXPECT_EQ(when - 15 * MS, deadline_when(early));
	EXPECT_EQ(when, deadline_when(never));
	EXPECT_EQ(0, deadline_wait(early, DEADLINE_NEVER));
	EXPECT_EQ(2, deadline_cause(early));
	/*
	 * By loads of the words alone, without a call: each context has a slot with
	 * the deadline, and the kernel expires those in any order.
	 */
	WAIT_FOR(word_over(late));
	WAIT_FOR(word_over(never));
	WAIT_FOR(word_over(parent));
	EXPECT_EQ(-ETIME, deadline_err(late));
	EXPECT_EQ(-ETIME, deadline_err(never));
	EXPECT_EQ(CAUSE, deadline_cause(late));
	EXPECT_EQ(CAUSE, deadline_cause(never));
	EXPECT_EQ(-ETIME, deadline_err(parent));
	deadline_release(parent);
	deadline_release(late);
	deadline_release(never);
	deadline_release(early);
}

/* Three levels, three children each: all over when cancel returns */
TEST_F(context, subtree)
{
	deadline_context *all[39];
	unsigned int i, n = 0;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, deadline_with_cancel(self->root, &all[n++]));
	for (i = 0; n < 39; i++) {
		ASSERT_EQ(0, deadline_with_timeout(all[i / 3], 1, &all[n],
						   1000 * SECOND));
		n++;
	}
	EXPECT_EQ(1, deadline_cancel(all[0], CAUSE));
	for (i = 0, n = 0; i < 39; i++)
		n += word_over(all[i]);
	EXPECT_EQ(13, n);
	EXPECT_EQ(0, deadline_err(self->root));
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE + 1));
	for (i = 0; i < 39; i++) {
		EXPECT_TRUE(word_over(all[i]));
		EXPECT_EQ(-ECANCELED, deadline_err(all[i]));
	}
	EXPECT_EQ(CAUSE, deadline_cause(all[0]));
	EXPECT_EQ(CAUSE, deadline_cause(all[3]));
	EXPECT_EQ(CAUSE + 1, deadline_cause(all[38]));
	for (i = 0; i < 39; i++)
		deadline_release(all[(i * 7) % 39]);
}

TEST_F(context, child_of_one_that_is_over)
{
	deadline_context *child, *value, *expired;

	deadline_cancel(self->root, CAUSE);
	ASSERT_EQ(0, deadline_with_timeout(self->root, 1, &child, SECOND));
	EXPECT_TRUE(word_over(child));
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	EXPECT_EQ(CAUSE, deadline_cause(child));
	ASSERT_EQ(0, deadline_with_value(self->root, self, self, &value));
	EXPECT_EQ(-ECANCELED, deadline_err(value));
	EXPECT_EQ(CAUSE, deadline_cause(value));
	deadline_release(child);
	deadline_release(value);
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), CAUSE,
					   &expired, 0));
	ASSERT_EQ(0, deadline_with_cancel(expired, &child));
	EXPECT_EQ(-ETIME, deadline_err(child));
	EXPECT_EQ(CAUSE, deadline_cause(child));
	deadline_release(expired);
	deadline_release(child);
}

TEST_F(context, values)
{
	static const char a, b;
	deadline_context *one, *two, *three, *loose;

	EXPECT_EQ(-EINVAL, deadline_with_value(self->root, NULL, self, &one));
	ASSERT_EQ(0, deadline_with_value(self->root, &a, "1", &one));
	ASSERT_EQ(0, deadline_with_value(one, &b, "2", &two));
	ASSERT_EQ(0, deadline_with_value(two, &a, "3", &three));
	ASSERT_EQ(0, deadline_without_cancel(three, &loose));
	EXPECT_EQ(NULL, deadline_value(self->root, &a));
	EXPECT_STREQ("1", deadline_value(two, &a));
	EXPECT_STREQ("3", deadline_value(three, &a));
	EXPECT_STREQ("2", deadline_value(loose, &b));
	EXPECT_EQ(-EINVAL, deadline_cancel(three, 0));
	EXPECT_EQ(-EINVAL, deadline_cancel(loose, 0));
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE));
	EXPECT_EQ(-ECANCELED, deadline_err(three));
	EXPECT_EQ(0, deadline_err(loose));
	EXPECT_EQ(DEADLINE_NEVER, deadline_when(loose));
	deadline_release(one);
	deadline_release(three);
	deadline_release(two);
	EXPECT_STREQ("3", deadline_value(loose, &a));
	deadline_release(loose);
}

/* The last release cancels, and children keep their parents. */
TEST_F(context, release)
{
	deadline_context *parent, *child;

	ASSERT_EQ(0, deadline_with_cancel(self->root, &parent));
	ASSERT_EQ(0, deadline_with_cancel(parent, &child));
	deadline_release(parent);
	EXPECT_EQ(0, deadline_err(child));
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE));
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	deadline_release(child);
	deadline_release(NULL);
}

static void note(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

/* A variable that goes out of scope: its context is released, and so cancelled. */
TEST(scope)
{
	deadline_hook *hook;
	bool noted = false;

	do {
		DEADLINE_AUTO deadline_context *scoped = NULL;
		DEADLINE_AUTO deadline_context *nothing = NULL;

		ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
						  &scoped));
		ASSERT_EQ(0, deadline_after(scoped, note, &noted, &hook));
		EXPECT_EQ(NULL, nothing);
	} while (0);
	EXPECT_EQ(0, deadline_hook_stop_wait(hook));
	EXPECT_TRUE(__atomic_load_n(&noted, __ATOMIC_ACQUIRE));
	deadline_hook_free(hook);
}

/* A chain of 100,000: recursion along it would overflow the stack. */
TEST_F(context, deep)
{
	deadline_context *leaf = deadline_ref(self->root), *next;
	unsigned long i;

	for (i = 0; i < 100000; i++) {
		ASSERT_EQ(0, deadline_with_cancel(leaf, &next));
		deadline_release(leaf);
		leaf = next;
	}
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE));
	EXPECT_EQ(CAUSE, deadline_cause(leaf));
	deadline_release(leaf);
}

TEST_F(context, wait_gives_up)
{
	uint64_t until = deadline_in(5 * MS);
	deadline_context *context;

	EXPECT_EQ(-ETIME, deadline_wait(self->root, until));
	EXPECT_LE(until, deadline_now());
	EXPECT_EQ(0, deadline_err(self->root));
	ASSERT_EQ(0, deadline_with_timeout(self->root, 0, &context, 5 * MS));
	EXPECT_EQ(0, deadline_wait(context, DEADLINE_NEVER));
	EXPECT_LE(deadline_when(context), deadline_now());
	EXPECT_EQ(-ETIME, deadline_err(context));
	deadline_release(context);
}

TEST_HARNESS_MAIN
