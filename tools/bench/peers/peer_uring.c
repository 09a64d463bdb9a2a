// SPDX-License-Identifier: MIT
/*
 * io_uring timeouts. With the default flags the kernel interrupts the task to post
 * a completion, and the task that computes sees it by loads. With DEFER_TASKRUN it
 * is posted when the task waits for it: cheaper for who sleeps anyhow.
 */
#include "../scenarios/bench.h"

#if HAVE_URING
#include <errno.h>
#include <stdlib.h>
#include "peer_uring.h"

static void *ring_open(unsigned int timers, unsigned int flags)
{
	struct io_uring_params params = {
		.flags = flags | IORING_SETUP_CQSIZE,
		.cq_entries = 4 * BATCH,
	};
	struct ring *ring = malloc(sizeof(*ring));
	int ret;

	if (!ring)
		return NULL;
	while (params.cq_entries < 2 * timers && params.cq_entries < 65536)
		params.cq_entries *= 2;
	ret = io_uring_queue_init_params(2 * BATCH, &ring->ring, &params);
	if (ret) {
		free(ring);
		errno = -ret;
		return NULL;
	}
	io_uring_register_ring_fd(&ring->ring);
	return ring;
}

void *uring_open(unsigned int timers)
{
	return ring_open(timers, 0);
}

static void *defer_open(unsigned int timers)
{
	return ring_open(timers, IORING_SETUP_SINGLE_ISSUER |
				 IORING_SETUP_DEFER_TASKRUN);
}

void uring_close(void *self)
{
	struct ring *ring = self;

	io_uring_queue_exit(&ring->ring);
	free(ring);
}

/* The @i-th of a batch: @timer shall expire at @when. */
static inline void prepare(struct ring *ring, unsigned int i,
			   unsigned int timer, uint64_t when)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	io_uring_prep_timeout(sqe, at(ring, i, when), 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, timer);
}

static inline void prepare_remove(struct ring *ring, unsigned int timer)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	io_uring_prep_timeout_remove(sqe, timer, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, OTHER);
}

static inline void prepare_update(struct ring *ring, unsigned int i,
				  unsigned int timer, uint64_t when)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	io_uring_prep_timeout_update(sqe, at(ring, i, when), timer,
				     IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, OTHER);
}

static void uring_start(void *self, const uint64_t *when, unsigned int n)
{
	struct ring *ring = self;
	unsigned int done, i, batch;

	for (done = 0; done < n; done += batch) {
		batch = n - done < BATCH ? n - done : BATCH;
		for (i = 0; i < batch; i++)
			prepare(ring, i, done + i, when[done + i]);
		submit(ring, batch, 0);
	}
}

/*
 * Each removal rides along with the timeout that is armed next: one system call for
 * both. It completes only if it fails; the timeout that it removes does complete.
 */
static inline void pairs(struct ring *ring, unsigned int at,
			 const uint64_t *when, unsigned int n,
			 unsigned int batch)
{
	unsigned int done, i, old = 0;

	for (done = 0; done < n; done += batch) {
		for (i = 0; i < old; i++)
			prepare_remove(ring, at + i);
		for (i = 0; i < batch; i++)
			prepare(ring, i, at + i, when[done + i]);
		submit(ring, old + batch, old);
		old = batch;
	}
	for (i = 0; i < old; i++)
		prepare_remove(ring, at + i);
	submit(ring, old, old);
}

static void uring_arm_cancel(void *self, unsigned int at,
			     const uint64_t *when, unsigned int n)
{
	pairs(self, at, when, n, 1);
}

static void batch_arm_cancel(void *self, unsigned int at,
			     const uint64_t *when, unsigned int n)
{
	pairs(self, at, when, n, BATCH);
}

static inline void updates(struct ring *ring, const uint32_t *which,
			   const uint64_t *when, unsigned int n,
			   unsigned int batch)
{
	unsigned int done, i;

	for (done = 0; done < n; done += batch) {
		for (i = 0; i < batch; i++)
			prepare_update(ring, i, which[done + i],
				       when[done + i]);
		submit(ring, batch, batch);
	}
}

static void uring_update(void *self, const uint32_t *which,
			 const uint64_t *when, unsigned int n)
{
	updates(self, which, when, n, 1);
}

static void batch_update(void *self, const uint32_t *which,
			 const uint64_t *when, unsigned int n)
{
	updates(self, which, when, n, BATCH);
}

/* A load and a compare: less than io_uring_peek_cqe() */
bool uring_over(void *self, unsigned int n)
{
	struct ring *ring = self;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = io_uring_cq_ready(&ring->ring);
	return over;
}

static unsigned int uring_take(void *self, uint64_t *unused)
{
	struct io_uring_cqe *cqes[BATCH], *cqe;
	struct ring *ring = self;
	unsigned int i, got;

	(void)unused;
	must(!io_uring_wait_cqe(&ring->ring, &cqe), "io_uring_wait_cqe");
	got = io_uring_peek_batch_cqe(&ring->ring, cqes, BATCH);
	for (i = 0; i < got; i++)
		must(cqes[i]->res == -ETIME, "a timeout of io_uring");
	io_uring_cq_advance(&ring->ring, got);
	return got;
}

const struct peer peer_uring = {
	.name		= "io_uring",
	.use		= "TIMEOUT, default flags: completions come by themselves",
	.most		= 100000,
	.open		= uring_open,
	.close		= uring_close,
	.start		= uring_start,
	.arm_cancel	= uring_arm_cancel,
	.update		= uring_update,
	.over		= uring_over,
	.take		= uring_take,
};

const struct peer peer_uring_defer = {
	.name		= "io_uring-defer",
	.use		= "TIMEOUT, DEFER_TASKRUN",
	.most		= 100000,
	.open		= defer_open,
	.close		= uring_close,
	.start		= uring_start,
	.arm_cancel	= uring_arm_cancel,
	.take		= uring_take,
};

const struct peer peer_uring_batch = {
	.name		= "io_uring-batch",
	.use		= "TIMEOUT, DEFER_TASKRUN, 64 to a system call",
	.most		= 100000,
	.open		= defer_open,
	.close		= uring_close,
	.start		= uring_start,
	.arm_cancel	= batch_arm_cancel,
	.update		= batch_update,
};
#endif
