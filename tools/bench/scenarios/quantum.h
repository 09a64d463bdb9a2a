/* SPDX-License-Identifier: MIT */
/* Threads that compute, and ways to preempt them: what quantum.c measures. */
#ifndef QUANTUM_H
#define QUANTUM_H

#include "bench.h"

/* Those of quantum.c, for a peer that measures them */
#define QUANTA " quantum quantum-2 quantum-4 quantum-8" \
	       " jitter jitter-2 jitter-4 jitter-8 "

#define TASK_KEPT 1024u

/**
 * struct task - a thread that computes
 * @quantum: ns
 * @next: when its quantum ends
 * @until: when it has computed enough
 * @turns: how many of its own work it has done; about a microsecond each
 * @keeps: its preemptions shall be timed, not only counted
 * @preempted: how often it was
 * @at: when that was
 * @own: the way's
 */
struct task {
	uint64_t quantum;
	uint64_t next;
	uint64_t until;
	uint64_t turns;
	bool keeps;
	unsigned int preempted;
	uint64_t at[TASK_KEPT];
	void *own;
};

/**
 * struct preemption - a way to preempt a thread
 * @open: get ready, in that thread
 * @compute: task_turn() while it says so; a preemption at @next, and one each
 *	@quantum from there, calls task_preempted()
 * @close: undo open
 */
struct preemption {
	void (*open)(struct task *task);
	void (*compute)(struct task *task);
	void (*close)(struct task *task);
};

/* Do a bit of work. Returns whether there shall be more. */
bool task_turn(struct task *task);

/* Async-signal-safe */
static inline void task_preempted(struct task *task)
{
	if (task->keeps && task->preempted < TASK_KEPT)
		task->at[task->preempted] = deadline_now();
	task->preempted++;
}

/* What a peer measures of the scenarios in QUANTA. */
void quantum_measure(struct histogram *result, const struct scenario *scenario,
		     unsigned int us, unsigned int percent,
		     const struct preemption *way);

#endif
