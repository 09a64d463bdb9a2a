// SPDX-License-Identifier: GPL-2.0
/* The deadline of a context is moved: when it is over then, and for which cause. */
#include <errno.h>
#include <unistd.h>
#include "library.h"

static bool is_over(const deadline_context *context)
{
	return deadline_over(deadline_context_word(context));
}

FIXTURE(move) {
	deadline_context *context;
	uint64_t when;
};

FIXTURE_SETUP(move)
{
	self->when = deadline_in(1000 * SECOND);
	ASSERT_EQ(0, deadline_with_deadline(deadline_background(), 5,
					    &self->context, self->when));
}

FIXTURE_TEARDOWN(move)
{
	deadline_release(self->context);
}

TEST_F(move, earlier)
{
	uint64_t when = deadline_in(10 * MS);

	ASSERT_EQ(1, deadline_move(self->context, when));
	EXPECT_EQ(when, deadline_when(self->context));
	while (!is_over(self->context))
		cpu_relax();
	EXPECT_LE(when, deadline_now());
	EXPECT_EQ(-ETIME, deadline_err(self->context));
	EXPECT_EQ(5, deadline_cause(self->context));
}

TEST_F(move, later)
{
	uint64_t when, wait = 5 * MS;

	ASSERT_EQ(1, deadline_move(self->context, deadline_in(wait)));
	when = deadline_when(self->context);
	while (deadline_move(self->context, self->when) != 1) {
		/* A busy machine came back when it was over: with more time, then. */
		ASSERT_LE(when, deadline_now());
		wait *= 2;
		deadline_release(self->context);
		ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 5,
						   &self->context, wait));
		when = deadline_when(self->context);
	}
	while (deadline_now() < when + 5 * MS)
		cpu_relax();
	EXPECT_EQ(0, deadline_err(self->context));
	ASSERT_EQ(1, deadline_move(self->context, DEADLINE_NEVER));
	EXPECT_EQ(DEADLINE_NEVER, deadline_when(self->context));
	EXPECT_EQ(DEADLINE_NEVER, deadline_remaining(self->context));
}

TEST_F(move, to_what_has_passed)
{
	deadline_context *context;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
						  &context));
		EXPECT_EQ(1, deadline_move(context, 1));
		EXPECT_TRUE(is_over(context));
		EXPECT_EQ(-ETIME, deadline_err(context));
		EXPECT_EQ(0, deadline_move(context, self->when));
		EXPECT_EQ(-ETIME, deadline_err(context));
		deadline_release(context);
	}
}

TEST_F(move, of_one_that_is_over)
{
	deadline_cancel(self->context, 8);
	EXPECT_EQ(0, deadline_move(self->context, deadline_in(SECOND)));
	EXPECT_EQ(self->when, deadline_when(self->context));
	EXPECT_EQ(-ECANCELED, deadline_err(self->context));
	EXPECT_EQ(8, deadline_cause(self->context));
}

/* The parent's deadline is the limit. */
TEST_F(move, within_the_parents)
{
	deadline_context *child;

	ASSERT_EQ(0, deadline_with_timeout(self->context, 6, &child, SECOND));
	ASSERT_EQ(1, deadline_move(child, DEADLINE_NEVER));
	EXPECT_EQ(self->when, deadline_when(child));
	deadline_release(child);
}

static void await(const deadline_context *context)
{
	while (!is_over(context))
		relax();
}

/*
 * The parent's deadline is the child's, or is not any more: the cause is told of whose
 * deadline it is in the end, through values and stand-ins as well.
 */
