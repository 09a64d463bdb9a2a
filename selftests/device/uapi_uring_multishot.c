// SPDX-License-Identifier: GPL-2.0
/*
 * A wait of io_uring that completes again and again, in each mode of a ring: once
 * for each time that the queue's ring gets entries, until it ends.
 */
#include "module.h"
#include "uring.h"

#define NO_MULTISHOT	"no multishot waits on this kernel"
#define HAS_MULTISHOT	\
	(self->q.setup.features & DEADLINE_FEATURE_URING_MULTISHOT)

static struct io_uring_sqe *make_multishot(struct io_uring_sqe *sqe)
{
	sqe->rw_flags = CMD_MULTISHOT;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	return sqe;
}

static struct io_uring_sqe *prep_multishot(struct io_uring *ring, int fd,
					   uint64_t key)
{
	return make_multishot(uring_prep_wait(ring, fd, key));
}

static bool begin(struct io_uring *ring, int fd, uint64_t key)
{
	prep_multishot(ring, fd, key);
	return uring_submitted(ring, 1);
}

/* Wait for one completion; is it of @key, with @least or more, and not the end? */
static bool again(struct io_uring *ring, uint64_t key, int least)
{
	struct io_uring_cqe *cqe;
	bool ok;

	if (io_uring_wait_cqe(ring, &cqe))
		return false;
	ok = io_uring_cqe_get_data64(cqe) == key && cqe->res >= least &&
	     cqe->flags == IORING_CQE_F_MORE;
	io_uring_cqe_seen(ring, cqe);
	return ok;
}

/* The result of the last one, or 1 << 20 if it is not the last */
static int last(struct io_uring *ring, uint64_t key)
{
	struct io_uring_cqe *cqe;
	int ret;

	if (io_uring_wait_cqe(ring, &cqe))
		return 1 << 20;
	ret = cqe->res;
	if (io_uring_cqe_get_data64(cqe) != key || cqe->flags)
		ret = 1 << 20;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

/* On PREEMPT_RT the wake-up comes after the expiry; a wait knows when both were. */
static bool expire_and_wake(struct io_uring *ring, struct queue *q, uint32_t i)
{
	ring_drain(q);
	uring_prep_wait(ring, q->fd, 4);
	return uring_submitted(ring, 1) && !slot_expire(q, i) &&
	       last(ring, 4) == 1;
}

TEST_F(uring, refuses)
{
	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	make_multishot(uring_prep_bell(&self->ring, self->q.fd, 1));
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	make_multishot(uring_prep_cancel(&self->ring, self->q.fd, 1, 2));
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
}

/* Not again for what is there already: it may be another thread's to reap. */
TEST_F(uring, each_time)
{
	unsigned int i;
	uint64_t when;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	ASSERT_TRUE(begin(&self->ring, self->q.fd, 5));
	EXPECT_TRUE(uring_quiet(&self->ring));
	for (i = 0; i < 20; i++) {
		when = clock_ns() + 200 * US;
		ASSERT_EQ(0, slot_arm(&self->q, i, when));
		ASSERT_TRUE(again(&self->ring, 5, 1));
		EXPECT_LE(when, clock_ns());
		EXPECT_TRUE(slot_over(&self->q, i));
		EXPECT_TRUE(uring_quiet(&self->ring));
		/* Every other time nobody reaps. */
		if (i % 2)
			EXPECT_EQ(2, ring_drain(&self->q));
	}
}

/* Entries that were there before, and a worker of io_uring that submits */
TEST_F(uring, at_once)
{
	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	ASSERT_TRUE(expire_and_wake(&self->ring, &self->q, 0));
	ASSERT_TRUE(begin(&self->ring, self->q.fd, 5));
	EXPECT_TRUE(again(&self->ring, 5, 1));
	EXPECT_TRUE(uring_quiet(&self->ring));
	prep_multishot(&self->ring, self->q.fd, 6)->flags |= IOSQE_ASYNC;
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	EXPECT_TRUE(again(&self->ring, 6, 1));
	EXPECT_TRUE(uring_quiet(&self->ring));
}

/* With the ring's thread awake there is a CPU for others by its slices only. */
#define SQPOLL_ROUNDS	100

/* One wait, and each expiry is told of, as near to another as can be. */
TEST_F(uring, misses_none)
{
	unsigned long i, n = rounds(2000);
	uint64_t seed = 3, when;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	if (variant->mode & IORING_SETUP_SQPOLL)
		n = rounds(SQPOLL_ROUNDS);
	ASSERT_TRUE(begin(&self->ring, self->q.fd, 5));
	for (i = 0; i < n; i++) {
		when = clock_ns() + next_random(&seed) % (60 * US);
		ASSERT_EQ(0, slot_arm(&self->q, i % 64, when));
		do {
			ASSERT_TRUE(again(&self->ring, 5, 1));
		} while (!ring_drain(&self->q));
		ASSERT_LE(when, clock_ns());
	}
}

/* All of the key, and those that wait once beside them go on. */
TEST_F(uring, cancel)
{
	unsigned int i, seen = 0;
	struct io_uring_cqe *cqe;
	uint64_t data;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	prep_multishot(&self->ring, self->q.fd, 1);
	uring_prep_wait(&self->ring, self->q.fd, 2);
	prep_multishot(&self->ring, self->q.fd, 1);
	uring_prep_cancel(&self->ring, self->q.fd, 1, 9);
	ASSERT_TRUE(uring_submitted(&self->ring, 4));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
		data = io_uring_cqe_get_data64(cqe);
		EXPECT_EQ(data == 9 ? 2 : -ECANCELED, cqe->res);
		EXPECT_EQ(0, cqe->flags);
		seen += data;
		io_uring_cqe_seen(&self->ring, cqe);
	}
	EXPECT_EQ(1 + 1 + 9, seen);
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, last(&self->ring, 2));
	EXPECT_TRUE(uring_quiet(&self->ring));
}

