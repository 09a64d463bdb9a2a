// SPDX-License-Identifier: GPL-2.0
/* A queue waited for under a context; transfers of all of it, or of what there is. */
#include <sys/socket.h>
#include "context.h"

#define LONG (1000 * SECOND)

FIXTURE(under) {
	deadline_context *root;
	deadline_queue *queue;
	deadline_slot *slot;
	int ours;
	int theirs;
};

FIXTURE_SETUP(under)
{
	int fds[2];

	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &self->root));
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 7, &self->slot));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	self->ours = fds[0];
	self->theirs = fds[1];
}

FIXTURE_TEARDOWN(under)
{
	deadline_queue_destroy(self->queue);
	deadline_release(self->root);
}

TEST_F(under, waits_for_an_expiry)
{
	struct deadline_record record;
	uint64_t when;
	int i;

	for (i = 0; i < 10; i++) {
		when = deadline_in(MS);
		ASSERT_EQ(0, deadline_slot_arm(self->slot, 0, when));
		EXPECT_EQ(0, deadline_queue_wait_under(self->root, self->queue,
						       deadline_in(LONG)));
		EXPECT_LE(when, clock_ns());
		/* At once, and again: it waits still. */
		EXPECT_EQ(0, deadline_queue_wait_under(self->root, self->queue, 0));
		EXPECT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	}
}

TEST_F(under, ends_with_each_limit)
{
	DEADLINE_AUTO deadline_context *timed = NULL;
	uint64_t until = deadline_in(MS);

	EXPECT_EQ(-ETIMEDOUT, deadline_queue_wait_under(self->root, self->queue, until));
	EXPECT_LE(until, clock_ns());
	ASSERT_EQ(0, deadline_with_timeout(self->root, 0, &timed, MS));
	EXPECT_EQ(-ETIME, deadline_queue_wait_under(timed, self->queue, DEADLINE_NEVER));
	ASSERT_EQ(0, deadline_slot_arm(self->slot, 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	EXPECT_EQ(-ETIME, deadline_queue_wait_under(timed, self->queue, DEADLINE_NEVER));
}

/* Who disturbs a waiter, by signals or a cancel, once it sleeps */
struct disturber {
	deadline_context *context;
	pid_t waiter;
	pthread_t thread;
	int signals;
};

static void nothing(int signal)
{
	(void)signal;
}

static void *disturb(void *arg)
{
	struct disturber *by = arg;
	int i;

	for (i = 0; i < by->signals; i++) {
		WAIT_FOR(is_asleep(by->waiter));
		syscall(SYS_tgkill, getpid(), by->waiter, SIGUSR1);
	}
	WAIT_FOR(is_asleep(by->waiter));
	deadline_cancel(by->context, 42);
	return NULL;
}

TEST_F(under, a_cancel_wakes_and_signals_do_not)
{
	struct sigaction action = { .sa_handler = nothing };
	struct disturber by = {
		.context = self->root,
		.waiter = thread_id(),
		.signals = 10,
	};

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, pthread_create(&by.thread, NULL, disturb, &by));
	EXPECT_EQ(-ECANCELED, deadline_queue_wait_under(self->root, self->queue,
							DEADLINE_NEVER));
	pthread_join(by.thread, NULL);
}

TEST_F(under, descriptor_closed)
{
	int fd = deadline_queue_fd(self->queue);

	close(fd);
	ASSERT_EQ(fd, open("/dev/null", O_RDWR | O_CLOEXEC));
	EXPECT_EQ(-EBADF, deadline_queue_wait_under(self->root, self->queue,
						    DEADLINE_NEVER));
}

#define SIZE 1000000

static void *send_all(void *arg)
{
	char *data = calloc(1, SIZE);
	ssize_t ret;

	data[SIZE - 1] = 'z';
	ret = deadline_write_all(deadline_background(), *(int *)arg, data, SIZE,
				 DEADLINE_NEVER);
	free(data);
	return (void *)(intptr_t)ret;
}

/* More than a socket holds, so that both sides move it in pieces */
TEST_F(under, all_of_it)
{
	char *data = malloc(SIZE);
	pthread_t thread;
	void *sent;

	ASSERT_EQ(0, pthread_create(&thread, NULL, send_all, &self->theirs));
	EXPECT_EQ(SIZE, deadline_read_all(self->root, self->ours, data, SIZE,
					  deadline_in(LONG)));
	EXPECT_EQ('z', data[SIZE - 1]);
	pthread_join(thread, &sent);
	EXPECT_EQ(SIZE, (intptr_t)sent);
	EXPECT_EQ(0, deadline_read_all(self->root, self->ours, data, 0, 0));
	free(data);
}

TEST_F(under, what_there_is)
{
	char data[10], *much = calloc(1, SIZE);
	ssize_t sent;

	ASSERT_EQ(3, write(self->theirs, "abc", 3));
	EXPECT_EQ(3, deadline_read_all(self->root, self->ours, data, 10,
				       deadline_in(MS)));
	EXPECT_EQ(-ETIMEDOUT, deadline_read_all(self->root, self->ours, data, 10,
						deadline_in(MS)));
	/* Nobody reads: as much goes as there is room. */
	sent = deadline_write_all(self->root, self->ours, much, SIZE, deadline_in(MS));
	EXPECT_LT(0, sent);
	EXPECT_GT(SIZE, sent);
	EXPECT_EQ(-ETIMEDOUT, deadline_write_all(self->root, self->ours, much, SIZE,
						 deadline_in(MS)));
	free(much);
	ASSERT_EQ(3, write(self->theirs, "abc", 3));
	shutdown(self->theirs, SHUT_WR);
	EXPECT_EQ(3, deadline_read_all(self->root, self->ours, data, 10, DEADLINE_NEVER));
	EXPECT_EQ(0, deadline_read_all(self->root, self->ours, data, 10, DEADLINE_NEVER));
	deadline_cancel(self->root, 0);
	EXPECT_EQ(-ECANCELED, deadline_read_all(self->root, self->ours, data, 1, 0));
}

TEST_HARNESS_MAIN
