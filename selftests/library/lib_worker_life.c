// SPDX-License-Identifier: GPL-2.0
/*
 * Workers that end: before their tasks do, by another thread, with their thread; and
 * those opened anew after them. What tasks take along to another thread. Who is asked
 * by a signal, and who need not be.
 */
#include <ucontext.h>
#include "library.h"

static deadline_worker *worker;
static unsigned long stops;

static void count_stop(void *arg)
{
	(void)arg;
	stops++;
	deadline_worker_switch(worker, DEADLINE_NEVER);
}

/* A task with a stack of its own, and where its thread goes when it is stopped */
static ucontext_t task, scheduler;
static char stack[256 * 1024];
static unsigned long turns;
static bool end;

/* The scheduler gives the task up when it is stopped, and later goes on with it. */
static void leave_task(void *arg)
{
	(void)arg;
	stops++;
	swapcontext(&task, &scheduler);
}

static void spin(void)
{
	deadline_preempt_on();
	while (!__atomic_load_n(&end, __ATOMIC_RELAXED))
		__atomic_store_n(&turns, turns + 1, __ATOMIC_RELAXED);
	deadline_preempt_off();
}

FIXTURE(life) {
	deadline_queue *queue;
	struct deadline_worker_options options;
};

FIXTURE_SETUP(life)
{
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	self->options.queue = self->queue;
	self->options.preempt = leave_task;
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	getcontext(&task);
	task.uc_stack.ss_sp = stack;
	task.uc_stack.ss_size = sizeof(stack);
	task.uc_link = &scheduler;
	makecontext(&task, spin, 0);
}

FIXTURE_TEARDOWN(life)
{
	EXPECT_EQ(0, deadline_worker_close(worker));
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/* Let the task run until it is stopped, or ends. */
static void run_task(uint64_t quantum)
{
	deadline_worker_switch(worker, deadline_in(quantum));
	swapcontext(&scheduler, &task);
}

static void *end_soon(void *arg)
{
	unsigned long before = __atomic_load_n(&turns, __ATOMIC_RELAXED);

	(void)arg;
	WAIT_FOR(__atomic_load_n(&turns, __ATOMIC_RELAXED) > before + 1000);
	__atomic_store_n(&end, true, __ATOMIC_RELAXED);
	return NULL;
}

TEST_F(life, task_outlives_its_worker)
{
	pthread_t thread;

	run_task(MS);
	ASSERT_EQ(1, stops);
	ASSERT_EQ(0, deadline_worker_close(worker));
	worker = NULL;
	ASSERT_EQ(0, pthread_create(&thread, NULL, end_soon, NULL));
	swapcontext(&scheduler, &task);
	EXPECT_EQ(1, stops);
	EXPECT_TRUE(end);
	pthread_join(thread, NULL);
}

TEST_F(life, task_goes_on_under_another)
{
	run_task(MS);
	ASSERT_EQ(1, stops);
	/* The task had it on: where it was left for, it is off. */
	EXPECT_EQ(1, deadline_preempt_swap(1));
	ASSERT_EQ(0, deadline_worker_close(worker));
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	run_task(MS);
	EXPECT_EQ(2, stops);
	end = true;
	run_task(1000 * SECOND);
	EXPECT_EQ(2, stops);
}

/* The scheduler goes on with a task before the callback has returned. */
static void run_another(void *arg)
{
	deadline_worker_switch(worker, deadline_in(MS));
	if (++stops > 3)
		return;
	deadline_preempt_on();
	while (__atomic_load_n(&stops, __ATOMIC_RELAXED) < 4)
		;
	deadline_preempt_off();
	(void)arg;
}

TEST_F(life, stopped_within_a_callback)
{
	self->options.preempt = run_another;
	ASSERT_EQ(0, deadline_worker_close(worker));
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	run_another(NULL);
	EXPECT_LE(4, stops);
}

static void *close_it(void *arg)
{
	*(int *)arg = deadline_worker_close(worker);
	return NULL;
}

TEST_F(life, closed_by_another)
{
	pthread_t thread;
	int ret = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, close_it, &ret));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EPERM, ret);
	run_task(MS);
	EXPECT_EQ(1, stops);
	end = true;
	run_task(1000 * SECOND);
}

/* A thread that is a worker until @go, and then ends */
struct ending {
	deadline_worker *worker;
	struct deadline_worker_options options;
	bool go;
};

static void *open_and_end(void *arg)
{
	struct ending *ending = arg;
	deadline_worker *opened;

	if (deadline_worker_open(&opened, &ending->options))
		return arg;
	deadline_worker_switch(opened, deadline_in(MS));
	__atomic_store_n(&ending->worker, opened, __ATOMIC_RELEASE);
	deadline_preempt_on();
	while (!__atomic_load_n(&ending->go, __ATOMIC_RELAXED))
		;
	deadline_preempt_off();
	return NULL;
}

/* Not the fixture's: in whichever thread, it stops nobody for long. */
static void count_there(void *arg)
{
	struct ending *ending = arg;

	__atomic_fetch_add(&stops, 1, __ATOMIC_RELAXED);
	deadline_worker_switch(__atomic_load_n(&ending->worker,
					       __ATOMIC_RELAXED) ?:
			       worker, deadline_in(MS));
}

