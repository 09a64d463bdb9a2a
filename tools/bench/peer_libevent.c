// SPDX-License-Identifier: MIT
/*
 * libevent: timers relative to the loop's own time, which it has only while it
 * runs, so all is done in a callback; by the precise timer, as it can do better than
 * ms.
 */
#include "bench.h"

#if HAVE_LIBEVENT
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

/**
 * struct loop - a loop and its timers
 * @turn: what runs @job in a turn of the loop
 * @now: CLOCK_MONOTONIC just before the loop's own time
 * @at: for @job, as @which, @when and @n
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
	struct loop *loop = malloc(sizeof(*loop) +
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
	loop->expired = 0;
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
	uint64_t us = (when - loop->now) / US + 1;
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
	.open		= libevent_open,
	.close		= libevent_close,
	.start		= libevent_start,
	.arm_cancel	= libevent_arm_cancel,
	.update		= libevent_update,
	.take		= libevent_take,
};
#endif
