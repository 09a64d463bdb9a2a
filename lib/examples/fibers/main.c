// SPDX-License-Identifier: MIT
/*
 * Fibers that compute beside fibers that sleep: how late do the sleepers wake? As
 * TAP, one line per way. And malloc(3) by all, under a quantum of 100 us.
 */
#include <stdio.h>
#include <stdlib.h>
#include "fibers.h"

#define MS		1000000ull
#define QUANTUM		MS
#define SLEEPERS	4
#define SPINNERS	3

static unsigned long rounds;
static unsigned int sleepers_left;
static bool checks;
static uint64_t *late;
static unsigned long lates;

static void spin(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&sleepers_left, __ATOMIC_RELAXED)) {
		if (checks)
			fiber_check();
	}
}

static void sleeper(void *arg)
{
	unsigned long i, n = rounds / SLEEPERS;
	uint64_t until, now;

	for (i = 0; i < n; i++) {
		until = deadline_in(MS + (i * 7919 + (uintptr_t)arg) % MS);
		fiber_sleep(until);
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

static void sleep_beside_spinners(void *arg)
{
	struct fiber_group group = {};
	uintptr_t i;

	(void)arg;
	for (i = 0; i < SPINNERS; i++)
		spawn(&group, spin, i);
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

/* Sleepers beside fibers that never yield, or that check a word */
static bool measure(unsigned int n, unsigned int workers, bool check)
{
	bool ok;

	checks = check;
	sleepers_left = SLEEPERS;
	lates = 0;
	if (fibers_run(workers, QUANTUM, !check, sleep_beside_spinners, NULL))
		return false;
	qsort(late, lates, sizeof(*late), compare);
	ok = late[lates - 1] <= (workers == 1 ? 1 : 2) * QUANTUM;
	printf("%sok %u - %s, %u worker: p50 %llu us, p99 %llu us, max %llu us\n",
	       ok ? "" : "not ", n, check ? "checks only" : "preempted", workers,
	       (unsigned long long)late[lates / 2] / 1000,
	       (unsigned long long)late[lates * 99 / 100] / 1000,
	       (unsigned long long)late[lates - 1] / 1000);
	fflush(stdout);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok;

	if (argc > 2) {
		fprintf(stderr, "usage: fibers [ROUNDS]\n");
		return 2;
	}
	rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
	if (rounds < SLEEPERS) {
		fprintf(stderr, "fibers: at least %u rounds\n", SLEEPERS);
		return 2;
	}
	late = calloc(rounds, sizeof(*late));
	if (!late)
		return 1;
	printf("TAP version 13\n1..3\n");
	ok = measure(1, 1, false);
	ok &= measure(2, 1, true);
	storm_rounds = rounds * 100;
	ok &= !fibers_run(2, MS / 10, true, storms, NULL);
	printf("ok 3 - malloc under a quantum of 100 us: no deadlock\n");
	free(late);
	return !ok;
}
