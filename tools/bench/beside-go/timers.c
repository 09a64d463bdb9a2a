// SPDX-License-Identifier: MIT
/*
 * 10,000 deadlines, 1 to 100 ms ahead in no order, set one after the other. How
 * long after it was asked for does each callback start, and what did it cost to
 * set it? Ours: functions after contexts, and shards with a worker each. Go's, by
 * tools/bench/go/timers: time.AfterFunc and a sharded pool.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "beside.h"

#define TIMERS	CONCURRENT

static uint64_t when[TIMERS], late[TIMERS];
static unsigned int left;	/* atomic */
static deadline_shards *shards;

static uint64_t delay(unsigned int i)
{
	return MS + spread_out(i);
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
		when[i] = deadline_in(delay(i));
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

/* A worker of the shards: calls what has expired, of its own queue or of others. */
static void *work_off(void *number)
{
	unsigned int own = (uintptr_t)number;
	deadline_queue *queue = deadline_shards_queue(shards, own);
	struct deadline_record records[64];
	int i, n;

	while (__atomic_load_n(&left, __ATOMIC_RELAXED)) {
		deadline_queue_wait(queue, deadline_in(100 * MS));
		n = deadline_shards_reap(shards, own, records, 64);
		for (i = 0; i < n; i++)
			called(&when[records[i].user_data]);
	}
	return NULL;
}

static void start_workers(pthread_t *workers, unsigned int n)
{
	uintptr_t i;

	for (i = 0; i < n; i++)
		must(!pthread_create(&workers[i], NULL, work_off, (void *)i),
		     "pthread_create");
}

static struct row by_shard(void)
{
	struct deadline_options options = { .slots = TIMERS };
	static struct deadline_slot *slots[TIMERS];
	static pthread_t workers[TIMERS];
	uint64_t start, took;
	unsigned int i, n;

	must(!deadline_shards_open(&shards, &options, 0),
	     "deadline_shards_open");
	n = deadline_shards_count(shards);
	start_workers(workers, n);
	start = deadline_now();
	for (i = 0; i < TIMERS; i++) {
		when[i] = deadline_in(delay(i));
		must(!deadline_slot_alloc(deadline_shards_queue(shards, i % n),
					  i, &slots[i]), "deadline_slot_alloc");
		must(!deadline_slot_arm(slots[i], 0, when[i]),
		     "deadline_slot_arm");
	}
	took = deadline_now() - start;
	for (i = 0; i < n; i++)
		pthread_join(workers[i], NULL);
	for (i = 0; i < TIMERS; i++)
		deadline_slot_free(slots[i]);
	must(!deadline_shards_close(shards), "deadline_shards_close");
	return row_of(late, TIMERS, (double)took / TIMERS);
}

/**
 * struct way - a row
 * @name: of it
 * @measure: it
 * @cost: what it may cost, in that of time.AfterFunc; 0: whatever it does
 */
static const struct way {
	const char *name;
	struct row (*measure)(void);
	double cost;
} ways[] = {
	/* A system call each, where Go has a lock. */
	{ "shards", by_shard, 2 },
	/* A context to be cancelled by, too */
	{ "contexts, after", by_context, 0 },
};

#define WAYS	(sizeof(ways) / sizeof(*ways))

static const char *const gos[WAYS] = {
	"Go's time.AfterFunc", "Go's sharded pool"
};

static const char *const loads[] = { "idle:", "busy:" };

/* No later than either of Go's, which has its timers seen to by who runs */
static bool good(const struct way *way, const struct row *ours,
		 const struct row *go)
{
	unsigned int i;

	if (!getenv("DEADLINE_ICOUNT"))
		return true;	/* the host may take the CPU from anyone */
	for (i = 0; i < WAYS; i++) {
		if (ours->p50 > go[i].p50 || ours->max > go[i].max)
			return false;
	}
	return !way->cost || ours->cost <= way->cost * go->cost;
}

static void print(const char *load, const char *name, const struct row *row)
{
	char p50[16], p99[16], max[16], cost[16];

	printf("%s %-20s %5s %5s %5s  %5s\n", load, name, scaled(p50, row->p50),
	       scaled(p99, row->p99), scaled(max, row->max),
	       scaled(cost, row->cost));
	fflush(stdout);
}

int timers(void)
{
	unsigned int hogs[] = { 0, sysconf(_SC_NPROCESSORS_ONLN) };
	unsigned int i, j, failures = 0, n = 0;
	struct row go[2][WAYS], ours;
	bool there, ok;

	there = go_rows("go-timers", go[0], 2 * WAYS);
	printf("# How late %u callbacks start:      p50   p99   max to set\n",
	       TIMERS);
	for (i = 0; i < 2; i++) {
		for (j = 0; j < WAYS; j++) {
			left = TIMERS;
			hogs_start(hogs[i]);
			ours = ways[j].measure();
			hogs_stop();
			ok = !there || good(&ways[j], &ours, go[i]);
			failures += !ok;
			printf("%sok %u - ", ok ? "" : "not ", ++n);
			print(loads[i], ways[j].name, &ours);
		}
		for (j = 0; there && j < WAYS; j++) {
			printf("#      ");
			print(loads[i], gos[j], &go[i][j]);
		}
	}
	printf("1..%u\n", n);
	return failures;
}
