// SPDX-License-Identifier: GPL-2.0
/*
 * The example of a scheduler: what its fibers are promised. Were a wake-up lost,
 * these would hang.
 */
#include "fibers.h"
#include "library.h"

#define WORKERS 3
#define FIBERS 16
#define LONG (1000 * SECOND)

/* What fibers have counted, and what they found wrong */
static unsigned long counted, wrong;

static void count(unsigned long *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static unsigned long counts(void)
{
	return __atomic_load_n(&counted, __ATOMIC_SEQ_CST);
}

static void must(bool ok)
{
	if (!ok)
		count(&wrong);
}

static void spawn(struct fiber_group *group, void (*fn)(void *arg), void *arg)
{
	deadline_preempt_off();
	if (fiber_spawn(group, fn, arg))
		abort();
	deadline_preempt_on();
}

static void spawn_some(void (*fn)(void *arg), void *arg)
{
	struct fiber_group group = {};
	int i;

	for (i = 0; i < FIBERS; i++)
		spawn(&group, fn, arg);
	fiber_wait(&group);
}

/* With signals or without; returns what was counted, if nothing was wrong. */
static unsigned long run(bool preempt, void (*fn)(void *arg), void *arg)
{
	counted = 0;
	wrong = 0;
	if (fibers_run(WORKERS, MS, preempt, fn, arg))
		abort();
	return wrong ? -wrong : counted;
}

static void yield_often(void *arg)
{
	unsigned long i, n = *(unsigned long *)arg;

	for (i = 0; i < n; i++) {
		fiber_yield();
		count(&counted);
	}
}

static void wait_for_yielders(void *arg)
{
	spawn_some(yield_often, arg);
	must(counts() == FIBERS * *(unsigned long *)arg);
}

TEST(group_is_waited_for)
{
	unsigned long n = rounds(1000);

	EXPECT_EQ(FIBERS * n, run(false, wait_for_yielders, &n));
}

static void sleep_some(void *arg)
{
	unsigned long i, n = *(unsigned long *)arg;
	uint64_t until, seed = 1 + counts();

	for (i = 0; i < n; i++) {
		until = deadline_in(next_random(&seed) % (200 * US));
		must(!fiber_sleep(deadline_background(), until));
		must(deadline_now() >= until);
		count(&counted);
	}
}

static void let_sleep(void *arg)
{
	spawn_some(sleep_some, arg);
}

TEST(sleep_is_never_short)
{
	unsigned long n = rounds(1000);

	EXPECT_EQ(FIBERS * n, run(false, let_sleep, &n));
}

/* The context is over when this returns, and then sleeps end at once. */
static void outsleep(deadline_context *context, int error)
{
	must(fiber_sleep(context, DEADLINE_NEVER) == error);
	must(deadline_err(context) == error);
	must(fiber_sleep(context, DEADLINE_NEVER) == error);
}

static void sleep_below_timeout(void *unused)
{
	uint64_t when = deadline_in(5 * MS);
	deadline_context *context;

	(void)unused;
	if (deadline_with_deadline(deadline_background(), 0, &context, when))
		abort();
	outsleep(context, -ETIME);
	must(deadline_now() >= when);
	deadline_release(context);
	count(&counted);
}

TEST(timeout_ends_a_sleep)
{
	EXPECT_EQ(1, run(false, sleep_below_timeout, NULL));
}

static void sleep_below(void *context)
{
	uint64_t until = deadline_in(US);

	must(!fiber_sleep(context, until) && deadline_now() >= until);
	count(&counted);
	outsleep(context, -ECANCELED);
}

static void cancel_sleepers(void *unused)
{
	struct fiber_group group = {};
	deadline_context *context;
	int i;

	(void)unused;
	if (deadline_with_timeout(deadline_background(), 0, &context, LONG))
		abort();
	for (i = 0; i < FIBERS; i++)
		spawn(&group, sleep_below, context);
	do {
		fiber_sleep(deadline_background(), deadline_in(MS));
	} while (counts() < FIBERS);
	must(deadline_cancel(context, 0) == 1);
	fiber_wait(&group);
	deadline_release(context);
}

TEST(cancel_ends_a_sleep)
{
	EXPECT_EQ(FIBERS, run(false, cancel_sleepers, NULL));
}

/* A limit, a timeout and a cancel, all at about the same time */
static void sleep_raced(void *arg)
{
	deadline_context *context = arg;
	uint64_t seed = 1 + counts();
	int ret;

	ret = fiber_sleep(context, deadline_in(next_random(&seed) % (20 * US)));
	must(!ret || ret == deadline_err(context));
	count(&counted);
}

static void race_sleepers(void *arg)
{
	unsigned long i, n = *(unsigned long *)arg;
	struct fiber_group group = {};
	deadline_context *context;
	uint64_t seed = 3;

	for (i = 0; i < n; i++) {
		if (deadline_with_timeout(deadline_background(), 0, &context,
					  next_random(&seed) % (20 * US)))
			abort();
		spawn(&group, sleep_raced, context);
		spawn(&group, sleep_raced, context);
		fiber_yield();
		deadline_cancel(context, 0);
		fiber_wait(&group);
		deadline_release(context);
	}
}

TEST(sleep_ends_once)
{
	unsigned long n = rounds(5000);

	EXPECT_EQ(2 * n, run(false, race_sleepers, &n));
}

static void *be_done(void *group)
{
	fiber_group_done(group);
	return NULL;
}

static void wait_for_threads(void *arg)
{
	unsigned long i, n = *(unsigned long *)arg;
	struct fiber_group group = {};
	pthread_t thread;

	for (i = 0; i < n; i++) {
		fiber_group_add(&group);
		if (pthread_create(&thread, NULL, be_done, &group))
			abort();
		fiber_wait(&group);
		pthread_join(thread, NULL);
		count(&counted);
	}
}

TEST(thread_is_waited_for)
{
	unsigned long n = rounds(1000);

	EXPECT_EQ(n, run(false, wait_for_threads, &n));
}

/* The worker that spawned it cannot. */
static void run_elsewhere(void *thread)
{
	must(thread_id() != *(pid_t *)thread);
	count(&counted);
}

static void keep_worker(void *unused)
{
	pid_t thread = thread_id();

	(void)unused;
	spawn(NULL, run_elsewhere, &thread);
	WAIT_FOR(counts() || wrong);
}

TEST(idle_worker_steals)
{
	EXPECT_EQ(1, run(false, keep_worker, NULL));
}

static pid_t sleeper;

static void sleep_once(void *unused)
{
	(void)unused;
	do {
		__atomic_store_n(&sleeper, thread_id(), __ATOMIC_RELAXED);
		fiber_sleep(deadline_background(), deadline_in(2 * MS));
	} while (thread_id() == sleeper);
	count(&counted);
}

/* It gets the sleeper's worker stuck, and no other. */
static void get_stuck(void *unused)
{
	(void)unused;
	while (!counts()) {
		if (thread_id() == __atomic_load_n(&sleeper, __ATOMIC_RELAXED))
			WAIT_FOR(counts());
		fiber_yield();
	}
}

static void sleep_on_stuck(void *unused)
{
	struct fiber_group group = {};

	(void)unused;
	spawn(&group, sleep_once, NULL);
	spawn(&group, get_stuck, NULL);
	fiber_wait(&group);
}

TEST(stuck_worker_is_reaped)
{
	EXPECT_EQ(1, run(false, sleep_on_stuck, NULL));
}

/* How many of those that compute shall go on */
static unsigned long computing = FIBERS;

static void compute(void *unused)
{
	unsigned long i = __atomic_fetch_add(&counted, 1, __ATOMIC_SEQ_CST);
	pid_t thread = thread_id();

	(void)unused;
	while (i < __atomic_load_n(&computing, __ATOMIC_RELAXED))
		must(thread_id() == thread);
}

static void let_compute(unsigned long n)
{
	int i;

	__atomic_store_n(&computing, n, __ATOMIC_RELAXED);
	for (i = 0; i < 20; i++)
		fiber_sleep(deadline_background(), deadline_in(MS));
}

/* All begin, though none yields; and then some, beside workers that have nothing. */
static void compute_beside(void *unused)
{
	struct fiber_group group = {};
	unsigned int i;

	(void)unused;
	for (i = 0; i < FIBERS; i++)
		spawn(&group, compute, NULL);
	while (counts() < FIBERS)
		let_compute(FIBERS);
	let_compute(WORKERS - 1);
	let_compute(0);
	fiber_wait(&group);
}

TEST(stopped_goes_on_in_its_thread)
{
#ifdef __SANITIZE_THREAD__
	SKIP(return, "it puts signals off until the thread sleeps");
#endif
	EXPECT_EQ(FIBERS, run(true, compute_beside, NULL));
}

TEST_HARNESS_MAIN
