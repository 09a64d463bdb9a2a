// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that other signals interrupt, as a profiler's: no handler is stopped, wherever
 * its stack is; the task is, when the handler has returned. And a thread that has
 * SIGURG blocked.
 */
#include <setjmp.h>
#include "library.h"

static deadline_worker *worker;
/* How many handlers there are at the moment */
static int inside;
static unsigned long stops, wrong, handled;

static void stop(void *arg)
{
	(void)arg;
	wrong += __atomic_load_n(&inside, __ATOMIC_RELAXED) != 0;
	stops++;
	deadline_worker_switch(worker, DEADLINE_NEVER);
}

/* What a handler meets: a request, a call of the library's, a quantum that ends */
static void meet_all(void)
{
	const deadline_word *word = deadline_worker_word(worker);
	unsigned long i;

	deadline_worker_request(worker);
	deadline_preempt_off();
	deadline_preempt_on();
	deadline_worker_switch(worker, deadline_in(10 * US));
	WAIT_FOR(deadline_over(word));
	/* The signal may come a little after the word. */
	for (i = 0; i < 1000; i++)
		cpu_relax();
	raise(SIGURG);
}

static void on_other(int signal)
{
	if (inside > 1)
		return;
	__atomic_store_n(&inside, inside + 1, __ATOMIC_RELAXED);
	meet_all();
	if (signal == SIGUSR1)
		raise(SIGUSR2);
	meet_all();
	handled++;
	__atomic_store_n(&inside, inside - 1, __ATOMIC_RELAXED);
}

static void handle(int signal, int flags)
{
	struct sigaction action = {
		.sa_handler = on_other,
		.sa_flags = SA_RESTART | flags,
	};

	sigaction(signal, &action, NULL);
}

FIXTURE(signals) {
	deadline_queue *queue;
	struct deadline_worker_options options;
	char stack[256 * 1024];
};

FIXTURE_VARIANT(signals) {
	int flags;
};

FIXTURE_VARIANT_ADD(signals, on_the_stack) { 0 };
FIXTURE_VARIANT_ADD(signals, on_a_signal_stack) { SA_ONSTACK };
FIXTURE_VARIANT_ADD(signals, nested_on_a_signal_stack) {
	SA_ONSTACK | SA_NODEFER
};

FIXTURE_SETUP(signals)
{
	stack_t stack = {
		.ss_sp = self->stack,
		.ss_size = sizeof(self->stack),
	};

	ASSERT_EQ(0, sigaltstack(&stack, NULL));
	handle(SIGUSR1, variant->flags);
	handle(SIGUSR2, variant->flags);
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	self->options.queue = self->queue;
	self->options.preempt = stop;
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
}

FIXTURE_TEARDOWN(signals)
{
	EXPECT_EQ(0, deadline_worker_close(worker));
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

TEST_F(signals, handlers_are_not_stopped)
{
	unsigned long i, n = rounds(200), before;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
		before = stops;
		deadline_preempt_on();
		raise(SIGUSR1);
		/* Now it is. */
		WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED) != before);
		deadline_preempt_off();
	}
	EXPECT_LE(2 * n, handled);
	EXPECT_EQ(0, wrong);
}

/* As a profiler's timer, at any time */
TEST_F(signals, come_at_any_time)
{
	unsigned long i, n = rounds(500), before;
	struct itimerspec soon = { .it_value.tv_nsec = 1 };
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR2,
	};
	timer_t timer;

	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	for (i = 0; i < n; i++) {
		before = handled;
		soon.it_value.tv_nsec = 1 + i * 100;
		deadline_preempt_on();
		timer_settime(timer, 0, &soon, NULL);
		while (__atomic_load_n(&handled, __ATOMIC_RELAXED) == before)
			;
		deadline_preempt_off();
	}
	timer_delete(timer);
	EXPECT_LT(0, stops);
	EXPECT_EQ(0, wrong);
}

static bool urg_is_blocked(void)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, SIGURG);
}

/* Nor is it blocked for good by what was put off. */
TEST_F(signals, leave_the_mask)
{
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	deadline_preempt_on();
	raise(SIGUSR1);
	WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED));
	deadline_preempt_off();
	EXPECT_FALSE(urg_is_blocked());
}

