// SPDX-License-Identifier: MIT
/*
 * An io_uring timeout: the task looks whether the completion is there. With the
 * default flags the kernel interrupts the task to post it; with COOP_TASKRUN or
 * DEFER_TASKRUN it would wait for a system call, which a task that computes
 * does not make. Those are for the costs, where they are cheaper.
 */
#include "demo.h"

#if HAVE_URING
#include <errno.h>
#include <liburing.h>

#define BATCH 64u
#define REMOVED (~0ull)

static struct io_uring ring;
static struct __kernel_timespec until[BATCH];

static int uring_open_flags(unsigned int flags)
{
	int ret = io_uring_queue_init(2 * BATCH, &ring, flags);

	if (!ret)
		io_uring_register_ring_fd(&ring);
	return ret;
}

static int uring_open(void)
{
	return uring_open_flags(0);
}

static inline void prepare(unsigned int i, uint64_t when)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	until[i].tv_sec = when / S;
	until[i].tv_nsec = when % S;
	io_uring_prep_timeout(sqe, &until[i], 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, i);
}

static inline void prepare_remove(unsigned int i)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_timeout_remove(sqe, i, 0);
	io_uring_sqe_set_data64(sqe, REMOVED);
}

static void uring_arm(uint64_t when)
{
	io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
	prepare(0, when);
	must(io_uring_submit(&ring) == 1, "io_uring_submit");
}

/* A load and a compare: less than io_uring_peek_cqe() */
static bool uring_over(void)
{
	return io_uring_cq_ready(&ring);
}

static void uring_cancel(void)
{
	prepare_remove(0);
	must(io_uring_submit_and_wait(&ring, 2) == 1, "io_uring_submit");
}

static void uring_close(void)
{
	io_uring_queue_exit(&ring);
}

struct peer io_uring_timeout = {
	.name	= "CQE: io_uring",
	.open	= uring_open,
	.arm	= uring_arm,
	.over	= uring_over,
	.cancel	= uring_cancel,
	.close	= uring_close,
};

/* The removal completes, and so does the timeout. */
static inline void pairs(unsigned int n, uint64_t base, const uint64_t *more)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		prepare(i, base + more[i]);
	must(io_uring_submit(&ring) == (int)n, "io_uring_submit");
	for (i = 0; i < n; i++)
		prepare_remove(i);
	must(io_uring_submit_and_wait(&ring, 2 * n) == (int)n,
	     "io_uring_submit_and_wait");
	must(io_uring_cq_ready(&ring) == 2 * n, "a completion of io_uring");
	io_uring_cq_advance(&ring, 2 * n);
}

static inline void one(void *unused, uint64_t base, const uint64_t *more)
{
	(void)unused;
	pairs(1, base, more);
}

static inline void many(void *unused, uint64_t base, const uint64_t *more)
{
	(void)unused;
	pairs(BATCH, base, more);
}

/* The cheapest of the ways to open the ring that there are here */
static double least(pair_t *pair, unsigned int step)
{
	static const unsigned int flags[] = {
		0,
		IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	};
	double best = 0, cost;
	unsigned int i;

	for (i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		if (uring_open_flags(flags[i]))
			continue;
		cost = cost_of(pair, NULL, 8192, step);
		if (!best || cost < best)
			best = cost;
		uring_close();
	}
	return best;
}

double cost_uring_single(void)
{
	return least(one, 1);
}

double cost_uring_batched(void)
{
	return least(many, BATCH);
}
#endif
