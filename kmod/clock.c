// SPDX-License-Identifier: GPL-2.0
/*
 * The clocks: which one a queue is on, the opener's time namespace, and what
 * happens when somebody sets one.
 *
 * The hrtimer core itself moves the timer of a clock that is set. What is left
 * for us is one look, for whatever is due by the new time, and to tell the
 * program, which may have computed its deadlines from the old one.
 */
#include <linux/pvclock_gtod.h>
#include <linux/time_namespace.h>
#include "compat.h"
#include "dln.h"

/* Queues on clocks that can be set */
static LIST_HEAD(dln_settable);
static DEFINE_MUTEX(dln_settable_mutex);

u64 dln_now_other(const struct dln_queue *q)
{
	switch (q->clock) {
	case CLOCK_REALTIME:
		return ktime_get_real_ns();
	case CLOCK_TAI:
		return ktime_get_clocktai_ns();
	default:
		return ktime_get_boottime_ns() + q->offset;
	}
}

/* The opener's time namespace, whoever does SETUP later */
void dln_clock_open(struct dln_queue *q)
{
	struct timespec64 monotonic = {}, boottime = {};

	timens_add_monotonic(&monotonic);
	timens_add_boottime(&boottime);
	q->offsets[0] = timespec64_to_ns(&monotonic);
	q->offsets[1] = timespec64_to_ns(&boottime);
	INIT_LIST_HEAD(&q->clock_node);
}

int dln_clock_setup(struct dln_queue *q, clockid_t clock)
{
	switch (clock) {
	case CLOCK_MONOTONIC:
		q->offset = q->offsets[0];
		break;
	case CLOCK_BOOTTIME:
		q->offset = q->offsets[1];
		break;
	case CLOCK_REALTIME:
	case CLOCK_TAI:
		q->offset = 0;
		break;
	default:
		return -EINVAL;
	}
	q->clock = clock;
	hrtimer_setup(&q->timer, dln_interrupt, clock, q->mode);
	return 0;
}

/* Once the queue is complete */
void dln_clock_watch(struct dln_queue *q)
{
	if (q->clock != CLOCK_REALTIME && q->clock != CLOCK_TAI)
		return;
	mutex_lock(&dln_settable_mutex);
	list_add_tail(&q->clock_node, &dln_settable);
	mutex_unlock(&dln_settable_mutex);
}

void dln_clock_unwatch(struct dln_queue *q)
{
	mutex_lock(&dln_settable_mutex);
	list_del_init(&q->clock_node);
	mutex_unlock(&dln_settable_mutex);
}

static void dln_clock_set(struct work_struct *work)
{
	struct dln_queue *q;

	mutex_lock(&dln_settable_mutex);
	list_for_each_entry(q, &dln_settable, clock_node) {
		dln_look_now(q);
		dln_wake_clock_set(q);
		cond_resched();
	}
	mutex_unlock(&dln_settable_mutex);
}

static DECLARE_WORK(dln_clock_work, dln_clock_set);

static void dln_clock_irq(struct irq_work *work)
{
	schedule_work(&dln_clock_work);
}

static DEFINE_IRQ_WORK(dln_clock_irq_work, dln_clock_irq);

/*
 * Called with the timekeeper locked, at every tick and, with @set, when a clock
 * was set: no clock can be read here, and nothing be woken.
 */
static int dln_clock_notify(struct notifier_block *nb, unsigned long set,
			    void *timekeeper)
{
	if (set)
		irq_work_queue(&dln_clock_irq_work);
	return NOTIFY_DONE;
}

static struct notifier_block dln_clock_notifier = {
	.notifier_call = dln_clock_notify,
};

int dln_clock_init(void)
{
	return pvclock_gtod_register_notifier(&dln_clock_notifier);
}

void dln_clock_exit(void)
{
	pvclock_gtod_unregister_notifier(&dln_clock_notifier);
	irq_work_sync(&dln_clock_irq_work);
	cancel_work_sync(&dln_clock_work);
}
