// SPDX-License-Identifier: GPL-2.0
/*
 * A worker that sleeps in its own loop, here poll(2): what came since its last switch
 * is not missed, and a request or an expiry ends the sleep.
 */
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include "library.h"

/* What takes longer than this was lost, in ms. */
#define LONG 100000

FIXTURE(loop) {
	deadline_queue *queue;
	deadline_slot *slot;
	deadline_worker *worker;
};

FIXTURE_SETUP(loop)
{
	struct deadline_worker_options options = {};

	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 7, &self->slot));
	options.queue = self->queue;
	ASSERT_EQ(0, deadline_worker_open(&self->worker, &options));
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
}

FIXTURE_TEARDOWN(loop)
{
	EXPECT_EQ(0, deadline_worker_close(self->worker));
	deadline_queue_destroy(self->queue);
}

/* As a loop sleeps: how many descriptors were ready, or why it does not */
static int sleep_for(deadline_worker *worker, deadline_queue *queue, int ms)
{
	struct pollfd fds[2] = {
		{ .fd = deadline_worker_fd(worker), .events = POLLIN },
		{ .fd = deadline_queue_fd(queue), .events = POLLIN },
	};
	int ret = deadline_worker_before_sleep(worker);

	if (ret)
		return -ret;
	ret = poll(fds, 2, ms);
	return deadline_worker_after_sleep(worker) ? -1000 : ret;
}

TEST_F(loop, nothing_comes)
{
	EXPECT_EQ(0, sleep_for(self->worker, self->queue, 10));
	EXPECT_EQ(0, sleep_for(self->worker, self->queue, 10));
}

TEST_F(loop, not_after_a_request)
{
	struct pollfd pollfd = { deadline_worker_fd(self->worker), POLLIN, 0 };

	EXPECT_EQ(1, deadline_worker_request(self->worker));
	EXPECT_EQ(1, deadline_worker_before_sleep(self->worker));
	EXPECT_EQ(1, deadline_worker_before_sleep(self->worker));
	/* It was not in its sleep, so it needs no wake-up. */
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	EXPECT_EQ(0, deadline_worker_before_sleep(self->worker));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(1, deadline_worker_request(self->worker));
	EXPECT_EQ(1, poll(&pollfd, 1, LONG));
	EXPECT_EQ(0, deadline_worker_after_sleep(self->worker));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
}

TEST_F(loop, not_before_an_expiry_is_reaped)
{
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(self->slot, 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	EXPECT_EQ(1, deadline_worker_before_sleep(self->worker));
	EXPECT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(0, sleep_for(self->worker, self->queue, 10));
	ASSERT_EQ(0, deadline_slot_arm(self->slot, 0, deadline_in(20 * MS)));
	EXPECT_EQ(1, sleep_for(self->worker, self->queue, LONG));
}

/* Requests of another thread, at any moment, with what each is about */
struct asker {
	deadline_worker *worker;
	unsigned long asked;
	unsigned long rounds;
	unsigned long seen;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	unsigned long i;

	for (i = 1; i <= asker->rounds; i++) {
		__atomic_store_n(&asker->asked, i, __ATOMIC_SEQ_CST);
		deadline_worker_request(asker->worker);
		WAIT_FOR(__atomic_load_n(&asker->seen, __ATOMIC_SEQ_CST) == i);
	}
	return NULL;
}

TEST_F(loop, misses_no_request)
{
	struct asker asker = { .worker = self->worker, .rounds = rounds(1000) };
	unsigned long asked = 0;
	pthread_t thread;
	int ret = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, ask, &asker));
	while (asked < asker.rounds && ret >= -1) {
		ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
		asked = __atomic_load_n(&asker.asked, __ATOMIC_SEQ_CST);
		__atomic_store_n(&asker.seen, asked, __ATOMIC_SEQ_CST);
		if (asked == asker.rounds)
			break;
		ret = sleep_for(self->worker, self->queue, LONG);
		ASSERT_NE(0, ret);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(asker.rounds, asked);
}

static void on_alarm(int signo)
{
	(void)signo;
}

/* A signal that has a handler ends a park. */
TEST_F(loop, park_is_interrupted)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value.tv_usec = 20000 };

	sigaction(SIGALRM, &action, NULL);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, deadline_worker_park(self->worker,
					       deadline_in(1000 * SECOND)));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, deadline_worker_park(self->worker, DEADLINE_NEVER));
}

/* The program has closed the descriptor, and a file of its own has the number. */
TEST_F(loop, descriptor_is_closed)
{
	int pipes[2], fd = deadline_worker_fd(self->worker);
	char byte = 0;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(fd, dup2(pipes[0], fd));
	ASSERT_EQ(1, write(pipes[1], "x", 1));
	ASSERT_EQ(0, deadline_worker_before_sleep(self->worker));
	EXPECT_EQ(-EBADF, deadline_worker_after_sleep(self->worker));
	EXPECT_EQ(1, read(fd, &byte, 1));
	EXPECT_EQ('x', byte);
}

/* There is no descriptor to sleep by, and so no worker; with one there is. */
TEST_F(lib, no_descriptor_for_a_worker)
{
	struct deadline_worker_options options = { .queue = self->queue };
	deadline_worker *worker = POISON;
	struct rlimit all, none;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &all));
	none = all;
	none.rlim_cur = next_number();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, deadline_worker_open(&worker, &options));
	EXPECT_EQ(POISON, worker);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &all));
	ASSERT_EQ(0, deadline_worker_open(&worker, &options));
	EXPECT_EQ(0, deadline_worker_close(worker));
}

TEST_HARNESS_MAIN
