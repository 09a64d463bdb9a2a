// SPDX-License-Identifier: GPL-2.0
/*
 * Limits of blocking calls hold also where several threads read, write or accept on
 * one blocking descriptor, so that what was ready for one is gone when it tries.
 */
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <termios.h>
#include "library.h"
#include "sockets.h"

#define THREADS	4
#define ROUNDS	50
#define LIMIT	(5 * MS)

static char bulk[4096];

struct user {
	pthread_barrier_t *together;
	int fd;
	ssize_t (*call)(int fd, uint64_t until);
	unsigned int done;
	ssize_t ret;
};

static ssize_t do_read(int fd, uint64_t until)
{
	return deadline_read(deadline_background(), fd, &(uint64_t){ 0 }, 8,
			     until);
}

static ssize_t do_write(int fd, uint64_t until)
{
	return deadline_write(deadline_background(), fd, bulk, sizeof(bulk),
			      until);
}

static ssize_t do_add(int fd, uint64_t until)
{
	return deadline_write(deadline_background(), fd,
			      &(uint64_t){ UINT64_MAX / 3 }, 8, until);
}

static ssize_t do_accept(int fd, uint64_t until)
{
	int ret = deadline_accept(deadline_background(), fd, NULL, NULL, 0,
				  until);

	if (ret >= 0)
		close(ret);
	return ret;
}

/* Call until the limit comes. */
static void *use(void *arg)
{
	struct user *user = arg;
	uint64_t until;

	pthread_barrier_wait(user->together);
	until = deadline_in(LIMIT);
	do {
		user->ret = user->call(user->fd, until);
		user->done += user->ret >= 0;
	} while (user->ret >= 0);
	return NULL;
}

static void start(struct __test_metadata *_metadata, struct user *users,
		  pthread_t *threads, pthread_barrier_t *together, int fd,
		  ssize_t (*call)(int fd, uint64_t until))
{
	int i;

	pthread_barrier_init(together, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++) {
		users[i] = (struct user){ together, fd, call, 0, 0 };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, use, &users[i]));
	}
	pthread_barrier_wait(together);
}

/* All end with the limit; how many calls did something? */
static unsigned int finish(struct __test_metadata *_metadata,
			   const struct user *users, const pthread_t *threads)
{
	unsigned int i, done = 0;

	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(-ETIMEDOUT, users[i].ret);
		done += users[i].done;
	}
	return done;
}

static void read_one(struct __test_metadata *_metadata, int from, int to)
{
	pthread_t threads[THREADS];
	struct user users[THREADS];
	pthread_barrier_t together;
	int i, sent = 0;

	start(_metadata, users, threads, &together, from, do_read);
	/* One at a time: each is there for all who wait. */
	for (i = 0; i < 20; i++)
		sent += write(to, "aaaaaaaa", 8) == 8;
	EXPECT_EQ(20, sent);
	EXPECT_GE(20, finish(_metadata, users, threads));
}

TEST(readers_of_a_pipe)
{
	int i, fds[2];

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
		read_one(_metadata, fds[0], fds[1]);
		EXPECT_EQ(0, fcntl(fds[0], F_GETFL) & O_NONBLOCK);
		close(fds[0]);
		close(fds[1]);
	}
}

TEST(readers_of_a_terminal)
{
	struct termios raw;
	int i, fds[2];

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, openpty(&fds[1], &fds[0], NULL, NULL, NULL));
		ASSERT_EQ(0, tcgetattr(fds[0], &raw));
		cfmakeraw(&raw);
		ASSERT_EQ(0, tcsetattr(fds[0], TCSANOW, &raw));
		read_one(_metadata, fds[0], fds[1]);
		EXPECT_EQ(0, fcntl(fds[0], F_GETFL) & O_NONBLOCK);
		close(fds[0]);
		close(fds[1]);
	}
}

