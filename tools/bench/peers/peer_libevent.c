// SPDX-License-Identifier: MIT
/*
 * libevent: timers relative to the loop's own time, which it has only while it
 * runs, so all is done in a callback; by the precise timer, as it can do better than
 * ms. Timers of the same duration may share a list, a common timeout: as those have here
 * that are only armed and cancelled, whose durations are rounded up to whole ms.
 */
#include "../scenarios/bench.h"

#if HAVE_LIBEVENT
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

/* It has no more. */
#define MOST_COMMON 256u

/**
 * struct loop - a loop and its timers
 * @turn: what runs @job in a turn of the loop
 * @now: CLOCK_MONOTONIC just before the loop's own time
 * @at: for @job, as @which, @when and @n
 * @common: what stands for the common timeout of so many ms, if it is there
 */
struct loop {
	struct event_base *base;
	struct event turn;
	void (*job)(struct loop *loop);
	uint64_t now;
	unsigned int at;
	const uint32_t *which;
	const uint64_t *when;
	unsigned int n;
	unsigned int count, expired;
	const struct timeval *common[MOST_COMMON];
	struct event timers[];
};

static void expire(evutil_socket_t unused, short events, void *self)
{
	struct loop *loop = self;

	(void)unused;
	(void)events;
	loop->expired++;
}

static void do_job(evutil_socket_t unused, short events, void *self)
{
	struct loop *loop = self;

	(void)unused;
	(void)events;
	loop->now = deadline_now();
	event_base_update_cache_time(loop->base);
	loop->job(loop);
}

static void in_loop(struct loop *loop, void (*job)(struct loop *loop))
{
	loop->job = job;
	event_active(&loop->turn, EV_TIMEOUT, 1);
	must(event_base_loop(loop->base, EVLOOP_NONBLOCK) >= 0,
	     "event_base_loop");
}

static void *libevent_open(unsigned int timers)
{
	struct event_config *config = event_config_new();
	struct loop *loop = calloc(1, sizeof(*loop) +
				   timers * sizeof(*loop->timers));
	unsigned int i;

	if (!loop)
		return NULL;
	must(config && !event_config_set_flag(config,
					      EVENT_BASE_FLAG_PRECISE_TIMER),
	     "event_config_new");
	loop->base = event_base_new_with_config(config);
	must(loop->base, "event_base_new_with_config");
	event_config_free(config);
	loop->count = timers;
	evtimer_assign(&loop->turn, loop->base, do_job, loop);
	for (i = 0; i < timers; i++)
		evtimer_assign(&loop->timers[i], loop->base, expire, loop);
	return loop;
}

static void libevent_close(void *self)
{
	struct loop *loop = self;

	while (loop->count)
		event_del(&loop->timers[--loop->count]);
	event_base_free(loop->base);
	free(loop);
}

/* A timeval has us. */
static inline void arm(struct loop *loop, struct event *timer, uint64_t when)
{
	uint64_t us = when > loop->now ? (when - loop->now) / US + 1 : 1;
	struct timeval after = {
		.tv_sec = us / 1000000,
		.tv_usec = us % 1000000,
	};

	event_add(timer, &after);
}

static void do_start(struct loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->n; i++)
		arm(loop, &loop->timers[i], loop->when[i]);
}

static void libevent_start(void *self, const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;

	loop->when = when;
	loop->n = n;
	in_loop(loop, do_start);
}

static void do_arm_cancel(struct loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->n; i++) {
		arm(loop, &loop->timers[loop->at], loop->when[i]);
		event_del(&loop->timers[loop->at]);
	}
}

static void libevent_arm_cancel(void *self, unsigned int at,
				const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;

	loop->at = at;
	loop->when = when;
	loop->n = n;
	in_loop(loop, do_arm_cancel);
}

static const struct timeval *common(struct loop *loop, uint64_t when)
{
	uint64_t ms = when > loop->now ? (when - loop->now) / MS + 1 : 1;
	struct timeval after = {
		.tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000,
	};

	must(ms < MOST_COMMON, "as few durations as can be common");
	if (!loop->common[ms])
		loop->common[ms] = event_base_init_common_timeout(loop->base,
								  &after);
	return loop->common[ms];
}

static void do_common_arm_cancel(struct loop *loop)
{
	struct event *timer = &loop->timers[loop->at];
	unsigned int i;

	for (i = 0; i < loop->n; i++) {
		event_add(timer, common(loop, loop->when[i]));
		event_del(timer);
	}
}

static void common_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			      unsigned int n)
{
	struct loop *loop = self;

	loop->at = at;
	loop->when = when;
	loop->n = n;
	in_loop(loop, do_common_arm_cancel);
}

static void do_nothing(struct loop *loop)
{
	(void)loop;
}

static void libevent_anyway(void *self)
{
	in_loop(self, do_nothing);
}

static void do_update(struct loop *loop)
{
	unsigned int i;

	for (i = 0; i < loop->n; i++)
		arm(loop, &loop->timers[loop->which[i]], loop->when[i]);
}

static void libevent_update(void *self, const uint32_t *which,
			    const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;

	loop->which = which;
	loop->when = when;
	loop->n = n;
	in_loop(loop, do_update);
}

static unsigned int libevent_take(void *self, uint64_t *unused)
{
	struct loop *loop = self;
	unsigned int got;

	(void)unused;
	while (!loop->expired)
		must(event_base_loop(loop->base, EVLOOP_ONCE) >= 0,
		     "event_base_loop");
	got = loop->expired;
	loop->expired = 0;
	return got;
}

const struct peer peer_libevent = {
	.name		= "libevent",
	.use		= "evtimer in callbacks of the loop; PRECISE_TIMER",
	.version	= event_get_version,
	.most		= 1000000,
	.steady		= true,
	.open		= libevent_open,
	.close		= libevent_close,
	.start		= libevent_start,
	.arm_cancel	= libevent_arm_cancel,
	.update		= libevent_update,
	.anyway		= libevent_anyway,
	.take		= libevent_take,
};

const struct peer peer_libevent_common = {
	.name		= "libevent-common",
	.use		= "the same with common timeouts, of whole ms",
	.version	= event_get_version,
	.most		= 1000000,
	.steady		= true,
	.open		= libevent_open,
	.close		= libevent_close,
	.start		= libevent_start,
	.arm_cancel	= common_arm_cancel,
	.anyway		= libevent_anyway,
};
#endif
