// SPDX-License-Identifier: GPL-2.0
/*
 * Blocking calls of a program that closes descriptors which it does not know: they end
 * at their limits, whatever has the numbers then, and nothing happens to that.
 */
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include "library.h"

/* So many files take the numbers. */
#define FILES	64

/* As a daemon does: all that it did not open itself is closed. */
static void close_all(const int *but, unsigned int n)
{
	unsigned int i;
	int fd;

	for (fd = 3; fd < 256; fd++) {
		for (i = 0; i < n && but[i] != fd; i++)
			;
		if (i == n)
			close(fd);
	}
}

static void read_until(struct __test_metadata *_metadata, int fd,
		       uint64_t until)
{
	char byte;

	EXPECT_EQ(-ETIMEDOUT, deadline_read(deadline_background(), fd, &byte, 1,
					    until));
	EXPECT_LE(until, deadline_now());
}

static void read_for(struct __test_metadata *_metadata, int fd, uint64_t ns)
{
	read_until(_metadata, fd, deadline_in(ns));
}

/*
 * What ends the thread's sleeps is set, for it sleeps and something else comes before:
 * for a sleep that ends later it need not be.
 */
static void set_before(struct __test_metadata *_metadata)
{
	const struct itimerspec soon = { .it_value.tv_nsec = MS };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t count;

	ASSERT_EQ(0, timerfd_settime(timer, 0, &soon, NULL));
	ASSERT_EQ(8, deadline_read(deadline_background(), timer, &count, 8,
				   deadline_in(100 * MS)));
	close(timer);
}

TEST(closed)
{
	int fds[2], files[FILES], i;
	deadline_context *context;
	char byte;

	/* Contexts need descriptors that are not to be closed: none here. */
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	read_for(_metadata, fds[0], MS);
	set_before(_metadata);
	close_all(fds, 2);
	read_for(_metadata, fds[0], 200 * MS);
	/* Closed again, and all numbers are sockets */
	set_before(_metadata);
	close_all(fds, 2);
	for (i = 0; i < FILES; i++)
		socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	read_for(_metadata, fds[0], 200 * MS);
	/* Closed again, and all numbers are files */
	set_before(_metadata);
	close_all(fds, 2);
	for (i = 0; i < FILES; i++) {
		files[i] = memfd_create("file", MFD_CLOEXEC);
		ASSERT_LE(0, files[i]);
	}
	read_for(_metadata, fds[0], MS);
	read_for(_metadata, fds[0], MS);
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &context,
					   MS));
	EXPECT_EQ(-ETIME, deadline_read(context, fds[0], &byte, 1,
					DEADLINE_NEVER));
	deadline_release(context);
	/* They are as they were. */
	for (i = 0; i < FILES; i++) {
		EXPECT_EQ(0, lseek(files[i], 0, SEEK_END));
		EXPECT_EQ(0, fcntl(files[i], F_GETFL) & O_NONBLOCK);
	}
}

/* All numbers are files that say nothing to poll(2), and that are timers as ours are. */
TEST(quiet_files)
{
	const struct itimerspec far = { .it_value.tv_sec = 1000 };
	struct itimerspec left;
	int fds[2], files[FILES], i, set;

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	for (set = 0; set < 2; set++) {
		read_for(_metadata, fds[0], MS);
		if (set)
			set_before(_metadata);
		close_all(fds, 2);
		for (i = 0; i < FILES; i++) {
			files[i] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
			ASSERT_EQ(0, timerfd_settime(files[i], 0, &far, NULL));
		}
		read_for(_metadata, fds[0], 200 * MS);
		for (i = 0; i < FILES; i++) {
			ASSERT_EQ(0, timerfd_gettime(files[i], &left));
			EXPECT_LT(0, left.it_value.tv_sec);
		}
	}
}

struct reader {
	int fd;
	uint64_t until;
	ssize_t ret;
	char byte;
	pid_t id;
	bool go;
	bool done;
};

