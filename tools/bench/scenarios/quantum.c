// SPDX-License-Identifier: MIT
/*
 * What a quantum costs. Threads compute, each preempted at the end of each of its
 * quanta, and go on at once: how much less is done in the same time than without?
 * And how far are the preemptions from being a quantum apart?
 *
 * A scheduler would go on with another task. What that costs is its own.
 */
#include <pthread.h>
#include <time.h>
#include "quantum.h"

#define WORKERS	8u
#define ROUNDS	3u
/* At least so many quanta, and so long that the kernel's ticks even out */
#define QUANTA_EACH 10u
#define LEAST	(40 * MS)

static const unsigned int quanta[] = {
	100, 200, 500, 1000, 2000, 5000, 10000, NUMBERS_END
};

static struct task tasks[WORKERS];
/* NULL: nobody preempts. */
static const struct preemption *preemption;
static pthread_barrier_t ready;
static uint64_t begin;

/* Out of line for all, also where nobody preempts */
__attribute__((__noinline__)) bool task_turn(struct task *task)
{
	uint64_t x = task->turns;
	int i;

	for (i = 0; i < 256; i++) {
		x += i;
		__asm__ volatile("" : "+r"(x));
	}
	task->turns++;
	return deadline_now() < task->until;
}

static void wait_until(uint64_t when)
{
	struct timespec until = {
		.tv_sec = when / S,
		.tv_nsec = when % S,
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void *run(void *arg)
{
	struct task *task = arg;

	if (preemption)
		preemption->open(task);
	pthread_barrier_wait(&ready);	/* all are open */
	pthread_barrier_wait(&ready);	/* and know when it begins */
	wait_until(begin);
	if (preemption) {
		preemption->compute(task);
		preemption->close(task);
	} else {
		while (task_turn(task))
			;
	}
	return NULL;
}

/* Quanta end one after the other, not all at once. */
static void set_times(unsigned int workers, uint64_t quantum)
{
	uint64_t length = QUANTA_EACH * quantum;
	unsigned int i;

	begin = deadline_in(2 * MS);
	for (i = 0; i < workers; i++) {
		tasks[i].next = begin + quantum + quantum * i / workers;
		tasks[i].until = begin + (length < LEAST ? LEAST : length);
	}
}

/* Returns how many turns they took in all. */
static uint64_t compute(const struct preemption *way, unsigned int workers,
			uint64_t quantum, bool keeps)
{
	pthread_t threads[WORKERS];
	uint64_t turns = 0, preempted = 0;
	unsigned int i;

	preemption = way;
	pthread_barrier_init(&ready, NULL, workers + 1);
	for (i = 0; i < workers; i++) {
		tasks[i].quantum = quantum;
		tasks[i].keeps = keeps;
		tasks[i].turns = 0;
		tasks[i].preempted = 0;
		must(!pthread_create(&threads[i], NULL, run, &tasks[i]),
		     "pthread_create");
	}
	pthread_barrier_wait(&ready);
	set_times(workers, quantum);
	pthread_barrier_wait(&ready);
	for (i = 0; i < workers; i++) {
		pthread_join(threads[i], NULL);
		preempted += tasks[i].preempted;
		turns += tasks[i].turns;
	}
	must(!way || preempted, "preempting them");
	pthread_barrier_destroy(&ready);
	return turns;
}

static void add_intervals(struct histogram *result, const struct task *task)
{
	unsigned int i;
	uint64_t took;

	for (i = 1; i < task->preempted && i < TASK_KEPT; i++) {
		took = task->at[i] - task->at[i - 1];
		histogram_add(result, took > task->quantum ?
				      took - task->quantum :
				      task->quantum - took);
	}
}

static void add_overhead(struct histogram *result, uint64_t turns,
			 uint64_t alone)
{
	histogram_add(result, turns < alone ?
			      (alone - turns) * 1000000 / alone : 0);
}

void quantum_measure(struct histogram *result, const struct scenario *scenario,
		     unsigned int us, unsigned int percent,
		     const struct preemption *way)
{
	bool jitter = scenario->spread;
	unsigned int workers = 1u << (scenario - (jitter ? scenario_jitter :
							   scenario_quantum));
	unsigned int i, j;
	uint64_t turns;

	for (i = 0; i < (ROUNDS * percent + 99) / 100; i++) {
		turns = compute(way, workers, us * US, jitter);
		if (!jitter)
			add_overhead(result, turns, compute(NULL, workers,
							    us * US, false));
		for (j = 0; jitter && j < workers; j++)
			add_intervals(result, &tasks[j]);
	}
}

#define QUANTUM(suffix, of) {						\
	.name	 = "quantum" suffix,					\
	.what	 = "time lost to quanta of so many us, by " of,		\
	.unit	 = "ppm",						\
	.numbers = quanta,						\
	.scale	 = 1,							\
}

#define JITTER(suffix, of) {						\
	.name	 = "jitter" suffix,					\
	.what	 = "how far preemptions of " of				\
		   " are from being so many us apart",			\
	.numbers = quanta,						\
	.scale	 = 1,							\
	.spread	 = true,						\
}

const struct scenario scenario_quantum[4] = {
	QUANTUM("", "a thread that computes"),
	QUANTUM("-2", "2 threads that compute"),
	QUANTUM("-4", "4 threads that compute"),
	QUANTUM("-8", "8 threads that compute"),
};

const struct scenario scenario_jitter[4] = {
	JITTER("", "a thread"),
	JITTER("-2", "2 threads"),
	JITTER("-4", "4 threads"),
	JITTER("-8", "8 threads"),
};
