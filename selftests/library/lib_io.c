// SPDX-License-Identifier: GPL-2.0
/*
 * Blocking calls under a context: ended by its deadline, by a cancel from another
 * thread, by their own limit; and bytes that moved win over all of that.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "library.h"

FIXTURE(io) {
	deadline_context *context;
	int pipe[2];
	int pair[2];
};

FIXTURE_SETUP(io)
{
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
					  &self->context));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				self->pair));
}

FIXTURE_TEARDOWN(io)
{
	int i;

	deadline_release(self->context);
	for (i = 0; i < 2; i++) {
		close(self->pipe[i]);
		close(self->pair[i]);
	}
}

/* Each call that can block, on descriptors on which it does */
enum {
	READ_PIPE,
	READ_SOCKET,
	WRITE_PIPE,
	WRITE_SOCKET,
	RECVMSG,
	SENDMSG,
	POLL,
	SLEEP,
	CALLS
};

static char bulk[1 << 20];

static ssize_t call(int which, deadline_context *context, const int *pipe,
		    const int *pair, uint64_t until)
{
	struct iovec iov = { .iov_base = bulk, .iov_len = sizeof(bulk) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd pollfd = { .fd = pipe[0], .events = POLLIN };

	switch (which) {
	case READ_PIPE:
		return deadline_read(context, pipe[0], bulk, 1, until);
	case READ_SOCKET:
		return deadline_read(context, pair[0], bulk, 1, until);
	case WRITE_PIPE:
		return deadline_write(context, pipe[1], bulk, sizeof(bulk),
				      until);
	case WRITE_SOCKET:
		return deadline_write(context, pair[1], bulk, sizeof(bulk),
				      until);
	case RECVMSG:
		return deadline_recvmsg(context, pair[0], &msg, 0, until);
	case SENDMSG:
		return deadline_sendmsg(context, pair[1], &msg, 0, until);
	case POLL:
		return deadline_poll(context, &pollfd, 1, until);
	default:
		return deadline_sleep(context, until);
	}
}

static bool writes(int which)
{
	return which == WRITE_PIPE || which == WRITE_SOCKET ||
	       which == SENDMSG;
}

/* Fill both ways, so that writes block; reads find nothing, being the others. */
static void fill(struct __test_metadata *_metadata, const int *pipe,
		 const int *pair)
{
	ssize_t ret;

	do {
		ret = deadline_write(deadline_background(), pipe[1], bulk,
				     sizeof(bulk), deadline_in(MS));
	} while (ret > 0);
	ASSERT_EQ(-ETIMEDOUT, ret);
	do {
		ret = deadline_write(deadline_background(), pair[1], bulk,
				     sizeof(bulk), deadline_in(MS));
	} while (ret > 0);
	ASSERT_EQ(-ETIMEDOUT, ret);
}

static void drain(const int *pipe, const int *pair)
{
	while (deadline_read(deadline_background(), pipe[0], bulk,
			     sizeof(bulk), deadline_now()) > 0)
		;
	while (deadline_read(deadline_background(), pair[0], bulk,
			     sizeof(bulk), deadline_now()) > 0)
		;
}

TEST_F(io, deadline)
{
	deadline_context *context;
	uint64_t when;
	int i;

	for (i = 0; i < CALLS; i++) {
		if (writes(i))
			fill(_metadata, self->pipe, self->pair);
		else
			drain(self->pipe, self->pair);
		when = deadline_in(3 * MS);
		ASSERT_EQ(0, deadline_with_deadline(self->context, 0, &context,
						    when));
		EXPECT_EQ(-ETIME, call(i, context, self->pipe, self->pair,
				       DEADLINE_NEVER))
			TH_LOG("call %d", i);
		EXPECT_LE(when, deadline_now());
		/* Over: refused before anything is tried */
		EXPECT_EQ(-ETIME, call(i, context, self->pipe, self->pair,
				       DEADLINE_NEVER));
		deadline_release(context);
	}
}

TEST_F(io, own_limit)
{
	uint64_t until;
	int i;

	for (i = 0; i < SLEEP; i++) {
		if (writes(i))
			fill(_metadata, self->pipe, self->pair);
		else
			drain(self->pipe, self->pair);
		until = deadline_in(3 * MS);
		EXPECT_EQ(-ETIMEDOUT, call(i, self->context, self->pipe,
					   self->pair, until))
			TH_LOG("call %d", i);
		EXPECT_LE(until, deadline_now());
		EXPECT_EQ(-ETIMEDOUT, call(i, deadline_background(),
					   self->pipe, self->pair,
					   deadline_in(MS)));
	}
	until = deadline_in(3 * MS);
	EXPECT_EQ(0, deadline_sleep(self->context, until));
	EXPECT_LE(until, deadline_now());
	EXPECT_EQ(0, deadline_err(self->context));
}

struct sleeper {
	deadline_context *context;
	const int *pipe;
	const int *pair;
	int which;
	pid_t id;
	ssize_t ret;
};

static void *sleep_thread(void *arg)
{
	struct sleeper *s = arg;

	__atomic_store_n(&s->id, thread_id(), __ATOMIC_RELEASE);
	s->ret = call(s->which, s->context, s->pipe, s->pair, DEADLINE_NEVER);
	return NULL;
}

/* Have another thread sleep in the call. */
static void fall_asleep(struct __test_metadata *_metadata, struct sleeper *s,
			pthread_t *thread)
{
	if (writes(s->which))
		fill(_metadata, s->pipe, s->pair);
	else
		drain(s->pipe, s->pair);
	ASSERT_EQ(0, pthread_create(thread, NULL, sleep_thread, s));
	WAIT_FOR(__atomic_load_n(&s->id, __ATOMIC_ACQUIRE) && is_asleep(s->id));
}

TEST_F(io, cancel_wakes)
{
	pthread_t thread;
	int i;

	for (i = 0; i < CALLS; i++) {
		struct sleeper s = {
			.pipe = self->pipe, .pair = self->pair, .which = i,
		};

		ASSERT_EQ(0, deadline_with_timeout(self->context, 0, &s.context,
						   1000 * SECOND));
		fall_asleep(_metadata, &s, &thread);
		EXPECT_EQ(1, deadline_cancel(s.context, 0));
		pthread_join(thread, NULL);
		EXPECT_EQ(-ECANCELED, s.ret)
			TH_LOG("call %d", i);
		deadline_release(s.context);
	}
}

static int signals;

static void on_signal(int signo)
{
	(void)signo;
	__atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

/* A signal that has a handler ends none of them. */
TEST_F(io, signal_does_not_wake)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;
	int i;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	for (i = 0; i < CALLS; i++) {
		struct sleeper s = {
			.pipe = self->pipe, .pair = self->pair, .which = i,
		};

		ASSERT_EQ(0, deadline_with_cancel(self->context, &s.context));
		fall_asleep(_metadata, &s, &thread);
		ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
		WAIT_FOR(__atomic_load_n(&signals, __ATOMIC_RELAXED) > i);
		EXPECT_EQ(1, deadline_cancel(s.context, 0));
		pthread_join(thread, NULL);
		EXPECT_EQ(-ECANCELED, s.ret)
			TH_LOG("call %d", i);
		deadline_release(s.context);
	}
}

/* Data that was there first is told, though the deadline has passed meanwhile. */
TEST_F(io, bytes_win)
{
	deadline_context *context;
	char byte;

	ASSERT_EQ(0, deadline_with_timeout(self->context, 0, &context,
					   1000 * SECOND));
	ASSERT_EQ(1, write(self->pipe[1], "a", 1));
	ASSERT_EQ(1, write(self->pair[1], "b", 1));
	EXPECT_EQ(1, deadline_read(context, self->pipe[0], &byte, 1, 1));
	EXPECT_EQ('a', byte);
	EXPECT_EQ(1, deadline_read(context, self->pair[0], &byte, 1, 1));
	EXPECT_EQ('b', byte);
	/* A write that moved a part says how much. */
	EXPECT_LT(0, deadline_write(context, self->pipe[1], bulk, sizeof(bulk),
				    1));
	EXPECT_LT(0, deadline_write(context, self->pair[1], bulk, sizeof(bulk),
				    1));
	/* The end of a file is no timeout. */
	close(self->pair[1]);
	drain(self->pipe, self->pair);
	EXPECT_EQ(0, deadline_read(context, self->pair[0], &byte, 1, 1));
	deadline_release(context);
}

TEST_F(io, bad_descriptor)
{
	struct msghdr message = {};
	char byte = 0;

	EXPECT_EQ(-EBADF, deadline_read(self->context, -1, &byte, 1, 1));
	EXPECT_EQ(-EBADF, deadline_write(self->context, -1, &byte, 1, 1));
	EXPECT_EQ(-EBADF, deadline_connect(self->context, -1, NULL, 0, 1));
	EXPECT_EQ(-ENOTSOCK, deadline_recvmsg(self->context, self->pipe[0],
					      &message, 0, 1));
}

/* A server at @addr, and nobody there when it is gone */
static void connect_and_accept(struct __test_metadata *_metadata,
			       deadline_context *context,
			       struct sockaddr *addr, socklen_t size,
			       socklen_t room)
{
	uint64_t later = deadline_in(100 * SECOND);
	int server, client, taken, family = addr->sa_family;

	server = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, bind(server, addr, size));
	ASSERT_EQ(0, listen(server, 1));
	size = room;
	ASSERT_EQ(0, getsockname(server, addr, &size));
	EXPECT_EQ(-ETIMEDOUT, deadline_accept(context, server, NULL, NULL, 0,
					      deadline_in(MS)));
	client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, deadline_connect(context, client, addr, size, later));
	EXPECT_EQ(0, fcntl(client, F_GETFL) & O_NONBLOCK);
	taken = deadline_accept(context, server, NULL, NULL, SOCK_CLOEXEC,
				later);
	ASSERT_LE(0, taken);
	EXPECT_EQ(FD_CLOEXEC, fcntl(taken, F_GETFD));
	close(taken);
	close(client);
	close(server);
	/* Nobody listens there now. */
	client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT_EQ(-ECONNREFUSED,
		  deadline_connect(context, client, addr, size, later));
	close(client);
}

TEST_F(io, connect_unix)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	/* With no path, the kernel finds a name. */
	connect_and_accept(_metadata, self->context, (struct sockaddr *)&addr,
			   sizeof(addr.sun_family), sizeof(addr));
	deadline_cancel(self->context, 0);
	EXPECT_EQ(-ECANCELED, deadline_connect(self->context, 0, NULL, 0, 1));
	EXPECT_EQ(-ECANCELED, deadline_accept(self->context, 0, NULL, NULL, 0,
					      1));
}

TEST_F(io, connect_inet)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		SKIP(return, "no AF_INET");
	close(fd);
	connect_and_accept(_metadata, self->context, (struct sockaddr *)&addr,
			   sizeof(addr), sizeof(addr));
}

TEST_HARNESS_MAIN
