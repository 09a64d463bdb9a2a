// SPDX-License-Identifier: GPL-2.0
/*
 * Workers: when their word is over, that a park misses nothing, and that a signal
 * stops tasks where they allow it and nowhere else.
 *
 * The long form, 10^6 parks of each kind: DEADLINE_TEST_PERCENT=5000 lib_worker
 */
#include <sys/resource.h>
#include "library.h"

/* What takes longer than this was lost. */
#define LONG (100 * SECOND)

static unsigned long stops;

/* As the preempt function of a scheduler, which goes on with the same task */
static void count_stop(void *arg)
{
	deadline_worker **worker = arg;

	stops++;
	deadline_worker_switch(*worker, DEADLINE_NEVER);
}

FIXTURE(worker) {
	deadline_queue *queue;
	deadline_slot *slot;
	deadline_worker *worker;
	struct deadline_worker_options options;
};

FIXTURE_SETUP(worker)
{
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 7, &self->slot));
	self->options.queue = self->queue;
	self->options.preempt = count_stop;
	self->options.arg = &self->worker;
	ASSERT_EQ(0, deadline_worker_open(&self->worker, &self->options));
}

FIXTURE_TEARDOWN(worker)
{
	deadline_worker_close(self->worker);
	deadline_slot_free(self->slot);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

static bool must_yield(const deadline_worker *worker)
{
	return deadline_over(deadline_worker_word(worker));
}

static void nothing(int signal)
{
	(void)signal;
}

TEST_F(worker, refused)
{
	struct {
		struct deadline_worker_options known;
		int more;
	} future = { .known.size = sizeof(future), .more = 1 };
	struct sigaction own = { .sa_handler = nothing }, ours;
	struct deadline_worker_options none = {};
	deadline_worker *worker = POISON;

	EXPECT_EQ(-EINVAL, deadline_worker_open(&worker, NULL));
	EXPECT_EQ(-EINVAL, deadline_worker_open(&worker, &none));
	future.known.queue = self->queue;
	EXPECT_EQ(-E2BIG, deadline_worker_open(&worker, &future.known));
	EXPECT_EQ(-EBUSY, deadline_worker_open(&worker, &self->options));
	EXPECT_EQ(POISON, worker);
	deadline_worker_close(self->worker);
	self->worker = NULL;
	ASSERT_EQ(0, sigaction(SIGURG, &own, &ours));
	EXPECT_EQ(-EBUSY, deadline_worker_open(&worker, &self->options));
	EXPECT_EQ(POISON, worker);
	self->options.preempt = NULL;
	EXPECT_EQ(0, deadline_worker_open(&self->worker, &self->options));
}

static int without_keys(void *arg)
{
	struct deadline_worker_options options = {};
	deadline_worker *worker = POISON;
	pthread_key_t key;

	(void)arg;
	if (deadline_queue_open(&options.queue, NULL))
		return 1;
	while (!pthread_key_create(&key, NULL))
		;
	return deadline_worker_open(&worker, &options) != -ENOMEM ||
	       worker != POISON;
}

TEST(no_keys)
{
	EXPECT_TRUE(exited(in_child(without_keys, NULL), 0));
}

static int with_the_parents_queue(void *arg)
{
	struct deadline_worker_options options = { .queue = arg };
	deadline_worker *worker = POISON;

	return deadline_worker_open(&worker, &options) != -ECHILD ||
	       worker != POISON;
}

TEST_F(worker, refused_in_a_child)
{
	EXPECT_TRUE(exited(in_child(with_the_parents_queue, self->queue), 0));
}

/* It is on for the task that comes, as that one has left it. */
TEST_F(worker, swapped_on)
{
	ASSERT_EQ(0, deadline_worker_switch(self->worker, deadline_in(MS)));
	EXPECT_EQ(1, deadline_preempt_swap(0));
	WAIT_FOR(__atomic_load_n(&stops, __ATOMIC_RELAXED));
	EXPECT_EQ(0, deadline_preempt_swap(1));
	EXPECT_EQ(1, stops);
}

TEST_F(worker, runs_for_its_quantum)
{
	uint64_t end;
	int i;

	EXPECT_TRUE(must_yield(self->worker));
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	EXPECT_FALSE(must_yield(self->worker));
	for (i = 0; i < 20; i++) {
		end = deadline_in(MS);
		ASSERT_EQ(0, deadline_worker_switch(self->worker, end));
		WAIT_FOR(must_yield(self->worker));
		EXPECT_LE(end, clock_ns());
	}
	EXPECT_EQ(0, stops);
}

TEST_F(worker, quantum_is_in_no_ring)
{
	int ret;

	ASSERT_EQ(0, deadline_worker_switch(self->worker, 1));
	WAIT_FOR(must_yield(self->worker));
	EXPECT_FALSE(deadline_queue_pending(self->queue));
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	/* The signal of that quantum may come as late as this. */
	do {
		ret = deadline_worker_park(self->worker, deadline_in(MS));
	} while (ret == -EINTR);
	EXPECT_EQ(-ETIME, ret);
}

TEST_F(worker, yields_to_a_request)
{
	EXPECT_EQ(0, deadline_worker_request(self->worker));
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	EXPECT_EQ(1, deadline_worker_request(self->worker));
	EXPECT_TRUE(must_yield(self->worker));
	EXPECT_EQ(0, deadline_worker_request(self->worker));
	EXPECT_EQ(0, deadline_worker_park(self->worker, DEADLINE_NEVER));
}

TEST_F(worker, parks_until)
{
	uint64_t until = deadline_in(5 * MS);

	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	EXPECT_EQ(-ETIME, deadline_worker_park(self->worker, until));
	EXPECT_LE(until, clock_ns());
	ASSERT_EQ(0, deadline_slot_arm(self->slot, 0, deadline_in(MS)));
	EXPECT_EQ(0, deadline_worker_park(self->worker, DEADLINE_NEVER));
	EXPECT_TRUE(deadline_queue_pending(self->queue));
}

/* The thread that asks things of a worker */
struct asker {
	deadline_worker *worker;
	pid_t sleeper;
	unsigned long rounds;
	unsigned long asked;
	unsigned long answered;
};

static void *ask_sleeper(void *arg)
{
	struct asker *asker = arg;

	WAIT_FOR(is_asleep(asker->sleeper));
	deadline_worker_request(asker->worker);
	return NULL;
}

TEST_F(worker, request_ends_a_park)
{
	struct asker asker = {
		.worker = self->worker,
		.sleeper = thread_id(),
	};
	pthread_t thread;

	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_sleeper, &asker));
	EXPECT_EQ(0, deadline_worker_park(self->worker, DEADLINE_NEVER));
	EXPECT_TRUE(must_yield(self->worker));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	EXPECT_EQ(-ETIME, deadline_worker_park(self->worker, deadline_in(MS)));
}

