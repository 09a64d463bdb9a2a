// SPDX-License-Identifier: MIT
/*
 * Calls that block, under a context and with a limit of their own. Each tries without
 * a sleep, sleeps until it may go on (sleep.c), and tries again. So whatever happens
 * to the descriptor meanwhile, the call sleeps only where its limits end the sleep.
 * What has moved is told, whatever came after.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "context/sleep.h"

/* Reads that do without the first try, after one that found nothing */
#define PATIENCE	16
/* Descriptors of deadline_poll() for which no memory is needed */
#define FEW		16

/**
 * struct attempt - one call
 * @way: its sleep, and how it is tried if it is no socket's
 * @try: try it without a sleep; -EAGAIN: later, perhaps
 * @events: of poll(2), for which to wait
 * @flags: of the caller's
 * @msg: of the caller's
 * @addr: of the caller's
 * @addr_size: of the caller's
 */
struct attempt {
	struct way way;
	ssize_t (*try)(struct attempt *attempt);
	short events;
	int flags;
	struct msghdr *msg;
	struct sockaddr *addr;
	socklen_t *addr_size;
};

static ssize_t try_way(struct attempt *a)
{
	return way_try(&a->way);
}

/* read(2) of nothing takes nothing of a socket, and does not wait. */
static ssize_t try_nothing(int fd)
{
	socklen_t size = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ? -errno : 0;
}

/* As most often, it may be a socket. */
static ssize_t try_transfer(struct attempt *a)
{
	ssize_t ret;

	if (a->way.out || a->way.size)
		ret = result(syscall(a->way.out ? SYS_sendto : SYS_recvfrom,
				     a->way.fd, a->way.data, a->way.size,
				     MSG_DONTWAIT, NULL, NULL));
	else
		ret = try_nothing(a->way.fd);
	if (ret != -ENOTSOCK)
		return ret;
	a->try = try_way;
	return way_try(&a->way);
}

/*
 * A try in vain costs as much as half the sleep after it. So where a thread's read of a
 * socket found nothing, its next ones of that do without the first try; but now and
 * then one is made all the same, for one that finds something saves the poll(2). What
 * is kept tells the descriptor and how many of its reads are left that do so.
 */
static ssize_t try_patiently(struct attempt *attempt)
{
	const uintptr_t none = (uintptr_t)attempt->way.fd * 2 * PATIENCE;
	uintptr_t patience = (uintptr_t)self.upper[THREAD_PATIENCE];
	ssize_t ret = -EAGAIN;

	if (patience > none && patience <= none + PATIENCE &&
	    attempt->way.size) {
		patience--;
	} else {
		ret = attempt->try(attempt);
		patience = ret == -EAGAIN && attempt->try == try_transfer ?
			   none + PATIENCE : 0;
	}
	self.upper[THREAD_PATIENCE] = (void *)patience;
	return ret;
}

static ssize_t call(struct attempt *attempt)
{
	struct sleeper *sleeper = &attempt->way.sleeper;
	int saved = errno;
	ssize_t ret;

	submit_hold();
	ret = deadline_err(sleeper->context);
	if (!ret)
		ret = attempt->try == try_transfer && !attempt->way.out ?
		      try_patiently(attempt) : attempt->try(attempt);
	while (ret == -EAGAIN && !(attempt->flags & MSG_DONTWAIT)) {
		ret = sleep_for_one(sleeper, attempt->way.fd, attempt->events);
		if (ret > 0)
			ret = attempt->try(attempt);
	}
	errno = saved;
	submit_held();
	return ret;
}

/*
 * By the C library, whose struct msghdr need not be the kernel's. Its calls are
 * cancellation points, in which a thread would end with what it has received.
 */
static ssize_t try_recvmsg(struct attempt *a)
{
	int state = cancel_off();
	ssize_t ret;

	ret = result(recvmsg(a->way.fd, a->msg, a->flags | MSG_DONTWAIT));
	cancel_restore(state);
	return ret;
}

static ssize_t try_sendmsg(struct attempt *a)
{
	int state = cancel_off();
	ssize_t ret;

	ret = result(sendmsg(a->way.fd, a->msg, a->flags | MSG_DONTWAIT));
	cancel_restore(state);
	return ret;
}