TEST_F(life, thread_ends)
{
	struct ending ending = {
		.options.queue = self->queue,
		.options.preempt = count_there,
		.options.arg = &ending,
	};
	unsigned long i, n = rounds(200), late = 0;
	pthread_t thread;
	void *bad;

	for (i = 0; i < n; i++) {
		ending.worker = NULL;
		ending.go = false;
		ASSERT_EQ(0, pthread_create(&thread, NULL, open_and_end,
					    &ending));
		WAIT_FOR(__atomic_load_n(&ending.worker, __ATOMIC_ACQUIRE));
		deadline_worker_request(ending.worker);
		__atomic_store_n(&ending.go, true, __ATOMIC_RELAXED);
		/* Until it has ended, and then it is over for good. */
		while (pthread_tryjoin_np(thread, &bad))
			deadline_worker_request(ending.worker);
		ASSERT_EQ(NULL, bad);
		late += deadline_worker_request(ending.worker);
		late += !deadline_over(deadline_worker_word(ending.worker));
		ASSERT_EQ(0, deadline_worker_close(ending.worker));
	}
	EXPECT_EQ(0, late);
	EXPECT_LT(0, stops);
}

TEST_F(life, opened_anew)
{
	struct deadline_worker_options options = self->options;

	options.preempt = count_stop;
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	/* Whoever was stopped last had it on. */
	deadline_preempt_on();
	ASSERT_EQ(0, deadline_worker_close(worker));
	ASSERT_EQ(0, deadline_worker_open(&worker, &options));
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	EXPECT_EQ(1, deadline_worker_request(worker));
	raise(SIGURG);
	EXPECT_EQ(0, stops);
	deadline_preempt_on();
	WAIT_FOR(stops);
	deadline_preempt_off();
	EXPECT_EQ(1, stops);
}

static int child_opens(void *arg)
{
	struct deadline_worker_options options = {
		.preempt = count_stop,
	};
	deadline_worker *parents = worker;
	int ret = 0;

	(void)arg;
	stops = 0;
	ret |= deadline_queue_open(&options.queue, NULL);
	ret |= deadline_worker_open(&worker, &options);
	ret |= deadline_worker_switch(worker, deadline_in(MS));
	ret |= deadline_worker_request(parents) != -ECHILD;
	if (ret)
		return 1;
	deadline_preempt_on();
	WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED));
	deadline_preempt_off();
	ret |= deadline_worker_close(parents);
	ret |= deadline_worker_switch(worker, DEADLINE_NEVER);
	ret |= deadline_worker_request(worker) != 1;
	ret |= deadline_worker_close(worker);
	ret |= deadline_queue_close(options.queue);
	return !!ret;
}

TEST_F(life, opened_in_a_child)
{
	EXPECT_TRUE(exited(in_child(child_opens, NULL), 0));
}

/* A task that yields in the midst of a section, and the count that it has there */
static unsigned int count_of_task;

static void sections(void)
{
	deadline_preempt_off();
	count_of_task = deadline_preempt_swap(1);
	swapcontext(&task, &scheduler);
	/* In another thread: the section goes on, and ends. */
	deadline_preempt_on();
	deadline_preempt_on();
	while (!__atomic_load_n(&end, __ATOMIC_RELAXED))
		;
	deadline_preempt_off();
}

static void end_task(void *arg)
{
	deadline_worker **worker = arg;

	stops++;
	end = true;
	deadline_worker_switch(*worker, DEADLINE_NEVER);
}

static void *go_on(void *arg)
{
	deadline_worker *other;
	struct deadline_worker_options options = {
		.queue = arg,
		.preempt = end_task,
		.arg = &other,
	};
	unsigned int here;

	if (deadline_worker_open(&other, &options))
		return arg;
	deadline_worker_switch(other, deadline_in(MS));
	here = deadline_preempt_swap(count_of_task);
	swapcontext(&scheduler, &task);
	deadline_preempt_swap(here);
	return deadline_worker_close(other) || here != 1 ? arg : NULL;
}

TEST_F(life, count_goes_along)
{
	pthread_t thread;
	void *bad;

	makecontext(&task, sections, 0);
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	swapcontext(&scheduler, &task);
	EXPECT_EQ(2, count_of_task);
	/* The thread that it has left has its own. */
	EXPECT_EQ(1, deadline_preempt_swap(1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, go_on, self->queue));
	pthread_join(thread, &bad);
	EXPECT_EQ(NULL, bad);
	EXPECT_EQ(1, stops);
}

static bool is_pending(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGURG);
}

static void block_urg(int how)
{
	sigset_t urg;

	sigemptyset(&urg);
	sigaddset(&urg, SIGURG);
	pthread_sigmask(how, &urg, NULL);
}

static void *request(void *arg)
{
	*(int *)arg = deadline_worker_request(worker);
	return NULL;
}

/* A signal stays pending where it is blocked: so it can be seen which are sent. */
TEST_F(life, no_signal_in_the_scheduler)
{
	pthread_t thread;
	int ret = 0;

	self->options.preempt = count_stop;
	ASSERT_EQ(0, deadline_worker_close(worker));
	ASSERT_EQ(0, deadline_worker_open(&worker, &self->options));
	block_urg(SIG_BLOCK);
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	ASSERT_EQ(0, pthread_create(&thread, NULL, request, &ret));
	pthread_join(thread, NULL);
	EXPECT_EQ(1, ret);
	EXPECT_FALSE(is_pending());
	EXPECT_TRUE(deadline_over(deadline_worker_word(worker)));
	/* A task that begins then is stopped at once. */
	deadline_preempt_on();
	EXPECT_TRUE(is_pending());
	deadline_preempt_off();
	block_urg(SIG_UNBLOCK);
	EXPECT_EQ(0, stops);

	block_urg(SIG_BLOCK);
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	deadline_preempt_on();
	ASSERT_EQ(0, pthread_create(&thread, NULL, request, &ret));
	pthread_join(thread, NULL);
	EXPECT_TRUE(is_pending());
	block_urg(SIG_UNBLOCK);
	WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED));
	deadline_preempt_off();
	EXPECT_EQ(1, stops);
}

TEST_HARNESS_MAIN
