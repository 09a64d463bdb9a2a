// SPDX-License-Identifier: MIT
/*
 * Calls that block, under a context and with a limit of their own. The context's
 * deadline and the limit are the timeout of the sleep itself; a cancel writes the
 * eventfd of the thread that sleeps. What has moved is told, whatever came after.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "context.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void close_eventfd(void *arg)
{
	close((int)(intptr_t)arg - 1);
}

static void make_key(void)
{
	if (pthread_key_create(&key, close_eventfd))
		abort();
}

/* Of this thread; made at its first call that sleeps */
static int thread_eventfd(void)
{
	int fd, ret;

	pthread_once(&once, make_key);
	fd = (int)(intptr_t)pthread_getspecific(key) - 1;
	if (fd >= 0)
		return fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = pthread_setspecific(key, (void *)(intptr_t)(fd + 1));
	if (ret) {
		close(fd);
		return -ret;
	}
	return fd;
}

/* poll(2) until @when, whatever signals come; how many are ready, 0, or -errno */
static int poll_until(struct pollfd *fds, nfds_t n, uint64_t when)
{
	struct timespec left, *timeout = NULL;
	uint64_t now;
	int ret;

	do {
		if (when != DEADLINE_NEVER) {
			now = deadline_now();
			now = now < when ? when - now : 0;
			left.tv_sec = now / 1000000000;
			left.tv_nsec = now % 1000000000;
			timeout = &left;
		}
		ret = ppoll(fds, n, timeout, NULL);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

/* What the clock says of both limits: 0 = neither has come */
static int limits(deadline_context *context, uint64_t until)
{
	uint64_t now = deadline_now();

	if (context->node)
		context_help(context->node, now);
	if (deadline_err(context))
		return deadline_err(context);
	return now < until ? 0 : -ETIMEDOUT;
}

/*
 * Sleep until one of @fds[0..n-1] is ready; @fds has room for one more. Returns how
 * many are, or why not.
 */
static int wait_by(int eventfd, deadline_context *context, struct pollfd *fds,
		   nfds_t n, uint64_t until)
{
	uint64_t when = until < context->when ? until : context->when;
	struct deadline_hook hook = {
		.node = context->node,
		.eventfd = eventfd,
	};
	uint64_t sum;
	int ret;

	fds[n].fd = hook.eventfd;
	fds[n].events = POLLIN;
	fds[n].revents = 0;
	if (!hook_link(&hook))
		return deadline_err(context);
	do {
		/* After the link: a cancel before it is seen here. */
		ret = deadline_err(context);
		if (!ret)
			ret = poll_until(fds, n + 1, when);
		if (ret > 0 && fds[n].revents)
			ret--;
		if (!ret)
			ret = limits(context, until);
	} while (!ret);
	if (!hook_unlink(&hook) &&
	    read(hook.eventfd, &sum, sizeof(sum)) < 0 && errno != EAGAIN)
		abort();
	return ret;
}

static int wait_for(deadline_context *context, struct pollfd *fds, nfds_t n,
		    uint64_t until)
{
	int ret;

	if (!context->node) {
		ret = poll_until(fds, n, until);
		return ret ? ret : -ETIMEDOUT;
	}
	/* The eventfd is the thread's: no other task of it may sleep meanwhile. */
	preempt_off();
	ret = thread_eventfd();
	if (ret >= 0)
		ret = wait_by(ret, context, fds, n, until);
	preempt_on();
	return ret;
}

static int wait_one(deadline_context *context, int fd, short events,
		    uint64_t until)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events } };

	return wait_for(context, fds, 1, until);
}

