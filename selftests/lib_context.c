// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts, by their rules, on either backend: over once and for good, for the
 * first reason; the whole subtree with it; causes; effective deadlines; values.
 */
#include "library.h"

#define CAUSE 0xCA05Eul

FIXTURE(context) {
	deadline_context *root;
};

FIXTURE_SETUP(context)
{
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &self->root));
}

FIXTURE_TEARDOWN(context)
{
	deadline_release(self->root);
}

static bool word_over(const deadline_context *context)
{
	return deadline_over(deadline_context_word(context));
}

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

/* What a worker that calls nothing has of a context */
struct reader {
	const deadline_word *word;
	uint64_t end;
};

static void *read_until_over(void *arg)
{
	struct reader *reader = arg;

	while (!deadline_over(reader->word))
		cpu_relax();
	reader->end = clock_ns();
	return NULL;
}

/*
 * Words that are over by a deadline of their own, or of one above them, however far
 * that is, and nobody calls the library meanwhile; else this would hang.
 */
TEST_F_TIMEOUT(context, on_time_in_workers_that_call_nothing, 60)
{
	uint64_t when = deadline_in(20 * MS);
	deadline_context *contexts[5];
	pthread_t threads[5];
	struct reader readers[5];
	int i;

	ASSERT_EQ(0, deadline_with_deadline(self->root, CAUSE, &contexts[0],
					    when));
	ASSERT_EQ(0, deadline_with_cancel(contexts[0], &contexts[1]));
	ASSERT_EQ(0, deadline_with_deadline(contexts[1], 1, &contexts[2],
					    when + 1000 * SECOND));
	ASSERT_EQ(0, deadline_with_value(contexts[2], self, self,
					 &contexts[3]));
	ASSERT_EQ(0, deadline_with_cancel(contexts[3], &contexts[4]));
	for (i = 0; i < 5; i++) {
		readers[i].word = deadline_context_word(contexts[i]);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, read_until_over,
					    &readers[i]));
	}
	for (i = 0; i < 5; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_LE(when, readers[i].end);
	}
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-ETIME, deadline_err(contexts[i]));
		EXPECT_EQ(CAUSE, deadline_cause(contexts[i]));
		deadline_release(contexts[i]);
	}
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
	/* By bare loads: each has the deadline in its own word, looked at in no order. */
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
	DEADLINE_AUTO deadline_context *scoped = NULL;
	deadline_context *parent, *child;

	ASSERT_EQ(0, deadline_with_cancel(self->root, &parent));
	ASSERT_EQ(0, deadline_with_cancel(parent, &child));
	deadline_release(parent);
	EXPECT_EQ(0, deadline_err(child));
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE));
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	deadline_release(child);
	deadline_release(NULL);
	ASSERT_EQ(0, deadline_with_cancel(self->root, &scoped));
}

/* A chain as long as it likes: nothing here goes down by recursion. */
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

/* A child that leaks so many, and ends */
static int leak(void *arg)
{
	deadline_context *context;
	int i;

	setenv("DEADLINE_DEBUG", "leaks", 1);
	dup2(*(int *)arg, STDERR_FILENO);
	for (i = 0; i < 3; i++) {
		if (deadline_with_cancel(deadline_background(), &context))
			return 1;
	}
	deadline_release(context);
	exit(0);
}

TEST(leaks_are_told)
{
	char text[4096] = "", *at = text;
	int told = 0, fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_TRUE(exited(in_child(leak, &fds[1]), 0));
	close(fds[1]);
	ASSERT_LT(0, read(fds[0], text, sizeof(text) - 1));
	while ((at = strstr(at, "never released"))) {
		told++;
		at++;
	}
	EXPECT_EQ(2, told);
	close(fds[0]);
}

struct waiter {
	deadline_context *context;
	uint64_t until;
	pid_t id;
	int ret;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->id, thread_id(), __ATOMIC_RELEASE);
	w->ret = deadline_wait(w->context, w->until);
	return NULL;
}

