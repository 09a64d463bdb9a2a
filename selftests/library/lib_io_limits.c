// SPDX-License-Identifier: GPL-2.0
/*
 * The limits of blocking calls hold on every kind of descriptor, whether it is
 * O_NONBLOCK or not: a call that cannot go on ends with its limit, never before, at
 * most 10 ms after it, and sleeps until then.
 *
 * How late a thread gets to run is not the library's doing, nor how much of a CPU it
 * is given. So each call is tried several times, and one of them must be in time.
 */
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "ends.h"
#include "library.h"

#define LIMIT	(40 * MS)
#define LATE	(10 * MS)
/* Of a CPU, in one call: spinning takes more even on a machine that is busy. */
#define SPENT	(4 * MS)
#define TRIES	50

static char bulk[1 << 16];

static ssize_t do_read(const struct ends *e, deadline_context *context,
		       uint64_t until)
{
	/* A timerfd and an eventfd want 8 bytes, a signalfd more. */
	return deadline_read(context, e->fd, bulk, 4096, until);
}

static ssize_t do_write(const struct ends *e, deadline_context *context,
			uint64_t until)
{
	return deadline_write(context, e->fd, bulk, sizeof(bulk), until);
}

static ssize_t do_write_little(const struct ends *e, deadline_context *context,
			       uint64_t until)
{
	return deadline_write(context, e->fd, bulk, 512, until);
}

/* More than fits, though one more would */
static ssize_t do_add(const struct ends *e, deadline_context *context,
		      uint64_t until)
{
	uint64_t much = 1000;

	return deadline_write(context, e->fd, &much, sizeof(much), until);
}

