// SPDX-License-Identifier: GPL-2.0
/*
 * What calls that block move, and how they leave a descriptor: how they end is told in
 * lib_io and those beside it.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "library.h"

#define BACKGROUND deadline_background()

static volatile unsigned int signals;

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

static bool is_nonblocking(int fd)
{
	return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

/* A pipe, or two sockets of a kind */
FIXTURE(moved) {
	int fds[2];
};

FIXTURE_VARIANT(moved) {
	int type;
};

FIXTURE_VARIANT_ADD(moved, pipe) { 0 };
FIXTURE_VARIANT_ADD(moved, stream) { SOCK_STREAM };
FIXTURE_VARIANT_ADD(moved, packets) { SOCK_SEQPACKET };

FIXTURE_SETUP(moved)
{
	ASSERT_EQ(0, variant->type ? socketpair(AF_UNIX, variant->type, 0, self->fds) :
		  pipe(self->fds));
	signal(SIGPIPE, count_signal);
}

FIXTURE_TEARDOWN(moved)
{
	close(self->fds[0]);
	close(self->fds[1]);
}

/* Nothing is tried under a context that is over: what is there stays there. */
TEST_F(moved, nothing_below_the_end)
{
	deadline_context *context;
	char bytes[4] = "";

	ASSERT_EQ(0, deadline_with_cancel(BACKGROUND, &context));
	deadline_cancel(context, 0);
	ASSERT_EQ(1, write(self->fds[1], "a", 1));
	EXPECT_EQ(-ECANCELED, deadline_read(context, self->fds[0], bytes, 4, DEADLINE_NEVER));
	EXPECT_EQ(-ECANCELED, deadline_read_all(context, self->fds[0], bytes, 4,
						DEADLINE_NEVER));
	EXPECT_EQ(-ECANCELED, deadline_write(context, self->fds[1], "b", 1, DEADLINE_NEVER));
	EXPECT_EQ(-ECANCELED, deadline_write_all(context, self->fds[1], "b", 1,
						 DEADLINE_NEVER));
	EXPECT_EQ(1, read(self->fds[0], bytes, 4));
	EXPECT_EQ('a', bytes[0]);
	ASSERT_EQ(0, fcntl(self->fds[0], F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, read(self->fds[0], bytes, 4));
	EXPECT_EQ(EAGAIN, errno);
	deadline_release(context);
}

TEST_F(moved, signal_of_a_broken_pipe)
{
	struct iovec iov = { .iov_base = (char *)"x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	/* The system calls raise none for packets. */
	const unsigned int one = variant->type != SOCK_SEQPACKET;

	close(self->fds[0]);
	EXPECT_EQ(-EPIPE, deadline_write(BACKGROUND, self->fds[1], "x", 1, DEADLINE_NEVER));
	EXPECT_EQ(one, signals);
	EXPECT_EQ(-EPIPE, deadline_write_all(BACKGROUND, self->fds[1], "x", 1,
					     DEADLINE_NEVER));
	EXPECT_EQ(2 * one, signals);
	if (variant->type) {
		EXPECT_EQ(-EPIPE, deadline_sendmsg(BACKGROUND, self->fds[1], &msg,
						   MSG_NOSIGNAL, DEADLINE_NEVER));
		EXPECT_EQ(2 * one, signals);
		EXPECT_EQ(-EPIPE, deadline_sendmsg(BACKGROUND, self->fds[1], &msg, 0,
						   DEADLINE_NEVER));
		EXPECT_EQ(3 * one, signals);
	}
	self->fds[0] = -1;
}

/* These are tried without a sleep in other ways. */
TEST_F(moved, stay_as_they_are)
{
	char byte;

	EXPECT_EQ(-ETIMEDOUT, deadline_read(BACKGROUND, self->fds[0], &byte, 1,
					    deadline_in(MS)));
	EXPECT_EQ(1, deadline_write(BACKGROUND, self->fds[1], "x", 1, DEADLINE_NEVER));
	EXPECT_EQ(1, deadline_read(BACKGROUND, self->fds[0], &byte, 1, DEADLINE_NEVER));
	EXPECT_FALSE(is_nonblocking(self->fds[0]));
	EXPECT_FALSE(is_nonblocking(self->fds[1]));
}

/* Two datagram sockets with abstract names; of the first one here */
static int named(struct sockaddr_un *name)
{
	socklen_t size = sizeof(*name);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fd < 0 || bind(fd, (struct sockaddr *)name, sizeof(sa_family_t)) ||
	    getsockname(fd, (struct sockaddr *)name, &size))
		return -1;
	return fd;
}

/* All of a message: to whom, from whom, several parts, a descriptor */
TEST(message)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {}, got_control = {};
	struct sockaddr_un name, other_name, from = {};
	int fd = named(&name), other = named(&other_name), passed, fds[2];
	char two[2], rest[8] = "", byte = 0;
	struct iovec iov[] = { { (char *)"ab", 2 }, { (char *)"cde", 3 } };
	struct iovec got_iov[] = { { two, 2 }, { rest, 8 } };
	socklen_t size = sizeof(sa_family_t) + 6;
	struct msghdr msg = {
		.msg_name = &other_name, .msg_namelen = size,
		.msg_iov = iov, .msg_iovlen = 2,
		.msg_control = &control, .msg_controllen = sizeof(control),
	}, got = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_iov = got_iov, .msg_iovlen = 2,
		.msg_control = &got_control, .msg_controllen = sizeof(got_control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, pipe(fds));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fds[1], sizeof(int));
	ASSERT_EQ(5, deadline_sendmsg(BACKGROUND, fd, &msg, 0, deadline_in(SECOND)));
	ASSERT_EQ(5, deadline_recvmsg(BACKGROUND, other, &got, 0, deadline_in(SECOND)));
	EXPECT_EQ(0, memcmp(two, "ab", 2));
	EXPECT_STREQ("cde", rest);
	EXPECT_EQ(size, got.msg_namelen);
	EXPECT_EQ(0, memcmp(&from, &name, size));
	cmsg = CMSG_FIRSTHDR(&got);
	ASSERT_NE(NULL, cmsg);
	ASSERT_EQ(SCM_RIGHTS, cmsg->cmsg_type);
	memcpy(&passed, CMSG_DATA(cmsg), sizeof(int));
	ASSERT_EQ(1, write(passed, "p", 1));
	EXPECT_EQ(1, read(fds[0], &byte, 1));
	EXPECT_EQ('p', byte);
	/* What does not fit into the parts is told as ever. */
	msg.msg_controllen = 0;
	got.msg_iovlen = 1;
	ASSERT_EQ(5, deadline_sendmsg(BACKGROUND, fd, &msg, 0, deadline_in(SECOND)));
	EXPECT_EQ(5, deadline_recvmsg(BACKGROUND, other, &got, MSG_TRUNC, deadline_in(SECOND)));
	EXPECT_EQ(MSG_TRUNC, got.msg_flags & MSG_TRUNC);
}