TEST_F(signals, blocked_before)
{
	sigset_t urg;

	ASSERT_EQ(0, deadline_worker_close(worker));
	sigemptyset(&urg);
	sigaddset(&urg, SIGURG);
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &urg, NULL));
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	EXPECT_FALSE(urg_is_blocked());
	ASSERT_EQ(0, deadline_worker_switch(worker, deadline_in(MS)));
	deadline_preempt_on();
	WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED));
	deadline_preempt_off();
	ASSERT_EQ(0, deadline_worker_close(worker));
	worker = NULL;
	EXPECT_TRUE(urg_is_blocked());
}

/* A task that blocks signals is stopped when the mask is what it was. */
TEST_F(signals, blocked_by_the_task)
{
	sigset_t some, old;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	deadline_preempt_on();
	pthread_sigmask(SIG_BLOCK, &some, &old);
	inside = 1;
	deadline_worker_request(worker);
	raise(SIGURG);
	inside = 0;
	EXPECT_EQ(0, stops);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED));
	deadline_preempt_off();
	EXPECT_EQ(0, wrong);
}

/* A request, which must stop the task here; or while we wait. */
static bool is_stopped(void)
{
	unsigned long before = __atomic_load_n(&stops, __ATOMIC_RELAXED);

	deadline_preempt_on();
	deadline_worker_request(worker);
	WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED) != before);
	deadline_preempt_off();
	return wrong == 0;
}

/* If it is SIG_UNBLOCK in place of the mask that was there before */
TEST_F(signals, unblocked_by_the_task)
{
	unsigned long i, n = rounds(20), before;
	sigset_t some;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
		before = stops;
		deadline_preempt_on();
		pthread_sigmask(SIG_BLOCK, &some, NULL);
		inside = 1;
		deadline_worker_request(worker);
		raise(SIGURG);
		inside = 0;
		EXPECT_EQ(before, stops);
		pthread_sigmask(SIG_UNBLOCK, &some, NULL);
		WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED) != before);
		deadline_preempt_off();
		ASSERT_TRUE(is_stopped());
	}
}

static sigjmp_buf back;

static void jump_back(int signal)
{
	(void)signal;
	__atomic_store_n(&inside, 1, __ATOMIC_RELAXED);
	meet_all();
	handled++;
	__atomic_store_n(&inside, 0, __ATOMIC_RELAXED);
	siglongjmp(back, 1);
}

/* A handler that is left by a jump, with the mask as it was or as the handler has it */
static void jump(int save_mask)
{
	/* ASan keeps a variable in a frame of its own, which it takes for left by the jump. */
	static sigset_t usr1;

	deadline_worker_switch(worker, DEADLINE_NEVER);
	deadline_preempt_on();
	if (!sigsetjmp(back, save_mask))
		raise(SIGUSR1);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	if (!save_mask)
		pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
}

TEST_F(signals, left_by_a_jump)
{
	struct sigaction action = {
		.sa_handler = jump_back,
		.sa_flags = variant->flags,
	};
	unsigned long i, n = rounds(20), before;

	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < n; i++) {
		before = stops;
		jump(i % 2);
		WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED) != before);
		deadline_preempt_off();
		ASSERT_TRUE(is_stopped());
	}
	EXPECT_EQ(n, handled);
	EXPECT_FALSE(urg_is_blocked());
}

/* A handler of a signal that was blocked when the worker was opened, and is not now */
TEST_F(signals, unblocked_since)
{
	unsigned long i, n = rounds(50), before;
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	ASSERT_EQ(0, deadline_worker_close(worker));
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &both, NULL));
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	/* While they are, tasks are stopped as ever. */
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	ASSERT_TRUE(is_stopped());
	ASSERT_EQ(0, pthread_sigmask(SIG_UNBLOCK, &both, NULL));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
		before = stops;
		deadline_preempt_on();
		raise(SIGUSR1);
		WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED) != before);
		deadline_preempt_off();
	}
	EXPECT_LE(2 * n, handled);
	EXPECT_EQ(0, wrong);
}

TEST_HARNESS_MAIN
