// SPDX-License-Identifier: GPL-2.0
/*
 * A program that closes the library's descriptors: the library says so where it can,
 * never sleeps or spins for ever for it, and leaves the file alone that has the number
 * next. Words are over on time all the same.
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include "library.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

FIXTURE(closed) {
	deadline_queue *queue;
	deadline_slot *slot;
	int fd;
	int pipe[2];
};

FIXTURE_SETUP(closed)
{
	ASSERT_EQ(0, pipe(self->pipe));
	/* Or the thread's alarm would have the number next. */
	ASSERT_EQ(0, deadline_prepare());
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 0, &self->slot));
	self->fd = deadline_queue_fd(self->queue);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(closed)
{
}

TEST_F(closed, wait_says_so)
{
	close(self->fd);
	EXPECT_EQ(-EBADF, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	EXPECT_EQ(-EBADF, deadline_queue_wait(self->queue,
					      deadline_in(1000 * SECOND)));
	deadline_slot_free(self->slot);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/*
 * A doorbell that cannot be rung: the slot is not armed, or not any more.  The thread
 * that serves needs no descriptor of the queue's for it.
 */
TEST_F(closed, doorbell_says_so)
{
	bool kernel = deadline_queue_backend(self->queue) ==
		      DEADLINE_BACKEND_KERNEL;
	uint64_t when = deadline_in(1000 * SECOND);
	deadline_slot *other, *many[2];

	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 1, &other));
	ASSERT_EQ(0, deadline_slot_arm(other, 0, when));
	many[0] = self->slot;
	many[1] = other;
	close(self->fd);
	EXPECT_EQ(kernel ? -EBADF : 0,
		  deadline_slot_arm(self->slot, 0, when - 100 * SECOND));
	EXPECT_EQ(kernel, slot_is_over(self->slot));
	EXPECT_EQ(kernel ? -EBADF : 1,
		  deadline_slot_move(other, when - 200 * SECOND));
	EXPECT_EQ(kernel, slot_is_over(other));
	deadline_slot_cancel(self->slot);
	deadline_slot_cancel(other);
	EXPECT_EQ(kernel ? -EBADF : 0,
		  slots_arm(many, 2, when - 300 * SECOND));
	EXPECT_EQ(kernel, slot_is_over(self->slot));
	EXPECT_EQ(kernel, slot_is_over(other));
	/* Whatever needs no doorbell goes on. */
	if (kernel)
		EXPECT_EQ(0, deadline_slot_arm(self->slot, 0, DEADLINE_NEVER));
	EXPECT_EQ(1, deadline_slot_cancel(self->slot));
	deadline_queue_destroy(self->queue);
}

/* The same, if the number is that of a pipe: what ioctl(2) of it says. A worker's too */
TEST_F(closed, doorbell_of_another_file)
{
	bool kernel = deadline_queue_backend(self->queue) ==
		      DEADLINE_BACKEND_KERNEL;
	struct deadline_worker_options options = { .queue = self->queue };
	deadline_worker *worker;
	int fd, own = next_number();

	ASSERT_EQ(0, deadline_worker_open(&worker, &options));
	ASSERT_TRUE(is_open(own));
	for (fd = own; is_open(fd); fd++)
		ASSERT_EQ(fd, dup2(self->pipe[0], fd));
	ASSERT_EQ(self->fd, dup2(self->pipe[0], self->fd));
	EXPECT_EQ(kernel ? -ENOTTY : 0,
		  deadline_slot_arm(self->slot, 0, deadline_in(1000 * SECOND)));
	EXPECT_EQ(kernel, slot_is_over(self->slot));
	EXPECT_EQ(kernel ? -ENOTTY : 0,
		  deadline_worker_switch(worker, deadline_in(900 * SECOND)));
	EXPECT_EQ(kernel, deadline_over(deadline_worker_word(worker)));
	EXPECT_EQ(0, deadline_worker_close(worker));
	deadline_slot_cancel(self->slot);
	deadline_queue_destroy(self->queue);
	EXPECT_TRUE(is_open(self->fd));
}

