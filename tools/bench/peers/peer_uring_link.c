// SPDX-License-Identifier: MIT
/*
 * io_uring link timeouts: one that follows an operation limits it. Here that is a
 * poll of what never becomes ready; both complete, by the timeout or a cancel.
 */
#include "../scenarios/bench.h"

#if HAVE_URING
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "peer_uring.h"

/**
 * struct links - a ring and what its operations wait for
 * @fd: never ready
 * @odd: one completion was taken whose other one was not
 */
struct links {
	struct ring *ring;
	int fd;
	unsigned int odd;
};

static void *link_open(unsigned int timers)
{
	struct links *links = calloc(1, sizeof(*links));

	if (!links)
		return NULL;
	links->ring = uring_open(timers);
	if (!links->ring) {
		free(links);
		return NULL;
	}
	links->fd = eventfd(0, EFD_CLOEXEC);
	must(links->fd >= 0, "eventfd");
	return links;
}

static void link_close(void *self)
{
	struct links *links = self;

	uring_close(links->ring);
	close(links->fd);
	free(links);
}

/* What completes has these. */
static inline uint64_t poll_of(unsigned int timer)
{
	return 2ull * timer;
}

static inline uint64_t timeout_of(unsigned int timer)
{
	return 2ull * timer + 1;
}

static inline void prepare_pair(struct links *links, unsigned int i,
				unsigned int timer, uint64_t when)
{
	struct ring *ring = links->ring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	io_uring_prep_poll_add(sqe, links->fd, POLLIN);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(sqe, poll_of(timer));
	sqe = io_uring_get_sqe(&ring->ring);
	io_uring_prep_link_timeout(sqe, at(ring, i, when), IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, timeout_of(timer));
}

static void link_start(void *self, const uint64_t *when, unsigned int n)
{
	struct links *links = self;
	unsigned int done, i, batch;

	for (done = 0; done < n; done += batch) {
		batch = n - done < BATCH ? n - done : BATCH;
		for (i = 0; i < batch; i++)
			prepare_pair(links, i, done + i, when[done + i]);
		submit(links->ring, 2 * batch, 0);
	}
}

/* The cancel completes, the operation and its timeout. */
static void link_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			    unsigned int n)
{
	struct links *links = self;
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < n; i++) {
		prepare_pair(links, 0, at, when[i]);
		submit(links->ring, 2, 0);
		sqe = io_uring_get_sqe(&links->ring->ring);
		io_uring_prep_cancel64(sqe, poll_of(at), 0);
		io_uring_sqe_set_data64(sqe, OTHER);
		submit(links->ring, 1, 3);
	}
}

static void link_update(void *self, const uint32_t *which, const uint64_t *when,
			unsigned int n)
{
	struct links *links = self;
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < n; i++) {
		sqe = io_uring_get_sqe(&links->ring->ring);
		io_uring_prep_timeout_update(sqe, at(links->ring, 0, when[i]),
					     timeout_of(which[i]),
					     IORING_TIMEOUT_ABS |
					     IORING_LINK_TIMEOUT_UPDATE);
		io_uring_sqe_set_data64(sqe, OTHER);
		submit(links->ring, 1, 1);
	}
}

static bool link_over(void *self, unsigned int n)
{
	return uring_over(((struct links *)self)->ring, n);
}

/* Two completions each */
static unsigned int link_take(void *self, uint64_t *unused)
{
	struct io_uring_cqe *cqes[BATCH], *cqe;
	struct links *links = self;
	struct io_uring *ring = &links->ring->ring;
	unsigned int i, got;

	(void)unused;
	must(!io_uring_wait_cqe_nr(ring, &cqe, 2 - links->odd),
	     "io_uring_wait_cqe_nr");
	got = io_uring_peek_batch_cqe(ring, cqes, BATCH);
	for (i = 0; i < got; i++)
		must(cqes[i]->res == (cqes[i]->user_data % 2 ? -ETIME :
				      -ECANCELED), "a link timeout");
	io_uring_cq_advance(ring, got);
	got += links->odd;
	links->odd = got % 2;
	return got / 2;
}

const struct peer peer_uring_link = {
	.name		= "io_uring-link",
	.use		= "LINK_TIMEOUT of a poll, default flags; the poll is cancelled",
	.most		= 10000,
	.open		= link_open,
	.close		= link_close,
	.start		= link_start,
	.arm_cancel	= link_arm_cancel,
	.update		= link_update,
	.over		= link_over,
	.take		= link_take,
};
#endif
