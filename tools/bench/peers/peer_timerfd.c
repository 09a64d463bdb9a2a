// SPDX-License-Identifier: MIT
/*
 * A timerfd each. One is waited for by read(2); many by epoll, edge-triggered, so
 * that an expiry need not be read before the timer is set again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "peer_timerfd.h"

#define EVENTS 256

static void raise_limit(unsigned int timers)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = timers + 64;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	setrlimit(RLIMIT_NOFILE, &limit);	/* or timerfd_create() tells */
}

void timerfd_close(void *self)
{
	struct fds *fds = self;

	while (fds->count)
		close(fds->fds[--fds->count]);
	close(fds->epoll);
	free(fds);
}

struct fds *timerfd_fds(unsigned int timers)
{
	struct fds *fds = malloc(sizeof(*fds) + timers * sizeof(*fds->fds));
	int fd;

	if (!fds)
		return NULL;
	raise_limit(timers);
	fds->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (fds->count = 0; fds->count < timers; fds->count++) {
		fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
		if (fd < 0) {
			timerfd_close(fds);
			return NULL;
		}
		fds->fds[fds->count] = fd;
	}
	return fds;
}

static void *timerfd_open(unsigned int timers)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct fds *fds = timerfd_fds(timers);
	unsigned int i;

	for (i = 0; fds && timers > 1 && i < timers; i++) {
		event.data.u32 = i;
		must(!epoll_ctl(fds->epoll, EPOLL_CTL_ADD, fds->fds[i], &event),
		     "epoll_ctl");
	}
	return fds;
}

static inline void set(int fd, uint64_t when)
{
	struct itimerspec spec = {
		.it_value.tv_sec = when / S,
		.it_value.tv_nsec = when % S,
	};

	must(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL),
	     "timerfd_settime");
}

void timerfd_start(void *self, const uint64_t *when, unsigned int n)
{
	struct fds *fds = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(fds->fds[i], when[i]);
}

void timerfd_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			unsigned int n)
{
	int fd = ((struct fds *)self)->fds[at];
	unsigned int i;

	for (i = 0; i < n; i++) {
		set(fd, when[i]);
		set(fd, 0);
	}
}

void timerfd_update(void *self, const uint32_t *which, const uint64_t *when,
		    unsigned int n)
{
	struct fds *fds = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(fds->fds[which[i]], when[i]);
}

static unsigned int timerfd_take(void *self, uint64_t *unused)
{
	struct epoll_event events[EVENTS];
	struct fds *fds = self;
	uint64_t count;
	int got;

	(void)unused;
	if (fds->count == 1) {
		must(read(fds->fds[0], &count, sizeof(count)) == sizeof(count),
		     "read of a timerfd");
		return 1;
	}
	got = epoll_wait(fds->epoll, events, EVENTS, -1);
	must(got > 0, "epoll_wait");
	return got;
}

const struct peer peer_timerfd = {
	.name		= "timerfd",
	.use		= "one each; read(2) of one, epoll (edge-triggered) of many",
	.most		= 100000,
	.steady		= true,
	.open		= timerfd_open,
	.close		= timerfd_close,
	.start		= timerfd_start,
	.arm_cancel	= timerfd_arm_cancel,
	.update		= timerfd_update,
	.take		= timerfd_take,
};
