// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring on the device as on any file, in each mode of a ring: poll and read,
 * once and multishot, registered, linked.
 */
#include "uring.h"

#define SIZE sizeof(struct deadline_expiry)

TEST_F(uring, poll)
{
	uint64_t when = clock_ns() + 2 * MS, data;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);

	io_uring_prep_poll_add(sqe, self->q.fd, POLLIN);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	EXPECT_EQ(POLLIN, uring_result(&self->ring, &data));
	EXPECT_LE(when, clock_ns());
}

/* Each expiry is told of, and the poll goes on. */
TEST_F(uring, poll_multishot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct io_uring_cqe *cqe;
	unsigned int i;

	io_uring_prep_poll_multishot(sqe, self->q.fd, POLLIN);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, i, clock_ns() + 100 * US));
		do {
			ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
			EXPECT_EQ(POLLIN, cqe->res);
			EXPECT_TRUE(cqe->flags & IORING_CQE_F_MORE);
			io_uring_cqe_seen(&self->ring, cqe);
		} while (!ring_drain(&self->q));
	}
}

TEST_F(uring, read)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct deadline_expiry got[4];
	uint64_t data;

	memset(got, 0xA5, sizeof(got));
	io_uring_prep_read(sqe, self->q.fd, got, sizeof(got), 0);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, slot_arm(&self->q, 3, clock_ns() + MS));
	ASSERT_EQ(SIZE, uring_result(&self->ring, &data));
	EXPECT_EQ(3, got[0].slot);
	EXPECT_EQ(0xA5A5A5A5, got[1].slot);
}

/* What is pending is cancelled by its user data. */
TEST_F(uring, read_cancel)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct deadline_expiry got;
	unsigned int i, seen = 0;
	uint64_t data = 0;
	int ret;

	io_uring_prep_read(sqe, self->q.fd, &got, SIZE, 0);
	io_uring_sqe_set_data64(sqe, 1);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	EXPECT_TRUE(uring_quiet(&self->ring));
	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	io_uring_sqe_set_data64(sqe, 2);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	for (i = 0; i < 2; i++) {
		ret = uring_result(&self->ring, &data);
		EXPECT_EQ(data == 1 ? -ECANCELED : 0, ret);
		seen += data;
	}
	EXPECT_EQ(3, seen);
	/* It consumed nothing. */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, ring_drain(&self->q));
}

/* A registered file, and a request that runs when the deadline has come */
TEST_F(uring, linked)
{
	uint64_t when = clock_ns() + 2 * MS, data = 0;
	struct deadline_expiry got;
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, io_uring_register_files(&self->ring, &self->q.fd, 1));
	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_read(sqe, 0, &got, SIZE, 0);
	sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, 1);
	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, 2);
	ASSERT_TRUE(uring_submitted(&self->ring, 2));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, slot_arm(&self->q, 3, when));
	EXPECT_EQ(SIZE, uring_result(&self->ring, &data));
	EXPECT_EQ(1, data);
	EXPECT_EQ(0, uring_result(&self->ring, &data));
	EXPECT_EQ(2, data);
	EXPECT_LE(when, clock_ns());
}

/* Into buffers that are provided: a completion for each expiry */
TEST_F(uring, read_multishot)
{
	struct io_uring_buf_reg reg = { .ring_entries = 8 };
	struct io_uring_buf_ring *buffers;
	static struct deadline_expiry got[8];
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned int i, id;

	if (!self->waits)
		SKIP(return, "no multishot reads before Linux 6.7");
	buffers = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)buffers);
	reg.ring_addr = (uintptr_t)buffers;
	ASSERT_EQ(0, io_uring_register_buf_ring(&self->ring, &reg, 0));
	io_uring_buf_ring_init(buffers);
	for (i = 0; i < 8; i++)
		io_uring_buf_ring_add(buffers, &got[i], SIZE, i, 7, i);
	io_uring_buf_ring_advance(buffers, 8);

	sqe = io_uring_get_sqe(&self->ring);
	io_uring_prep_rw(OP_READ_MULTISHOT, sqe, self->q.fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, i, clock_ns() + 100 * US));
		ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(SIZE, cqe->res);
		EXPECT_TRUE(cqe->flags & IORING_CQE_F_MORE);
		id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
		ASSERT_GT(8, id);
		EXPECT_EQ(i, got[id].slot);
		io_uring_cqe_seen(&self->ring, cqe);
	}
}

TEST_HARNESS_MAIN