static void *read_other(void *arg)
{
	struct reader *r = arg;

	if (deadline_prepare())
		return NULL;
	__atomic_store_n(&r->id, thread_id(), __ATOMIC_RELEASE);
	WAIT_FOR(__atomic_load_n(&r->go, __ATOMIC_ACQUIRE));
	r->ret = deadline_read(deadline_background(), r->fd, &r->byte, 1,
			       r->until);
	r->until = deadline_now();
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static pthread_t start(struct reader *r)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, read_other, r))
		abort();
	WAIT_FOR(__atomic_load_n(&r->id, __ATOMIC_ACQUIRE));
	return thread;
}

static void await_sleep(struct reader *r)
{
	__atomic_store_n(&r->go, true, __ATOMIC_RELEASE);
	WAIT_FOR(is_asleep(r->id) ||
		 __atomic_load_n(&r->done, __ATOMIC_ACQUIRE));
}

/* The number is that of what ends another thread's sleeps: each has its own limit. */
TEST(another_thread)
{
	struct reader other = { .go = false };
	deadline_context *context;
	int fds[2], number;
	uint64_t until;
	pthread_t thread;

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	number = next_number();
	ASSERT_EQ(0, deadline_prepare());
	ASSERT_EQ(0, close(number));
	other.fd = fds[0];
	thread = start(&other);
	until = deadline_in(2 * SECOND);
	other.until = deadline_in(100 * MS);
	await_sleep(&other);
	read_until(_metadata, fds[0], until);
	pthread_join(thread, NULL);
	EXPECT_EQ(-ETIMEDOUT, other.ret);
	EXPECT_GT(until, other.until);
	deadline_release(context);
}

/* It is open for one call: the number is a file's when the call goes on. */
TEST(in_a_call)
{
	struct reader other = { .until = DEADLINE_NEVER };
	int master, file, number;
	pthread_t thread;

	ASSERT_EQ(0, openpty(&master, &other.fd, NULL, NULL, NULL));
	file = memfd_create("file", MFD_CLOEXEC);
	ASSERT_EQ(1, write(file, "x", 1));
	ASSERT_EQ(0, lseek(file, 0, SEEK_SET));
	thread = start(&other);
	number = next_number();
	__atomic_store_n(&other.go, true, __ATOMIC_RELEASE);
	WAIT_FOR(fcntl(number, F_GETFD) >= 0);
	await_sleep(&other);
	ASSERT_EQ(number, dup2(file, number));
	ASSERT_EQ(2, write(master, "a\n", 2));
	pthread_join(thread, NULL);
	EXPECT_EQ(1, other.ret);
	EXPECT_EQ('a', other.byte);
	EXPECT_EQ(0, lseek(file, 0, SEEK_CUR));
	EXPECT_LE(0, fcntl(number, F_GETFD));
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLIN;
}

/* What is readable once a context is over is closed, and its number a file's. */
TEST(done_fd_closed)
{
	deadline_context *context;
	int fd, file, again;

	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	fd = deadline_done_fd(context);
	ASSERT_LE(0, fd);
	close(fd);
	file = memfd_create("file", MFD_CLOEXEC);
	ASSERT_EQ(fd, file);
	again = deadline_done_fd(context);
	ASSERT_LE(0, again);
	EXPECT_NE(fd, again);
	EXPECT_EQ(again, deadline_done_fd(context));
	EXPECT_FALSE(is_readable(again));
	EXPECT_EQ(1, deadline_cancel(context, 0));
	EXPECT_TRUE(is_readable(again));
	deadline_release(context);
	EXPECT_EQ(-1, fcntl(again, F_GETFD));
	EXPECT_EQ(0, lseek(file, 0, SEEK_END));
	EXPECT_EQ(FD_CLOEXEC, fcntl(file, F_GETFD));
}

TEST_HARNESS_MAIN
