// SPDX-License-Identifier: MIT
/* A timerfd is for who waits, not for who computes: here for its cost. */
#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "demo.h"

static inline void set(const int *fd, uint64_t when)
{
	struct itimerspec spec = {
		.it_value.tv_sec = when / S,
		.it_value.tv_nsec = when % S,
	};

	must(!timerfd_settime(*fd, TFD_TIMER_ABSTIME, &spec, NULL),
	     "timerfd_settime");
}

static inline void pair(void *fd, uint64_t base, const uint64_t *more)
{
	set(fd, base + *more);
	set(fd, 0);
}

double cost_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	double cost;

	if (fd < 0)
		return 0;
	cost = cost_of(pair, &fd, 8192, 1);
	close(fd);
	return cost;
}
