// SPDX-License-Identifier: GPL-2.0
/*
 * The signal that stops tasks is one of the program's choice, and the program is told if
 * it has given that a handler of its own since.
 */
#include <limits.h>
#include "library.h"

/* Of the calling thread */
static __thread deadline_worker *worker;
static __thread volatile unsigned long stops;

static volatile unsigned long others;

static void stop(void *arg)
{
	(void)arg;
	stops++;
	deadline_worker_switch(worker, deadline_in(100 * US));
}

static void on_other(int signal)
{
	(void)signal;
	others++;
}

static void handle_myself(int signal)
{
	struct sigaction action = { .sa_handler = on_other };

	sigaction(signal, &action, NULL);
}

FIXTURE(chosen) {
	deadline_queue *queue;
	struct deadline_worker_options options;
};

FIXTURE_SETUP(chosen)
{
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	self->options.queue = self->queue;
	self->options.preempt = stop;
	self->options.signal = SIGRTMIN + 3;
}

FIXTURE_TEARDOWN(chosen)
{
	EXPECT_EQ(0, deadline_worker_close(worker));
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/* A task that computes until it was stopped so often by its quantum's end */
static void compute(unsigned long n)
{
	unsigned long before = stops;

	deadline_worker_switch(worker, deadline_in(100 * US));
	deadline_preempt_on();
	WAIT_FOR(stops - before >= n);
	deadline_preempt_off();
}

TEST_F(chosen, stops_tasks)
{
	unsigned long before;

	handle_myself(SIGURG);
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	compute(1);
	before = stops;
	deadline_preempt_on();
	deadline_worker_request(worker);
	WAIT_FOR(stops != before);
	deadline_preempt_off();
	EXPECT_EQ(0, others);
	raise(SIGURG);
	EXPECT_EQ(1, others);
}

static bool is_blocked(int signal)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, signal);
}

TEST_F(chosen, is_unblocked_alone)
{
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGURG);
	sigaddset(&both, self->options.signal);
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &both, NULL));
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	EXPECT_TRUE(is_blocked(SIGURG));
	EXPECT_FALSE(is_blocked(self->options.signal));
	compute(1);
	EXPECT_EQ(0, deadline_worker_close(worker));
	worker = NULL;
	EXPECT_TRUE(is_blocked(self->options.signal));
}

static void *is_worker(void *arg)
{
	deadline_queue *queue;

	if (deadline_queue_open(&queue, NULL))
		return NULL;
	((struct deadline_worker_options *)arg)->queue = queue;
	if (!deadline_worker_open(&worker, arg)) {
		compute(3);
		deadline_worker_close(worker);
	}
	deadline_queue_close(queue);
	return arg;
}

TEST_F(chosen, differs_between_workers)
{
	struct deadline_worker_options usual = { .preempt = stop };
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	ASSERT_EQ(0, pthread_create(&thread, NULL, is_worker, &usual));
	compute(3);
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(&usual, ret);
}

TEST_F(chosen, refused)
{
	const int wrong[] = { -1, SIGRTMAX + 1, INT_MAX, SIGKILL, SIGSTOP };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->options.signal = wrong[i];
		EXPECT_EQ(-EINVAL, deadline_worker_open(&worker, &self->options));
	}
	handle_myself(SIGUSR2);
	self->options.signal = SIGUSR2;
	EXPECT_EQ(-EBUSY, deadline_worker_open(&worker, &self->options));
	EXPECT_EQ(NULL, worker);
	signal(SIGUSR2, SIG_IGN);
	EXPECT_EQ(0, deadline_worker_open(&worker, &self->options));
	compute(1);
}

/* How many of so many switches that find the word over say -EBUSY? */
static unsigned int count_busy(unsigned int n)
{
	unsigned int i, busy = 0;
	int ret;

	for (i = 0; i < n; i++) {
		deadline_worker_request(worker);
		ret = deadline_worker_switch(worker, DEADLINE_NEVER);
		busy += ret == -EBUSY;
		if ((ret && ret != -EBUSY) || deadline_over(deadline_worker_word(worker)))
			return UINT_MAX;
	}
	return busy;
}

TEST_F(chosen, taken_later)
{
	struct sigaction ours;

	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	EXPECT_EQ(0, count_busy(640));
	ASSERT_EQ(0, sigaction(self->options.signal, NULL, &ours));
	handle_myself(self->options.signal);
	EXPECT_EQ(10, count_busy(640));
	signal(self->options.signal, SIG_IGN);
	EXPECT_EQ(10, count_busy(640));
	ASSERT_EQ(0, sigaction(self->options.signal, &ours, NULL));
	EXPECT_EQ(0, count_busy(640));
}

TEST_F(chosen, none_without_preempt)
{
	self->options.preempt = NULL;
	self->options.signal = 0;
	handle_myself(SIGURG);
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	ASSERT_EQ(0, deadline_worker_switch(worker, deadline_in(MS)));
	deadline_preempt_on();
	WAIT_FOR(deadline_over(deadline_worker_word(worker)));
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	ASSERT_EQ(1, deadline_worker_request(worker));
	deadline_preempt_off();
	deadline_sleep(deadline_background(), deadline_in(5 * MS));
	EXPECT_EQ(0, others);
}

/* Its size may be told, and be that of a later version that wants nothing new. */
TEST_F(chosen, size)
{
	struct {
		struct deadline_worker_options known;
		int more;
	} future = { .known = self->options };

	self->options.size = sizeof(self->options);
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	compute(1);
	ASSERT_EQ(0, deadline_worker_close(worker));
	future.known.size = sizeof(future);
	ASSERT_EQ(0, deadline_worker_open(&worker, &future.known));
	compute(1);
}

/* Without @preempt there is no signal that could be taken. */
TEST_F(chosen, means_nothing_without_preempt)
{
	self->options.preempt = NULL;
	self->options.signal = -1;
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	ASSERT_EQ(0, deadline_worker_close(worker));
	self->options.signal = SIGUSR2;
	handle_myself(SIGUSR2);
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	EXPECT_EQ(0, count_busy(640));
}

TEST_HARNESS_MAIN
