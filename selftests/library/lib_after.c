// SPDX-License-Identifier: GPL-2.0
/*
 * After-functions and done descriptors: each runs once, on its own, whatever ended
 * the context; a stop that says 1 kept it from starting; nothing is leaked.
 */
#include <poll.h>
#include "library.h"

static unsigned long runs;

static unsigned long run_count(void)
{
	return __atomic_load_n(&runs, __ATOMIC_ACQUIRE);
}

static void count_run(void *arg)
{
	__atomic_add_fetch(&runs, arg ? *(unsigned long *)arg : 1,
			   __ATOMIC_ACQ_REL);
}

FIXTURE(after) {
	deadline_context *root;
	deadline_hook *hook;
};

FIXTURE_SETUP(after)
{
	runs = 0;
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &self->root));
}

FIXTURE_TEARDOWN(after)
{
	deadline_release(self->root);
}

TEST_F(after, cancel_runs_it)
{
	unsigned long ten = 10;

	EXPECT_EQ(-EINVAL, deadline_after(self->root, NULL, NULL,
					  &self->hook));
	ASSERT_EQ(0, deadline_after(self->root, count_run, &ten, &self->hook));
	EXPECT_EQ(0, run_count());
	EXPECT_EQ(1, deadline_cancel(self->root, 0));
	WAIT_FOR(run_count() == 10);
	EXPECT_EQ(0, deadline_hook_stop(self->hook));
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	EXPECT_EQ(10, run_count());
	deadline_hook_free(self->hook);
	deadline_hook_free(NULL);
}

/* No thread asks the context: the dispatcher alone notices the expiry. */
TEST_F(after, expiry_runs_it)
{
	deadline_context *context, *child;
	deadline_hook *below;

	ASSERT_EQ(0, deadline_with_timeout(self->root, 0, &context, 5 * MS));
	ASSERT_EQ(0, deadline_with_cancel(context, &child));
	ASSERT_EQ(0, deadline_after(context, count_run, NULL, &self->hook));
	ASSERT_EQ(0, deadline_after(child, count_run, NULL, &below));
	WAIT_FOR(run_count() == 2);
	EXPECT_LE(deadline_when(context), deadline_now());
	EXPECT_EQ(0, deadline_hook_stop(self->hook));
	EXPECT_EQ(0, deadline_hook_stop(below));
	deadline_hook_free(self->hook);
	deadline_hook_free(below);
	deadline_release(context);
	deadline_release(child);
	EXPECT_EQ(2, run_count());
}

TEST_F(after, at_once_if_over)
{
	deadline_context *value;

	ASSERT_EQ(0, deadline_with_value(self->root, self, self, &value));
	EXPECT_EQ(1, deadline_cancel(self->root, 0));
	ASSERT_EQ(0, deadline_after(self->root, count_run, NULL, &self->hook));
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	EXPECT_EQ(1, run_count());
	deadline_hook_free(self->hook);
	ASSERT_EQ(0, deadline_after(value, count_run, NULL, &self->hook));
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	EXPECT_EQ(2, run_count());
	deadline_hook_free(self->hook);
	deadline_release(value);
}

TEST_F(after, stop)
{
	ASSERT_EQ(0, deadline_after(self->root, count_run, NULL, &self->hook));
	EXPECT_EQ(1, deadline_hook_stop(self->hook));
	EXPECT_EQ(0, deadline_hook_stop(self->hook));
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	deadline_hook_free(self->hook);
	deadline_cancel(self->root, 0);
	/* The function has run, so stopping it comes too late: 0. */
	ASSERT_EQ(0, deadline_after(self->root, count_run, NULL, &self->hook));
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	deadline_hook_free(self->hook);
	EXPECT_EQ(1, run_count());
}

static bool let_go;

static void block(void *arg)
{
	count_run(arg);
	WAIT_FOR(__atomic_load_n(&let_go, __ATOMIC_ACQUIRE));
}