/* A ring whose completions nobody takes ends the wait, and has told so. */
TEST_F(uring, no_room)
{
	unsigned int i, n = 0;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	/* In its mode completions come by themselves. */
	ASSERT_EQ(0, io_uring_queue_init(1, &ring, 0));
	ASSERT_TRUE(begin(&ring, self->q.fd, 5));
	for (i = 0; i < 8; i++)
		ASSERT_TRUE(expire_and_wake(&self->ring, &self->q, i));
	do {
		ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
		EXPECT_LE(1, cqe->res);
		i = cqe->flags;
		io_uring_cqe_seen(&ring, cqe);
		n++;
	} while (i & IORING_CQE_F_MORE);
	EXPECT_GT(8, n);
	ASSERT_TRUE(expire_and_wake(&self->ring, &self->q, 9));
	EXPECT_TRUE(uring_quiet(&ring));
	/* It is out of the way. */
	ASSERT_TRUE(begin(&ring, self->q.fd, 6));
	EXPECT_TRUE(again(&ring, 6, 1));
	io_uring_queue_exit(&ring);
}

/* The clock is set: nothing to be reaped, but to be read. */
TEST_F(uring, clock_set)
{
	struct deadline_expiry expiry;
	struct timespec now;
	struct queue q;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	ASSERT_EQ(0, queue_open_on(&q, CLOCK_REALTIME, 64, O_CLOEXEC));
	ASSERT_TRUE(begin(&self->ring, q.fd, 5));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, clock_gettime(CLOCK_REALTIME, &now));
	ASSERT_EQ(0, clock_settime(CLOCK_REALTIME, &now));
	EXPECT_EQ(0, last(&self->ring, 5));
	EXPECT_EQ(-1, read(q.fd, &expiry, sizeof(expiry)));
	EXPECT_EQ(ECANCELED, errno);
	ASSERT_TRUE(begin(&self->ring, q.fd, 6));
	EXPECT_TRUE(uring_quiet(&self->ring));
	queue_close(&q);
}

