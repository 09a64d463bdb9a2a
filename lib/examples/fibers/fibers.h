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

/* Fibers of a group can be waited for by one other. */
struct fiber_group {
	unsigned int left;
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

/* Return: 0, or what deadline_slot_alloc() and deadline_slot_arm() say. */
int fiber_sleep(uint64_t until);

/* Until all fibers of the group have ended */
void fiber_wait(struct fiber_group *group);

#endif
