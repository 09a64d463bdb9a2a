// SPDX-License-Identifier: GPL-2.0
/*
 * fork(2): in the child every word reads over and every call says so; it can
 * close what it has and open its own. The parent notices nothing.
 */
#include "library.h"

/* What the child has: the parent's objects */
struct family {
	deadline_queue *queue;
	deadline_slot *armed;
	deadline_slot *expired;
};

/* In the child: the line of the first check that failed, as an exit status */
static int failed;

#define CHECK(condition) do {			\
	if (!(condition) && !failed)		\
		failed = __LINE__ % 250 + 1;	\
} while (0)

static int child_words(void *arg)
{
	struct family *f = arg;

	CHECK(slot_is_over(f->armed));
	CHECK(slot_is_over(f->expired));
	CHECK(!deadline_queue_pending(f->queue));
	return failed;
}

static int child_calls(void *arg)
{
	struct family *f = arg;
	struct deadline_record record = { .slot = POISON };
	struct deadline_stats stats = { .slots = 0xA5A5 };
	deadline_slot *slot = POISON;

	errno = 4711;
	CHECK(deadline_slot_arm(f->armed, 0, 1) == -ECHILD);
	CHECK(deadline_slot_arm(f->expired, 0, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_slot_arm_many(&f->armed, 1, 1) == -ECHILD);
	CHECK(deadline_slot_move(f->armed, 1) == -ECHILD);
	CHECK(deadline_slot_cancel(f->armed) == -ECHILD);
	CHECK(deadline_slot_request(f->armed) == -ECHILD);
	CHECK(deadline_slot_alloc(f->queue, 0, &slot) == -ECHILD);
	CHECK(slot == POISON);
	CHECK(deadline_queue_reap(f->queue, &record, 1) == -ECHILD);
	CHECK(record.slot == POISON);
	CHECK(deadline_queue_wait(f->queue, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_queue_wait(f->queue, 0) == -ECHILD);
	CHECK(deadline_queue_fd(f->queue) == -ECHILD);
	CHECK(deadline_queue_stats(f->queue, &stats) == -ECHILD);
	CHECK(stats.slots == 0xA5A5);
	CHECK(deadline_queue_backend(f->queue) > 0);
	deadline_slot_free(f->armed);
	deadline_slot_free(f->expired);
	CHECK(errno == 4711);
	return child_words(arg);
}

/* Closes though slots are allocated: they are not the child's. */
static int child_closes(void *arg)
{
	struct family *f = arg;

	CHECK(deadline_queue_close(f->queue) == 0);
	return failed;
}

static int child_opens(void *arg)
{
	struct family *f = arg;
	struct deadline_record record;
	deadline_queue *queue;
	deadline_slot *slot;

	CHECK(deadline_queue_open(&queue, NULL) == 0);
	CHECK(deadline_queue_backend(queue) ==
	      deadline_queue_backend(f->queue));
	CHECK(deadline_slot_alloc(queue, 7, &slot) == 0);
	CHECK(deadline_slot_arm(slot, 0, deadline_in(MS)) == 0);
	CHECK(reap_one(queue, &record) == 1);
	CHECK(record.user_data == 7);
	deadline_slot_free(slot);
	CHECK(deadline_queue_close(queue) == 0);
	return child_calls(arg);
}

/* A child of the child is no better off. */
static int child_forks(void *arg)
{
	CHECK(exited(in_child(child_calls, arg), 0));
	return child_calls(arg);
}

FIXTURE(family) {
	struct family f;
};

FIXTURE_SETUP(family)
{
	ASSERT_EQ(0, deadline_queue_open(&self->f.queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(self->f.queue, 1, &self->f.armed));
	ASSERT_EQ(0, deadline_slot_alloc(self->f.queue, 2, &self->f.expired));
	ASSERT_EQ(0, deadline_slot_arm(self->f.armed, 0,
				       deadline_in(1000 * SECOND)));
	ASSERT_EQ(0, deadline_slot_arm(self->f.expired, 0, 1));
	WAIT_FOR(deadline_queue_pending(self->f.queue));
}

/* The parent has what it had, and is served as before. */
FIXTURE_TEARDOWN(family)
{
	struct deadline_record record;
	struct family *f = &self->f;

	EXPECT_FALSE(slot_is_over(f->armed));
	EXPECT_EQ(1, reap_one(f->queue, &record));
	EXPECT_EQ(f->expired, record.slot);
	EXPECT_EQ(1, deadline_slot_move(f->armed, deadline_in(MS)));
	EXPECT_EQ(1, reap_one(f->queue, &record));
	EXPECT_EQ(f->armed, record.slot);
	EXPECT_EQ(2, stats_of(f->queue).allocated);
	deadline_slot_free(f->armed);
	deadline_slot_free(f->expired);
	EXPECT_EQ(0, deadline_queue_close(f->queue));
}

TEST_F(family, words)
{
	EXPECT_TRUE(exited(in_child(child_words, &self->f), 0));
}

TEST_F(family, calls)
{
	EXPECT_TRUE(exited(in_child(child_calls, &self->f), 0));
}

TEST_F(family, closes)
{
	EXPECT_TRUE(exited(in_child(child_closes, &self->f), 0));
}

TEST_F(family, opens)
{
	EXPECT_TRUE(exited(in_child(child_opens, &self->f), 0));
}

TEST_F(family, forks)
{
	EXPECT_TRUE(exited(in_child(child_forks, &self->f), 0));
}

static int child_contexts(void *arg)
{
	deadline_context *root = arg, *context = POISON;
	deadline_hook *hook = POISON;

	CHECK(deadline_over(deadline_context_word(root)));
	CHECK(deadline_err(root) == -ECHILD);
	CHECK(deadline_cancel(root, 1) == -ECHILD);
	CHECK(deadline_wait(root, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_done_fd(root) == -ECHILD);
	CHECK(deadline_after(root, NULL, NULL, &hook) == -EINVAL);
	CHECK(deadline_after(root, (void (*)(void *))abort, NULL, &hook) ==
	      -ECHILD);
	CHECK(hook == POISON);
	CHECK(deadline_with_cancel(root, &context) == -ECHILD);
	CHECK(deadline_with_timeout(deadline_background(), 0, &context, 1) ==
	      -ECHILD);
	CHECK(context == POISON);
	deadline_release(root);
	CHECK(deadline_with_cancel(deadline_background(), &context) ==
	      -ECHILD);
	CHECK(context == POISON);
	return failed;
}

/* Has the pool's lock most of the time: its magazine is always empty. */
static void *make_contexts(void *arg)
{
	deadline_context *contexts[256];
	int i, n;

	while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED)) {
		for (n = 0; n < 256; n++) {
			if (deadline_with_cancel(deadline_background(),
						 &contexts[n]))
				break;
		}
		for (i = 0; i < n; i++)
			deadline_release(contexts[i]);
	}
	return NULL;
}

/* Whatever another thread is at when the process forks */
TEST(contexts)
{
	unsigned long i, n = rounds(300), failed = 0;
	deadline_context *root;
	pthread_t thread;
	bool stop = false;

	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &root));
	ASSERT_EQ(0, pthread_create(&thread, NULL, make_contexts, &stop));
	for (i = 0; i < n; i++)
		failed += !exited(in_child(child_contexts, root), 0);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, deadline_err(root));
	deadline_release(root);
}

struct allocator {
	deadline_queue *queue;
	bool stop;
};

/* Holds the queue's lock, and the library's, most of the time */
static void *allocate(void *arg)
{
	struct allocator *a = arg;
	deadline_queue *other;
	deadline_slot *slot;

	while (!__atomic_load_n(&a->stop, __ATOMIC_RELAXED)) {
		if (!deadline_slot_alloc(a->queue, 0, &slot))
			deadline_slot_free(slot);
		if (!deadline_queue_open(&other, NULL))
			deadline_queue_close(other);
	}
	return NULL;
}

/* fork while another thread is in the library, in the midst of anything */
TEST_F(family, under_load)
{
	struct allocator a = { .queue = self->f.queue };
	unsigned long i, n = rounds(300), failed = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, allocate, &a));
	for (i = 0; i < n; i++)
		failed += !exited(in_child(child_opens, &self->f), 0);
	__atomic_store_n(&a.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, failed);
}

TEST_HARNESS_MAIN
