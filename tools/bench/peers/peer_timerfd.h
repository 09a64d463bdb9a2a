/* SPDX-License-Identifier: MIT */
/* What the peers that have timerfds share. */
#ifndef PEER_TIMERFD_H
#define PEER_TIMERFD_H

#include "../scenarios/bench.h"

struct fds {
	int epoll;
	unsigned int count;
	int fds[];
};

/* peer_timerfd.c: none of them in @epoll */
struct fds *timerfd_fds(unsigned int timers);
void timerfd_close(void *self);
void timerfd_start(void *self, const uint64_t *when, unsigned int n);
void timerfd_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			unsigned int n);
void timerfd_update(void *self, const uint32_t *which, const uint64_t *when,
		    unsigned int n);

#endif
