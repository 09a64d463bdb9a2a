/* SPDX-License-Identifier: MIT */
/* What the sleepers are measured with and beside. See main.c. */
#ifndef FIBERS_BESIDE_H
#define FIBERS_BESIDE_H

#include "fibers.h"

#define MS 1000000ull

/* timers.c: an ordinary timer thread; as fiber_sleep(), with one for all */
void timers_start(void);
void timers_stop(void);
int timers_sleep(deadline_context *context, uint64_t until);

/*
 * stopper.c: another process, which stops a thread of this one for @stop ns, over
 * and over, wherever it is: the one that called stopper_take(). Returns how often.
 */
struct stopper *stopper_start(uint64_t stop);
void stopper_take(struct stopper *stopper);
unsigned long stopper_end(struct stopper *stopper);

/* witness.c: how late a timer may have been since then that was no fault of ours */
void witnesses_start(void);
uint64_t witnesses_stop(void);

#endif
