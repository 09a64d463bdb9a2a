// SPDX-License-Identifier: MIT
/*
 * What each thread has, above all: may a signal stop its task now?
 *
 * No task is stopped within a call of the library's that calls the C library, takes
 * locks, wakes anybody, or runs a function of the program's: these have preemption off.
 * Those that only load and swap words need not: a task that is stopped in one of them
 * has not made the call yet, for all others.
 */
#include "base/base.h"

__thread struct self self = { .off = 1 };

void preempt_late(void)
{
	if (self.preemptor)
		self.preemptor->late(self.preemptor);
}

void deadline_preempt_off(void)
{
	preempt_off();
}

static void declare(void)
{
	struct preemptor *preemptor = self.preemptor;

	if (self.off == 1 && preemptor && preemptor->declared)
		preemptor->declared(preemptor);
	preempt_on();
}

void deadline_preempt_on(void)
{
	declare();
}

unsigned int deadline_preempt_swap(unsigned int count)
{
	unsigned int before = self.off;

	/* Not 0 at first: nothing stops us here. */
	self.off = count + 1;
	declare();
	return before;
}