/* One that has started goes on to block: a stop does not wait for it. */
TEST_F(after, stop_of_one_that_blocks)
{
	ASSERT_EQ(0, deadline_after(self->root, block, NULL, &self->hook));
	deadline_cancel(self->root, 0);
	WAIT_FOR(run_count() == 1);
	EXPECT_EQ(0, deadline_hook_stop(self->hook));
	__atomic_store_n(&let_go, true, __ATOMIC_RELEASE);
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	deadline_hook_free(self->hook);
}

TEST_F(after, stop_wait_of_one_that_has_not_started)
{
	ASSERT_EQ(0, deadline_after(self->root, count_run, NULL, &self->hook));
	EXPECT_EQ(1, deadline_hook_stop_wait(self->hook));
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	deadline_hook_free(self->hook);
	deadline_cancel(self->root, 0);
	EXPECT_EQ(0, run_count());
}

/* Whatever locks there are: of its own context, its parent's, and a queue's */
static void use_all(void *arg)
{
	deadline_context *own = arg, *contexts[3];
	deadline_hook *hook;
	int i, failed = 0;

	failed += deadline_with_timeout(own, 0, &contexts[0], SECOND) != 0;
	failed += deadline_with_cancel(deadline_background(), &contexts[1]) != 0;
	failed += deadline_with_deadline(contexts[1], 0, &contexts[2],
					 deadline_in(SECOND)) != 0;
	if (failed)
		return;
	failed += deadline_after(contexts[2], count_run, NULL, &hook) != 0;
	failed += deadline_cancel(own, 0) != 0;
	failed += deadline_cancel(contexts[1], 0) != 1;
	failed += deadline_hook_stop_wait(hook) != 0;
	failed += deadline_err(contexts[0]) == 0;
	deadline_hook_free(hook);
	for (i = 0; i < 3; i++)
		deadline_release(contexts[i]);
	if (!failed)
		count_run(NULL);
}

/* No lock is held where a function runs, whatever ended the context. */
TEST_F(after, uses_all)
{
	deadline_context *context;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, deadline_with_timeout(self->root, 0, &context,
						   i ? SECOND * 1000 : MS));
		ASSERT_EQ(0, deadline_after(context, use_all, context,
					    &self->hook));
		if (i == 1)
			deadline_cancel(context, 0);
		else if (i == 2)
			deadline_cancel(self->root, 0);
		WAIT_FOR(run_count() == 2 * (unsigned long)(i + 1));
		deadline_hook_free(self->hook);
		deadline_release(context);
	}
}

TEST_F(after, never_over)
{
	ASSERT_EQ(0, deadline_after(deadline_background(), count_run, NULL,
				    &self->hook));
	EXPECT_EQ(1, deadline_hook_stop(self->hook));
	EXPECT_EQ(0, deadline_hook_stop(self->hook));
	deadline_hook_free(self->hook);
	EXPECT_EQ(0, run_count());
}

/* Freeing the hook does not stop its function: the last release runs it. */
TEST_F(after, release_runs_it)
{
	deadline_context *context;

	ASSERT_EQ(0, deadline_with_cancel(self->root, &context));
	ASSERT_EQ(0, deadline_after(context, count_run, NULL, &self->hook));
	deadline_hook_free(self->hook);
	deadline_release(context);
	WAIT_FOR(run_count() == 1);
}

/* One with a value has the end of the context whose word it has. */
TEST_F(after, of_a_value)
{
	deadline_context *context, *value;

	ASSERT_EQ(0, deadline_with_cancel(self->root, &context));
	ASSERT_EQ(0, deadline_with_value(context, &self->hook, NULL, &value));
	ASSERT_EQ(0, deadline_after(value, count_run, NULL, &self->hook));
	deadline_hook_free(self->hook);
	deadline_release(value);
	EXPECT_EQ(0, run_count());
	deadline_release(context);
	WAIT_FOR(run_count() == 1);
}

static deadline_hook *own_hook;

static void stop_myself(void *arg)
{
	WAIT_FOR(__atomic_load_n(&own_hook, __ATOMIC_ACQUIRE));
	*(int *)arg = deadline_hook_stop_wait(own_hook);
	count_run(NULL);
}

