// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of io_uring on the device, in each mode of a ring: doorbells, and what
 * is refused.
 */
#include <sys/utsname.h>
#include "uring.h"

/* The newer kernels have waits; all have doorbells. */
TEST_F(uring, features)
{
	struct utsname name;
	char *dot;
	long major;

	ASSERT_EQ(0, uname(&name));
	major = strtol(name.release, &dot, 10);
	EXPECT_EQ(major > 6 || strtol(dot + 1, NULL, 10) >= 7, self->waits);
	uring_prep_cancel(&self->ring, self->q.fd, 1, 2);
	EXPECT_EQ(self->waits ? -ENOENT : -EOPNOTSUPP, uring_one(&self->ring));
	EXPECT_TRUE(self->q.setup.features & DEADLINE_FEATURE_URING_DOORBELL);
}

TEST_F(uring, doorbell)
{
	uint32_t i;

	for (i = 0; i < 300; i++) {
		slot_arm_silent(&self->q, i,
				i % 2 ? 1 : clock_ns() + 1000 * SECOND);
		hand_in(&self->q, i);
	}
	uring_prep_bell(&self->ring, self->q.fd, 1);
	ASSERT_EQ(300, uring_one(&self->ring));
	for (i = 0; i < 300; i++) {
		EXPECT_EQ(i % 2, slot_over(&self->q, i));
		if (i % 2 == 0)
			EXPECT_EQ(slot_word(&self->q, i) & ~15ull,
				  slot_queued(&self->q, i));
	}
	EXPECT_EQ(150, ring_drain(&self->q));
}

/* By a worker, which may sleep */
TEST_F(uring, doorbell_async)
{
	slot_arm_silent(&self->q, 7, 1);
	hand_in(&self->q, 7);
	uring_prep_bell(&self->ring, self->q.fd, 1)->flags |= IOSQE_ASYNC;
	ASSERT_EQ(1, uring_one(&self->ring));
	EXPECT_TRUE(slot_over(&self->q, 7));
}

#define LONG 100000

/* A doorbell that holds the queue's mutex for long */
static void *ring_long(void *arg)
{
	ring(arg);
	return NULL;
}

/* While another doorbell is served, a worker waits, and the submitter does not. */
TEST(doorbell_contended)
{
	uint64_t before, data;
	struct io_uring io;
	pthread_t thread;
	struct queue q;
	bool armed, went_on;
	uint32_t i;

	ASSERT_EQ(0, queue_open(&q, LONG, O_CLOEXEC));
	ASSERT_EQ(0, io_uring_queue_init(8, &io, 0));
	do {
		for (i = 0; i < LONG; i++)
			hand_in(&q, i);
		before = status_of(&q.status->handed_in);
		ASSERT_EQ(0, pthread_create(&thread, NULL, ring_long, &q));
		WAIT_FOR(status_of(&q.status->handed_in) != before);
		slot_arm_silent(&q, 0, 1);
		/* The last to be taken; unless the other was faster: then once more */
		armed = status_of(&q.status->handed_in) - before < LONG / 2;
		uring_prep_bell(&io, q.fd, 1);
		ASSERT_TRUE(uring_submitted(&io, 1));
		went_on = uring_quiet(&io) &&
			  status_of(&q.status->handed_in) - before < LONG;
		ASSERT_LE(0, uring_result(&io, &data));
		ASSERT_TRUE(!armed || slot_over(&q, 0));
		ASSERT_EQ(0, pthread_join(thread, NULL));
	} while (!armed || !went_on);
	io_uring_queue_exit(&io);
	queue_close(&q);
}

/* The payload is zero. */
TEST_F(uring, doorbell_refuses)
{
	struct deadline_wait zero[2] = { { .key = 1 }, { .reserved = 1 } };
	unsigned int i;

	slot_arm_silent(&self->q, 0, 1);
	hand_in(&self->q, 0);
	for (i = 0; i < ARRAY_SIZE(zero); i++) {
		uring_prep(&self->ring, self->q.fd, DEADLINE_IOC_DOORBELL,
			   &zero[i], 1);
		EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	}
	EXPECT_FALSE(slot_over(&self->q, 0));
	EXPECT_EQ(0, status_of(&self->q.status->doorbells));
	uring_prep_bell(&self->ring, self->q.fd, 1);
	EXPECT_EQ(1, uring_one(&self->ring));
	EXPECT_TRUE(slot_over(&self->q, 0));
}

TEST_F(uring, unknown)
{
	struct deadline_wait wait = {};
	struct iovec buffer = { &wait, sizeof(wait) };
	struct io_uring_sqe *sqe;

	uring_prep(&self->ring, self->q.fd, DEADLINE_IOC_EVENTFD, &wait, 1);
	EXPECT_EQ(-EOPNOTSUPP, uring_one(&self->ring));
	/* The size is part of the number. */
	uring_prep(&self->ring, self->q.fd, DEADLINE_URING_WAIT ^ 1 << 16,
		   &wait, 1);
	EXPECT_EQ(-EOPNOTSUPP, uring_one(&self->ring));
	sqe = uring_prep_bell(&self->ring, self->q.fd, 1);
	sqe->rw_flags = 1 << 4;
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	/* Which the core takes */
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &buffer, 1));
	sqe = uring_prep_bell(&self->ring, self->q.fd, 1);
	sqe->rw_flags = IORING_URING_CMD_FIXED;
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
}

/* io_uring wants a buffer group with it, and it is no flag where there is none. */
TEST_F(uring, multishot)
{
	uring_prep_wait(&self->ring, self->q.fd, 1)->rw_flags = CMD_MULTISHOT;
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
}

TEST_F(uring, before_setup)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	uring_prep_bell(&self->ring, fd, 1);
	EXPECT_EQ(-EBADFD, uring_one(&self->ring));
	uring_prep_wait(&self->ring, fd, 1);
	EXPECT_EQ(-EBADFD, uring_one(&self->ring));
	close(fd);
}

/* The second half of a big SQE is zero. */
TEST(sqe128)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	struct queue q;

	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
	ASSERT_EQ(0, io_uring_queue_init(8, &ring, IORING_SETUP_SQE128));
	slot_arm_silent(&q, 3, 1);
	hand_in(&q, 3);
	sqe = uring_prep_bell(&ring, q.fd, 1);
	memset(sqe + 1, 0, sizeof(*sqe));
	((char *)(sqe + 1))[63] = 1;
	EXPECT_EQ(-EINVAL, uring_one(&ring));
	EXPECT_FALSE(slot_over(&q, 3));
	sqe = uring_prep_bell(&ring, q.fd, 1);
	memset(sqe + 1, 0, sizeof(*sqe));
	EXPECT_EQ(1, uring_one(&ring));
	EXPECT_TRUE(slot_over(&q, 3));
	io_uring_queue_exit(&ring);
	queue_close(&q);
}

TEST_HARNESS_MAIN
