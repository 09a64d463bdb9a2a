// SPDX-License-Identifier: MIT
/*
 * What it costs to limit a wait: a coroutine of many is woken, answers, and waits
 * again, without a timeout, with the library's own, or with one of ours. Each is
 * 30 s, and none expires.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests.h"

#define LIMIT_S		30ull
#define BLOCKS		15u
#define BLOCK		256u

struct waiter {
	st_thread_t thread;
	st_cond_t woken;
	struct timeout timeout;
};

static void (*wait)(struct waiter *waiter);
static st_cond_t answered;
static bool stop;

static void wait_for_ever(struct waiter *waiter)
{
	st_cond_wait(waiter->woken);
}

static void wait_own(struct waiter *waiter)
{
	st_cond_timedwait(waiter->woken, LIMIT_S * 1000000);
}

static void wait_ours(struct waiter *waiter)
{
	timeout_begin(&waiter->timeout, deadline_in(LIMIT_S * 1000000000));
	st_cond_wait(waiter->woken);
	timeout_end(&waiter->timeout);
}

static void *serve(void *arg)
{
	struct waiter *waiter = arg;

	wait(waiter);
	while (!stop) {
		st_cond_signal(answered);
		wait(waiter);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median of what a turn takes */
static uint64_t ask(const struct waiter *waiters, unsigned int n)
{
	uint64_t random = 1, begin, took[BLOCKS];
	unsigned int i, j;

	for (i = 0; i < BLOCKS; i++) {
		begin = deadline_now();
		for (j = 0; j < BLOCK; j++) {
			random = random * 6364136223846793005ull + 1;
			st_cond_signal(waiters[(random >> 33) % n].woken);
			st_cond_wait(answered);
		}
		took[i] = (deadline_now() - begin) / BLOCK;
	}
	qsort(took, BLOCKS, sizeof(*took), compare);
	return took[BLOCKS / 2];
}

static uint64_t measure(void (*way)(struct waiter *waiter), unsigned int n)
{
	struct waiter *waiters = calloc(n, sizeof(*waiters));
	struct timeout all_wait;
	unsigned int i;
	uint64_t ret;

	must(waiters, "calloc");
	wait = way;
	stop = false;
	for (i = 0; i < n; i++) {
		must(!timeout_open(&waiters[i].timeout), "timeout_open");
		waiters[i].woken = st_cond_new();
		waiters[i].thread = start(serve, &waiters[i]);
	}
	/* They are ready, so they run first. */
	must(!timeout_open(&all_wait) && !timeout_sleep(&all_wait, 0),
	     "timeout_sleep");
	timeout_close(&all_wait);
	ret = ask(waiters, n);
	stop = true;
	for (i = 0; i < n; i++) {
		st_cond_signal(waiters[i].woken);
		st_thread_join(waiters[i].thread, NULL);
		st_cond_destroy(waiters[i].woken);
		timeout_close(&waiters[i].timeout);
	}
	free(waiters);
	return ret;
}

bool test_costs(bool exact)
{
	static const unsigned int numbers[] = { 10, 1000, COSTS_MOST };
	int64_t bare, own = 0, ours = 0;
	unsigned int i;

	answered = st_cond_new();
	for (i = 0; i < 3; i++) {
		bare = measure(wait_for_ever, numbers[i]);
		own = measure(wait_own, numbers[i]) - bare;
		ours = measure(wait_ours, numbers[i]) - bare;
		printf("# wait among %u: %ld %s; limited: own +%ld, ours +%ld\n",
		       numbers[i], bare, exact ? "instructions" : "ns", own,
		       ours);
	}
	if (!exact)
		return true;
	printf("%sok 5 - a limit of ours among %u costs less than its own\n",
	       ours < own ? "" : "not ", COSTS_MOST);
	return ours < own;
}