/* The same with an entry in the ring, which nobody reaps: it ends all the same. */
TEST_F(uring, clock_set_beside_an_entry)
{
	struct timespec now;
	struct queue q;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	ASSERT_EQ(0, queue_open_on(&q, CLOCK_REALTIME, 64, O_CLOEXEC));
	ASSERT_TRUE(begin(&self->ring, q.fd, 5));
	ASSERT_EQ(0, slot_expire(&q, 0));
	EXPECT_TRUE(again(&self->ring, 5, 1));
	ASSERT_EQ(0, clock_gettime(CLOCK_REALTIME, &now));
	ASSERT_EQ(0, clock_settime(CLOCK_REALTIME, &now));
	EXPECT_EQ(1, last(&self->ring, 5));
	queue_close(&q);
}

/* The fd goes, the ring goes, in either order, with a wait pending or working. */
TEST_F(uring, close_either)
{
	struct io_uring ring;
	struct queue q;
	unsigned int i;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
		ASSERT_EQ(0, io_uring_queue_init(8, &ring, variant->mode));
		ASSERT_TRUE(begin(&ring, q.fd, 1));
		WAIT_FOR(!io_uring_sq_ready(&ring));
		if (i & 2)
			slot_expire(&q, 0);
		if (i & 1) {
			queue_close(&q);
			io_uring_queue_exit(&ring);
		} else {
			io_uring_queue_exit(&ring);
			queue_close(&q);
		}
	}
	WAIT_FOR(module_uses() == 1);
}

/* A process ends with work of its wait underway, and the queue lives on. */
TEST_F(uring, task_ends)
{
	unsigned int i = 0;
	struct io_uring ring;
	int status;
	pid_t pid;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(io_uring_queue_init(8, &ring, variant->mode) ||
		      !begin(&ring, self->q.fd, 1) || !again(&ring, 1, 1));
	do {
		ASSERT_EQ(0, slot_expire(&self->q, i++ % 64));
		ring_drain(&self->q);
		usleep(100);
	} while (!waitpid(pid, &status, WNOHANG));
	EXPECT_TRUE(exited(status, 0));
	ASSERT_TRUE(begin(&self->ring, self->q.fd, 3));
	ASSERT_EQ(0, slot_expire(&self->q, 64));
	EXPECT_TRUE(again(&self->ring, 3, 1));
}

/* However many came before it, a wait that is cancelled ends once. */
TEST_F(uring, race)
{
	unsigned long round, n = rounds(2000), told = 0;
	uint64_t seed = 7, data, when;
	struct io_uring_cqe *cqe;
	unsigned int ended;
	int ret, flags;

	if (!HAS_MULTISHOT)
		SKIP(return, NO_MULTISHOT);
	if (variant->mode & IORING_SETUP_SQPOLL)
		n = rounds(SQPOLL_ROUNDS);
	for (round = 0; round < n; round++) {
		ring_drain(&self->q);
		ASSERT_TRUE(begin(&self->ring, self->q.fd, 1));
		when = clock_ns() + next_random(&seed) % (40 * US);
		slot_arm(&self->q, round % 64, when);
		slot_arm(&self->q, 64, when + next_random(&seed) % (40 * US));
		while (clock_ns() < when)
			relax();
		uring_prep_cancel(&self->ring, self->q.fd, 1, 2);
		ASSERT_TRUE(uring_submitted(&self->ring, 1));
		for (ended = 0; ended != 3; ended |= data) {
			ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
			ret = cqe->res;
			flags = cqe->flags;
			data = io_uring_cqe_get_data64(cqe);
			io_uring_cqe_seen(&self->ring, cqe);
			ASSERT_EQ(0, ended & data);
			if (flags) {
				ASSERT_EQ(IORING_CQE_F_MORE, flags);
				ASSERT_LE(1, ret);
				data = 0;
				told++;
			} else {
				ASSERT_EQ(data == 1 ? -ECANCELED : 1, ret);
			}
		}
		slot_cancel(&self->q, round % 64);
		slot_cancel(&self->q, 64);
	}
	EXPECT_TRUE(uring_quiet(&self->ring));
	TH_LOG("%lu waits, %lu completions before they ended", n, told);
}

TEST_HARNESS_MAIN
