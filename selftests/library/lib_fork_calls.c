// SPDX-License-Identifier: GPL-2.0
/* In a child of fork(2) what the parent had is refused, by each call on its own. */
#include "library.h"

/**
 * struct family - what the parent has
 * @queue: a queue
 * @slot: of it, armed
 * @worker: the thread's
 * @hook: of a context that runs
 */
struct family {
	deadline_queue *queue;
	deadline_slot *slot;
	deadline_worker *worker;
	deadline_hook *hook;
};

/* How many calls of the child's were not refused */
static int not_refused(void *arg)
{
	struct family *f = arg;

	return (deadline_slot_set_user_data(f->slot, 1) != -ECHILD) +
	       (deadline_slot_set_slack(f->slot, 1) != -ECHILD) +
	       (deadline_slot_set_period(f->slot, 0) != -ECHILD) +
	       (deadline_hook_stop(f->hook) != -ECHILD) +
	       (deadline_hook_stop_wait(f->hook) != -ECHILD) +
	       (deadline_slot_drop(f->slot) != -ECHILD) +
	       (deadline_slot_when(f->slot) != 0) +
	       (deadline_slot_remaining(f->slot) != 0) +
	       (deadline_queue_set_signal(f->queue, thread_id(), SIGUSR1) != -ECHILD) +
	       (deadline_queue_wait_under(deadline_background(), f->queue,
					  DEADLINE_NEVER) != -ECHILD) +
	       (deadline_worker_fd(f->worker) != -ECHILD) +
	       (deadline_worker_before_sleep(f->worker) != -ECHILD) +
	       (deadline_worker_after_sleep(f->worker) != -ECHILD);
}

static void set(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

TEST(refused)
{
	struct deadline_worker_options options = {};
	deadline_context *context;
	struct family family;
	bool ran = false;

	ASSERT_EQ(0, deadline_queue_open(&family.queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(family.queue, 7, &family.slot));
	ASSERT_EQ(0, deadline_slot_arm(family.slot, 0, deadline_in(1000 * SECOND)));
	options.queue = family.queue;
	ASSERT_EQ(0, deadline_worker_open(&family.worker, &options));
	ASSERT_EQ(0, deadline_worker_switch(family.worker, DEADLINE_NEVER));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	ASSERT_EQ(0, deadline_after(context, set, &ran, &family.hook));
	EXPECT_TRUE(exited(in_child(not_refused, &family), 0));
	/* What the child was refused has stopped nothing. */
	EXPECT_EQ(1, deadline_cancel(context, 0));
	EXPECT_EQ(0, deadline_hook_stop_wait(family.hook));
	EXPECT_TRUE(ran);
	deadline_hook_free(family.hook);
	deadline_release(context);
	EXPECT_LT(0, deadline_slot_remaining(family.slot));
	EXPECT_EQ(0, deadline_worker_before_sleep(family.worker));
	EXPECT_EQ(0, deadline_worker_after_sleep(family.worker));
	EXPECT_EQ(0, deadline_worker_close(family.worker));
	deadline_queue_destroy(family.queue);
}

static void fork_and_return(void *arg)
{
	pid_t pid = fork();

	if (pid)
		__atomic_store_n((pid_t *)arg, pid, __ATOMIC_RELEASE);
}

/*
 * A function of deadline_after() that forks, and returns in the child too: that is the end
 * of the child's only thread, and so of the child.
 */
TEST(function_returns_in_a_child)
{
	deadline_context *context;
	deadline_hook *hook;
	pid_t child = 0;
	int i, status;

#ifdef __SANITIZE_ADDRESS__
	SKIP(return, "ASan forgets its own locks at a fork");
#endif
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
		ASSERT_EQ(0, deadline_after(context, fork_and_return, &child, &hook));
		EXPECT_EQ(1, deadline_cancel(context, 0));
		EXPECT_EQ(0, deadline_hook_stop_wait(hook));
		ASSERT_LT(0, child);
		EXPECT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(exited(status, 0));
		deadline_hook_free(hook);
		deadline_release(context);
	}
}

TEST_HARNESS_MAIN
