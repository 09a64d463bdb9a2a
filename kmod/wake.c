// SPDX-License-Identifier: GPL-2.0
/*
 * Waking those who sleep: readers and pollers, and a registered eventfd. Once
 * per interrupt or doorbell that posted, after q->lock is dropped.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include "compat.h"
#include "dln.h"

/*
 *	poster				sleeper
 *	------				-------
 *	store tail			enter the wait queue
 *	full barrier [wake]		full barrier [sleep]
 *	wait queue empty?		load tail
 *
 * Either the poster finds the sleeper or the sleeper finds the entry.
 *
 * From hard interrupt context: the timer is not marked HARD, so PREEMPT_RT runs
 * it, and this, where its sleeping locks may be taken.
 */
void dln_wake(struct dln_queue *q)
{
	struct eventfd_ctx *eventfd;

	/* [wake] is the smp_mb() in wq_has_sleeper(). */
	if (wq_has_sleeper(&q->wait))
		wake_up_poll(&q->wait, EPOLLIN | EPOLLRDNORM);

	rcu_read_lock();
	eventfd = rcu_dereference(q->eventfd);
	if (eventfd)
		eventfd_signal(eventfd);
	rcu_read_unlock();
}

__poll_t dln_poll(struct file *file, struct poll_table_struct *table)
{
	struct dln_queue *q = file->private_data;

	/* First: an epoll that begins before SETUP asks for this only once. */
	poll_wait(file, &q->wait, table);
	if (!dln_ready(q))
		return EPOLLERR;
	/* [sleep]; read(2) has its own in wait_event_interruptible(). */
	smp_mb();
	return dln_pending(q) ? EPOLLIN | EPOLLRDNORM : 0;
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