/* The result of a system call, or -EAGAIN if it is to be tried again */
static ssize_t result(ssize_t ret)
{
	if (ret >= 0)
		return ret;
	return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* What one call tries, without sleeping */
struct attempt {
	ssize_t (*try)(const struct attempt *attempt);
	short events;
	int fd;
	int flags;
	void *data;
	size_t size;
	struct msghdr *msg;
	struct sockaddr *addr;
	socklen_t *addr_size;
};

static ssize_t call(deadline_context *context, const struct attempt *attempt,
		    bool ready_first, uint64_t until)
{
	int saved = errno;
	ssize_t ret;

	ret = deadline_err(context);
	if (!ret && !ready_first)
		ret = attempt->try(attempt);
	else if (!ret)
		ret = -EAGAIN;
	while (ret == -EAGAIN) {
		ret = wait_one(context, attempt->fd, attempt->events, until);
		if (ret > 0)
			ret = attempt->try(attempt);
	}
	errno = saved;
	return ret;
}

static ssize_t try_recv(const struct attempt *a)
{
	return result(recv(a->fd, a->data, a->size, MSG_DONTWAIT));
}

static ssize_t try_read(const struct attempt *a)
{
	return result(read(a->fd, a->data, a->size));
}

static ssize_t try_send(const struct attempt *a)
{
	return result(send(a->fd, a->data, a->size, MSG_DONTWAIT));
}

/* A pipe that is ready takes so much without a sleep, and no more for sure. */
static ssize_t try_write(const struct attempt *a)
{
	size_t size = a->size;
	struct stat stat;

	if (size > PIPE_BUF && (fstat(a->fd, &stat) || !S_ISREG(stat.st_mode)))
		size = PIPE_BUF;
	return result(write(a->fd, a->data, size));
}

static ssize_t try_recvmsg(const struct attempt *a)
{
	return result(recvmsg(a->fd, a->msg, a->flags | MSG_DONTWAIT));
}

static ssize_t try_sendmsg(const struct attempt *a)
{
	return result(sendmsg(a->fd, a->msg, a->flags | MSG_DONTWAIT));
}

static ssize_t try_accept(const struct attempt *a)
{
	return result(accept4(a->fd, a->addr, a->addr_size, a->flags));
}

ssize_t deadline_read(deadline_context *context, int fd, void *data,
		      size_t size, uint64_t until)
{
	struct attempt attempt = {
		.try = try_recv, .events = POLLIN, .fd = fd,
		.data = data, .size = size,
	};
	ssize_t ret = call(context, &attempt, false, until);

	if (ret != -ENOTSOCK)
		return ret;
	attempt.try = try_read;
	return call(context, &attempt, true, until);
}

ssize_t deadline_write(deadline_context *context, int fd, const void *data,
		       size_t size, uint64_t until)
{
	struct attempt attempt = {
		.try = try_send, .events = POLLOUT, .fd = fd,
		.data = (void *)(uintptr_t)data, .size = size,
	};
	ssize_t ret = call(context, &attempt, false, until);

	if (ret != -ENOTSOCK)
		return ret;
	attempt.try = try_write;
	return call(context, &attempt, true, until);
}

ssize_t deadline_recvmsg(deadline_context *context, int fd, struct msghdr *msg,
			 int flags, uint64_t until)
{
	struct attempt attempt = {
		.try = try_recvmsg, .events = POLLIN, .fd = fd,
		.msg = msg, .flags = flags,
	};

	return call(context, &attempt, false, until);
}

ssize_t deadline_sendmsg(deadline_context *context, int fd,
			 const struct msghdr *msg, int flags, uint64_t until)
{
	struct attempt attempt = {
		.try = try_sendmsg, .events = POLLOUT, .fd = fd,
		.msg = (struct msghdr *)(uintptr_t)msg, .flags = flags,
	};

	return call(context, &attempt, false, until);
}

int deadline_accept(deadline_context *context, int fd, struct sockaddr *addr,
		    socklen_t *addr_size, int flags, uint64_t until)
{
	struct attempt attempt = {
		.try = try_accept, .events = POLLIN, .fd = fd,
		.addr = addr, .addr_size = addr_size, .flags = flags,
	};

	return call(context, &attempt, true, until);
}

/* A connect that was begun goes on by itself: when it has ended, how? */
static int connected(int fd)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

int deadline_connect(deadline_context *context, int fd,
		     const struct sockaddr *addr, socklen_t addr_size,
		     uint64_t until)
{
	int ret, flags, saved = errno;

	ret = deadline_err(context);
	if (ret)
		return ret;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		ret = -errno;
		goto out;
	}
	ret = connect(fd, addr, addr_size) ? -errno : 0;
	/* A UNIX socket whose listener has no room has not even begun. */
	while (ret == -EINPROGRESS || ret == -EINTR) {
		ret = wait_one(context, fd, POLLOUT, until);
		if (ret > 0)
			ret = connected(fd);
	}
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags);
out:
	errno = saved;
	return ret;
}

int deadline_poll(deadline_context *context, struct pollfd *fds, nfds_t n,
		  uint64_t until)
{
	struct pollfd *more;
	int ret, saved = errno;

	ret = deadline_err(context);
	if (ret)
		return ret;
	more = calloc(n + 1, sizeof(*more));
	if (!more) {
		errno = saved;
		return -ENOMEM;
	}
	memcpy(more, fds, n * sizeof(*fds));
	ret = wait_for(context, more, n, until);
	if (ret > 0)
		memcpy(fds, more, n * sizeof(*fds));
	free(more);
	errno = saved;
	return ret;
}

int deadline_sleep(deadline_context *context, uint64_t until)
{
	int ret;

	do {
		ret = deadline_wait(context, until);
	} while (ret == -EINTR);
	if (!ret)
		return deadline_err(context);
	return ret == -ETIME ? 0 : ret;
}
