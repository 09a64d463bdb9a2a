// SPDX-License-Identifier: MIT
/* libuv: timers of whole ms, relative to the loop's own time. */
#include "bench.h"

#if HAVE_LIBUV
#include <stdlib.h>
#include <uv.h>

/**
 * struct loop - a loop and its timers
 * @now: CLOCK_MONOTONIC at the loop's own time
 */
struct loop {
	uv_loop_t uv;
	uint64_t now;
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

static inline void set_now(struct loop *loop)
{
	uv_update_time(&loop->uv);
	loop->now = deadline_now();
}

/* Never early, by its clock of ms */
static inline void arm(struct loop *loop, uv_timer_t *timer, uint64_t when)
{
	uv_timer_start(timer, expire, (when - loop->now) / MS + 1, 0);
}

static void libuv_start(void *self, const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	set_now(loop);
	for (i = 0; i < n; i++)
		arm(loop, &loop->timers[i], when[i]);
}

static void libuv_arm_cancel(void *self, unsigned int at,
			     const uint64_t *when, unsigned int n)
{
	struct loop *loop = self;
	unsigned int i;

	set_now(loop);
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

	set_now(loop);
	for (i = 0; i < n; i++)
		arm(loop, &loop->timers[which[i]], when[i]);
}

static uint64_t libuv_consume(void *self, unsigned int n)
{
	struct loop *loop = self;

	while (loop->expired < n)
		uv_run(&loop->uv, UV_RUN_ONCE);
	loop->expired = 0;
	return 0;
}

const struct peer peer_libuv = {
	.name		= "libuv",
	.use		= "uv_timer in the loop's thread, callbacks; whole ms",
	.version	= uv_version_string,
	.most		= 1000000,
	.open		= libuv_open,
	.close		= libuv_close,
	.start		= libuv_start,
	.arm_cancel	= libuv_arm_cancel,
	.update		= libuv_update,
	.consume	= libuv_consume,
};
#endif
