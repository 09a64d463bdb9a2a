/* SPDX-License-Identifier: MIT */
/* What the peers that are io_uring share. */
#ifndef PEER_URING_H
#define PEER_URING_H

#include <liburing.h>
#include "../scenarios/bench.h"

#define BATCH 64u
#define OTHER (~0ull)

/* Times must stay where they are until the ring is submitted. */
struct ring {
	struct io_uring ring;
	struct __kernel_timespec until[BATCH];
};

/* peer_uring.c: with the default flags */
void *uring_open(unsigned int timers);
void uring_close(void *self);
bool uring_over(void *self, unsigned int n);

static inline struct __kernel_timespec *at(struct ring *ring, unsigned int i,
					   uint64_t when)
{
	ring->until[i].tv_sec = when / S;
	ring->until[i].tv_nsec = when % S;
	return &ring->until[i];
}

static inline void submit(struct ring *ring, unsigned int n, unsigned int wait)
{
	must(io_uring_submit_and_wait(&ring->ring, wait) == (int)n,
	     "io_uring_submit_and_wait");
	must(io_uring_cq_ready(&ring->ring) >= wait,
	     "a completion of io_uring");
	io_uring_cq_advance(&ring->ring, wait);
}

#endif
