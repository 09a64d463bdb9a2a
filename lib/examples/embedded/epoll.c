// SPDX-License-Identifier: MIT
/*
 * epoll(7) by hand: connections, here pipes, each of which is closed when nothing came
 * of it for a while. What comes moves its deadline: a compare-and-swap, no system call.
 */
#include <deadline.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "tell.h"

#define CONNECTIONS 100
#define IDLE (30 * MS)
#define FOR_EVER (DEADLINE_NEVER / 2)

struct connection {
	int in;
	int out;
	deadline_slot *slot;
	unsigned int bytes;
	uint64_t last;
	uint64_t closed;
};

static struct connection connections[CONNECTIONS];
static unsigned int open_now;

static void open_connection(int loop, deadline_queue *queue, struct connection *c,
			    uint64_t idle)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int fds[2];

	must(!pipe(fds) && !epoll_ctl(loop, EPOLL_CTL_ADD, fds[0], &event), "a pipe");
	c->in = fds[0];
	c->out = fds[1];
	c->last = deadline_now();
	must(!deadline_slot_alloc(queue, (uintptr_t)c, &c->slot) &&
	     !deadline_slot_arm(c->slot, 0, c->last + idle), "a slot");
	open_now++;
}

/* If it is over already, the expiry is on its way, and closes it. */
static void on_data(struct connection *c)
{
	uint64_t now = deadline_now();
	char byte;

	if (read(c->in, &byte, 1) == 1 && deadline_slot_move(c->slot, now + IDLE) == 1) {
		c->bytes++;
		c->last = now;
	}
}

static void on_idle(struct connection *c)
{
	c->closed = deadline_now();
	deadline_slot_free(c->slot);
	close(c->in);
	close(c->out);
	open_now--;
}

static void reap(deadline_queue *queue)
{
	struct deadline_record records[16];
	int i, n;

	while ((n = deadline_queue_reap(queue, records, 16)) > 0)
		for (i = 0; i < n; i++)
			on_idle((struct connection *)(uintptr_t)records[i].user_data);
}

int main(void)
{
	struct epoll_event events[16], event = { .events = EPOLLIN };
	int i, n, sent = 0, loop = epoll_create1(EPOLL_CLOEXEC), early = 0;
	deadline_queue *queue;

	must(!deadline_queue_open(&queue, NULL) &&
	     !epoll_ctl(loop, EPOLL_CTL_ADD, deadline_queue_fd(queue), &event), "queue");
	/* Ten wait for as long as it takes for the first byte, and are talked to. */
	for (i = 0; i < CONNECTIONS; i++)
		open_connection(loop, queue, &connections[i],
				i < 10 ? FOR_EVER : IDLE);
	while (open_now) {
		for (i = 0; i < 10 && sent < 20; i++)
			if (!connections[i].closed && write(connections[i].out, "x", 1) < 0)
				must(false, "write()");
		sent++;
		n = epoll_wait(loop, events, 16, 1000);
		for (i = 0; i < n; i++)
			if (events[i].data.ptr)
				on_data(events[i].data.ptr);
		/* Last: it closes what the events above may be about. */
		reap(queue);
	}
	for (i = 0; i < CONNECTIONS; i++)
		early += connections[i].closed < connections[i].last + IDLE;
	tell(!early, "each connection is closed once it was idle, and not before");
	tell(connections[0].bytes > 0 && !connections[99].bytes,
	     "what comes moves the deadline");
	tell(deadline_queue_close(queue) == 0, "all slots are given back");
	close(loop);
	return tell_end();
}
