// SPDX-License-Identifier: GPL-2.0
/*
 * poll(2) and epoll(7): readable while the ring holds anything, and no wake-up
 * is missed, however near the deadline is to the sleep.
 */
#include <sys/epoll.h>
#include "queue.h"

#define READABLE (POLLIN | POLLRDNORM)

/* An epoll that watches @q */
static int epoll_of(const struct queue *q, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, q->fd, &event))
		return -1;
	return fd;
}

/* What it reports, 0 if nothing */
static uint32_t epolled(int fd, int timeout)
{
	struct epoll_event event = { .events = 0xA5A5 };

	return epoll_wait(fd, &event, 1, timeout) == 1 ? event.events : 0;
}

TEST_F(queue, level)
{
	int fd = epoll_of(&self->q, EPOLLIN);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, polled(&self->q, 0));
	EXPECT_EQ(0, epolled(fd, 0));
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + MS));
	EXPECT_EQ(READABLE, polled(&self->q, -1));
	EXPECT_EQ(READABLE, polled(&self->q, 0));
	EXPECT_EQ(EPOLLIN, epolled(fd, -1));
	EXPECT_EQ(EPOLLIN, epolled(fd, 0));
	EXPECT_EQ(1, ring_drain(&self->q));
	EXPECT_EQ(0, polled(&self->q, 0));
	EXPECT_EQ(0, epolled(fd, 0));
	close(fd);
}

/* Two hints, one taken: still readable */
TEST_F(queue, until_empty)
{
	struct deadline_expiry expiry;

	ASSERT_EQ(0, slot_expire(&self->q, 0));
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_EQ(READABLE, polled(&self->q, 0));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(READABLE, polled(&self->q, 0));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(0, polled(&self->q, 0));
}

TEST_F(queue, edge)
{
	int fd = epoll_of(&self->q, EPOLLIN | EPOLLET);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(EPOLLIN, epolled(fd, -1));
	EXPECT_EQ(0, epolled(fd, 0));
	/* Another one is another edge, read or not. */
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_EQ(EPOLLIN, epolled(fd, -1));
	EXPECT_EQ(0, epolled(fd, 0));
	EXPECT_EQ(2, ring_drain(&self->q));
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_EQ(EPOLLIN, epolled(fd, -1));
	close(fd);
}

/* Watched since before SETUP: what comes after is seen all the same. */
TEST(epoll_before_setup)
{
	struct queue q = { .setup = { .slots = 64, .clock = CLOCK_MONOTONIC } };
	int fd;

	q.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, q.fd);
	fd = epoll_of(&q, EPOLLIN);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EPOLLERR, epolled(fd, 0));
	ASSERT_EQ(0, ioctl(q.fd, DEADLINE_IOC_SETUP, &q.setup));
	ASSERT_EQ(0, queue_map(&q));
	EXPECT_EQ(0, epolled(fd, 0));
	ASSERT_EQ(0, slot_expire(&q, 0));
	/* An edge must have come; 10 s is "never" here. */
	EXPECT_EQ(EPOLLIN, epolled(fd, 10000));
	queue_close(&q);
	close(fd);
}

/* Somebody sleeps already when the expiry comes. */
TEST_F(queue, wakes_sleeper)
{
	uint64_t when = due(clock_ns() + 20 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	EXPECT_EQ(READABLE, polled(&self->q, -1));
	EXPECT_LE(when, clock_ns());
	EXPECT_TRUE(slot_over(&self->q, 0));
}

/* A timeout that ends first is no expiry. */
TEST_F(queue, timeout)
{
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + 1000 * SECOND));
	EXPECT_EQ(0, polled(&self->q, 1));
	EXPECT_FALSE(slot_over(&self->q, 0));
}

static bool wait_by_poll(const struct queue *q, int epoll)
{
	(void)epoll;
	return polled(q, -1) == READABLE;
}

static bool wait_by_epoll(const struct queue *q, int epoll)
{
	(void)q;
	return epolled(epoll, -1) == EPOLLIN;
}

/*
 * Many deadlines that come while the thread goes to sleep: before it looks, in
 * between, after. If one wake-up were missed this would hang. Returns how many
 * times it was woken wrongly.
 */
static unsigned long miss_none(struct queue *q, int epoll,
			       bool (*wait)(const struct queue *q, int epoll))
{
	unsigned long i, n = rounds(20000), wrong = 0;
	uint64_t seed = 3, when;

	for (i = 0; i < n; i++) {
		when = clock_ns() + next_random(&seed) % (30 * US);
		if (slot_arm(q, i % 64, when))
			return n;
		do
			wrong += !wait(q, epoll);
		while (!ring_drain(q));
		wrong += clock_ns() < when;
	}
	return wrong;
}

TEST_F(queue, no_miss_poll)
{
	EXPECT_EQ(0, miss_none(&self->q, -1, wait_by_poll));
}

TEST_F(queue, no_miss_level)
{
	int fd = epoll_of(&self->q, EPOLLIN);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, miss_none(&self->q, fd, wait_by_epoll));
	close(fd);
}

TEST_F(queue, no_miss_edge)
{
	int fd = epoll_of(&self->q, EPOLLIN | EPOLLET);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, miss_none(&self->q, fd, wait_by_epoll));
	close(fd);
}

TEST_HARNESS_MAIN
