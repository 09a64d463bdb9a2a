// SPDX-License-Identifier: GPL-2.0
/*
 * Waking those who sleep, or must be interrupted: readers and pollers, a
 * registered eventfd, a signal. Once per interrupt or doorbell that posted, or
 * that expired a slot which signals (its hint may still stand in the ring), after
 * q->lock is dropped.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include "compat.h"
#include "dln.h"
#include "trace.h"

static void dln_wake_eventfd(struct dln_queue *q)
{
	struct eventfd_ctx *eventfd;

	rcu_read_lock();
	eventfd = rcu_dereference(q->eventfd);
	if (eventfd)
		eventfd_signal(eventfd);
	rcu_read_unlock();
}

static __always_inline void dln_wake_sleepers(struct dln_queue *q,
					      __poll_t events)
{
	unsigned long flags;

	/* [wake] is the smp_mb() in wq_has_sleeper(). */
	if (wq_has_sleeper(&q->wait)) {
		/* Shorter than wake_up_poll(), which may pause among many. */
		spin_lock_irqsave(&q->wait.lock, flags);
		wake_up_locked_poll(&q->wait, events);
		spin_unlock_irqrestore(&q->wait.lock, flags);
	}
	if (rcu_access_pointer(q->eventfd))
		dln_wake_eventfd(q);
}

/* The core walks through a whole process group: not in an interrupt. */
static bool dln_signals_group(const struct dln_queue *q)
{
	struct fown_struct *owner = file_f_owner(q->file);

	return owner && READ_ONCE(owner->pid_type) > PIDTYPE_TGID;
}

static void dln_group_work(struct work_struct *work)
{
	struct dln_queue *q = container_of(work, struct dln_queue, group_work);

	kill_fasync(&q->fasync, SIGIO, POLL_IN);
}

static void dln_signal(struct dln_queue *q)
{
	if (!xchg(&q->signal, false) || !READ_ONCE(q->fasync))
		return;
	if (dln_signals_group(q))
		schedule_work(&q->group_work);
	else
		kill_fasync(&q->fasync, SIGIO, POLL_IN);
}

/*
 *	poster				sleeper
 *	------				-------
 *	store tail			enter the wait queue
 *	full barrier [wake]		full barrier [sleep]
 *	wait queue empty?		load tail
 *
 * Either the poster finds the sleeper or the sleeper finds the entry.
 */
void dln_wake(struct dln_queue *q)
{
	trace_dln_wake(q, READ_ONCE(q->signal));
	dln_wake_sleepers(q, EPOLLIN | EPOLLRDNORM);
	if (unlikely(READ_ONCE(q->signal)))
		dln_signal(q);
}

static void dln_wake_irq(struct irq_work *work)
{
	dln_wake(container_of(work, struct dln_queue, irq_work));
}

/*
 * All of it may be done in a hard interrupt, except on PREEMPT_RT, where it
 * takes sleeping locks: there a timer marked HARD leaves it to an irq_work, whose
 * queueing is a full barrier too.
 */
void dln_wake_from_timer(struct dln_queue *q)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT) && q->mode == HRTIMER_MODE_ABS_HARD)
		irq_work_queue(&q->irq_work);
	else
		dln_wake(q);
}

void dln_wake_clock_set(struct dln_queue *q)
{
	WRITE_ONCE(q->clock_sets, q->clock_sets + 1);
	WRITE_ONCE(q->status->clock_sets, q->clock_sets);
	dln_wake_sleepers(q, EPOLLPRI);
}

void dln_wake_init(struct dln_queue *q, struct file *file)
{
	init_waitqueue_head(&q->wait);
	init_irq_work(&q->irq_work, dln_wake_irq);
	INIT_WORK(&q->group_work, dln_group_work);
	q->file = file;
}

/* No timer runs any more, and nobody has the file. */
void dln_wake_release(struct dln_queue *q)
{
	struct eventfd_ctx *eventfd = rcu_access_pointer(q->eventfd);

	/* On PREEMPT_RT it waits for RCU. Before SETUP there was nobody to wake. */
	if (q->count)
		irq_work_sync(&q->irq_work);
	cancel_work_sync(&q->group_work);
	if (eventfd)
		eventfd_ctx_put(eventfd);
}

__poll_t dln_poll(struct file *file, struct poll_table_struct *table)
{
	struct dln_queue *q = file->private_data;
	__poll_t events = 0;

	/* First: an epoll that begins before SETUP asks for this only once. */
	poll_wait(file, &q->wait, table);
	if (!dln_ready(q))
		return EPOLLERR;
	/* [sleep]; read(2) has its own in prepare_to_wait_event(). */
	smp_mb();
	if (dln_waiting(q))
		events |= EPOLLIN | EPOLLRDNORM;
	if (dln_clock_news(q))
		events |= EPOLLPRI;
	return events;
}

int dln_fasync(int fd, struct file *file, int on)
{
	struct dln_queue *q = file->private_data;

	return fasync_helper(fd, file, on, &q->fasync);
}

long dln_set_eventfd(struct dln_queue *q, int fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd < -1)
		return -EBADF;
	if (fd >= 0) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	mutex_lock(&q->mutex);
	ctx = rcu_replace_pointer(q->eventfd, ctx, lockdep_is_held(&q->mutex));
	mutex_unlock(&q->mutex);
	if (ctx) {
		synchronize_rcu();
		eventfd_ctx_put(ctx);
	}
	return 0;
}
