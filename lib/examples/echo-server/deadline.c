// SPDX-License-Identifier: MIT
/* Two slots for each connection, and one wait for all: moved without a call. */
#include <deadline_uring.h>
#include "echo.h"

static unsigned int count;
static deadline_queue *queue;
static deadline_slot **idle, **request;

static void wait_for_expiries(void)
{
	deadline_uring_prep_wait(server_sqe(), queue, TIMING);
}

static void slots_open(unsigned int n)
{
	struct deadline_options options = { .slots = 2 * n };
	unsigned int i;

	must(!deadline_queue_open(&queue, &options), "deadline_queue_open");
	idle = calloc(2 * (size_t)n, sizeof(*idle));
	must(!!idle, "calloc");
	request = idle + n;
	count = 2 * n;
	for (i = 0; i < n; i++) {
		must(!deadline_slot_alloc(queue, i, &idle[i]),
		     "deadline_slot_alloc");
		must(!deadline_slot_alloc(queue, i, &request[i]),
		     "deadline_slot_alloc");
		must(!deadline_slot_arm(idle[i], 0, DEADLINE_NEVER), "arm");
	}
	wait_for_expiries();
}

/* If it is over already, it is about to be reaped. */
static void slots_idle(unsigned int i, struct io_uring_sqe *sqe)
{
	(void)sqe;
	deadline_slot_cancel(request[i]);
	deadline_slot_move(idle[i], now + idle_ns);
}

static void slots_request(unsigned int i, struct io_uring_sqe *sqe)
{
	(void)sqe;
	must(!deadline_slot_arm(request[i], 0, now + REQUEST_NS), "arm");
}

static void slots_completed(void)
{
	struct deadline_record records[64];
	int i, n;

	do {
		n = deadline_queue_reap(queue, records, 64);
		for (i = 0; i < n; i++)
			server_expire(records[i].user_data);
	} while (n > 0);
	wait_for_expiries();
}

static void slots_gone(unsigned int i)
{
	deadline_slot_cancel(idle[i]);
	deadline_slot_cancel(request[i]);
}

static void slots_close(void)
{
	while (count--)
		deadline_slot_free(idle[count]);
	free(idle);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

const struct timing timing_deadline = {
	.name		= "deadline",
	.open		= slots_open,
	.idle		= slots_idle,
	.request	= slots_request,
	.completed	= slots_completed,
	.gone		= slots_gone,
	.close		= slots_close,
};
