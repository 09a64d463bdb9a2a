// SPDX-License-Identifier: GPL-2.0
/*
 * Waking those who sleep, or must be interrupted: readers and pollers, a
 * registered eventfd, a signal. Once per interrupt or doorbell that posted, or
 * that expired a slot which signals (its hint may still stand in the ring), after
 * q->lock is dropped.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "compat.h"
#include "ring.h"
#include "trace.h"

/**
 * struct dln_eventfd - an eventfd that is registered, or was until just now
 * @context: signalled under rcu_read_lock()
 * @rcu: frees it once nobody signals it any more
 */
struct dln_eventfd {
	struct eventfd_ctx *context;
	struct rcu_head rcu;
};

static void dln_wake_eventfd(struct dln_queue *q)
{
	struct dln_eventfd *eventfd;

	rcu_read_lock();
	eventfd = rcu_dereference(q->eventfd);
	if (eventfd)
		eventfd_signal(eventfd->context);
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

static void dln_group_work(struct work_struct *work)
{
	struct dln_queue *q = container_of(work, struct dln_queue, group_work);
	u64 start = ktime_get_ns();

	kill_fasync(&q->fasync, SIGIO, POLL_IN);
	dln_charge_work(q->user, start);
}

/*
 * A process group is signalled by a walk through all of it. In an interrupt that is
 * left to a work item. So that the owner does not become a group between the question
 * and the walk, his lock is held; the core may take it once more in an interrupt.
 */
static void dln_signal_from_timer(struct dln_queue *q)
{
	struct fown_struct *owner = file_f_owner(q->file);

	if (!owner)
		return;
	read_lock(&owner->lock);
	if (READ_ONCE(owner->pid_type) > PIDTYPE_TGID)
		schedule_work(&q->group_work);
	else
		kill_fasync(&q->fasync, SIGIO, POLL_IN);
	read_unlock(&owner->lock);
}

/*
 * In the caller's own time, as kill(2) would be, or in an interrupt. On PREEMPT_RT
 * the walk is always that of a thread and can be preempted, whereas a work item could
 * wait for ever for its CPU.
 */
static void dln_signal(struct dln_queue *q, bool own_time)
{
	if (!xchg(&q->signal, false) || !READ_ONCE(q->fasync))
		return;
	if (own_time || IS_ENABLED(CONFIG_PREEMPT_RT))
		kill_fasync(&q->fasync, SIGIO, POLL_IN);
	else
		dln_signal_from_timer(q);
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
static __always_inline void dln_wake_all(struct dln_queue *q, bool own_time)
{
	trace_dln_wake(q, READ_ONCE(q->signal));
	dln_wake_sleepers(q, EPOLLIN | EPOLLRDNORM);
	if (unlikely(READ_ONCE(q->signal)))
		dln_signal(q, own_time);
}

void dln_wake(struct dln_queue *q)
{
	dln_wake_all(q, true);
}

struct task_struct *dln_thread;
/* Queues that the thread is to wake; each of them holds a reference. */
static LLIST_HEAD(dln_handed);

/*
 * All of it may be done in a hard interrupt, except on PREEMPT_RT, where it takes
 * sleeping locks: there a timer marked HARD hands the queue to the thread.
 */
void dln_wake_from_timer(struct dln_queue *q)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT) || q->mode != HRTIMER_MODE_ABS_HARD) {
		dln_wake_all(q, false);
		return;
	}
	/* [hand], a full barrier between what was posted and @handed */
	if (xchg(&q->handed, true))
		return;
	refcount_inc(&q->references);
	if (llist_add(&q->wake_node, &dln_handed))
		wake_up_process(dln_thread);
}

bool dln_wake_any_handed(void)
{
	return !llist_empty(&dln_handed);
}

/* What it costs to wake the thread and to switch to it and back, which is not timed */
#define DLN_HAND_OVER	5000	/* ns */

/*
 * What the thread has done since @start for the queue is its user's to pay, unless
 * the queue was closed meanwhile.
 */
void dln_charge_thread(struct dln_queue *q, u64 start)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	if (!q->closed)
		dln_charge_work(q->user, start - DLN_HAND_OVER);
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

/* Wake all that were handed over, in that order. Only the thread calls this. */
void dln_wake_handed(void)
{
	struct llist_node *all = llist_reverse_order(llist_del_all(&dln_handed));
	struct dln_queue *q, *next;
	u64 start;

	llist_for_each_entry_safe(q, next, all, wake_node) {
		/*
		 * [hand]: what is posted from here on hands the queue over again,
		 * and what was posted before is seen by dln_wake().
		 */
		smp_store_mb(q->handed, false);
		start = ktime_get_ns();
		dln_wake(q);
		dln_charge_thread(q, start);
		dln_put(q);
		cond_resched();
	}
}

void dln_wake_clock_set(struct dln_queue *q)
{
	dln_wake_sleepers(q, EPOLLPRI);
}

void dln_wake_init(struct dln_queue *q, struct file *file)
{
	refcount_set(&q->references, 1);
	init_waitqueue_head(&q->wait);
	INIT_WORK(&q->group_work, dln_group_work);
	q->file = file;
}

static void dln_eventfd_free(struct dln_eventfd *eventfd)
{
	eventfd_ctx_put(eventfd->context);
	kfree(eventfd);
}

static void dln_eventfd_free_rcu(struct rcu_head *rcu)
{
	dln_eventfd_free(container_of(rcu, struct dln_eventfd, rcu));
}

/* The file is gone, and what it held: see dln_release(). */
void dln_put(struct dln_queue *q)
{
	struct dln_eventfd *eventfd;

	if (!refcount_dec_and_test(&q->references))
		return;
	/* Whoever signals has a reference, or the file. */
	eventfd = rcu_dereference_protected(q->eventfd, true);
	if (eventfd)
		dln_eventfd_free(eventfd);
	put_pid(q->opener);
	kfree(q);
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

static struct dln_eventfd *dln_eventfd_new(int fd)
{
	struct dln_eventfd *eventfd = kmalloc(sizeof(*eventfd),
					      GFP_KERNEL_ACCOUNT);
	struct eventfd_ctx *context;

	if (!eventfd)
		return ERR_PTR(-ENOMEM);
	context = eventfd_ctx_fdget(fd);
	if (IS_ERR(context)) {
		kfree(eventfd);
		return ERR_CAST(context);
	}
	eventfd->context = context;
	return eventfd;
}

/* It takes no lock, so it waits for nobody. */
long dln_set_eventfd(struct dln_queue *q, int fd)
{
	struct dln_eventfd *eventfd = NULL;

	if (fd < -1)
		return -EBADF;
	if (fd >= 0) {
		eventfd = dln_eventfd_new(fd);
		if (IS_ERR(eventfd))
			return PTR_ERR(eventfd);
	}
	eventfd = unrcu_pointer(xchg(&q->eventfd, RCU_INITIALIZER(eventfd)));
	if (eventfd)
		call_rcu(&eventfd->rcu, dln_eventfd_free_rcu);
	return 0;
}

/* What was freed by RCU is freed by our own code. */
void dln_wake_exit(void)
{
	rcu_barrier();
}
