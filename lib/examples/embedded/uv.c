// SPDX-License-Identifier: MIT
/*
 * libuv: 10,000 deadlines in a loop by one handle, which watches the descriptor of a
 * queue, in place of 10,000 uv_timer_t and their heap. They are armed and moved from
 * any place without the loop.
 */
#include <uv.h>
#include "loops.h"

static struct {
	uv_loop_t loop;
	deadline_queue *queue;
	deadline_slot *slots[CONNECTIONS];
	uv_poll_t poll;
	uv_timer_t timers[CONNECTIONS];
} server;

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct deadline_record records[64];
	int i, n;

	(void)poll;
	(void)status;
	(void)events;
	do {
		n = deadline_queue_reap(server.queue, records, 64);
		for (i = 0; i < n; i++)
			loops_on_expiry(records[i].user_data);
	} while (n == 64);
}

static void open_queue(void)
{
	struct deadline_options options = { .slots = CONNECTIONS };
	int i;

	must(!deadline_queue_open(&server.queue, &options), "deadline_queue_open()");
	for (i = 0; i < CONNECTIONS; i++)
		must(!deadline_slot_alloc(server.queue, i, &server.slots[i]), "a slot");
	must(!uv_poll_init(&server.loop, &server.poll,
			   deadline_queue_fd(server.queue)) &&
	     !uv_poll_start(&server.poll, UV_READABLE, on_readable), "uv_poll");
}

static void close_queue(void)
{
	uv_close((uv_handle_t *)&server.poll, NULL);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	deadline_queue_destroy(server.queue);
}

static void set(unsigned int connection, uint64_t when)
{
	deadline_slot *slot = server.slots[connection];

	if (deadline_slot_move(slot, when) != 1)
		deadline_slot_arm(slot, 0, when);
}

static void turn(void)
{
	uv_run(&server.loop, UV_RUN_ONCE);
}

static void on_timer(uv_timer_t *timer)
{
	loops_on_expiry(timer - server.timers);
}

/* The loop's time is CLOCK_MONOTONIC in whole ms: rounded up, it is never early. */
static void set_timer(unsigned int connection, uint64_t when)
{
	uv_timer_start(&server.timers[connection], on_timer,
		       when / MS + 1 - uv_now(&server.loop), 0);
}

static const struct timers queue = { "a queue", set, turn };
static const struct timers own = { "libuv's own timers", set_timer, turn };

static struct cost measure_own(void)
{
	struct cost cost;
	int i;

	for (i = 0; i < CONNECTIONS; i++)
		uv_timer_init(&server.loop, &server.timers[i]);
	cost = loops_measure(&own);
	for (i = 0; i < CONNECTIONS; i++)
		uv_close((uv_handle_t *)&server.timers[i], NULL);
	uv_run(&server.loop, UV_RUN_DEFAULT);
	return cost;
}

int main(void)
{
	struct cost cost;

	uv_loop_init(&server.loop);
	open_queue();
	cost = loops_measure(&queue);
	close_queue();
	tell(loops_came == CONNECTIONS, "each of 10,000 deadlines comes, once");
	tell(!loops_early, "and none of them early");
	tell_figure("a deadline is late by, p50", cost.late, 6000);
	if (cost.cpu)
		tell_figure("its CPU, beside libuv's own timers", cost.cpu,
			    measure_own().cpu);
	uv_loop_close(&server.loop);
	return tell_end();
}
