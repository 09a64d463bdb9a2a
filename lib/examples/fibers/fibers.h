/* SPDX-License-Identifier: MIT */
/*
 * Fibers: M of them on N threads, preemptive. See README.md.
 *
 * A fiber is preemptible from its start. What it calls of libc, and fiber_spawn(),
 * stand between deadline_preempt_off() and _on(); the other functions here do that
 * themselves.
 */
#ifndef FIBERS_H
#define FIBERS_H

#include <deadline.h>

/* What one fiber waits for: fibers that end, and what else was added. Begins as {}. */
struct fiber_group {
	int left;
	struct fiber *waiter;
};

/*
 * Run @fn(@arg) as the first fiber, on @workers threads, until all have ended. A
 * fiber that runs for @quantum ns is stopped, if @preempt; else it is to ask by
 * fiber_check(). Return: 0 or -errno.
 */
int fibers_run(unsigned int workers, uint64_t quantum, bool preempt,
	       void (*fn)(void *arg), void *arg);

/* Add a fiber, to @group if that is not NULL. Return: 0, -ENOMEM. */
int fiber_spawn(struct fiber_group *group, void (*fn)(void *arg), void *arg);

void fiber_yield(void);

/* Yield if this fiber's time is up, or something else must run: one load if not. */
void fiber_check(void);

/*
 * As deadline_sleep(), for which the worker has other fibers run. Return: 0, what
 * ended it before, or what deadline_slot_alloc(), deadline_slot_arm() and
 * deadline_after() say.
 */
int fiber_sleep(deadline_context *context, uint64_t until);

/* One more that must be done; before the last one is */
void fiber_group_add(struct fiber_group *group);

/* In any thread, while fibers_run() runs */
void fiber_group_done(struct fiber_group *group);

/* Until all of the group have ended or are done */
void fiber_wait(struct fiber_group *group);

#endif
