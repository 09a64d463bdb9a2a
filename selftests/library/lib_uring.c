// SPDX-License-Identifier: GPL-2.0
/*
 * <deadline_uring.h>: expiries as completions and doorbells in a submission, in each
 * mode of a ring.
 */
#include <deadline_uring.h>
#include "library.h"
#include "rings.h"

/* Submit what was prepared, and wait for one completion: its result, and whose */
static int next(struct io_uring *ring, uint64_t *user_data)
{
	if (io_uring_submit(ring) < 0)
		return -EIO;
	return uring_result(ring, user_data);
}

FIXTURE(uring) {
	struct io_uring ring;
	deadline_queue *queue;
	struct deadline_slot *slots[64];
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
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, slots_alloc(self->queue, self->slots, 64));
	ASSERT_EQ(0, io_uring_queue_init(8, &self->ring, variant->mode));
}

FIXTURE_TEARDOWN(uring)
{
	io_uring_queue_exit(&self->ring);
	slots_free(self->slots, 64);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/* Was it submitted? */
static bool begin_wait(struct io_uring *ring, deadline_queue *queue,
		       uint64_t user_data)
{
	deadline_uring_prep_wait(io_uring_get_sqe(ring), queue, user_data);
	return uring_submitted(ring, 1);
}

/* One completion for all that are due, not before */
TEST_F(uring, wait)
{
	uint64_t when = deadline_in(3 * MS), user_data = 0;
	struct deadline_record records[64];
	int n = 0;

	ASSERT_TRUE(begin_wait(&self->ring, self->queue, 5));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, slots_arm(self->slots, 64, when));
	EXPECT_LE(0, next(&self->ring, &user_data));
	EXPECT_EQ(5, user_data);
	EXPECT_LE(when, deadline_now());
	EXPECT_TRUE(uring_quiet(&self->ring));
	while (n < 64)
		n += deadline_queue_reap(self->queue, records, 64);
	/* What came before the wait completes it at once. */
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	ASSERT_TRUE(begin_wait(&self->ring, self->queue, 6));
	EXPECT_LE(0, next(&self->ring, &user_data));
	EXPECT_EQ(6, user_data);
	EXPECT_EQ(1, deadline_queue_reap(self->queue, records, 64));
}

/* A loop that waits and reaps misses nothing. */
TEST_F(uring, wait_misses_none)
{
	unsigned long i, n = rounds(500);
	struct deadline_record record;
	uint64_t seed = 3, user_data = 0;

	if (variant->mode & IORING_SETUP_SQPOLL)
		n = rounds(100);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i % 64], 0,
					       deadline_in(next_random(&seed) %
							   (60 * US))));
		do {
			ASSERT_TRUE(begin_wait(&self->ring, self->queue, i));
			ASSERT_LE(0, next(&self->ring, &user_data));
			ASSERT_EQ(i, user_data);
		} while (!deadline_queue_reap(self->queue, &record, 1));
	}
}

/* One wait, and a completion at least for each expiry that came after a reap */
TEST_F(uring, multishot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	struct deadline_record record;
	struct io_uring_cqe *cqe;
	int i, more, ended = 0;
	uint64_t when;

	deadline_uring_prep_wait_multishot(sqe, self->queue, 5);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	for (i = 0; i < 20; i++) {
		when = deadline_in(100 * US);
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0, when));
		do {
			ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
			EXPECT_EQ(5, io_uring_cqe_get_data64(cqe));
			ASSERT_TRUE(cqe->flags & IORING_CQE_F_MORE);
			io_uring_cqe_seen(&self->ring, cqe);
		} while (!deadline_queue_reap(self->queue, &record, 1));
		EXPECT_LE(when, deadline_now());
	}
	sqe = io_uring_get_sqe(&self->ring);
	deadline_uring_prep_cancel_multishot(sqe, &self->ring, self->queue, 5);
	io_uring_sqe_set_data64(sqe, 9);
	ASSERT_TRUE(uring_submitted(&self->ring, 1));
	while (ended != 5 + 9) {
		ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
		more = cqe->flags & IORING_CQE_F_MORE;
		if (!more) {
			ended += io_uring_cqe_get_data64(cqe);
			EXPECT_EQ(io_uring_cqe_get_data64(cqe) == 5 ?
				  -ECANCELED : 0, cqe->res < 0 ? cqe->res : 0);
		}
		io_uring_cqe_seen(&self->ring, cqe);
	}
	EXPECT_TRUE(uring_quiet(&self->ring));
}

static void prep_cancel(struct io_uring *ring, deadline_queue *queue,
			uint64_t wait)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	deadline_uring_prep_cancel(sqe, ring, queue, wait);
	io_uring_sqe_set_data64(sqe, 9);
}

