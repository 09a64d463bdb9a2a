// SPDX-License-Identifier: MIT
/* libuv: timers of whole ms, relative to the loop's own time. */
#include "../scenarios/bench.h"

#if HAVE_LIBUV
#include <stdlib.h>
#include <sys/prctl.h>
#include <uv.h>

/**
 * struct loop - a loop and its timers
 */
struct loop {
	uv_loop_t uv;
	unsigned int count, expired;
	uv_timer_t timers[];
};

static void expire(uv_timer_t *timer)
{
	struct loop *loop = timer->data;

	loop->expired++;
}

static void *libuv_open(unsigned int timers)
{
	struct loop *loop = malloc(sizeof(*loop) +
				   timers * sizeof(*loop->timers));
	unsigned int i;

	if (!loop)
		return NULL;
	prctl(PR_SET_TIMERSLACK, 1);
	must(!uv_loop_init(&loop->uv), "uv_loop_init");
	loop->count = timers;
	loop->expired = 0;
	for (i = 0; i < timers; i++) {
		uv_timer_init(&loop->uv, &loop->timers[i]);
		loop->timers[i].data = loop;
	}
	return loop;
}

static void libuv_close(void *self)
{
	struct loop *loop = self;
	unsigned int i;

	for (i = 0; i < loop->count; i++)
		uv_close((uv_handle_t *)&loop->timers[i], NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	must(!uv_loop_close(&loop->uv), "uv_loop_close");
	free(loop);
}

/* The loop's time is CLOCK_MONOTONIC in whole ms: rounded up, it is never early. */
static inline void arm(struct loop *loop, uv_timer_t *timer, uint64_t when)
{
	uv_timer_start(timer, expire, when / MS + 1 - uv_now(&loop->uv), 0);
}

static void libuv_start(void *self, const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	uv_update_time(&loop->uv);
	for (i = 0; i < n; i++)
		arm(loop, &loop->timers[i], when[i]);
}

static void libuv_arm_cancel(void *self, unsigned int at,
			     const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	uv_update_time(&loop->uv);
	for (i = 0; i < n; i++) {
		arm(loop, &loop->timers[at], when[i]);
		uv_timer_stop(&loop->timers[at]);
	}
}

static void libuv_update(void *self, const uint32_t *which,
			 const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	uv_update_time(&loop->uv);
	for (i = 0; i < n; i++)
		arm(loop, &loop->timers[which[i]], when[i]);
}

static void libuv_turn(void *self, uint64_t unused)
{
	(void)unused;
	uv_run(&((struct loop *)self)->uv, UV_RUN_NOWAIT);
}

static void libuv_anyway(void *self)
{
	uv_update_time(&((struct loop *)self)->uv);
	libuv_turn(self, 0);
}

static unsigned int libuv_take(void *self, uint64_t *unused)
{
	struct loop *loop = self;
	unsigned int got;

	(void)unused;
	while (!loop->expired)
		uv_run(&loop->uv, UV_RUN_ONCE);
	got = loop->expired;
	loop->expired = 0;
	return got;
}

const struct peer peer_libuv = {
	.name		= "libuv",
	.use		= "uv_timer in the loop's thread, callbacks; whole ms, no slack",
	.version	= uv_version_string,
	.most		= 1000000,
	.steady		= true,
	.open		= libuv_open,
	.close		= libuv_close,
	.start		= libuv_start,
	.arm_cancel	= libuv_arm_cancel,
	.update		= libuv_update,
	.turn		= libuv_turn,
	.anyway		= libuv_anyway,
	.take		= libuv_take,
};
#endif
