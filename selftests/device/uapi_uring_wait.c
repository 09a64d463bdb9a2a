// SPDX-License-Identifier: GPL-2.0
/*
 * Waits of io_uring on the device, in each mode of a ring: when they complete, and
 * that each does so once, whatever goes away first.
 */
#include "module.h"
#include "uring.h"

TEST_F(uring, wait_refuses)
{
	struct deadline_wait wait = { .reserved = 1ull << 32 };

	if (!self->waits)
		SKIP(return, NO_WAITS);
	uring_prep(&self->ring, self->q.fd, DEADLINE_URING_WAIT, &wait, 1);
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	wait.reserved = 1;
	uring_prep(&self->ring, self->q.fd, DEADLINE_URING_CANCEL, &wait, 1);
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
}

TEST_F(uring, wait)
{
	uint64_t when = clock_ns() + 2 * MS, data;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	uring_prep_wait(&self->ring, self->q.fd, 5);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, slot_arm(&self->q, 3, when));
	ASSERT_EQ(1, uring_result(&self->ring, &data));
	EXPECT_EQ(5, data);
	EXPECT_LE(when, clock_ns());
	EXPECT_TRUE(slot_over(&self->q, 3));
	/* There is something already. */
	uring_prep_wait(&self->ring, self->q.fd, 6);
	EXPECT_EQ(1, uring_one(&self->ring));
	EXPECT_EQ(1, ring_drain(&self->q));
	/* And by a worker */
	uring_prep_wait(&self->ring, self->q.fd, 7)->flags |= IOSQE_ASYNC;
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	ASSERT_EQ(0, slot_arm(&self->q, 3, clock_ns() + MS));
	EXPECT_EQ(1, uring_result(&self->ring, &data));
}

/*
 * The thread of a ring does not sleep, so that who waits for it gets a CPU by the
 * scheduler's slices only, where there are no more than two: some ms each round.
 */
#define SQPOLL_ROUNDS	200

/* A wait per expiry, as near to it as can be: none is missed. */
TEST_F(uring, wait_misses_none)
{
	unsigned long i, n = rounds(2000);
	uint64_t seed = 3, when, data = 0;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	if (variant->mode & IORING_SETUP_SQPOLL)
		n = rounds(SQPOLL_ROUNDS);
	for (i = 0; i < n; i++) {
		when = clock_ns() + next_random(&seed) % (60 * US);
		ASSERT_EQ(0, slot_arm(&self->q, i % 64, when));
		do {
			uring_prep_wait(&self->ring, self->q.fd, i);
			ASSERT_TRUE(uring_submitted(&self->ring, 1));
			ASSERT_LE(0, uring_result(&self->ring, &data));
			ASSERT_EQ(i, data);
		} while (!ring_drain(&self->q));
		ASSERT_LE(when, clock_ns());
	}
}

/* All waits of the key, and no other */
TEST_F(uring, cancel)
{
	unsigned int i, seen = 0;
	uint64_t data;
	int ret;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	uring_prep_cancel(&self->ring, self->q.fd, 1, 9);
	EXPECT_EQ(-ENOENT, uring_one(&self->ring));
	uring_prep_wait(&self->ring, self->q.fd, 1);
	uring_prep_wait(&self->ring, self->q.fd, 2);
	uring_prep_wait(&self->ring, self->q.fd, 1);
	uring_prep_cancel(&self->ring, self->q.fd, 1, 9);
	ASSERT_TRUE(uring_submitted(&self->ring, 4));
	for (i = 0; i < 3; i++) {
		ret = uring_result(&self->ring, &data);
		EXPECT_EQ(data == 9 ? 2 : -ECANCELED, ret);
		EXPECT_NE(2, data);
		seen += data;
	}
	EXPECT_EQ(1 + 1 + 9, seen);
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, uring_result(&self->ring, &data));
	EXPECT_EQ(2, data);
}