/* The number is that of a pipe which is readable. */
TEST_F(closed, another_file_wakes)
{
	ASSERT_EQ(self->fd, dup2(self->pipe[0], self->fd));
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	EXPECT_EQ(-EBADF, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	deadline_slot_free(self->slot);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
	EXPECT_TRUE(is_open(self->fd));
}

TEST_F(closed, another_file_stays)
{
	struct deadline_record record;
	char byte;

	ASSERT_EQ(self->fd, dup2(self->pipe[1], self->fd));
	/* Armed with a doorbell or without: it is said to be, and so it is. */
	if (!deadline_slot_arm(self->slot, 0, deadline_in(MS)))
		WAIT_FOR(slot_is_over(self->slot));
	deadline_queue_reap(self->queue, &record, 1);
	deadline_slot_free(self->slot);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
	EXPECT_TRUE(is_open(self->fd));
	close(self->pipe[1]);
	close(self->fd);
	EXPECT_EQ(0, read(self->pipe[0], &byte, 1));
}

/* The number is that of another queue. */
TEST_F(closed, another_queue_stays)
{
	struct deadline_record record;
	deadline_queue *other;
	deadline_slot *slot;
	int fd;

	close(self->fd);
	ASSERT_EQ(0, deadline_queue_open(&other, NULL));
	fd = deadline_queue_fd(other);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	EXPECT_EQ(-EBADF, deadline_queue_fd(self->queue));
	deadline_queue_destroy(self->queue);
	EXPECT_TRUE(is_open(fd));
	ASSERT_EQ(0, deadline_slot_alloc(other, 0, &slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(MS)));
	EXPECT_EQ(1, reap_one(other, &record));
	deadline_queue_destroy(other);
	EXPECT_FALSE(is_open(fd));
}

/* The number is that of the program's own file of the same kind. */
TEST_F(closed, another_of_its_kind_stays)
{
	int file;

	if (deadline_queue_backend(self->queue) == DEADLINE_BACKEND_KERNEL)
		file = open("/dev/deadline", O_RDWR | O_CLOEXEC);
	else
		file = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	ASSERT_EQ(self->fd, dup2(file, self->fd));
	EXPECT_EQ(-EBADF, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	EXPECT_EQ(-EBADF, deadline_queue_fd(self->queue));
	deadline_queue_destroy(self->queue);
	EXPECT_TRUE(is_open(self->fd));
}

/* The number is that of a pipe which says nothing. */
TEST_F(closed, a_quiet_file_ends_waits)
{
	ASSERT_EQ(self->fd, dup2(self->pipe[0], self->fd));
	EXPECT_EQ(-EBADF, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	EXPECT_EQ(-EBADF, deadline_queue_wait(self->queue,
					      deadline_in(1000 * SECOND)));
	EXPECT_EQ(-EBADF, deadline_queue_fd(self->queue));
	deadline_slot_free(self->slot);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
	EXPECT_TRUE(is_open(self->fd));
}

/* The same of all descriptors but the queue's: it is waited for as ever. */
TEST_F(closed, others_are_quiet)
{
	struct deadline_record record;
	uint64_t until;
	int fd;

	/* What ends the thread's sleeps is set, for earlier than is needed then. */
	ASSERT_EQ(0, deadline_slot_arm(self->slot, 0, deadline_in(MS)));
	ASSERT_EQ(0, deadline_queue_wait(self->queue, deadline_in(100 * MS)));
	ASSERT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	for (fd = 3; fd < 64; fd++) {
		if (is_open(fd) && fd != self->fd && fd != self->pipe[0] &&
		    fd != self->pipe[1])
			dup2(self->pipe[0], fd);
	}
	until = deadline_in(200 * MS);
	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue, until));
	EXPECT_LE(until, deadline_now());
}

/* The same of a part of a queue that has grown */
TEST_F(closed, a_quiet_part_ends_waits)
{
	struct deadline_options options = { .slots = 64, .slots_max = 1024 };
	deadline_queue *grown;
	deadline_slot *slot;
	int i, part;

	ASSERT_EQ(0, deadline_queue_open(&grown, &options));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, deadline_slot_alloc(grown, 0, &slot));
	part = next_number();
	ASSERT_EQ(0, deadline_slot_alloc(grown, 0, &slot));
	ASSERT_TRUE(is_open(part));
	ASSERT_EQ(part, dup2(self->pipe[0], part));
	EXPECT_EQ(-EBADF, deadline_queue_wait(grown, DEADLINE_NEVER));
	EXPECT_EQ(-EBADF, deadline_queue_fd(grown));
	deadline_queue_destroy(grown);
	EXPECT_TRUE(is_open(part));
}