/* Within 64 us, and half of the time within 256 ns or so: it is of any size. */
static uint64_t soon(uint64_t *seed)
{
	uint64_t pick = next_random(seed);

	return deadline_now() + (pick >> 32) % (1u << pick % 17);
}

/* Each soon after the last was answered */
static void *ask(void *arg)
{
	struct asker *asker = arg;
	uint64_t seed = 7, when;
	unsigned long i;

	for (i = 1; i <= asker->rounds; i++) {
		when = soon(&seed);
		while (deadline_now() < when)
			cpu_relax();
		__atomic_store_n(&asker->asked, i, __ATOMIC_RELAXED);
		deadline_worker_request(asker->worker);
		while (__atomic_load_n(&asker->answered, __ATOMIC_RELAXED) != i)
			relax();
	}
	return NULL;
}

/* How many times this thread went to sleep */
static unsigned long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

/* What parks are for: requests, timers, or both */
FIXTURE(park) {
	deadline_queue *queue;
	deadline_slot *slot;
	deadline_worker *worker;
};

FIXTURE_VARIANT(park) {
	bool requests;
	bool timers;
};

FIXTURE_VARIANT_ADD(park, requests) { true, false };
FIXTURE_VARIANT_ADD(park, timers) { false, true };
FIXTURE_VARIANT_ADD(park, both) { true, true };

FIXTURE_SETUP(park)
{
	struct deadline_worker_options options = {
		.preempt = count_stop,
		.arg = &self->worker,
	};

	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 7, &self->slot));
	options.queue = self->queue;
	ASSERT_EQ(0, deadline_worker_open(&self->worker, &options));
}

FIXTURE_TEARDOWN(park)
{
	deadline_worker_close(self->worker);
	deadline_slot_free(self->slot);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/*
 * They come while the worker is busy, goes to sleep, or sleeps. Who comes second
 * may hide that the first was lost, who is alone or comes first does not.
 */
TEST_F_TIMEOUT(park, misses_nothing, 24 * 3600)
{
	unsigned long i, n = rounds(20000), reaped = 0, early = 0, slept;
	struct asker asker = {
		.worker = self->worker,
		.rounds = variant->requests ? n : 0,
	};
	struct deadline_record record;
	uint64_t seed = 5, when = 0;
	pthread_t thread;

	slept = sleeps();
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask, &asker));
	for (i = 1; i <= n; i++) {
		if (variant->timers) {
			when = soon(&seed);
			ASSERT_EQ(0, deadline_slot_arm(self->slot, 0, when));
		}
		for (;;) {
			deadline_worker_switch(self->worker, DEADLINE_NEVER);
			if (deadline_queue_reap(self->queue, &record, 1)) {
				early += record.expired_at < when;
				reaped++;
			}
			if ((reaped == i || !variant->timers) &&
			    (__atomic_load_n(&asker.asked, __ATOMIC_RELAXED) ==
			     i || !variant->requests))
				break;
			ASSERT_NE(-ETIME, deadline_worker_park(self->worker,
							       deadline_in(LONG)));
		}
		__atomic_store_n(&asker.answered, i, __ATOMIC_RELAXED);
	}
	pthread_join(thread, NULL);
	slept = sleeps() - slept;
	EXPECT_EQ(variant->timers ? n : 0, reaped);
	EXPECT_EQ(0, early);
	/* Where much less is done, it may be that none did. */
	EXPECT_LE(n / 1000, slept);
	TH_LOG("%lu rounds, %lu sleeps", n, slept);
}