/* io_uring's own cancel, a linked timeout's too, does not look for commands. */
TEST_F(uring, async_cancel)
{
	struct __kernel_timespec ms = { .tv_nsec = MS };
	struct io_uring_sqe *sqe;
	uint64_t data;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	uring_prep_wait(&self->ring, self->q.fd, 1)->flags |= IOSQE_IO_LINK;
	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_link_timeout(sqe, &ms, 0);
	io_uring_sqe_set_data64(sqe, 2);
	EXPECT_EQ(-ENOENT, uring_one(&self->ring));
	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_cancel64(sqe, 1, IORING_ASYNC_CANCEL_ALL);
	EXPECT_EQ(0, uring_one(&self->ring));
	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	EXPECT_EQ(-ENOENT, uring_one(&self->ring));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, uring_result(&self->ring, &data));
	EXPECT_EQ(1, data);
}

/* One more than there is room for is refused; the others wait on. */
TEST_F(uring, wait_limit)
{
	unsigned int i;
	uint64_t data;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	for (i = 0; i < 64; i++)
		uring_prep_wait(&self->ring, self->q.fd, i);
	ASSERT_TRUE(uring_submitted(&self->ring, 64));
	WAIT_FOR(!io_uring_sq_ready(&self->ring));
	EXPECT_TRUE(uring_quiet(&self->ring));
	uring_prep_wait(&self->ring, self->q.fd, i);
	EXPECT_EQ(-EBUSY, uring_one(&self->ring));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(1, uring_result(&self->ring, &data));
	EXPECT_TRUE(uring_quiet(&self->ring));
	uring_prep_wait(&self->ring, self->q.fd, i);
	EXPECT_EQ(1, uring_one(&self->ring));
}

/* The fd goes, the ring goes, in either order, with waits pending. */
TEST_F(uring, close_either)
{
	struct io_uring ring;
	struct queue q;
	unsigned int i;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
		ASSERT_EQ(0, io_uring_queue_init(8, &ring, variant->mode));
		uring_prep_wait(&ring, q.fd, 1);
		uring_prep_wait(&ring, q.fd, 2);
		ASSERT_TRUE(uring_submitted(&ring, 2));
		EXPECT_TRUE(uring_quiet(&ring));
		if (i) {
			queue_close(&q);
			io_uring_queue_exit(&ring);
		} else {
			io_uring_queue_exit(&ring);
			queue_close(&q);
		}
	}
	/* Only ours is left, once the rings have let go. */
	WAIT_FOR(module_uses() == 1);
}

/* The fd is closed, and the mapping expires the slot all the same. */
TEST_F(uring, expires_after_close)
{
	uint64_t data;
	struct queue q;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + 20 * MS));
	uring_prep_wait(&self->ring, q.fd, 1);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	/* The ring's own thread looks the fd up when it comes to it. */
	WAIT_FOR(!io_uring_sq_ready(&self->ring));
	queue_close(&q);
	EXPECT_EQ(1, uring_result(&self->ring, &data));
}

struct dying {
	unsigned int mode;
	int fd;
	int ready;
	void (*end)(void);
};

static void end_exit(void)
{
	_exit(0);
}

static void end_exec(void)
{
	execl("/bin/true", "true", NULL);
	execlp("busybox", "busybox", "true", NULL);
}

static void end_kill(void)
{
	for (;;)
		pause();
}

static int die_waiting(void *arg)
{
	struct dying *dying = arg;
	struct io_uring ring;
	char byte = 0;

	if (io_uring_queue_init(8, &ring, dying->mode))
		return 1;
	uring_prep_wait(&ring, dying->fd, 1);
	uring_prep_wait(&ring, dying->fd, 2);
	if (!uring_submitted(&ring, 2) || !uring_quiet(&ring) ||
	    write(dying->ready, &byte, 1) != 1)
		return 2;
	dying->end();
	return 3;
}

