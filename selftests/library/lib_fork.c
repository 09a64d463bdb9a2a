// SPDX-License-Identifier: GPL-2.0
/*
 * fork(2): in the child every word reads over and every call says so; it can
 * close what it has and open its own. The parent notices nothing.
 */
#include "library.h"

/* Objects of the parent, which the child has copies of */
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
	uint64_t when = 1;

	errno = 4711;
	CHECK(deadline_slot_arm(f->armed, 0, 1) == -ECHILD);
	CHECK(deadline_slot_arm(f->expired, 0, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_slot_arm_many(&f->armed, &when, 1) == -ECHILD);
	CHECK(deadline_slot_move(f->armed, 1) == -ECHILD);
	CHECK(deadline_slot_cancel(f->armed) == -ECHILD);
	CHECK(deadline_slot_expire(f->armed) == -ECHILD);
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

/* The child may close the queue with slots allocated: they are the parent's. */
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

/* The same holds for a child of the child. */
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

/* The child's own queue may have numbers that its parent's had. */
static int child_closes_grown(void *arg)
{
	struct deadline_options options = { .slots = 64, .slots_max = 1024 };
	struct deadline_record record;
	deadline_queue *queue, *parents = *(deadline_queue **)arg;
	deadline_slot *slot;

	CHECK(!deadline_queue_open(&queue, &options));
	deadline_queue_destroy(parents);
	CHECK(deadline_queue_fd(queue) >= 0);
	CHECK(!deadline_slot_alloc(queue, 0, &slot));
	CHECK(!deadline_slot_arm(slot, 0, deadline_in(MS)));
	CHECK(reap_one(queue, &record) == 1);
	return failed;
}

TEST(grown_queue)
{
	struct deadline_options options = { .slots = 64, .slots_max = 1024 };
	deadline_queue *queue;

	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	EXPECT_TRUE(exited(in_child(child_closes_grown, &queue), 0));
	EXPECT_EQ(0, deadline_queue_close(queue));
}

struct allocator {
	deadline_queue *queue;
	bool stop;
};

/* Open and close queues: this thread holds the library's locks most of the time. */
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