static void run_until_stopped(unsigned long before)
{
	deadline_preempt_on();
	while (__atomic_load_n(&stops, __ATOMIC_RELAXED) == before)
		;
	deadline_preempt_off();
}

TEST_F(worker, stops_a_task_at_its_quantum)
{
	unsigned long i;
	uint64_t end;

	for (i = 0; i < 100; i++) {
		end = deadline_in(100 * US);
		ASSERT_EQ(0, deadline_worker_switch(self->worker, end));
		run_until_stopped(i);
		EXPECT_LE(end, clock_ns());
		EXPECT_EQ(i + 1, stops);
	}
}

static void *ask_once(void *arg)
{
	deadline_worker_request(arg);
	return NULL;
}

TEST_F(worker, stops_a_task_at_a_request)
{
	pthread_t thread;

	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_once, self->worker));
	run_until_stopped(0);
	pthread_join(thread, NULL);
	EXPECT_EQ(1, stops);
}

TEST_F(worker, stops_none_before_preemption_is_on)
{
	deadline_preempt_off();
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	EXPECT_EQ(1, deadline_worker_request(self->worker));
	raise(SIGURG);
	EXPECT_EQ(0, stops);
	deadline_preempt_on();
	EXPECT_EQ(0, stops);
	deadline_preempt_on();
	/* At once, but a sanitizer puts signals off until the thread sleeps. */
	while (!stops)
		usleep(1);
	EXPECT_EQ(1, stops);
	deadline_preempt_off();
}

TEST_F(worker, stale_signal)
{
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	deadline_preempt_on();
	raise(SIGURG);
	deadline_preempt_off();
	EXPECT_EQ(0, stops);
}

static void *raise_there(void *arg)
{
	(void)arg;
	raise(SIGURG);
	return NULL;
}

TEST_F(worker, signal_elsewhere)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, raise_there, NULL));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, stops);
}

/* What two tasks of one thread may both do, each stopped anywhere in it */
static void use_library(deadline_context *shared)
{
	deadline_context *context;

	if (deadline_with_timeout(shared, 1, &context, 1000 * SECOND))
		return;
	deadline_cancel(context, 2);
	deadline_release(context);
}

static deadline_context *shared_context;

static void use_library_too(void *arg)
{
	deadline_worker **worker = arg;

	stops++;
	use_library(shared_context);
	deadline_worker_switch(*worker, deadline_in(50 * US));
}

/* If a task were stopped while it holds a lock, the next would wait for ever. */
TEST_F(worker, library_calls_are_not_stopped_within)
{
	unsigned long n = rounds(2000);

	deadline_worker_close(self->worker);
	self->options.preempt = use_library_too;
	ASSERT_EQ(0, deadline_worker_open(&self->worker, &self->options));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
					  &shared_context));
	deadline_preempt_on();
	while (__atomic_load_n(&stops, __ATOMIC_RELAXED) < n)
		use_library(shared_context);
	deadline_preempt_off();
	deadline_release(shared_context);
}

static int in_fork(void *arg)
{
	deadline_worker *worker = arg;

	deadline_preempt_on();
	deadline_preempt_off();
	if (!must_yield(worker) || stops ||
	    deadline_worker_switch(worker, DEADLINE_NEVER) != -ECHILD ||
	    deadline_worker_request(worker) != -ECHILD ||
	    deadline_worker_park(worker, 0) != -ECHILD)
		return 1;
	deadline_worker_close(worker);
	return 0;
}

TEST_F(worker, over_in_a_child)
{
	ASSERT_EQ(0, deadline_worker_switch(self->worker, DEADLINE_NEVER));
	EXPECT_TRUE(exited(in_child(in_fork, self->worker), 0));
	EXPECT_FALSE(must_yield(self->worker));
}

TEST_HARNESS_MAIN