static ssize_t receive(const struct ends *e, deadline_context *context,
		       int flags, uint64_t until)
{
	struct iovec iov = { .iov_base = bulk, .iov_len = sizeof(bulk) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return deadline_recvmsg(context, e->fd, &msg, flags, until);
}

static ssize_t do_recvmsg(const struct ends *e, deadline_context *context,
			  uint64_t until)
{
	return receive(e, context, 0, until);
}

static ssize_t do_errqueue(const struct ends *e, deadline_context *context,
			   uint64_t until)
{
	return receive(e, context, MSG_ERRQUEUE, until);
}

static ssize_t do_peek(const struct ends *e, deadline_context *context,
		       uint64_t until)
{
	return receive(e, context, MSG_PEEK, until);
}

static ssize_t do_sendmsg(const struct ends *e, deadline_context *context,
			  uint64_t until)
{
	struct iovec iov = { .iov_base = bulk, .iov_len = 512 };
	struct msghdr msg = {
		.msg_name = e->name_size ? (void *)(uintptr_t)&e->name : NULL,
		.msg_namelen = e->name_size,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	return deadline_sendmsg(context, e->fd, &msg, 0, until);
}

static ssize_t do_accept(const struct ends *e, deadline_context *context,
			 uint64_t until)
{
	return deadline_accept(context, e->fd, NULL, NULL, 0, until);
}

static ssize_t do_connect(const struct ends *e, deadline_context *context,
			  uint64_t until)
{
	return deadline_connect(context, e->fd, (const struct sockaddr *)&e->name,
				e->name_size, until);
}

static ssize_t do_poll(const struct ends *e, deadline_context *context,
		       uint64_t until)
{
	struct pollfd pollfd = { .fd = e->fd, .events = POLLIN };

	return deadline_poll(context, &pollfd, 1, until);
}

static const struct {
	const char *name;
	int (*make)(struct ends *e);
	ssize_t (*call)(const struct ends *e, deadline_context *context,
			uint64_t until);
} cases[] = {
	{ "read of TCP", make_tcp, do_read },
	{ "write to TCP", make_tcp, do_write },
	{ "recvmsg of TCP", make_tcp, do_recvmsg },
	{ "recvmsg of TCP's errors", make_tcp, do_errqueue },
	{ "poll of TCP", make_tcp, do_poll },
	{ "read of a stream", make_stream, do_read },
	{ "write to a stream", make_stream, do_write },
	{ "sendmsg to a stream", make_stream, do_sendmsg },
	{ "read of datagrams", make_datagram, do_read },
	{ "recvmsg of datagrams", make_datagram, do_recvmsg },
	{ "recvmsg of errors beside a datagram", make_readable, do_errqueue },
	{ "write of datagrams", make_datagram, do_write_little },
	{ "write to a connected receiver", make_connected, do_write_little },
	{ "sendmsg to a connected receiver", make_connected, do_sendmsg },
	{ "sendmsg to a named receiver", make_named, do_sendmsg },
	{ "read of packets", make_seqpacket, do_read },
	{ "write of packets", make_seqpacket, do_write_little },
	{ "a peek beyond what is there", make_peeked, do_peek },
	{ "accept", make_listener, do_accept },
	{ "connect to a full backlog", make_crowd, do_connect },
	{ "read of a pipe", make_pipe_out, do_read },
	{ "write to a pipe", make_pipe_in, do_write },
	{ "write of little to a pipe", make_pipe_in, do_write_little },
	{ "read of a pipe's packets", make_packets_out, do_read },
	{ "write of a pipe's packets", make_packets_in, do_write_little },
	{ "poll of a pipe", make_pipe_out, do_poll },
	{ "read of a FIFO", make_fifo_out, do_read },
	{ "write to a FIFO", make_fifo_in, do_write },
	{ "read of a terminal", make_terminal, do_read },
	{ "read of a terminal that has a time", make_timed, do_read },
	{ "read of a line not ended", make_line, do_read },
	{ "write to a terminal", make_terminal, do_write },
	{ "write of little to a terminal", make_terminal, do_write_little },
	{ "write to a stopped terminal", make_stopped, do_write },
	{ "read of a terminal's master", make_master, do_read },
	{ "write to a terminal's master", make_master, do_write },
	{ "read of an eventfd", make_eventfd, do_read },
	{ "write to an eventfd", make_eventfd_full, do_add },
	{ "read of a timerfd", make_timerfd, do_read },
	{ "read of an inotify", make_inotify, do_read },
	{ "read of a signalfd", make_signalfd, do_read },
	{ "poll of an inotify", make_inotify, do_poll },
	{ "read of the kernel's log", make_log, do_read },
	{ NULL, NULL, NULL },
};

/* One call that has to wait; true if it was in time and slept */
static bool try_one(struct __test_metadata *_metadata, unsigned int i,
		    const struct ends *e, bool by_context)
{
	deadline_context *context = deadline_background();
	uint64_t when, until, spent, end;
	ssize_t ret, why = by_context ? -ETIME : -ETIMEDOUT;

	/* What does not have to wait is not the one. */
	do {
		when = deadline_in(LIMIT);
		if (by_context)
			ASSERT_EQ(0, deadline_with_deadline(deadline_background(),
							    0, &context, when));
		until = by_context ? DEADLINE_NEVER : when;
		spent = ns_of(CLOCK_THREAD_CPUTIME_ID);
		ret = cases[i].call(e, context, until);
		end = deadline_now();
		spent = ns_of(CLOCK_THREAD_CPUTIME_ID) - spent;
		deadline_release(context);
	} while (ret > 0);
	EXPECT_EQ(why, ret)
		TH_LOG("%s", cases[i].name);
	EXPECT_LE(when, end)
		TH_LOG("%s", cases[i].name);
	return end - when <= LATE && spent <= SPENT;
}

static void try_all(struct __test_metadata *_metadata, int flags)
{
	unsigned int i, n, by_context;
	struct ends e;
	int ret;

	for (i = 0; cases[i].name; i++) {
		e = (struct ends){ .fd = -1, .other = -1, .third = -1 };
		ret = cases[i].make(&e);
		if (ret == -EAFNOSUPPORT || ret == -EPERM)
			continue;
		ASSERT_EQ(0, ret)
			TH_LOG("%s", cases[i].name);
		ASSERT_EQ(0, fcntl(e.fd, F_SETFL,
				   fcntl(e.fd, F_GETFL) | flags));
		for (by_context = 0; by_context < 2; by_context++) {
			for (n = 0; n < TRIES; n++) {
				if (try_one(_metadata, i, &e, by_context))
					break;
			}
			EXPECT_GT(TRIES, n)
				TH_LOG("%s: late, or spinning", cases[i].name);
		}
		close(e.fd);
		close(e.other);
		close(e.third);
	}
}

/* A call that hangs is killed by the harness; the log says which it was. */
TEST(blocking)
{
	try_all(_metadata, 0);
}

TEST(nonblocking)
{
	try_all(_metadata, O_NONBLOCK);
}

/* What never has to wait does not, though the limit has passed. */
TEST(never_waits)
{
	deadline_context *context = deadline_background();
	char path[] = "/tmp/lib_io.XXXXXX", byte = 0;
	int fds[] = {
		memfd_create("io", MFD_CLOEXEC), mkstemp(path),
		open("/dev/null", O_RDWR | O_CLOEXEC),
	};
	int i;

	unlink(path);
	for (i = 0; i < 3; i++) {
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(sizeof(bulk), deadline_write(context, fds[i], bulk,
						       sizeof(bulk), 1));
		EXPECT_EQ(0, deadline_read(context, fds[i], &byte, 1, 1));
		close(fds[i]);
		EXPECT_EQ(-EBADF, deadline_read(context, fds[i], &byte, 1, 1));
		EXPECT_EQ(-EBADF, deadline_write(context, fds[i], &byte, 1, 1));
	}
}

/*
 * A terminal of which read(2) waits for nothing, or for a time, says so: the former
 * holds, the latter is not what ends a call.
 */
TEST(terminal_with_a_time)
{
	deadline_context *context = deadline_background();
	uint64_t when = deadline_in(3 * LIMIT);
	struct termios timed;
	struct ends e;
	char byte;

	ASSERT_EQ(0, make_timed(&e));
	EXPECT_EQ(-ETIMEDOUT, deadline_read(context, e.fd, &byte, 1, when));
	EXPECT_LE(when, deadline_now());
	ASSERT_EQ(1, write(e.other, "a", 1));
	EXPECT_EQ(1, deadline_read(context, e.fd, &byte, 1, DEADLINE_NEVER));
	ASSERT_EQ(0, tcgetattr(e.fd, &timed));
	timed.c_cc[VTIME] = 0;
	ASSERT_EQ(0, tcsetattr(e.fd, TCSANOW, &timed));
	EXPECT_EQ(0, deadline_read(context, e.fd, &byte, 1, DEADLINE_NEVER));
}

/* What it has is returned, though read(2) would wait for more. */
TEST(terminal_with_a_number)
{
	struct termios raw;
	struct ends e;
	char bytes[5];

	ASSERT_EQ(0, make_timed(&e));
	ASSERT_EQ(0, tcgetattr(e.fd, &raw));
	raw.c_cc[VTIME] = 0;
	raw.c_cc[VMIN] = 5;
	ASSERT_EQ(0, tcsetattr(e.fd, TCSANOW, &raw));
	ASSERT_EQ(2, write(e.other, "ab", 2));
	EXPECT_EQ(2, deadline_read(deadline_background(), e.fd, bytes, 5,
				   DEADLINE_NEVER));
	EXPECT_EQ(-ETIMEDOUT, deadline_read(deadline_background(), e.fd, bytes,
					    5, deadline_in(MS)));
}

/* A set as large as poll(2) takes: there is room for none more. */
TEST(poll_of_all)
{
	struct rlimit limit;
	uint64_t when = deadline_in(LIMIT);
	struct pollfd fds[65];
	int i, pipes[2];

	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	for (i = 0; i < 65; i++)
		fds[i] = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 64;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	if (!poll(fds, 65, 0))
		SKIP(return, "the limit is known to valgrind alone");
	EXPECT_EQ(-ETIMEDOUT, deadline_poll(deadline_background(), fds, 64,
					    when));
	EXPECT_LE(when, deadline_now());
	EXPECT_EQ(-EINVAL, deadline_poll(deadline_background(), fds, 65,
					 DEADLINE_NEVER));
	ASSERT_EQ(1, write(pipes[1], "a", 1));
	EXPECT_EQ(64, deadline_poll(deadline_background(), fds, 64,
				    DEADLINE_NEVER));
}

TEST_HARNESS_MAIN
