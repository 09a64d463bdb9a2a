/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP/1.1 client, each of whose phases has a limit of its own, while the
 * context that the caller gives limits all of them together.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdio.h>
#include <sys/socket.h>
#include <deadline.h>

/* Where a request is, or where it ended */
enum http_phase {
	HTTP_DIAL,	/* the connection is made */
	HTTP_HEADER,	/* the request is sent, the header of the answer read */
	HTTP_BODY,	/* all of the body */
	HTTP_IDLE,	/* within the body, from one piece to the next */
};

/* How many ns each may take; DEADLINE_NEVER = no limit */
struct http_limits {
	uint64_t dial;
	uint64_t header;
	uint64_t body;
	uint64_t idle;
};

/*
 * GET @path of @host, which is at @addr; the body goes to @to. @phase is where it
 * ended. Returns the status (200 ...); -ETIMEDOUT, the limit of that phase;
 * -ETIME or -ECANCELED, the context; -EPROTO, that is no HTTP; -ECONNRESET, the
 * answer has no end; or what the system calls say.
 */
int http_get(deadline_context *context, const struct http_limits *limits,
	     const struct sockaddr *addr, socklen_t addr_size,
	     const char *host, const char *path, FILE *to,
	     enum http_phase *phase);

/* For people: the phase, and why it ended there */
const char *http_phase_name(enum http_phase phase);
const char *http_error_name(int error);

#endif
