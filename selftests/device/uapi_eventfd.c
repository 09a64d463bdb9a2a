// SPDX-License-Identifier: GPL-2.0
/*
 * The registered eventfd: one count for each wake-up, none missed, replaced and
 * removed at will, and nothing else taken for an eventfd.
 */
#include <sys/eventfd.h>
#include "queue.h"

TEST_F(queue, counts)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint32_t list[] = { 5, 6, 7 };

	ASSERT_EQ(0, set_eventfd(&self->q, fd));
	EXPECT_EQ(0, counted(fd));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, counted(fd));
	EXPECT_EQ(0, counted(fd));
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	ASSERT_EQ(0, slot_expire(&self->q, 2));
	EXPECT_EQ(2, counted(fd));
	/* However many one doorbell expires, it wakes once. */
	slot_arm_silent(&self->q, 5, 16);
	slot_arm_silent(&self->q, 6, 16);
	slot_arm_silent(&self->q, 7, 16);
	ASSERT_EQ(3, ring_list(&self->q, list, 3));
	EXPECT_EQ(1, counted(fd));
	/* Nothing put into the ring, nobody woken */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(0, counted(fd));
	close(fd);
}

TEST_F(queue, from_interrupt)
{
	struct pollfd pollfd = { .events = POLLIN };
	uint64_t when = clock_ns() + 20 * MS;

	pollfd.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_EQ(0, set_eventfd(&self->q, pollfd.fd));
	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	ASSERT_EQ(1, poll(&pollfd, 1, -1));
	EXPECT_LE(when, clock_ns());
	EXPECT_EQ(1, counted(pollfd.fd));
	EXPECT_EQ(1, ring_drain(&self->q));
	close(pollfd.fd);
}

TEST_F(queue, refused)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), pipes[2];

	ASSERT_EQ(0, set_eventfd(&self->q, fd));
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(EINVAL, set_eventfd(&self->q, pipes[0]));
	EXPECT_EQ(EINVAL, set_eventfd(&self->q, pipes[1]));
	EXPECT_EQ(EINVAL, set_eventfd(&self->q, self->q.fd));
	close(pipes[0]);
	EXPECT_EQ(EBADF, set_eventfd(&self->q, pipes[0]));
	EXPECT_EQ(EBADF, set_eventfd(&self->q, -2));
	EXPECT_EQ(EBADF, set_eventfd(&self->q, INT32_MIN));
	EXPECT_EQ(EBADF, set_eventfd(&self->q, INT32_MAX));
	/* A number that is one only in its lower half */
	if (sizeof(long) == 8) {
		EXPECT_EQ(-1, ioctl(self->q.fd, DEADLINE_IOC_EVENTFD,
				    (unsigned long)(1ull << 32 | pipes[0])));
		EXPECT_EQ(EBADF, errno);
		EXPECT_EQ(-1, ioctl(self->q.fd, DEADLINE_IOC_EVENTFD,
				    (unsigned long)(1ull << 32 | fd)));
		EXPECT_EQ(EBADF, errno);
	}
	/* The one there was still is. */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, counted(fd));
	close(fd);
}

TEST_F(queue, replaced_and_removed)
{
	int one = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int two = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	EXPECT_EQ(0, set_eventfd(&self->q, -1));
	ASSERT_EQ(0, set_eventfd(&self->q, one));
	ASSERT_EQ(0, set_eventfd(&self->q, two));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(0, counted(one));
	EXPECT_EQ(1, counted(two));
	ASSERT_EQ(0, set_eventfd(&self->q, two));
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_EQ(1, counted(two));
	ASSERT_EQ(0, set_eventfd(&self->q, -1));
	ASSERT_EQ(0, slot_expire(&self->q, 2));
	EXPECT_EQ(0, counted(one));
	EXPECT_EQ(0, counted(two));
	close(one);
	close(two);
}

/* The program's descriptor may go; the queue has its own hold on it. */
TEST_F(queue, closed)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), copy = dup(fd);

	ASSERT_EQ(0, set_eventfd(&self->q, fd));
	close(fd);
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, counted(copy));
	close(copy);
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_EQ(2, ring_drain(&self->q));
}

/* A full counter is no reason to stop. */
TEST_F(queue, full)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t most = UINT64_MAX - 1;

	ASSERT_EQ(0, set_eventfd(&self->q, fd));
	ASSERT_EQ(8, write(fd, &most, sizeof(most)));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_LE(most, counted(fd));
	ASSERT_EQ(0, slot_expire(&self->q, 2));
	EXPECT_EQ(1, counted(fd));
	EXPECT_EQ(3, ring_drain(&self->q));
	close(fd);
}

struct switcher {
	const struct queue *q;
	int fds[2];
	bool stop;
};

static void *switch_eventfds(void *arg)
{
	struct switcher *s = arg;
	int i = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		set_eventfd(s->q, s->fds[i++ % 2]);
	return NULL;
}

/* Replaced all the time under expiries: each counts on one of the two. */
TEST_F(queue, replaced_under_load)
{
	struct switcher s = { .q = &self->q };
	unsigned long i, n = rounds(2000);
	uint64_t sum = 0, when;
	pthread_t thread;

	s.fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s.fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_EQ(0, set_eventfd(&self->q, s.fds[0]));
	ASSERT_EQ(0, pthread_create(&thread, NULL, switch_eventfds, &s));
	for (i = 0; i < n; i++) {
		when = clock_ns() + 10 * US;
		ASSERT_EQ(0, slot_arm(&self->q, 0, when));
		WAIT_FOR(slot_over(&self->q, 0));
		WAIT_FOR(ring_drain(&self->q));
		WAIT_FOR((sum += counted(s.fds[0]) + counted(s.fds[1])) > i);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(n, sum + counted(s.fds[0]) + counted(s.fds[1]));
	close(s.fds[0]);
	close(s.fds[1]);
}

TEST_F(queue, no_miss)
{
	unsigned long i, n = rounds(20000);
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t seed = 3, sum = 0;

	ASSERT_EQ(0, set_eventfd(&self->q, fd));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, i % 64, clock_ns() +
				      next_random(&seed) % (30 * US)));
		sum += counted(fd);
		ASSERT_EQ(1, ring_drain(&self->q));
	}
	EXPECT_EQ(n, sum);
	close(fd);
}

TEST_HARNESS_MAIN
