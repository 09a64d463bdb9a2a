// SPDX-License-Identifier: MIT
/*
 * An event loop that keeps its timers in a lazy heap, and sleeps in epoll_pwait2(2),
 * whose timeout has ns, until the first. Each of its turns compares the time that the
 * loop has anyway with that of the heap's top. What is over only the loop knows.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "../scenarios/bench.h"
#include "lazy.h"

/**
 * struct loop - a loop and its timers
 * @epoll: where its files would be
 */
struct loop {
	int epoll;
	struct heap heap;
	unsigned int expired;
	struct lazy timers[];
};

static void *loop_open(unsigned int timers)
{
	struct loop *loop = calloc(1, sizeof(*loop) +
				   timers * sizeof(*loop->timers));
	unsigned int i;

	if (!loop)
		return NULL;
	loop->heap.nodes = calloc(timers + 1, sizeof(*loop->heap.nodes));
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	must(loop->heap.nodes && loop->epoll >= 0, "a loop");
	prctl(PR_SET_TIMERSLACK, 1);
	for (i = 0; i < timers; i++)
		lazy_init(&loop->timers[i]);
	return loop;
}

static void loop_close(void *self)
{
	struct loop *loop = self;

	close(loop->epoll);
	free(loop->heap.nodes);
	free(loop);
}

/* Out of line, as most need not come here */
static __attribute__((__noinline__)) void put(struct loop *loop,
					      struct lazy *timer)
{
	lazy_put(&loop->heap, timer);
}

static __attribute__((__noinline__)) void look(struct loop *loop, uint64_t now)
{
	loop->expired += lazy_look(&loop->heap, now);
}

static inline void set(struct loop *loop, struct lazy *timer, uint64_t when)
{
	if (lazy_set(timer, when))
		put(loop, timer);
}

static void loop_start(void *self, const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(loop, &loop->timers[i], when[i]);
}

static void loop_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			    unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	for (i = 0; i < n; i++) {
		set(loop, &loop->timers[at], when[i]);
		lazy_cancel(&loop->timers[at]);
	}
}

static void loop_update(void *self, const uint32_t *which, const uint64_t *when,
			unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		set(loop, &loop->timers[which[i]], when[i]);
}

static void loop_turn(void *self, uint64_t now)
{
	struct loop *loop = self;

	if (lazy_first(&loop->heap) <= now)
		look(loop, now);
}

static unsigned int loop_take(void *self, uint64_t *unused)
{
	struct loop *loop = self;
	struct epoll_event event;
	struct timespec after;
	uint64_t now, ns;
	unsigned int got;

	(void)unused;
	for (;;) {
		now = deadline_now();
		look(loop, now);
		got = loop->expired;
		loop->expired = 0;
		if (got)
			return got;
		ns = lazy_first(&loop->heap) - now;
		after = (struct timespec){ ns / S, ns % S };
		must(!epoll_pwait2(loop->epoll, &event, 1, &after, NULL),
		     "epoll_pwait2");
	}
}

const struct peer peer_lazy = {
	.name		= "lazy",
	.use		= "an event loop with a lazy heap and epoll_pwait2; no slack",
	.most		= 1000000,
	.steady		= true,
	.open		= loop_open,
	.close		= loop_close,
	.start		= loop_start,
	.arm_cancel	= loop_arm_cancel,
	.update		= loop_update,
	.turn		= loop_turn,
	.take		= loop_take,
};
