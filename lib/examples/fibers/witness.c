// SPDX-License-Identifier: MIT
/*
 * How late the machine itself is: an emulator's CPUs stand still whenever its host has
 * other things to do, and no timer of theirs comes then. A thread on each CPU sleeps
 * for short times, before all others where that is permitted, and tells how late it
 * was when it was latest.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include "beside.h"

#define TICK (MS / 4)
#define CPUS_MAX 64

static struct witness {
	pthread_t thread;
	unsigned int cpu;
	uint64_t latest;
} witnesses[CPUS_MAX];

static unsigned int count;
static bool stop;

static void *watch(void *arg)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct witness *witness = arg;
	uint64_t next, late;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(witness->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setscheduler(0, SCHED_FIFO, &first);
	prctl(PR_SET_TIMERSLACK, 1);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		next = deadline_in(TICK);
		deadline_sleep(deadline_background(), next);
		late = deadline_now() - next;
		if (late > witness->latest)
			witness->latest = late;
	}
	return NULL;
}

void witnesses_start(void)
{
	unsigned int i;

	stop = false;
	count = deadline_cpus() < CPUS_MAX ? deadline_cpus() : CPUS_MAX;
	for (i = 0; i < count; i++) {
		witnesses[i].cpu = i;
		witnesses[i].latest = 0;
		if (pthread_create(&witnesses[i].thread, NULL, watch,
				   &witnesses[i]))
			abort();
	}
}

/* What falls between two sleeps is seen only as far as it goes on. */
uint64_t witnesses_stop(void)
{
	uint64_t latest = 0;
	unsigned int i;

	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < count; i++) {
		pthread_join(witnesses[i].thread, NULL);
		if (witnesses[i].latest > latest)
			latest = witnesses[i].latest;
	}
	return latest + TICK;
}
