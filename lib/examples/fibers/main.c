// SPDX-License-Identifier: MIT
/*
 * Fibers that compute beside fibers that sleep: how late do the sleepers wake? As
 * TAP, one line per way. And malloc(3) by all, under a quantum of 100 us.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fibers.h"

#define MS		1000000ull
#define QUANTUM		MS
#define SLEEPERS	4

static unsigned long rounds;
static unsigned int sleepers_left;
static uint64_t *late;
static unsigned long lates;

/* What the sleepers have beside them */
struct way {
	const char *name;
	unsigned int workers;
	bool preempt;
	void (*neighbour)(void *arg);
	unsigned int neighbours;
	unsigned int quanta;
};

static bool sleepers_run(void)
{
	return __atomic_load_n(&sleepers_left, __ATOMIC_RELAXED);
}

static void spin(void *arg)
{
	(void)arg;
	while (sleepers_run())
		;
}

static void spin_and_check(void *arg)
{
	(void)arg;
	while (sleepers_run())
		fiber_check();
}

/* Its worker stands still, with all the timers in its queue. */
static void block(void *arg)
{
	const struct timespec time = { .tv_nsec = 20 * MS };

	(void)arg;
	while (sleepers_run()) {
		deadline_preempt_off();
		nanosleep(&time, NULL);
		deadline_preempt_on();
		fiber_yield();
	}
}

static const struct way ways[] = {
	{ "3 that never yield", 1, true, spin, 3, 1 },
	{ "3 that check the word, no signals", 1, false, spin_and_check, 3, 1 },
	{ "1 that blocks its worker, of 2, for 20 ms", 2, true, block, 1, 2 },
};

#define WAYS (sizeof(ways) / sizeof(*ways))

static void sleeper(void *arg)
{
	unsigned long i, n = rounds / SLEEPERS;
	uint64_t until, now;

	for (i = 0; i < n; i++) {
		until = deadline_in(MS + (i * 7919 + (uintptr_t)arg) % MS);
		fiber_sleep(deadline_background(), until);
		now = deadline_now();
		late[__atomic_fetch_add(&lates, 1, __ATOMIC_RELAXED)] =
			now - until;
	}
	__atomic_sub_fetch(&sleepers_left, 1, __ATOMIC_RELAXED);
}

static void spawn(struct fiber_group *group, void (*fn)(void *), uintptr_t arg)
{
	int ret;

	deadline_preempt_off();
	ret = fiber_spawn(group, fn, (void *)arg);
	deadline_preempt_on();
	if (ret)
		abort();
}

static void sleep_beside(void *arg)
{
	const struct way *way = arg;
	struct fiber_group group = {};
	uintptr_t i;

	for (i = 0; i < way->neighbours; i++)
		spawn(&group, way->neighbour, i);
	for (i = 0; i < SLEEPERS; i++)
		spawn(&group, sleeper, i * 100003);
	fiber_wait(&group);
}

static unsigned long storm_rounds;

static void storm(void *arg)
{
	unsigned long i;
	void *volatile p;

	for (i = 0; i < storm_rounds; i++) {
		deadline_preempt_off();
		p = malloc(16 + (i * 13 + (uintptr_t)arg) % 5000);
		free(p);
		deadline_preempt_on();
	}
}

static void storms(void *arg)
{
	struct fiber_group group = {};
	uintptr_t i;

	(void)arg;
	for (i = 0; i < 8; i++)
		spawn(&group, storm, i);
	fiber_wait(&group);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static unsigned long long us_of(unsigned int percent)
{
	return late[(lates - 1) * percent / 100] / 1000;
}

static void run(unsigned int workers, uint64_t quantum, bool preempt,
		void (*fn)(void *arg), void *arg)
{
	int ret = fibers_run(workers, quantum, preempt, fn, arg);

	if (ret) {
		fprintf(stderr, "fibers: %s\n", strerror(-ret));
		exit(1);
	}
}

static bool measure(unsigned int n, const struct way *way)
{
	bool ok;

	sleepers_left = SLEEPERS;
	lates = 0;
	run(way->workers, QUANTUM, way->preempt, sleep_beside, (void *)way);
	qsort(late, lates, sizeof(*late), compare);
	ok = lates == rounds && late[lates - 1] <= way->quanta * QUANTUM;
	printf("%sok %u - late beside %s: p50 %llu us, p99 %llu us, max %llu us (at most %u)\n",
	       ok ? "" : "not ", n, way->name, us_of(50), us_of(99), us_of(100),
	       way->quanta * 1000);
	fflush(stdout);
	return ok;
}

int main(int argc, char **argv)
{
	unsigned int i;
	bool ok = true;

	if (argc > 2) {
		fprintf(stderr, "usage: fibers [ROUNDS]\n");
		return 2;
	}
	rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
	if (!rounds || rounds % SLEEPERS) {
		fprintf(stderr, "fibers: a multiple of %u rounds\n", SLEEPERS);
		return 2;
	}
	late = calloc(rounds, sizeof(*late));
	if (!late)
		return 1;
	printf("TAP version 13\n1..%zu\n", WAYS + 1);
	for (i = 0; i < WAYS; i++)
		ok &= measure(i + 1, &ways[i]);
	storm_rounds = rounds * 4;
	run(2, MS / 10, true, storms, NULL);
	printf("ok %u - malloc under a quantum of 100 us: no deadlock\n",
	       i + 1);
	free(late);
	return !ok;
}
