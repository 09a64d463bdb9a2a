// SPDX-License-Identifier: MIT
/*
 * libevent: 10,000 deadlines in a loop by one event, which watches the descriptor of a
 * queue, in place of 10,000 timeouts in libevent's heap.
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include "loops.h"

static struct {
	struct event_base *base;
	deadline_queue *queue;
	deadline_slot *slots[CONNECTIONS];
	struct event event;
	struct event timers[CONNECTIONS];
} server;

static void on_readable(evutil_socket_t fd, short what, void *unused)
{
	struct deadline_record records[64];
	int i, n;

	(void)fd;
	(void)what;
	(void)unused;
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

	must(!deadline_queue_open(&server.queue, &options), "a queue");
	for (i = 0; i < CONNECTIONS; i++)
		must(!deadline_slot_alloc(server.queue, i, &server.slots[i]), "a slot");
	must(!event_assign(&server.event, server.base, deadline_queue_fd(server.queue),
			   EV_READ | EV_PERSIST | EV_ET, on_readable, NULL) &&
	     !event_add(&server.event, NULL), "event_add()");
}

static void close_queue(void)
{
	event_del(&server.event);
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
	event_base_loop(server.base, EVLOOP_ONCE);
}

static void on_timer(evutil_socket_t fd, short what, void *timer)
{
	(void)fd;
	(void)what;
	loops_on_expiry((struct event *)timer - server.timers);
}

static void set_timer(unsigned int connection, uint64_t when)
{
	uint64_t us = (when - deadline_now()) / 1000 + 1;
	struct timeval in = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };

	event_add(&server.timers[connection], &in);
}

static const struct timers queue = { "a queue", set, turn };
static const struct timers own = { "libevent's own timers, precise", set_timer, turn };

static void open_base(int flag)
{
	struct event_config *config = event_config_new();

	must(config && !event_config_set_flag(config, flag), "a configuration");
	server.base = event_base_new_with_config(config);
	must(server.base, "a base");
	event_config_free(config);
}

/* Without this flag libevent's timers are of whole ms, and come up to a tick early. */
static struct cost measure_own(void)
{
	struct cost cost;
	int i;

	open_base(EVENT_BASE_FLAG_PRECISE_TIMER);
	for (i = 0; i < CONNECTIONS; i++)
		evtimer_assign(&server.timers[i], server.base, on_timer,
			       &server.timers[i]);
	cost = loops_measure(&own);
	event_base_free(server.base);
	return cost;
}

int main(void)
{
	struct cost cost;

	/* Without timers of its own, the loop need not read the clock in each turn. */
	open_base(EVENT_BASE_FLAG_NO_CACHE_TIME);
	open_queue();
	cost = loops_measure(&queue);
	close_queue();
	event_base_free(server.base);
	tell(loops_came == CONNECTIONS, "each of 10,000 deadlines comes, once");
	tell(!loops_early, "and none of them early");
	tell_figure("a deadline is late by, p50", cost.late, 6100);
	if (cost.cpu)
		tell_figure("its CPU, beside libevent's own timers", cost.cpu,
			    measure_own().cpu);
	return tell_end();
}
