// SPDX-License-Identifier: MIT
/*
 * How late is "over"? One task, the same code for every peer: it works in short
 * turns, and in each asks whether its deadline is over and what time it is.
 *
 * The *overrun* is the CPU time that the task itself had between the deadline
 * and the first "over". To ask for the CPU time is a system call, and one in
 * each turn would serve those who deliver on the way out of the kernel. So a
 * turn that took no longer than two usual ones by the wall clock counts as all
 * its own; after a longer one the task asks how much of it was.
 *
 * All that the task had after the turn in which the deadline fell counts, and
 * of that turn all after the deadline, interrupts, switches and asking included.
 * Only if the task was off the CPU when the deadline fell, the clocks do not say
 * what it had of the turn before and what after: then a whole turn counts, which
 * is the most that it can have worked. So the figures are rather too high, by up
 * to a turn.
 *
 * Once in some thousand rounds the scheduler switches just when the deadline
 * falls, and the task is charged for that, 5 us and more under icount. For
 * *worked*, by which the verdict goes, a turn with a switch in it is one turn.
 */
#include <string.h>
#include <time.h>
#include "bench.h"

/* Own CPU time past the deadline after which a round is given up */
#define GIVE_UP	(100 * MS)
/* Between rounds, so that the task is not just at the end of its share */
#define PAUSE	(16 * MS)
/* The clocks are not read at once. Being away takes longer than this. */
#define NOISE	(500)
/* Deadlines shall not always fall on the same time between two ticks. */
#define TICK	(4 * MS)

/**
 * struct task - the task, at the end of a turn
 * @now: the wall clock
 * @from: the same after the task asked for its CPU time, if it did
 * @cpu: its CPU clock, read or reckoned
 * @last: CPU time that it had in this turn, and in asking before it
 * @own: the same of all turns since this was zero
 * @away: how long it was off the CPU in this turn; up to NOISE is none
 */
struct task {
	uint64_t now, from, cpu, last, own, away;
};

/* How long a usual turn takes, and asking for the CPU time */
static uint64_t usual, asking;

static uint64_t cpu_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * S + now.tv_nsec;
}

/* About 200 instructions */
static void work(void)
{
	static uint64_t x;
	int i;

	for (i = 0; i < 64; i++) {
		x = x * 6364136223846793005ull + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

static void set_out(struct task *task)
{
	task->own = 0;
	task->cpu = cpu_time();
	task->now = deadline_now();
	task->from = task->now;
}

/* Read the CPU clock. What the task had cannot be more than the wall says. */
static void ask(struct task *task, uint64_t wall)
{
	uint64_t cpu = cpu_time();

	task->from = deadline_now();
	/* At least a turn, if more was reckoned before than there was */
	task->last = cpu > task->cpu + usual ? cpu - task->cpu : usual;
	if (task->last > wall)
		task->last = wall;
	task->cpu = cpu;
}

static bool turn(struct task *task, const struct peer *peer, void *self)
{
	uint64_t before = task->now, from = task->from, wall;
	bool ret;

	work();
	ret = peer->over(self, 1);
	task->now = deadline_now();
	task->from = task->now;
	wall = task->now - before;
	if (task->now - from > 2 * usual || from - before > 2 * asking) {
		ask(task, wall);
	} else {
		task->last = wall;
		task->cpu += task->now - from;
	}
	task->own += task->last;
	task->away = wall > task->last + NOISE ? wall - task->last : 0;
	return ret;
}

/* Own CPU time past the deadline in the turn in which it fell */
static uint64_t past(const struct task *task, uint64_t when)
{
	uint64_t wall = task->now - when, own = task->last;

	if (task->away) {
		/* More than this, and it fell before the task went away. */
		own = usual;
		if (wall > task->away + own)
			own = wall - task->away;
	}
	return own < wall ? own : wall;
}

enum outcome { NOTICED, MISSED, TOO_EARLY };

/**
 * struct figures - of one round; see struct lateness
 */
struct figures {
	uint64_t overrun, worked, noticed;
};

static enum outcome run_round(const struct peer *peer, void *self,
			      uint64_t when, struct figures *ret)
{
	uint64_t in_turn, worked;
	struct task task;
	bool over;

	peer->start(self, &when, 1);
	set_out(&task);
	do {
		over = turn(&task, peer, self);
	} while (!over && task.now < when);

	if (task.now < when)
		return TOO_EARLY;
	in_turn = past(&task, when);
	worked = task.away ? usual : in_turn;
	task.own = 0;
	while (!over && task.own < GIVE_UP) {
		over = turn(&task, peer, self);
		worked += task.away ? usual + asking : task.last;
	}
	ret->overrun = in_turn + task.own;
	ret->worked = worked;
	ret->noticed = task.now - when;
	return over ? NOTICED : MISSED;
}

/* Sleep a while, until any moment between two ticks. */
static void pause_a_while(uint32_t *random)
{
	struct timespec until;
	uint64_t when;

	*random = *random * 1664525u + 1013904223u;
	when = deadline_in(PAUSE + ((TICK * (*random >> 8)) >> 24));
	until.tv_sec = when / S;
	until.tv_nsec = when % S;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void lateness_calibrate(void)
{
	struct task task = { };
	uint64_t start, wall;
	unsigned int i;

	usual = UINT64_MAX;
	asking = UINT64_MAX;
	for (i = 0; i < 1000; i++) {
		start = deadline_now();
		work();
		wall = deadline_now() - start;
		if (usual > wall)
			usual = wall;
		set_out(&task);
		ask(&task, 0);
		if (asking > task.from - task.now)
			asking = task.from - task.now;
	}
}

void lateness_measure(struct lateness *late, const struct peer *peer,
		      void *self, unsigned int rounds, uint64_t length)
{
	struct figures figures;
	enum outcome outcome;
	uint32_t random = 1;	/* the same for all */
	uint64_t when, expired = 0;
	unsigned int i;

	memset(late, 0, sizeof(*late));
	for (i = 0; i < rounds; i++) {
		figures = (struct figures){ };
		pause_a_while(&random);
		when = (deadline_in(length) + 15) & ~15ull;
		outcome = run_round(peer, self, when, &figures);
		late->missed += outcome == MISSED;
		late->early += outcome == TOO_EARLY;
		histogram_add(&late->overrun, figures.overrun);
		histogram_add(&late->noticed, figures.noticed);
		if (late->worked < figures.worked)
			late->worked = figures.worked;
		if (peer->take)
			peer->take(self, &expired);
		if (peer->tells)
			histogram_add(&late->expired, expired - when);
	}
}
