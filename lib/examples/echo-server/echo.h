/* SPDX-License-Identifier: MIT */
/* An echo server with deadlines, kept by one way of timing or another. */
#ifndef ECHO_H
#define ECHO_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <deadline.h>

#define MS 1000000ull

/**
 * struct timing - a way to keep two deadlines for each connection
 * @name: in the report
 * @open: for connections 0 to @n - 1
 * @idle: what receives the next request of @i is @sqe: until idle_ns from now, and
 *	the request before it, if there was one, has its answer
 * @request: what sends the answer is @sqe: until REQUEST_NS from now
 * @completed: an SQE of its own, whose user_data is TIMING
 * @gone: @i is closed
 * @close: undo @open
 */
struct timing {
	const char *name;
	void (*open)(unsigned int n);
	void (*idle)(unsigned int i, struct io_uring_sqe *sqe);
	void (*request)(unsigned int i, struct io_uring_sqe *sqe);
	void (*completed)(void);
	void (*gone)(unsigned int i);
	void (*close)(void);
};

extern const struct timing timing_none, timing_deadline, timing_link,
	timing_heap;

#define REQUEST_NS	(10000 * MS)

/* server.c; @now is read once a turn. */
#define TIMING		(~0ull)
#define NOBODY		(~1ull)	/* of which nothing is to be done */
extern uint64_t now, idle_ns;
void server_run(const struct timing *timing, int listener, unsigned int n,
		void (*ready)(void));
struct io_uring_sqe *server_sqe(void);
/* A deadline of @i came: end the connection. */
void server_expire(unsigned int i);

/* Of the server's CPU, whose clock is known, and in all; ns */
struct spent {
	uint64_t cpu, time;
};

/* client.c: connect @n times, send and await @requests; what those took */
struct spent client_run(uint16_t port, unsigned int n, unsigned long requests,
			clockid_t server, void (*ready)(void));
/* Connect, send nothing, and await the end; ns */
uint64_t client_idle(uint16_t port, void (*ready)(void));

static inline void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "echo-server: %s failed\n", what);
		exit(1);
	}
}

#endif