TEST(readers_of_a_timerfd)
{
	struct itimerspec soon = {
		.it_value.tv_nsec = 1, .it_interval.tv_nsec = 100000,
	};
	int i, fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	pthread_t threads[THREADS];
	struct user users[THREADS];
	pthread_barrier_t together;

	for (i = 0; i < ROUNDS; i++) {
		start(_metadata, users, threads, &together, fd, do_read);
		ASSERT_EQ(0, timerfd_settime(fd, 0, &soon, NULL));
		finish(_metadata, users, threads);
	}
	close(fd);
}

static void write_full(struct __test_metadata *_metadata, int in)
{
	pthread_t threads[THREADS];
	struct user users[THREADS];
	pthread_barrier_t together;

	start(_metadata, users, threads, &together, in, do_write);
	EXPECT_LE(1, finish(_metadata, users, threads));
}

TEST(writers_of_a_pipe)
{
	int i, fds[2];

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
		write_full(_metadata, fds[1]);
		EXPECT_EQ(0, fcntl(fds[1], F_GETFL) & O_NONBLOCK);
		close(fds[0]);
		close(fds[1]);
	}
}

TEST(writers_of_a_terminal)
{
	int i, fds[2];

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, openpty(&fds[0], &fds[1], NULL, NULL, NULL));
		write_full(_metadata, fds[1]);
		EXPECT_EQ(0, fcntl(fds[1], F_GETFL) & O_NONBLOCK);
		close(fds[0]);
		close(fds[1]);
	}
}

TEST(writers_of_an_eventfd)
{
	pthread_t threads[THREADS];
	struct user users[THREADS];
	pthread_barrier_t together;
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		fd = eventfd(0, EFD_CLOEXEC);
		start(_metadata, users, threads, &together, fd, do_add);
		/* Room for two and a bit */
		EXPECT_EQ(2, finish(_metadata, users, threads));
		close(fd);
	}
}

/* Who comes, and goes on */
static void come(const struct sockaddr_un *name, socklen_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	connect(fd, (const struct sockaddr *)name, size);
	close(fd);
}

TEST(acceptors)
{
	pthread_t threads[THREADS];
	struct user users[THREADS];
	pthread_barrier_t together;
	struct sockaddr_un name;
	int i, j, fd;
	socklen_t size;

	for (i = 0; i < ROUNDS; i++) {
		fd = unix_named(SOCK_STREAM, &name, &size);
		ASSERT_EQ(0, listen(fd, 16));
		start(_metadata, users, threads, &together, fd, do_accept);
		for (j = 0; j < 8; j++)
			come(&name, size);
		EXPECT_GE(8, finish(_metadata, users, threads));
		close(fd);
	}
}

/* A packet of a pipe is read as one, whatever room there is. */
TEST(packets)
{
	char bytes[8];
	int fds[2];

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC | O_DIRECT));
	EXPECT_EQ(1, deadline_write(deadline_background(), fds[1], "a", 1,
				    DEADLINE_NEVER));
	EXPECT_EQ(2, deadline_write(deadline_background(), fds[1], "bc", 2,
				    DEADLINE_NEVER));
	EXPECT_EQ(1, deadline_read(deadline_background(), fds[0], bytes, 8,
				   DEADLINE_NEVER));
	EXPECT_EQ(2, deadline_read(deadline_background(), fds[0], bytes, 8,
				   DEADLINE_NEVER));
	close(fds[0]);
	close(fds[1]);
}

static int as_nobody(void *arg)
{
	int fd = *(int *)arg;
	ssize_t ret;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 4;
	do {
		ret = do_write(fd, deadline_in(LIMIT));
	} while (ret > 0);
	return ret == -ETIMEDOUT ? 0 : 1;
}

/* One that was root when it got its pipe cannot open that again. */
TEST(dropped_privileges)
{
	int status, fds[2];

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	status = in_child(as_nobody, &fds[1]);
	if (exited(status, 4))
		SKIP(return, "not root");
	EXPECT_TRUE(exited(status, 0));
}

TEST_HARNESS_MAIN
