// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when somebody sets a clock (REALTIME and TAI are set together).
 *
 * The hrtimer core itself moves the timers of a clock that is set. The module's
 * thread looks once at each queue on such a clock, for whatever is due by the new
 * time, and tells the program, which may have computed its deadlines from the old
 * one.
 *
 * The kernel tells modules of a set by a notifier, which it calls at each tick
 * too. So ours is registered only while there are queues on such clocks.
 */
#include <linux/irq_work.h>
#include <linux/pvclock_gtod.h>
#include <linux/sched.h>
#include "dln.h"

/*
 * Queues on clocks that can be set: those that know of the last set, and those
 * that the thread has yet to tell. Both are under dln_settable_lock, which is held
 * for no look and no wake-up, so that close(2) waits for none.
 */
static LIST_HEAD(dln_settable);
static LIST_HEAD(dln_untold);
static DEFINE_SPINLOCK(dln_settable_lock);

/* How many there are, and the notifier: registered while there is one */
static DEFINE_MUTEX(dln_notifier_mutex);
static unsigned int dln_watched;

/* Set by the notifier, swapped off by the thread */
static bool dln_clock_was_set;

static void dln_clock_irq(struct irq_work *work)
{
	wake_up_process(dln_thread);
}

/* Hard: on PREEMPT_RT others are run by a thread of their CPU. */
static struct irq_work dln_clock_irq_work = IRQ_WORK_INIT_HARD(dln_clock_irq);

/*
 * Called with the timekeeper locked, at every tick and, with @set, when a clock
 * was set: no clock can be read here, and nothing be woken. Registering calls it
 * once with @set too, when no queue is there to be told.
 */
static int dln_clock_notify(struct notifier_block *nb, unsigned long set,
			    void *timekeeper)
{
	if (set && READ_ONCE(dln_watched)) {
		WRITE_ONCE(dln_clock_was_set, true);
		irq_work_queue(&dln_clock_irq_work);
	}
	return NOTIFY_DONE;
}

static struct notifier_block dln_clock_notifier = {
	.notifier_call = dln_clock_notify,
};

static bool dln_can_be_set(const struct dln_queue *q)
{
	return q->clock == CLOCK_REALTIME || q->clock == CLOCK_TAI;
}

/* Once the queue is complete */
void dln_clock_watch(struct dln_queue *q)
{
	if (!dln_can_be_set(q))
		return;
	mutex_lock(&dln_notifier_mutex);
	if (!dln_watched)
		pvclock_gtod_register_notifier(&dln_clock_notifier);
	WRITE_ONCE(dln_watched, dln_watched + 1);
	mutex_unlock(&dln_notifier_mutex);

	spin_lock(&dln_settable_lock);
	list_add_tail(&q->clock_node, &dln_settable);
	spin_unlock(&dln_settable_lock);
}

void dln_clock_unwatch(struct dln_queue *q)
{
	if (!dln_can_be_set(q))
		return;
	spin_lock(&dln_settable_lock);
	list_del(&q->clock_node);
	spin_unlock(&dln_settable_lock);

	mutex_lock(&dln_notifier_mutex);
	WRITE_ONCE(dln_watched, dln_watched - 1);
	if (!dln_watched)
		pvclock_gtod_unregister_notifier(&dln_clock_notifier);
	mutex_unlock(&dln_notifier_mutex);
}

bool dln_clock_any_untold(void)
{
	return READ_ONCE(dln_clock_was_set) || !list_empty(&dln_untold);
}

/*
 * Tell one queue that its clock was set. False if all know. Only the thread calls
 * this.
 */
bool dln_clock_tell(void)
{
	u64 start = ktime_get_ns();
	struct dln_queue *q;

	spin_lock(&dln_settable_lock);
	/* Before any look, which is to see the new time. */
	if (xchg(&dln_clock_was_set, false))
		list_splice_tail_init(&dln_settable, &dln_untold);
	q = list_first_entry_or_null(&dln_untold, struct dln_queue, clock_node);
	if (q) {
		list_move_tail(&q->clock_node, &dln_settable);
		refcount_inc(&q->references);
	}
	spin_unlock(&dln_settable_lock);
	if (!q)
		return false;

	dln_look_clock_set(q);
	dln_wake_clock_set(q);
	dln_charge_thread(q, start);
	dln_put(q);
	cond_resched();
	return true;
}

/* No queue is open, so the notifier is not registered. */
void dln_clock_exit(void)
{
	irq_work_sync(&dln_clock_irq_work);
}