TEST_F(move, from_the_parents_to_its_own)
{
	deadline_context *value, *child, *grandchild;

	ASSERT_EQ(0, deadline_with_value(self->context, self, NULL, &value));
	ASSERT_EQ(0, deadline_with_timeout(value, 6, &child, 2000 * SECOND));
	EXPECT_EQ(self->when, deadline_when(child));
	ASSERT_EQ(1, deadline_move(child, self->when - 1));
	ASSERT_EQ(1, deadline_move(child, deadline_in(MS)));
	ASSERT_EQ(0, deadline_with_cancel(child, &grandchild));
	await(child);
	EXPECT_EQ(6, deadline_cause(child));
	await(grandchild);
	EXPECT_EQ(6, deadline_cause(grandchild));
	EXPECT_EQ(0, deadline_err(self->context));
	deadline_release(grandchild);
	deadline_release(child);
	deadline_release(value);
}

TEST_F(move, from_its_own_to_the_parents)
{
	uint64_t when = deadline_in(20 * MS);
	deadline_context *parent, *child, *other;
	bool in_time;

	ASSERT_EQ(0, deadline_with_deadline(self->context, 7, &parent, when));
	ASSERT_EQ(0, deadline_with_timeout(parent, 6, &child, MS / 2));
	ASSERT_EQ(0, deadline_with_deadline(parent, 9, &other, when - 1));
	/* On a slow machine all may be over by now: below the parent, for its cause. */
	in_time = deadline_now() < when - 1;
	if (deadline_move(child, DEADLINE_NEVER) == 1) {
		EXPECT_EQ(when, deadline_when(child));
		await(child);
		EXPECT_EQ(-ETIME, deadline_err(child));
		EXPECT_EQ(7, deadline_cause(child));
	}
	await(other);
	if (in_time)
		EXPECT_EQ(9, deadline_cause(other));
	deadline_release(other);
	deadline_release(child);
	deadline_release(parent);
}

/* Several times, and each time it is a matter of the last one */
TEST_F(move, to_and_fro)
{
	deadline_context *parent, *child;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, deadline_with_cancel(self->context, &parent));
		ASSERT_EQ(0, deadline_with_deadline(parent, 6, &child,
						    self->when - i % 2));
		ASSERT_EQ(1, deadline_move(child, self->when - i % 3));
		ASSERT_EQ(1, deadline_move(child, DEADLINE_NEVER));
		if (i % 4) {
			ASSERT_EQ(1, deadline_move(child, 1));
			EXPECT_EQ(6, deadline_cause(child));
			EXPECT_EQ(0, deadline_err(parent));
		} else {
			EXPECT_EQ(-EBUSY, deadline_move(parent, 1));
			EXPECT_EQ(0, deadline_err(child));
			EXPECT_EQ(0, deadline_cause(child));
		}
		deadline_release(child);
		deadline_release(parent);
	}
}

/* A thread that sees it over while its owner is moving it, and how often it was wrong */
struct watcher {
	deadline_context *context;
	unsigned int wrong;
};

static void *watch(void *arg)
{
	struct watcher *watcher = arg;
	deadline_context *context;

	while ((context = __atomic_exchange_n(&watcher->context, NULL,
					      __ATOMIC_ACQ_REL)) != POISON) {
		if (!context) {
			relax();
			continue;
		}
		while (!is_over(context))
			cpu_relax();
		watcher->wrong += deadline_cause(context) != 6;
		deadline_release(context);
	}
	return NULL;
}

TEST_F(move, seen_while_it_is_moved)
{
	unsigned long i, n = rounds(1000);
	struct watcher watcher = { NULL };
	deadline_context *child;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, watch, &watcher));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, deadline_with_timeout(self->context, 6, &child,
						   2000 * SECOND));
		__atomic_store_n(&watcher.context, deadline_ref(child),
				 __ATOMIC_RELEASE);
		WAIT_FOR(!__atomic_load_n(&watcher.context, __ATOMIC_ACQUIRE));
		ASSERT_EQ(1, deadline_move(child, 1));
		deadline_release(child);
	}
	__atomic_store_n(&watcher.context, POISON, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, watcher.wrong);
}