/* What has come is returned, though all that was asked for has not. */
TEST(wait_for_all)
{
	char bytes[10];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	ASSERT_EQ(3, write(fds[1], "abc", 3));
	EXPECT_EQ(3, deadline_recvmsg(BACKGROUND, fds[0], &msg, MSG_WAITALL,
				      deadline_in(20 * MS)));
	EXPECT_EQ(-ETIMEDOUT, deadline_recvmsg(BACKGROUND, fds[0], &msg, MSG_WAITALL,
					       deadline_in(MS)));
}

/* A listener is made so; what it accepts, and what connects, is not. */
TEST(sockets)
{
	struct sockaddr_un name;
	socklen_t size = sizeof(sa_family_t) + 6;
	int listener, client = socket(AF_UNIX, SOCK_STREAM, 0), server;
	socklen_t name_size = sizeof(name);

	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&name, sizeof(sa_family_t)));
	ASSERT_EQ(0, getsockname(listener, (struct sockaddr *)&name, &name_size));
	ASSERT_EQ(0, listen(listener, 4));
	EXPECT_EQ(-ETIMEDOUT, deadline_accept(BACKGROUND, listener, NULL, NULL, 0,
					      deadline_in(MS)));
	EXPECT_TRUE(is_nonblocking(listener));
	ASSERT_EQ(0, deadline_connect(BACKGROUND, client, (struct sockaddr *)&name, size,
				      DEADLINE_NEVER));
	EXPECT_FALSE(is_nonblocking(client));
	server = deadline_accept(BACKGROUND, listener, NULL, NULL, 0, DEADLINE_NEVER);
	ASSERT_LE(0, server);
	EXPECT_FALSE(is_nonblocking(server));
	EXPECT_EQ(0, fcntl(server, F_GETFD));
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ASSERT_EQ(0, deadline_connect(BACKGROUND, client, (struct sockaddr *)&name, size,
				      DEADLINE_NEVER));
	EXPECT_TRUE(is_nonblocking(client));
	server = deadline_accept(BACKGROUND, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC,
				 DEADLINE_NEVER);
	ASSERT_LE(0, server);
	EXPECT_TRUE(is_nonblocking(server));
	EXPECT_EQ(FD_CLOEXEC, fcntl(server, F_GETFD));
}

/* Those that can be tried without a sleep in no other way, and stay as they are else */
TEST(made_nonblocking)
{
	int counter = eventfd(0, 0), notify = inotify_init1(0);
	uint64_t n = 1;
	char bytes[64];

	EXPECT_EQ(-ETIMEDOUT, deadline_read(BACKGROUND, counter, &n, 8, deadline_in(MS)));
	EXPECT_FALSE(is_nonblocking(counter));
	EXPECT_EQ(8, deadline_write(BACKGROUND, counter, &n, 8, deadline_in(MS)));
	EXPECT_TRUE(is_nonblocking(counter));
	EXPECT_EQ(-ETIMEDOUT, deadline_read(BACKGROUND, notify, bytes, sizeof(bytes),
					    deadline_in(MS)));
	EXPECT_TRUE(is_nonblocking(notify));
}

static void *read_all_later(void *arg)
{
	char byte;

	usleep(20000);
	while (recv(*(int *)arg, &byte, 1, MSG_DONTWAIT) == 1)
		;
	return NULL;
}

/* To a socket that only the call names poll(2) cannot tell of room: it goes on for all that. */
TEST(goes_on_once_there_is_room)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct iovec part = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = { .msg_name = &addr, .msg_iov = &part, .msg_iovlen = 1 };
	int full = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(addr);
	pthread_t thread;

	ASSERT_EQ(0, bind(full, (struct sockaddr *)&addr, sizeof(sa_family_t)));
	ASSERT_EQ(0, getsockname(full, (struct sockaddr *)&addr, &size));
	msg.msg_namelen = size;
	while (sendmsg(fd, &msg, MSG_DONTWAIT) == 1)
		;
	EXPECT_EQ(-ETIMEDOUT, deadline_sendmsg(deadline_background(), fd, &msg, 0,
					       deadline_in(MS)));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_all_later, &full));
	EXPECT_EQ(1, deadline_sendmsg(deadline_background(), fd, &msg, 0,
				      DEADLINE_NEVER));
	pthread_join(thread, NULL);
	close(full);
	close(fd);
}

TEST_HARNESS_MAIN