/* Three sleep on one context, and one below it; a cancel wakes them. */
TEST_F(context, cancel_wakes)
{
	struct waiter waiters[4];
	deadline_context *child;
	pthread_t threads[4];
	int i;

	ASSERT_EQ(0, deadline_with_timeout(self->root, 0, &child,
					   1000 * SECOND));
	for (i = 0; i < 4; i++) {
		waiters[i] = (struct waiter){
			.context = i < 3 ? self->root : child,
			.until = DEADLINE_NEVER,
			.ret = 1,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, wait_thread,
					    &waiters[i]));
	}
	for (i = 0; i < 4; i++) {
		WAIT_FOR(__atomic_load_n(&waiters[i].id, __ATOMIC_ACQUIRE) &&
			 is_asleep(waiters[i].id));
		EXPECT_EQ(1, waiters[i].ret);
	}
	EXPECT_EQ(1, deadline_cancel(self->root, 0));
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, waiters[i].ret);
	}
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	deadline_release(child);
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

struct racer {
	deadline_context *parent;
	unsigned long wrong;
	uint64_t seed;
};

/* Children and grandchildren that expire and are cancelled from all sides */
static void *race_thread(void *arg)
{
	deadline_context *child, *below;
	struct racer *r = arg;
	bool odd;
	int i;

	for (i = 0; i < 200; i++) {
		if (deadline_with_timeout(r->parent, 0, &child, 50 * US) ||
		    deadline_with_cancel(child, &below)) {
			r->wrong++;
			break;
		}
		odd = next_random(&r->seed) % 2;
		if (odd)
			deadline_cancel(child, 1);
		if (next_random(&r->seed) % 128 == 0)
			deadline_cancel(r->parent, 2);
		/* Whatever ended it, now what is below it is over too. */
		if (deadline_err(child) && !word_over(below))
			r->wrong++;
		if (deadline_err(r->parent) &&
		    (!word_over(child) || !word_over(below)))
			r->wrong++;
		deadline_release(odd ? child : below);
		deadline_release(odd ? below : child);
	}
	return NULL;
}

TEST_F(context, races)
{
	deadline_context *parent;
	struct racer racers[4];
	pthread_t threads[4];
	unsigned long round;
	int i;

	for (round = 0; round < rounds(50); round++) {
		ASSERT_EQ(0, deadline_with_cancel(self->root, &parent));
		for (i = 0; i < 4; i++) {
			racers[i].parent = parent;
			racers[i].wrong = 0;
			racers[i].seed = round * 4 + i + 1;
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    race_thread, &racers[i]));
		}
		for (i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			EXPECT_EQ(0, racers[i].wrong);
		}
		deadline_release(parent);
	}
	EXPECT_EQ(0, deadline_err(self->root));
}

/* A second canceller returns no sooner than the whole tree is over. */
static void *cancel_thread(void *arg)
{
	deadline_context **tree = arg;
	intptr_t i, left = 0;

	deadline_cancel(tree[0], 0);
	for (i = 1; i < 1000; i++)
		left += !word_over(tree[i]);
	return (void *)left;
}

TEST_F(context, second_canceller_waits)
{
	deadline_context *tree[1000];
	pthread_t threads[3];
	unsigned long round;
	void *left;
	int i;

	for (round = 0; round < rounds(100); round++) {
		ASSERT_EQ(0, deadline_with_cancel(self->root, &tree[0]));
		for (i = 1; i < 1000; i++)
			ASSERT_EQ(0, deadline_with_cancel(tree[(i - 1) / 2],
							  &tree[i]));
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    cancel_thread, tree));
		for (i = 0; i < 3; i++) {
			pthread_join(threads[i], &left);
			EXPECT_EQ(NULL, left);
		}
		for (i = 0; i < 1000; i++)
			deadline_release(tree[i]);
	}
}

TEST_HARNESS_MAIN
