// SPDX-License-Identifier: MIT
/*
 * 10,000 deadlines, 1 to 100 ms ahead in no order, set one after the other. How
 * long after it was asked for does each callback start, and what did it cost to
 * set it? Ours: functions after contexts, and a worker that reaps slots. Go's, by
 * tools/go/timers: time.AfterFunc and a sharded pool.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include "beside.h"

#define TIMERS	10000u

static uint64_t when[TIMERS], late[TIMERS];
static unsigned int left;	/* atomic */

static uint64_t ahead(unsigned int i)
{
	return MS + i * 7919 % TIMERS * 9900ull;
}

static void called(uint64_t *at)
{
	unsigned int i = at - when;

	late[i] = deadline_now() - when[i];
	__atomic_sub_fetch(&left, 1, __ATOMIC_RELEASE);
}

static void wait_for_all(void)
{
	while (__atomic_load_n(&left, __ATOMIC_ACQUIRE))
		deadline_sleep(deadline_background(), deadline_in(10 * MS));
}

static void call_after(void *at)
{
	called(at);
}

static struct row by_context(void)
{
	static struct deadline_context *contexts[TIMERS];
	static struct deadline_hook *hooks[TIMERS];
	uint64_t start = deadline_now(), took;
	unsigned int i;

	for (i = 0; i < TIMERS; i++) {
		when[i] = deadline_in(ahead(i));
		must(!deadline_with_deadline(deadline_background(), 0,
					     &contexts[i], when[i]),
		     "deadline_with_deadline");
		must(!deadline_after(contexts[i], call_after, &when[i],
				     &hooks[i]), "deadline_after");
	}
	took = deadline_now() - start;
	wait_for_all();
	for (i = 0; i < TIMERS; i++) {
		deadline_hook_free(hooks[i]);
		deadline_release(contexts[i]);
	}
	return row_of(late, TIMERS, (double)took / TIMERS);
}

static void *reap(void *queue)
{
	struct deadline_record records[64];
	int i, n;

	while (__atomic_load_n(&left, __ATOMIC_RELAXED)) {
		deadline_queue_wait(queue, deadline_in(100 * MS));
		n = deadline_queue_reap(queue, records, 64);
		for (i = 0; i < n; i++)
			called(&when[records[i].user_data]);
	}
	return NULL;
}

static struct row by_slot(void)
{
	struct deadline_options options = { .slots = TIMERS };
	static struct deadline_slot *slots[TIMERS];
	struct deadline_queue *queue;
	uint64_t start, took;
	pthread_t worker;
	unsigned int i;

	must(!deadline_queue_open(&queue, &options), "deadline_queue_open");
	must(!pthread_create(&worker, NULL, reap, queue), "pthread_create");
	start = deadline_now();
	for (i = 0; i < TIMERS; i++) {
		when[i] = deadline_in(ahead(i));
		must(!deadline_slot_alloc(queue, i, &slots[i]),
		     "deadline_slot_alloc");
		must(!deadline_slot_arm(slots[i], 0, when[i]),
		     "deadline_slot_arm");
	}
	took = deadline_now() - start;
	pthread_join(worker, NULL);
	for (i = 0; i < TIMERS; i++)
		deadline_slot_free(slots[i]);
	must(!deadline_queue_close(queue), "deadline_queue_close");
	return row_of(late, TIMERS, (double)took / TIMERS);
}

static void print(const char *name, struct row row)
{
	char p50[16], p99[16], max[16], cost[16];

	printf("%-24s %5s %5s %5s  %5s\n", name, scaled(p50, row.p50),
	       scaled(p99, row.p99), scaled(max, row.max),
	       scaled(cost, row.cost));
	fflush(stdout);
}

static void ours(const char *name, struct row (*measure)(void))
{
	left = TIMERS;
	print(name, measure());
}

int timers(void)
{
	unsigned int hogs[] = { 0, sysconf(_SC_NPROCESSORS_ONLN) };
	struct row go[4];
	bool there = go_rows("timers", go, 4);
	unsigned int i;

	printf("%-24s %5s %5s %5s  %5s\n", "10,000 callbacks, late:", "p50",
	       "p99", "max", "to set");
	for (i = 0; i < 2; i++) {
		printf("%s:\n", i ? "All CPUs busy" : "Idle");
		hogs_start(hogs[i]);
		ours("slots, reaped", by_slot);
		ours("contexts, after", by_context);
		hogs_stop();
		if (!there)
			continue;
		print("Go: time.AfterFunc", go[2ul * i]);
		print("Go: sharded pool", go[2ul * i + 1]);
	}
	return 0;
}