/* And of what a worker sleeps for: the queue's, or its own */
TEST_F(closed, a_quiet_file_ends_parks)
{
	struct deadline_worker_options options = { .queue = self->queue };
	deadline_worker *worker;
	int i, fd, own;

	for (i = 0; i < 2; i++) {
		own = next_number();
		ASSERT_EQ(0, deadline_worker_open(&worker, &options));
		ASSERT_TRUE(is_open(own));
		ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
		fd = i ? self->fd : own;
		ASSERT_EQ(fd, dup2(self->pipe[0], fd));
		EXPECT_EQ(-EBADF, deadline_worker_park(worker, DEADLINE_NEVER));
		EXPECT_EQ(-EBADF, deadline_worker_park(worker,
						       deadline_in(1000 * SECOND)));
		EXPECT_EQ(1, deadline_worker_request(worker));
		EXPECT_EQ(0, deadline_worker_close(worker));
		EXPECT_TRUE(is_open(fd));
	}
}

/* One that grows has an instance of epoll(7), whose number the program's has next. */
TEST_F(closed, another_epoll_stays)
{
	struct deadline_options options = { .slots = 64, .slots_max = 1024 };
	struct epoll_event event;
	deadline_queue *grown;
	deadline_slot *slot;
	int i, fd, other = epoll_create1(0);

	ASSERT_EQ(0, deadline_queue_open(&grown, &options));
	fd = deadline_queue_fd(grown);
	ASSERT_EQ(fd, dup2(other, fd));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, deadline_slot_alloc(grown, 0, &slot));
	EXPECT_EQ(-EBADF, deadline_slot_alloc(grown, 0, &slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	WAIT_FOR(slot_is_over(slot));
	EXPECT_EQ(0, epoll_wait(other, &event, 1, 0));
	deadline_queue_destroy(grown);
	EXPECT_TRUE(is_open(fd));
}

#define TIMED 20

static void note_time(void *arg)
{
	__atomic_store_n((uint64_t *)arg, deadline_now(), __ATOMIC_RELEASE);
}

/*
 * Everything is closed while functions wait for the end of their contexts.  The thread
 * that sees that looks each millisecond then, if it gets to run: so this one sleeps.
 */
TEST(functions_run)
{
	uint64_t first = deadline_in(50 * MS), late, least = UINT64_MAX;
	deadline_context *contexts[TIMED], *canceled;
	uint64_t ran[TIMED] = {}, ended = 0;
	deadline_hook *hook;
	int i;

	for (i = 0; i < TIMED; i++) {
		ASSERT_EQ(0, deadline_with_deadline(deadline_background(), 0,
						    &contexts[i],
						    first + i * 25 * MS));
		ASSERT_EQ(0, deadline_after(contexts[i], note_time, &ran[i],
					    &hook));
		deadline_hook_free(hook);
	}
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &canceled));
	ASSERT_EQ(0, deadline_after(canceled, note_time, &ended, &hook));
	deadline_hook_free(hook);
	ASSERT_EQ(0, syscall(SYS_close_range, 3, ~0U, 0));
	EXPECT_EQ(1, deadline_cancel(canceled, 0));
	WAIT_FOR(__atomic_load_n(&ended, __ATOMIC_ACQUIRE));
	for (i = 0; i < TIMED; i++) {
		while (!__atomic_load_n(&ran[i], __ATOMIC_ACQUIRE))
			usleep(1000);
		EXPECT_LE(first + i * 25 * MS, ran[i]);
		late = ran[i] - first - i * 25 * MS;
		least = late < least ? late : least;
		EXPECT_EQ(-ETIME, deadline_err(contexts[i]));
		deadline_release(contexts[i]);
	}
	EXPECT_GT(50 * MS, least);
	deadline_release(canceled);
}

TEST_HARNESS_MAIN
