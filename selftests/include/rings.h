/* SPDX-License-Identifier: GPL-2.0 */
/* io_uring for tests: completions one at a time. */
#ifndef SELFTESTS_RINGS_H
#define SELFTESTS_RINGS_H

#include <liburing.h>
#include "harness.h"

/*
 * Were @n entries submitted, or more? Under IORING_SETUP_SQPOLL the kernel's thread may
 * have taken some by the time they are counted, which liburing leaves out.
 */
static inline bool uring_submitted(struct io_uring *ring, int n)
{
	int ret = io_uring_submit(ring);

	return ret >= (ring->flags & IORING_SETUP_SQPOLL ? 0 : n);
}

/* Wait for one completion; its result, and whose it is */
static inline int uring_result(struct io_uring *ring, uint64_t *data)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe(ring, &cqe);

	if (ret)
		return ret;
	*data = io_uring_cqe_get_data64(cqe);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

/* Is nothing completed, the task work that there is having run? */
static inline bool uring_quiet(struct io_uring *ring)
{
	io_uring_get_events(ring);
	return !io_uring_cq_ready(ring);
}

#endif