/* What accept4(2) says of a socket that does not listen: its type may have no listeners. */
static ssize_t not_listening(int fd)
{
	socklen_t size = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size))
		return -errno;
	return type == SOCK_STREAM || type == SOCK_SEQPACKET ? -EINVAL : -EOPNOTSUPP;
}

/* Only a socket that listens is made O_NONBLOCK. */
static ssize_t try_accept(struct attempt *a)
{
	socklen_t size = sizeof(int);
	int listens, ret;

	if (getsockopt(a->way.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size))
		return -errno;
	ret = listens ? way_nonblock(a->way.fd) : not_listening(a->way.fd);
	if (ret)
		return ret;
	return result(syscall(SYS_accept4, a->way.fd, a->addr, a->addr_size,
			      a->flags));
}

static void undo_way(struct sleeper *sleeper)
{
	way_end((struct way *)sleeper);
}

static ssize_t transfer(deadline_context *context, int fd, void *data,
			size_t size, uint64_t until, bool out)
{
	struct attempt attempt = {
		.way.sleeper.context = context,
		.way.sleeper.until = until,
		.way.sleeper.undo = undo_way,
		.way.fd = fd,
		.way.own = -1,
		.way.out = out,
		.way.data = data,
		.way.size = size,
		.try = try_transfer,
		.events = out ? POLLOUT : POLLIN,
	};
	ssize_t ret;

	submit_hold();
	ret = call(&attempt);
	way_end(&attempt.way);
	submit_held();
	return ret;
}

ssize_t deadline_read(deadline_context *context, int fd, void *data,
		      size_t size, uint64_t until)
{
	return transfer(context, fd, data, size, until, false);
}

ssize_t deadline_write(deadline_context *context, int fd, const void *data,
		       size_t size, uint64_t until)
{
	return transfer(context, fd, (void *)(uintptr_t)data, size, until,
			true);
}

/* What poll(2) says when there is something for the caller's flags */
static short events_of(int flags)
{
	if (flags & MSG_ERRQUEUE)
		return 0;	/* POLLERR, which needs no asking */
	return flags & MSG_OOB ? POLLPRI : POLLIN;
}

ssize_t deadline_recvmsg(deadline_context *context, int fd, struct msghdr *msg,
			 int flags, uint64_t until)
{
	struct attempt attempt = {
		.way.sleeper.context = context,
		.way.sleeper.until = until,
		.way.fd = fd,
		.try = try_recvmsg,
		.events = events_of(flags),
		.flags = flags,
		.msg = msg,
	};

	return call(&attempt);
}

ssize_t deadline_sendmsg(deadline_context *context, int fd,
			 const struct msghdr *msg, int flags, uint64_t until)
{
	struct attempt attempt = {
		.way.sleeper.context = context,
		.way.sleeper.until = until,
		.way.fd = fd,
		.try = try_sendmsg,
		.events = POLLOUT,
		.flags = flags,
		.msg = (struct msghdr *)(uintptr_t)msg,
	};

	return call(&attempt);
}

int deadline_accept(deadline_context *context, int fd, struct sockaddr *addr,
		    socklen_t *addr_size, int flags, uint64_t until)
{
	struct attempt attempt = {
		.way.sleeper.context = context,
		.way.sleeper.until = until,
		.way.fd = fd,
		.try = try_accept,
		.events = POLLIN,
		.flags = flags,
		.addr = addr,
		.addr_size = addr_size,
	};

	return call(&attempt);
}

/**
 * struct connecting - a call of deadline_connect()
 * @sleeper: its sleep
 * @fd: the socket
 * @flags: what it had
 */
struct connecting {
	struct sleeper sleeper;
	int fd;
	int flags;
};

