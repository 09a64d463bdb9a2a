// SPDX-License-Identifier: MIT
/* Waits and transfers that are made of several of the calls that block. */
#include <errno.h>
#include <poll.h>
#include "context/context.h"

int deadline_queue_wait_under(deadline_context *context, deadline_queue *queue,
			      uint64_t until)
{
	struct pollfd pollfd = { .events = POLLIN };
	int ret = deadline_err(context);

	if (ret)
		return ret;
	pollfd.fd = deadline_queue_fd(queue);
	if (pollfd.fd < 0)
		return pollfd.fd;
	while (!queue_pending(queue)) {
		if (!queue_is_whole(queue))
			return -EBADF;
		queue_drained(queue);
		ret = deadline_poll(context, &pollfd, 1, until);
		if (ret < 0)
			return ret;
	}
	return 0;
}

ssize_t deadline_read_all(deadline_context *context, int fd, void *data,
			  size_t size, uint64_t until)
{
	size_t done = 0;
	ssize_t ret;

	do {
		ret = deadline_read(context, fd, data + done, size - done, until);
		if (ret > 0)
			done += ret;
	} while (ret > 0 && done < size);
	return done ? (ssize_t)done : ret;
}

ssize_t deadline_write_all(deadline_context *context, int fd, const void *data,
			   size_t size, uint64_t until)
{
	size_t done = 0;
	ssize_t ret;

	do {
		ret = deadline_write(context, fd, data + done, size - done, until);
		if (ret > 0)
			done += ret;
	} while (ret > 0 && done < size);
	return done ? (ssize_t)done : ret;
}
