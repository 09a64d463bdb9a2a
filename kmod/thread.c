// SPDX-License-Identifier: GPL-2.0
/*
 * The module's thread, named "deadline". It does what a hard interrupt may not
 * and what must not wait for one certain CPU: on PREEMPT_RT the wake-ups of queues
 * whose timers expire in hard interrupts, everywhere what follows when a clock is
 * set.
 *
 * It is bound to no CPU, so neither a CPU that goes offline nor a real-time task
 * that computes on one keeps it from running on another. On PREEMPT_RT it has the
 * priority of threaded interrupt handlers, SCHED_FIFO 50, which the administrator
 * may change as he does theirs, with chrt(1).
 */
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include "dln.h"

static int dln_thread_run(void *unused)
{
	while (!kthread_should_stop()) {
		/* A full barrier; pairs with that of whoever has something to do. */
		set_current_state(TASK_IDLE);
		if (!dln_wake_any_handed() && !dln_clock_any_untold() &&
		    !kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
		/* A clock may have been set for thousands: wake-ups go first. */
		do
			dln_wake_handed();
		while (dln_clock_tell());
	}
	return 0;
}

int dln_thread_start(void)
{
	dln_thread = kthread_create(dln_thread_run, NULL, "deadline");
	if (IS_ERR(dln_thread))
		return PTR_ERR(dln_thread);
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		sched_set_fifo(dln_thread);
	wake_up_process(dln_thread);
	return 0;
}

/* No queue is open, so none is handed over any more. */
void dln_thread_stop(void)
{
	kthread_stop(dln_thread);
	dln_wake_handed();
}