static void restore_flags(struct sleeper *sleeper)
{
	struct connecting *connecting = (struct connecting *)sleeper;

	if (!(connecting->flags & O_NONBLOCK))
		fcntl(connecting->fd, F_SETFL, connecting->flags);
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

/* -EAGAIN: a UNIX socket whose listener has no room has not even begun. */
static int connect_within(struct connecting *connecting,
			  const struct sockaddr *addr, socklen_t addr_size)
{
	int ret, fd = connecting->fd;

	for (;;) {
		ret = syscall(SYS_connect, fd, addr, addr_size) ? -errno : 0;
		if (ret != -EAGAIN)
			break;
		ret = sleep_briefly(&connecting->sleeper);
		if (ret < 0)
			return ret;
	}
	while (ret == -EINPROGRESS || ret == -EALREADY) {
		struct pollfd fds[2] = { { .fd = fd, .events = POLLOUT } };

		ret = sleep_for(&connecting->sleeper, fds, 1);
		if (ret <= 0)
			return ret;
		ret = connected(fd);
		/* The socket takes note of it, or would not refuse the next connect(2). */
		if (!ret && syscall(SYS_connect, fd, addr, addr_size) &&
		    errno != EISCONN)
			ret = -errno;
	}
	return ret;
}

int deadline_connect(deadline_context *context, int fd,
		     const struct sockaddr *addr, socklen_t addr_size,
		     uint64_t until)
{
	struct connecting connecting = {
		.sleeper.context = context,
		.sleeper.until = until,
		.sleeper.undo = restore_flags,
		.fd = fd,
	};
	int ret, saved = errno;

	ret = deadline_err(context);
	if (ret)
		return ret;
	submit_hold();
	connecting.flags = fcntl(fd, F_GETFL);
	ret = connecting.flags < 0 ? -errno : way_nonblock(fd);
	if (!ret) {
		ret = connect_within(&connecting, addr, addr_size);
		restore_flags(&connecting.sleeper);
	}
	errno = saved;
	submit_held();
	return ret;
}

/**
 * struct polling - a call of deadline_poll()
 * @sleeper: its sleep
 * @few: room for the caller's set and one more, if that is small
 * @fds: where they are
 */
struct polling {
	struct sleeper sleeper;
	struct pollfd few[FEW];
	struct pollfd *fds;
};

static void free_fds(struct sleeper *sleeper)
{
	struct polling *polling = (struct polling *)sleeper;

	if (polling->fds != polling->few)
		free(polling->fds);
}

/* The set has as many as RLIMIT_NOFILE allows, so the alarm cannot be one of them. */
static int poll_by_turns(struct polling *polling, nfds_t n)
{
	static const struct timespec none;
	int ret;

	for (;;) {
		ret = syscall(SYS_ppoll, polling->fds, n, &none, NULL, 0);
		if (ret)
			return ret < 0 ? -errno : ret;
		ret = sleep_briefly(&polling->sleeper);
		if (ret < 0)
			return ret;
	}
}

/* What is ready needs no descriptor to wait for it. */
static int poll_once(struct pollfd *fds, nfds_t n)
{
	int state = cancel_off(), ret = poll(fds, n, 0);

	cancel_restore(state);
	return ret > 0 ? ret : 0;
}

int deadline_poll(deadline_context *context, struct pollfd *fds, nfds_t n,
		  uint64_t until)
{
	struct polling polling = {
		.sleeper.context = context,
		.sleeper.until = until,
		.sleeper.undo = free_fds,
	};
	int ret, saved = errno;

	ret = n < INT_MAX ? deadline_err(context) : -EINVAL;
	if (ret)
		return ret;
	submit_hold();
	polling.fds = polling.few;
	if (n >= FEW)
		polling.fds = calloc(n + 1, sizeof(*fds));
	if (!polling.fds) {
		ret = -ENOMEM;
		goto out;
	}
	if (n)
		memcpy(polling.fds, fds, n * sizeof(*fds));
	ret = sleep_for(&polling.sleeper, polling.fds, n);
	if (ret == -EINVAL)
		ret = poll_by_turns(&polling, n);
	else if (ret == -EMFILE || ret == -ENFILE || ret == -ENOMEM)
		ret = poll_once(polling.fds, n) ?: ret;
	if (ret > 0)
		memcpy(fds, polling.fds, n * sizeof(*fds));
	free_fds(&polling.sleeper);
out:
	errno = saved;
	submit_held();
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
