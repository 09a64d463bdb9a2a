/* SPDX-License-Identifier: MIT */
/* What the calls of io.c share with sleep.c and nonblock.c. */
#ifndef DEADLINE_SLEEP_H
#define DEADLINE_SLEEP_H

#include <poll.h>
#include "context/context.h"

/**
 * struct sleeper - one call that may have to sleep
 * @context: ends the call when it is over
 * @until: ends the call too
 * @undo: called if the thread is cancelled (pthread_cancel(3)) in the call's sleep;
 *	NULL if there is nothing to undo
 * @misses: how often the call was told that it could go on and could not
 * @hook: in the context's list during the sleep
 */
struct sleeper {
	deadline_context *context;
	uint64_t until;
	void (*undo)(struct sleeper *sleeper);
	unsigned int misses;
	struct deadline_hook hook;
};

/*
 * Sleep until one of @fds[0..n-1] is ready; @fds has room for one more. Returns how
 * many are, or -errno: why the call shall end.
 */
int sleep_for(struct sleeper *sleeper, struct pollfd *fds, nfds_t n);
/*
 * The same for one; but if that was ready before and the call could not go on, it
 * lets some time pass instead. 1, or -errno.
 */
int sleep_for_one(struct sleeper *sleeper, int fd, short events);
/* Let some time pass: 1, or -errno. */
int sleep_briefly(struct sleeper *sleeper);

/**
 * struct way - how read(2) or write(2) of a descriptor is tried without a sleep
 * @sleeper: the call
 * @fd: the descriptor
 * @own: another description of its file, which is O_NONBLOCK; -1 = none
 * @kind: WAY_*
 * @out: write
 * @data: of the caller's
 * @size: bytes there
 */
struct way {
	struct sleeper sleeper;
	int fd;
	int own;
	int kind;
	bool out;
	void *data;
	size_t size;
};

/* What was moved, -EAGAIN if nothing can be now, -errno */
ssize_t way_try(struct way *way);
void way_end(struct way *way);
/* Make the description O_NONBLOCK, for good. 0 or -errno */
int way_nonblock(int fd);

/* The result of a system call, or -EAGAIN if it is to be tried again */
static inline ssize_t result(ssize_t ret)
{
	if (ret >= 0)
		return ret;
	return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

#endif