/* One that was over from the start is below it like others, and keeps its cause. */
TEST_F(move, below_is_one_over_from_the_start)
{
	deadline_context *child;

	ASSERT_EQ(0, deadline_with_deadline(self->context, 6, &child, 1));
	EXPECT_EQ(-EBUSY, deadline_move(self->context, 1));
	EXPECT_EQ(0, deadline_err(self->context));
	EXPECT_EQ(6, deadline_cause(child));
	EXPECT_EQ(1, deadline_cancel(self->context, 8));
	EXPECT_EQ(-ETIME, deadline_err(child));
	EXPECT_EQ(6, deadline_cause(child));
	deadline_release(child);
}

/* Values look at the deadline of the context that they hang on. */
TEST_F(move, below_are_values)
{
	deadline_context *value, *child;
	uint64_t when = deadline_in(500 * SECOND);

	ASSERT_EQ(0, deadline_with_value(self->context, self, NULL, &value));
	ASSERT_EQ(1, deadline_move(self->context, when));
	EXPECT_EQ(when, deadline_when(value));
	ASSERT_EQ(0, deadline_with_cancel(value, &child));
	EXPECT_EQ(when, deadline_when(child));
	EXPECT_EQ(-EBUSY, deadline_move(self->context, self->when));
	EXPECT_EQ(when, deadline_when(self->context));
	EXPECT_EQ(-EINVAL, deadline_move(value, self->when));
	deadline_release(child);
	EXPECT_EQ(1, deadline_move(self->context, self->when));
	deadline_release(value);
}

TEST(has_no_deadline_of_its_own)
{
	deadline_context *context;

	EXPECT_EQ(-EINVAL, deadline_move(deadline_background(), 1));
	ASSERT_EQ(0, deadline_without_cancel(deadline_background(), &context));
	EXPECT_EQ(-EINVAL, deadline_move(context, 1));
	deadline_release(context);
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	EXPECT_EQ(1, deadline_move(context, 1));
	EXPECT_EQ(-ETIME, deadline_err(context));
	deadline_release(context);
}

/* What a thread does that sleeps under a context */
struct sleeper {
	deadline_context *context;
	int fd;
	bool asleep;
	ssize_t ret;
};

static void *sleeps(void *arg)
{
	struct sleeper *sleeper = arg;
	char byte;

	__atomic_store_n(&sleeper->asleep, true, __ATOMIC_SEQ_CST);
	if (sleeper->fd < 0)
		sleeper->ret = deadline_wait(sleeper->context, DEADLINE_NEVER);
	else
		sleeper->ret = deadline_read(sleeper->context, sleeper->fd,
					     &byte, 1, DEADLINE_NEVER);
	return NULL;
}

/*
 * Moved while a thread sleeps under it, or is about to, many times; also to what has
 * passed, so that it expires within the call
 */
static void move_under(struct __test_metadata *_metadata, int fd,
		       ssize_t expected)
{
	struct sleeper sleeper = { .fd = fd };
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0,
						   &sleeper.context,
						   1000 * SECOND));
		sleeper.asleep = false;
		ASSERT_EQ(0, pthread_create(&thread, NULL, sleeps, &sleeper));
		while (!__atomic_load_n(&sleeper.asleep, __ATOMIC_SEQ_CST))
			sched_yield();
		if (i % 2)
			usleep(200);
		if (i % 3)
			ASSERT_EQ(1, deadline_move(sleeper.context,
						   deadline_in(2000 * SECOND)));
		ASSERT_EQ(1, deadline_move(sleeper.context,
					   i % 4 < 2 ? deadline_in(MS) : 1));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(expected, sleeper.ret);
		deadline_release(sleeper.context);
	}
}

TEST(while_one_waits)
{
	move_under(_metadata, -1, 0);
}

TEST(while_one_reads)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	move_under(_metadata, fds[0], -ETIME);
	close(fds[0]);
	close(fds[1]);
}

TEST_HARNESS_MAIN