TEST_F(uring, wait_cancelled)
{
	uint64_t user_data = 0, seen = 0;
	int i, ret;

	ASSERT_TRUE(begin_wait(&self->ring, self->queue, 7));
	prep_cancel(&self->ring, self->queue, 7);
	for (i = 0; i < 2; i++) {
		ret = next(&self->ring, &user_data);
		seen += user_data;
		EXPECT_EQ(user_data == 7 ? -ECANCELED : 0, ret < 0 ? ret : 0);
	}
	EXPECT_EQ(7 + 9, seen);
	prep_cancel(&self->ring, self->queue, 7);
	EXPECT_EQ(-ENOENT, next(&self->ring, &user_data));
}

/* From another ring it works as well, or says that it does not. */
TEST_F(uring, wait_cancelled_from_elsewhere)
{
	struct io_uring_sqe *sqe;
	uint64_t user_data = 0;
	struct io_uring other;
	int ret;

	ASSERT_EQ(0, io_uring_queue_init(8, &other, 0));
	ASSERT_TRUE(begin_wait(&self->ring, self->queue, 7));
	do {
		/* A thread of the kernel's may have to begin the wait first. */
		sqe = io_uring_get_sqe(&other);
		deadline_uring_prep_cancel(sqe, &self->ring, self->queue, 7);
		io_uring_sqe_set_data64(sqe, 9);
		ret = next(&other, &user_data);
		EXPECT_EQ(9, user_data);
	} while (ret == -ENOENT);
	if (deadline_queue_features_(self->queue) &
	    DEADLINE_FEATURE_URING_WAIT) {
		EXPECT_LE(0, ret);
	} else {
		EXPECT_EQ(-EOPNOTSUPP, ret);
	}
	if (ret < 0)
		prep_cancel(&self->ring, self->queue, 7);
	for (user_data = 0; user_data != 7;)
		ret = next(&self->ring, &user_data);
	EXPECT_EQ(-ECANCELED, ret);
	io_uring_queue_exit(&other);
}

/* Multishot: the same */
TEST_F(uring, multishot_cancelled_from_elsewhere)
{
	struct io_uring_sqe *sqe;
	uint64_t user_data = 0;
	struct io_uring other;
	int ret;

	ASSERT_EQ(0, io_uring_queue_init(8, &other, 0));
	sqe = io_uring_get_sqe(&other);
	deadline_uring_prep_cancel_multishot(sqe, &self->ring, self->queue, 7);
	io_uring_sqe_set_data64(sqe, 9);
	ret = next(&other, &user_data);
	EXPECT_EQ(9, user_data);
	/* There is none. */
	EXPECT_EQ(deadline_queue_features_(self->queue) &
		  DEADLINE_FEATURE_URING_MULTISHOT ? -ENOENT : -EOPNOTSUPP,
		  ret);
	io_uring_queue_exit(&other);
}

/* Slots armed without a doorbell expire by the one that rides on a submission. */
TEST_F(uring, doorbell)
{
	uint64_t when = deadline_in(1000 * SECOND), user_data = 0, before;
	bool asleep = deadline_queue_backend(self->queue) ==
		      DEADLINE_BACKEND_KERNEL;
	int i, ret;

	before = stats_of(self->queue).handed_in;
	for (i = 0; i < 64; i++) {
		ret = deadline_uring_arm(self->slots[i], i % 2 ? 1 : when);
		ASSERT_LE(0, ret);
		/* The thread that serves may be awake, and then is not rung for. */
		if (asleep)
			EXPECT_EQ(1, ret);
	}
	EXPECT_EQ(-EBUSY, deadline_uring_arm(self->slots[0], 1));
	for (i = 0; i < 64 && asleep; i++)
		EXPECT_FALSE(slot_is_over(self->slots[i]));
	deadline_uring_prep_doorbell(io_uring_get_sqe(&self->ring),
				     self->queue);
	EXPECT_LE(0, next(&self->ring, &user_data));
	EXPECT_EQ(before + 64, handed_in(self->queue, before + 64));
	for (i = 0; i < 64; i++) {
		if (i % 2)
			WAIT_FOR(slot_is_over(self->slots[i]));
		else
			EXPECT_FALSE(slot_is_over(self->slots[i]));
	}
	/* Their looks are planned: no doorbell. */
	for (i = 0; i < 64; i += 2) {
		EXPECT_EQ(1, deadline_slot_cancel(self->slots[i]));
		EXPECT_EQ(0, deadline_uring_arm(self->slots[i], when));
	}
}

TEST_HARNESS_MAIN