TEST_F(after, stop_wait_inside_itself)
{
	int ret = 0;

	ASSERT_EQ(0, deadline_after(self->root, stop_myself, &ret,
				    &self->hook));
	__atomic_store_n(&own_hook, self->hook, __ATOMIC_RELEASE);
	deadline_cancel(self->root, 0);
	EXPECT_EQ(0, deadline_hook_stop_wait(self->hook));
	EXPECT_EQ(1, run_count());
	EXPECT_EQ(-EDEADLK, ret);
	deadline_hook_free(self->hook);
}

TEST_F(after, done_fd)
{
	struct pollfd pollfd = { .events = POLLIN };
	deadline_context *context;

	pollfd.fd = deadline_done_fd(self->root);
	ASSERT_LE(0, pollfd.fd);
	EXPECT_EQ(pollfd.fd, deadline_done_fd(self->root));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	deadline_cancel(self->root, 0);
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(1, poll(&pollfd, 1, 0));

	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &context,
					   5 * MS));
	pollfd.fd = deadline_done_fd(context);
	ASSERT_LE(0, pollfd.fd);
	EXPECT_EQ(1, poll(&pollfd, 1, -1));
	EXPECT_LE(deadline_when(context), deadline_now());
	deadline_release(context);
	/* The dispatcher may hold the last reference, and close it a little later. */
	WAIT_FOR(fcntl(pollfd.fd, F_GETFD) == -1);

	/* The descriptor of a context that is over when it is asked for */
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &context,
					   0));
	pollfd.fd = deadline_done_fd(context);
	EXPECT_EQ(1, poll(&pollfd, 1, -1));
	deadline_release(context);
}

struct racer {
	deadline_context *context;
	deadline_hook *hooks[100];
	unsigned long stopped;
};

static void *stop_thread(void *arg)
{
	struct racer *r = arg;
	int i;

	for (i = 0; i < 100; i++)
		r->stopped += deadline_hook_stop(r->hooks[i]);
	return NULL;
}

/* Each function either ran or was stopped, and never both. */
TEST_F(after, stop_races_cancel)
{
	struct racer r = {};
	unsigned long round, stopped = 0, n = rounds(200);
	pthread_t thread;
	int i;

	for (round = 0; round < n; round++) {
		ASSERT_EQ(0, deadline_with_cancel(self->root, &r.context));
		r.stopped = 0;
		for (i = 0; i < 100; i++)
			ASSERT_EQ(0, deadline_after(r.context, count_run, NULL,
						    &r.hooks[i]));
		ASSERT_EQ(0, pthread_create(&thread, NULL, stop_thread, &r));
		if (round % 2)
			relax();
		deadline_cancel(r.context, 0);
		pthread_join(thread, NULL);
		for (i = 0; i < 100; i++) {
			EXPECT_EQ(0, deadline_hook_stop_wait(r.hooks[i]));
			deadline_hook_free(r.hooks[i]);
		}
		stopped += r.stopped;
		deadline_release(r.context);
	}
	EXPECT_EQ(n * 100, stopped + run_count());
}

static unsigned long submitted;

/* An executor that refuses every second function */
static int submit(void (*fn)(void *), void *arg)
{
	pthread_t thread;

	if (submitted++ % 2)
		return -1;
	if (pthread_create(&thread, NULL, (void *(*)(void *))(void *)fn, arg))
		return -1;
	pthread_detach(thread);
	return 0;
}

TEST_F(after, executor)
{
	deadline_hook *hooks[4];
	int i;

	/* One that never runs is no obstacle. */
	ASSERT_EQ(0, deadline_after(deadline_background(), count_run, NULL,
				    &self->hook));
	deadline_hook_free(self->hook);
	ASSERT_EQ(0, deadline_set_executor(submit));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, deadline_after(self->root, count_run, NULL,
					    &hooks[i]));
	EXPECT_EQ(-EBUSY, deadline_set_executor(NULL));
	deadline_cancel(self->root, 0);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, deadline_hook_stop_wait(hooks[i]));
		deadline_hook_free(hooks[i]);
	}
	EXPECT_EQ(4, run_count());
	EXPECT_EQ(4, submitted);
}

TEST_HARNESS_MAIN
