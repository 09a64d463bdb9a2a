// SPDX-License-Identifier: GPL-2.0
/*
 * What a blocking call returns is what the system call would, at once, whatever the
 * thread has read before and whatever it lacks to sleep.
 */
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "filter.h"
#include "library.h"

/* A call that sleeps for so long would have slept for ever. */
#define LONG (100 * SECOND)

FIXTURE(errors) {
	int pair[2];
	char byte;
};

/* This thread has read a socket in vain, so that it will not try that first. */
FIXTURE_SETUP(errors)
{
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				self->pair));
	ASSERT_EQ(-ETIMEDOUT, deadline_read(deadline_background(),
					    self->pair[0], &self->byte, 1,
					    deadline_in(MS)));
}

FIXTURE_TEARDOWN(errors)
{
	close(self->pair[0]);
	close(self->pair[1]);
}

static ssize_t read_some(int fd, void *data, size_t size)
{
	return deadline_read(deadline_background(), fd, data, size,
			     deadline_in(LONG));
}

TEST_F(errors, of_another_descriptor)
{
	int fds[2], stream[2], fd = eventfd(0, EFD_CLOEXEC);
	uint32_t half;

	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-EBADF, read_some(fds[1], &self->byte, 1));
	EXPECT_EQ(-EINVAL, read_some(fd, &half, sizeof(half)));
	EXPECT_EQ(-EBADF, read_some(-1, &self->byte, 1));
	/* Datagrams have no listeners; of this stream there could be one. */
	EXPECT_EQ(-EOPNOTSUPP, deadline_accept(deadline_background(),
					       self->pair[0], NULL, NULL, 0,
					       deadline_in(LONG)));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	EXPECT_EQ(-EINVAL, deadline_accept(deadline_background(), stream[0],
					   NULL, NULL, 0, deadline_in(LONG)));
	close(stream[0]);
	close(stream[1]);
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

/* The number is another file's now. */
TEST_F(errors, of_the_same_number)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(self->pair[0], dup2(fds[0], self->pair[0]));
	ASSERT_EQ(1, write(fds[1], "x", 1));
	EXPECT_EQ(1, read_some(self->pair[0], &self->byte, 1));
	close(fds[1]);
	EXPECT_EQ(0, read_some(self->pair[0], &self->byte, 1));
	close(fds[0]);
}

/* MSG_DONTWAIT is the caller's wish, not the descriptor's: it is followed. */
TEST_F(errors, of_who_will_not_wait)
{
	struct iovec part = { .iov_base = &self->byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	EXPECT_EQ(-EAGAIN, deadline_recvmsg(deadline_background(), self->pair[0],
					    &msg, MSG_DONTWAIT,
					    deadline_in(LONG)));
	while (send(self->pair[1], "x", 1, MSG_DONTWAIT) == 1)
		;
	EXPECT_EQ(-EAGAIN, deadline_sendmsg(deadline_background(), self->pair[1],
					    &msg, MSG_DONTWAIT,
					    deadline_in(LONG)));
	EXPECT_EQ(1, deadline_recvmsg(deadline_background(), self->pair[0],
				      &msg, MSG_DONTWAIT, deadline_in(LONG)));
}

/* As with connect(2), the socket knows at once that it is connected. */
TEST_F(errors, of_a_second_connect)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&addr, size));
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, getsockname(listener, (struct sockaddr *)&addr, &size));
	EXPECT_EQ(0, deadline_connect(deadline_background(), fd,
				      (struct sockaddr *)&addr, size,
				      deadline_in(LONG)));
	EXPECT_EQ(-EISCONN, deadline_connect(deadline_background(), fd,
					     (struct sockaddr *)&addr, size,
					     deadline_in(LONG)));
	close(fd);
	close(listener);
}

/* As read(2) of no bytes: it neither waits nor takes a datagram. */
TEST_F(errors, of_nothing)
{
	int fd;

	EXPECT_EQ(0, read_some(self->pair[0], &self->byte, 0));
	ASSERT_EQ(1, write(self->pair[1], "x", 1));
	EXPECT_EQ(0, read_some(self->pair[0], &self->byte, 0));
	EXPECT_EQ(1, read_some(self->pair[0], &self->byte, 1));
	EXPECT_EQ('x', self->byte);
	EXPECT_EQ(-EBADF, read_some(-1, &self->byte, 0));
	fd = eventfd(0, EFD_CLOEXEC);
	EXPECT_EQ(0, read_some(fd, &self->byte, 0));
	close(fd);
}

static void *poll_ready(void *arg)
{
	struct pollfd *ready = arg;

	return (void *)(intptr_t)deadline_poll(deadline_background(), ready, 1,
					       deadline_in(LONG));
}

/* A thread that cannot have a descriptor to sleep by is told what is ready. */
TEST_F(errors, not_of_the_limit)
{
	struct pollfd ready = { .fd = self->pair[1], .events = POLLOUT };
	struct rlimit none = { 0, 0 }, before;
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
	none.rlim_max = before.rlim_max;
	none.rlim_cur = self->pair[1] + 1;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	ASSERT_EQ(0, pthread_create(&thread, NULL, poll_ready, &ready));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(1, (intptr_t)ret);
	EXPECT_EQ(POLLOUT, ready.revents);
	ready.events = POLLIN;
	ASSERT_EQ(0, pthread_create(&thread, NULL, poll_ready, &ready));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(-EMFILE, (intptr_t)ret);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
}

/* Sandboxes do not know the calls that end at once of any file. */
TEST_F(errors, in_a_sandbox)
{
	int fds[2], fd = eventfd(1, EFD_CLOEXEC);
	uint64_t value;

	ASSERT_EQ(0, pipe(fds));
	filter_call(__NR_preadv2, NO_SUCH_CALL);
	filter_call(__NR_pwritev2, NO_SUCH_CALL);
	EXPECT_EQ(-ETIMEDOUT, deadline_read(deadline_background(), fds[0],
					    &self->byte, 1, deadline_in(MS)));
	EXPECT_EQ(1, deadline_write(deadline_background(), fds[1], "x", 1,
				    deadline_in(LONG)));
	EXPECT_EQ(1, read_some(fds[0], &self->byte, 1));
	EXPECT_EQ('x', self->byte);
	/* An end that is not for that, though another description of the pipe would be */
	EXPECT_EQ(-EBADF, read_some(fds[1], &self->byte, 1));
	EXPECT_EQ(-EBADF, deadline_write(deadline_background(), fds[0], "x", 1,
					 deadline_in(LONG)));
	EXPECT_EQ(sizeof(value), read_some(fd, &value, sizeof(value)));
	EXPECT_EQ(-ETIMEDOUT, deadline_read(deadline_background(), fd, &value,
					    sizeof(value), deadline_in(MS)));
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

TEST_HARNESS_MAIN
