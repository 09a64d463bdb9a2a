/* SPDX-License-Identifier: GPL-2.0 */
/* io_uring for the tests of the device: the commands as raw SQEs. */
#ifndef SELFTESTS_URING_H
#define SELFTESTS_URING_H

#include "queue.h"
#include "rings.h"

/* What liburing 2.3 does not know */
#define OP_READ_MULTISHOT	49
#define CMD_MULTISHOT		2

#define NO_WAITS	"no waits before Linux 6.7"

/* A command with 16 bytes of payload. @data comes back. */
static inline struct io_uring_sqe *uring_prep(struct io_uring *ring, int fd,
					      uint32_t op, const void *payload,
					      uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->cmd_op = op;
	memcpy(sqe->cmd, payload, 16);
	io_uring_sqe_set_data64(sqe, data);
	return sqe;
}

static inline struct io_uring_sqe *uring_prep_wait(struct io_uring *ring,
						   int fd, uint64_t key)
{
	struct deadline_wait wait = { .key = key };

	return uring_prep(ring, fd, DEADLINE_URING_WAIT, &wait, key);
}

static inline struct io_uring_sqe *uring_prep_cancel(struct io_uring *ring,
						     int fd, uint64_t key,
						     uint64_t data)
{
	struct deadline_wait wait = { .key = key };

	return uring_prep(ring, fd, DEADLINE_URING_CANCEL, &wait, data);
}

static inline struct io_uring_sqe *uring_prep_bell(struct io_uring *ring,
						   int fd, uint64_t data)
{
	static const char zero[16];

	return uring_prep(ring, fd, DEADLINE_IOC_DOORBELL, zero, data);
}

/* Submit all that was prepared, and wait for the one completion. */
static inline int uring_one(struct io_uring *ring)
{
	uint64_t data;

	if (io_uring_submit(ring) < 0)
		return -EIO;
	return uring_result(ring, &data);
}

/* A queue, and a ring of the mode that the variant names */
FIXTURE(uring) {
	struct queue q;
	struct io_uring ring;
	bool waits;
};

FIXTURE_VARIANT(uring) {
	unsigned int mode;
};

FIXTURE_VARIANT_ADD(uring, default) {
	.mode = 0,
};

FIXTURE_VARIANT_ADD(uring, coop) {
	.mode = IORING_SETUP_COOP_TASKRUN,
};

FIXTURE_VARIANT_ADD(uring, defer) {
	.mode = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_VARIANT_ADD(uring, sqpoll) {
	.mode = IORING_SETUP_SQPOLL,
};

FIXTURE_SETUP(uring)
{
	ASSERT_EQ(0, queue_open(&self->q, 1024, O_CLOEXEC));
	ASSERT_EQ(0, io_uring_queue_init(64, &self->ring, variant->mode));
	self->waits = self->q.setup.features & DEADLINE_FEATURE_URING_WAIT;
}

FIXTURE_TEARDOWN(uring)
{
	io_uring_queue_exit(&self->ring);
	queue_close(&self->q);
}

#endif