/* A process ends with waits pending: its ring goes, and the queue lives on. */
TEST_F(uring, task_ends)
{
	void (*ends[])(void) = { end_exit, end_exec, end_kill };
	struct dying dying = { .mode = variant->mode, .fd = self->q.fd };
	unsigned int i;
	int status, fds[2];
	char byte;
	pid_t pid;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	ASSERT_EQ(0, pipe(fds));
	dying.ready = fds[1];
	for (i = 0; i < 3; i++) {
		dying.end = ends[i];
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(die_waiting(&dying));
		ASSERT_EQ(1, read(fds[0], &byte, 1));
		if (dying.end == end_kill)
			kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(dying.end == end_kill ? SIGKILL : 0, status);
	}
	/* Nothing of theirs is in the way. */
	uring_prep_wait(&self->ring, self->q.fd, 3);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, uring_result(&self->ring, &(uint64_t){ 0 }));
}

static int submit_only(void *ring)
{
	return !uring_submitted(ring, 1);
}

/* A child that has the ring too submits a wait and ends: it is the ring's. */
TEST_F(uring, submitter_ends)
{
	uint64_t data;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	if (variant->mode & IORING_SETUP_SINGLE_ISSUER)
		return;	/* only one task may submit */
	uring_prep_wait(&self->ring, self->q.fd, 1);
	EXPECT_TRUE(exited(in_child(submit_only, &self->ring), 0));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, uring_result(&self->ring, &data));
}

struct racer {
	struct queue *q;
	int stop;
};

static void *expire_thread(void *arg)
{
	struct racer *racer = arg;
	uint64_t seed = 5;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		slot_arm(racer->q, next_random(&seed) % 64, clock_ns() +
			 next_random(&seed) % (20 * US));
		ring_drain(racer->q);
		relax();
	}
	return NULL;
}

/* Each wait completes once: by an expiry or the cancel that races with it. */
TEST_F(uring, race)
{
	unsigned long round, n = rounds(2000), canceled = 0, woken = 0;
	struct racer racer = { .q = &self->q };
	unsigned int i, seen, counted[16];
	uint64_t seed = 7, data;
	pthread_t thread;
	int ret, ended;

	if (!self->waits)
		SKIP(return, NO_WAITS);
	if (variant->mode & IORING_SETUP_SQPOLL)
		n = rounds(SQPOLL_ROUNDS);
	ASSERT_EQ(0, pthread_create(&thread, NULL, expire_thread, &racer));
	for (round = 0; round < n; round++) {
		memset(counted, 0, sizeof(counted));
		ended = 0;
		for (i = 0; i < 8; i++)
			uring_prep_wait(&self->ring, self->q.fd, i);
		for (i = 0; i < 8; i++)
			uring_prep_cancel(&self->ring, self->q.fd, i, 8 + i);
		/* Here too: the thread may have no CPU of its own. */
		ring_drain(&self->q);
		slot_arm(&self->q, 64, clock_ns() +
			 next_random(&seed) % (40 * US));
		ASSERT_TRUE(uring_submitted(&self->ring, 16));
		for (seen = 0; seen < 16; seen++) {
			ret = uring_result(&self->ring, &data);
			ASSERT_LT(data, 16);
			counted[data % 16]++;
			if (data < 8) {
				ASSERT_TRUE(ret >= 0 || ret == -ECANCELED);
				woken += ret >= 0;
				ended += ret == -ECANCELED;
			} else {
				ASSERT_TRUE(ret == 1 || ret == -ENOENT);
				ended -= ret == 1;
			}
		}
		for (i = 0; i < 16; i++)
			ASSERT_EQ(1, counted[i]);
		/* Who says that it cancelled a wait did. */
		ASSERT_EQ(0, ended);
		canceled += 8;
	}
	canceled -= woken;
	__atomic_store_n(&racer.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_TRUE(uring_quiet(&self->ring));
	TH_LOG("%lu waits: %lu woken, %lu cancelled", 8 * n, woken, canceled);
}

TEST_HARNESS_MAIN
