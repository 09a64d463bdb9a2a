// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of io_uring on the device, in each mode of a ring: doorbells, and what
 * is refused.
 */
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
	uint32_t list[300], i;

	for (i = 0; i < 300; i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, i % 2 ? 1 : clock_ns() + SECOND);
	}
	uring_prep_bell(&self->ring, self->q.fd, list, 300, 1);
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
	uint32_t slot = 7;

	slot_arm_silent(&self->q, 7, 1);
	uring_prep_bell(&self->ring, self->q.fd, &slot, 1, 1)->flags |=
		IOSQE_ASYNC;
	ASSERT_EQ(1, uring_one(&self->ring));
	EXPECT_TRUE(slot_over(&self->q, 7));
}

#define LONG 100000

/* A doorbell that holds the queue's mutex for long */
static void *ring_long(void *arg)
{
	static const uint32_t list[LONG];

	ring_list(arg, list, LONG);
	return NULL;
}

/* While another doorbell is served, a worker waits, and the submitter does not. */
TEST_F(uring, doorbell_contended)
{
	uint64_t before, data;
	uint32_t slot = 7;
	pthread_t thread;
	bool went_on;

	do {
		slot_arm_silent(&self->q, 7, 1);
		uring_prep_bell(&self->ring, self->q.fd, &slot, 1, 1);
		before = status_of(&self->q.status->doorbells);
		ASSERT_EQ(0, pthread_create(&thread, NULL, ring_long,
					    &self->q));
		WAIT_FOR(status_of(&self->q.status->doorbells) != before);
		ASSERT_LE(1, io_uring_submit(&self->ring));
		/* Unless the other was faster: then once more */
		went_on = uring_quiet(&self->ring) &&
			  status_of(&self->q.status->doorbells) - before < LONG;
		ASSERT_EQ(1, uring_result(&self->ring, &data));
		ASSERT_TRUE(slot_over(&self->q, 7));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(before + LONG + 1,
			  status_of(&self->q.status->doorbells));
	} while (!went_on);
}

/* As the ioctl: the first's error, else how many were done */
TEST_F(uring, doorbell_refuses)
{
	uint32_t list[] = { 0, self->q.setup.slots, 1 };
	struct deadline_doorbell bell = {
		.slots = (uintptr_t)list,
		.count = 1,
		.flags = 1,
	};
	int fd = self->q.fd;

	slot_arm_silent(&self->q, 0, 1);
	uring_prep(&self->ring, fd, DEADLINE_IOC_DOORBELL, &bell, 1);
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	bell.flags = 0;
	bell.slots += 2;
	uring_prep(&self->ring, fd, DEADLINE_IOC_DOORBELL, &bell, 1);
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	uring_prep_bell(&self->ring, fd, (uint32_t *)16, 1, 1);
	EXPECT_EQ(-EFAULT, uring_one(&self->ring));
	uring_prep_bell(&self->ring, fd, list + 1, 2, 1);
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	EXPECT_FALSE(slot_over(&self->q, 0));
	EXPECT_EQ(0, status_of(&self->q.status->doorbells));
	uring_prep_bell(&self->ring, fd, list, 3, 1);
	EXPECT_EQ(1, uring_one(&self->ring));
	EXPECT_TRUE(slot_over(&self->q, 0));
}

TEST_F(uring, unknown)
{
	struct deadline_wait wait = {};
	struct iovec buffer = { &wait, sizeof(wait) };
	struct io_uring_sqe *sqe;

	uring_prep(&self->ring, self->q.fd, DEADLINE_IOC_RING, &wait, 1);
	EXPECT_EQ(-EOPNOTSUPP, uring_one(&self->ring));
	/* The size is part of the number. */
	uring_prep(&self->ring, self->q.fd, DEADLINE_URING_WAIT ^ 1 << 16,
		   &wait, 1);
	EXPECT_EQ(-EOPNOTSUPP, uring_one(&self->ring));
	sqe = uring_prep_bell(&self->ring, self->q.fd, NULL, 0, 1);
	sqe->rw_flags = 1 << 4;
	EXPECT_EQ(-EINVAL, uring_one(&self->ring));
	/* Which the core takes */
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &buffer, 1));
	sqe = uring_prep_bell(&self->ring, self->q.fd, NULL, 0, 1);
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
	uring_prep_bell(&self->ring, fd, NULL, 0, 1);
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
	uint32_t slot = 3;
	struct queue q;

	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
	ASSERT_EQ(0, io_uring_queue_init(8, &ring, IORING_SETUP_SQE128));
	slot_arm_silent(&q, 3, 1);
	sqe = uring_prep_bell(&ring, q.fd, &slot, 1, 1);
	memset(sqe + 1, 0, sizeof(*sqe));
	((char *)(sqe + 1))[63] = 1;
	EXPECT_EQ(-EINVAL, uring_one(&ring));
	EXPECT_FALSE(slot_over(&q, 3));
	sqe = uring_prep_bell(&ring, q.fd, &slot, 1, 1);
	memset(sqe + 1, 0, sizeof(*sqe));
	EXPECT_EQ(1, uring_one(&ring));
	EXPECT_TRUE(slot_over(&q, 3));
	io_uring_queue_exit(&ring);
	queue_close(&q);
}

TEST_HARNESS_MAIN
