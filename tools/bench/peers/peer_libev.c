// SPDX-License-Identifier: MIT
/*
 * libev: timers relative to the loop's own time; a move is ev_timer_again(). It sleeps
 * in select(2), as with epoll it rounds each timeout up to whole ms.
 */
#include "../scenarios/bench.h"

#if HAVE_LIBEV
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

/**
 * struct loop - a loop and its timers
 * @now: CLOCK_MONOTONIC just before the loop's own time
 */
struct loop {
	struct ev_loop *ev;
	uint64_t now;
	unsigned int expired;
	ev_timer timers[];
};

static void expire(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct loop *loop = timer->data;

	(void)events;
	ev_timer_stop(ev, timer);	/* one that has a repeat goes on */
	loop->expired++;
}

static void *libev_open(unsigned int timers)
{
	struct loop *loop = calloc(1, sizeof(*loop) +
				   timers * sizeof(*loop->timers));
	unsigned int i;

	if (!loop)
		return NULL;
	prctl(PR_SET_TIMERSLACK, 1);
	loop->ev = ev_loop_new(EVBACKEND_SELECT);
	must(loop->ev, "ev_loop_new");
	for (i = 0; i < timers; i++) {
		ev_timer_init(&loop->timers[i], expire, 0, 0);
		loop->timers[i].data = loop;
	}
	return loop;
}

static void libev_close(void *self)
{
	struct loop *loop = self;

	ev_loop_destroy(loop->ev);
	free(loop);
}

static inline void set_now(struct loop *loop)
{
	loop->now = deadline_now();
	ev_now_update(loop->ev);
}

static inline double after(const struct loop *loop, uint64_t when)
{
	return (int64_t)(when - loop->now) * 0.000000001;
}

static inline void arm(struct loop *loop, ev_timer *timer, uint64_t when)
{
	ev_timer_set(timer, after(loop, when), 0);
	ev_timer_start(loop->ev, timer);
}

static void libev_start(void *self, const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	set_now(loop);
	for (i = 0; i < n; i++)
		arm(loop, &loop->timers[i], when[i]);
}

static void libev_arm_cancel(void *self, unsigned int at,
			     const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	set_now(loop);
	for (i = 0; i < n; i++) {
		arm(loop, &loop->timers[at], when[i]);
		ev_timer_stop(loop->ev, &loop->timers[at]);
	}
}

static void libev_update(void *self, const uint32_t *which,
			 const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	ev_timer *timer;
	unsigned int i;

	set_now(loop);
	for (i = 0; i < n; i++) {
		timer = &loop->timers[which[i]];
		timer->repeat = after(loop, when[i]);
		ev_timer_again(loop->ev, timer);
	}
}

static void libev_turn(void *self, uint64_t unused)
{
	(void)unused;
	ev_run(((struct loop *)self)->ev, EVRUN_NOWAIT);
}

static void libev_anyway(void *self)
{
	set_now(self);
	libev_turn(self, 0);
}

static unsigned int libev_take(void *self, uint64_t *unused)
{
	struct loop *loop = self;
	unsigned int got;

	(void)unused;
	while (!loop->expired)
		ev_run(loop->ev, EVRUN_ONCE);
	got = loop->expired;
	loop->expired = 0;
	return got;
}

static const char *libev_version(void)
{
	static char version[16];

	snprintf(version, sizeof(version), "%d.%d", ev_version_major(),
		 ev_version_minor());
	return version;
}

const struct peer peer_libev = {
	.name		= "libev",
	.use		= "ev_timer in the loop's thread, callbacks; EVBACKEND_SELECT, no slack",
	.version	= libev_version,
	.most		= 1000000,
	.steady		= true,
	.open		= libev_open,
	.close		= libev_close,
	.start		= libev_start,
	.arm_cancel	= libev_arm_cancel,
	.update		= libev_update,
	.turn		= libev_turn,
	.anyway		= libev_anyway,
	.take		= libev_take,
};
#endif
