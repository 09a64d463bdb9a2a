// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of io_uring: a doorbell that rides on any submission, and waiting for
 * the ring to have entries as a completion of its own.
 *
 * A wait is parked in q->uring, and while there is one, q->uring_entry stands in
 * the wait queue beside readers and pollers: who wakes them wakes the waits, and
 * a queue that has none pays nothing. Both are under q->wait.lock. Whoever takes
 * a wait out of q->uring owns it, and completes it by task work, which is legal
 * wherever a wake-up is. A multishot wait stays there until its end: its task work,
 * of which there is one at a time, completes it once more.
 */
#include <linux/poll.h>
#include <linux/string.h>
#include "compat.h"
#include "ring.h"

/* Of a queue: the interrupt that wakes them goes through them all. */
#define DLN_WAITS	64

/* In struct io_uring_cmd there is room for this; under q->wait.lock. */
struct dln_wait {
	struct list_head node;	/* in q->uring */
	u64 key;
	int error;
	bool working;		/* task work is on its way */
};

static struct io_uring_cmd *dln_wait_cmd(struct dln_wait *wait)
{
	return container_of((void *)wait, struct io_uring_cmd, pdu);
}

static void __dln_wait_leave(struct dln_queue *q, struct dln_wait *wait)
{
	lockdep_assert_held(&q->wait.lock);
	list_del_init(&wait->node);
	if (!--q->uring_count)
		list_del_init(&q->uring_entry.entry);
}

/*
 * Complete a multishot wait once more, unless that is its end. Whoever posts from
 * now on sends more task work, also if there is no room for this completion: then
 * it is the next that ends it.
 */
static bool dln_wait_again(struct dln_queue *q, struct io_uring_cmd *cmd,
			   unsigned int issue_flags)
{
	struct dln_wait *wait = io_uring_cmd_to_pdu(cmd, struct dln_wait);
	struct io_br_sel sel = { };	/* A wait fills no buffer: none is taken. */
	unsigned long flags;
	bool parked;

	spin_lock_irqsave(&q->wait.lock, flags);
	parked = !list_empty(&wait->node);
	if (parked)
		wait->working = false;
	spin_unlock_irqrestore(&q->wait.lock, flags);
	if (!parked)
		return false;

	sel.val = dln_waiting(q);
	/* Somebody was faster? */
	if (!sel.val && !dln_clock_news(q))
		return true;
	/* A clock that was set ends it, also if there are entries. */
	if (sel.val && !dln_clock_news(q) &&
	    !io_uring_mshot_cmd_post_cqe(cmd, &sel, issue_flags))
		return true;

	spin_lock_irqsave(&q->wait.lock, flags);
	parked = wait->working;
	if (!parked)
		__dln_wait_leave(q, wait);
	spin_unlock_irqrestore(&q->wait.lock, flags);
	return parked;
}

/* How many entries there are by now: a hint, like each of them */
DLN_DEFINE_URING_WORK(dln_wait_work)
{
	struct dln_wait *wait = io_uring_cmd_to_pdu(cmd, struct dln_wait);
	struct dln_queue *q = cmd->file->private_data;

	if (cmd->flags & IORING_URING_CMD_MULTISHOT &&
	    dln_wait_again(q, cmd, issue_flags))
		return;
	io_uring_cmd_done(cmd, wait->error ?: dln_waiting(q), issue_flags);
}

/* An error ends a multishot too; else it waits on. */
static void __dln_wait_finish(struct dln_queue *q, struct dln_wait *wait,
			      int error)
{
	struct io_uring_cmd *cmd = dln_wait_cmd(wait);

	lockdep_assert_held(&q->wait.lock);
	if (error || !(cmd->flags & IORING_URING_CMD_MULTISHOT))
		__dln_wait_leave(q, wait);
	wait->error = error;
	if (wait->working)
		return;
	wait->working = true;
	io_uring_cmd_complete_in_task(cmd, dln_wait_work);
}

/* Whoever wakes q->wait, with its lock held */
static int dln_wait_wake(wait_queue_entry_t *entry, unsigned int mode,
			 int flags, void *key)
{
	struct dln_queue *q = container_of(entry, struct dln_queue,
					   uring_entry);
	struct dln_wait *wait, *next;

	list_for_each_entry_safe(wait, next, &q->uring, node)
		__dln_wait_finish(q, wait, 0);
	return 1;
}

static bool dln_wait_park(struct dln_queue *q, struct dln_wait *wait)
{
	unsigned long flags;
	bool fits;

	spin_lock_irqsave(&q->wait.lock, flags);
	fits = q->uring_count < DLN_WAITS;
	if (fits && !q->uring_count++)
		__add_wait_queue(&q->wait, &q->uring_entry);
	if (fits)
		list_add_tail(&wait->node, &q->uring);
	spin_unlock_irqrestore(&q->wait.lock, flags);
	return fits;
}

/* Finish @one if it is still parked, or all of @key. How many those were */
static int dln_wait_unpark(struct dln_queue *q, const struct dln_wait *one,
			   u64 key, int error)
{
	struct dln_wait *wait, *next;
	unsigned long flags;
	int n = 0;

	spin_lock_irqsave(&q->wait.lock, flags);
	list_for_each_entry_safe(wait, next, &q->uring, node) {
		if (one ? wait != one : wait->key != key)
			continue;
		__dln_wait_finish(q, wait, error);
		n++;
	}
	spin_unlock_irqrestore(&q->wait.lock, flags);
	return n;
}

static bool dln_wait_over(const struct dln_queue *q)
{
	return dln_waiting(q) || dln_clock_news(q);
}

static int dln_uring_wait(struct dln_queue *q, struct io_uring_cmd *cmd,
			  u64 key, unsigned int issue_flags)
{
	struct dln_wait *wait = io_uring_cmd_to_pdu(cmd, struct dln_wait);

	if (!(cmd->flags & IORING_URING_CMD_MULTISHOT) && dln_wait_over(q))
		return dln_waiting(q);
	wait->key = key;
	wait->working = false;
	/* First, so that whoever finishes it can; and then only they may. */
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	if (!dln_wait_park(q, wait)) {
		io_uring_cmd_done(cmd, -EBUSY, issue_flags);
		return -EIOCBQUEUED;
	}
	/* [sleep], see dln_wake(). */
	smp_mb();
	if (dln_wait_over(q))
		dln_wait_unpark(q, wait, 0, 0);
	return -EIOCBQUEUED;
}

/* The ring goes, or its task. A wait that is not parked is being finished. */
static int dln_uring_cancel(struct io_uring_cmd *cmd)
{
	struct dln_wait *wait = io_uring_cmd_to_pdu(cmd, struct dln_wait);

	dln_wait_unpark(cmd->file->private_data, wait, 0, -ECANCELED);
	return 0;
}

static int dln_uring_unwait(struct dln_queue *q, u64 key)
{
	return dln_wait_unpark(q, NULL, key, -ECANCELED) ?: -ENOENT;
}

static int dln_uring_doorbell(struct dln_queue *q, unsigned int issue_flags)
{
	int ret;

	if (issue_flags & IO_URING_F_NONBLOCK) {
		/* A worker of io_uring will call again, and may sleep. */
		if (!mutex_trylock(&q->mutex))
			return -EAGAIN;
	} else if (mutex_lock_killable(&q->mutex)) {
		return -EINTR;
	}
	ret = dln_doorbell_locked(q);
	mutex_unlock(&q->mutex);
	return ret;
}

static int dln_uring_issue(struct dln_queue *q, struct io_uring_cmd *cmd,
			   u64 key, unsigned int issue_flags)
{
	switch (cmd->cmd_op) {
	case DEADLINE_IOC_DOORBELL:
		return key ? -EINVAL : dln_uring_doorbell(q, issue_flags);
	case DEADLINE_URING_WAIT:
		return DLN_URING_CANCELABLE ?
			dln_uring_wait(q, cmd, key, issue_flags) : -EOPNOTSUPP;
	case DEADLINE_URING_CANCEL:
		return DLN_URING_CANCELABLE ?
			dln_uring_unwait(q, key) : -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

/* The payload is program memory, read once. */
int dln_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct dln_queue *q = cmd->file->private_data;
	const struct deadline_wait *in;
	u64 key, reserved;
	u32 allowed = 0;
	int ret;

	if (issue_flags & IO_URING_F_CANCEL)
		return dln_uring_cancel(cmd);
	if (!dln_ready(q))
		return -EBADFD;
	/* The rest of the flags is the core's. */
	if (cmd->cmd_op == DEADLINE_URING_WAIT)
		allowed = IORING_URING_CMD_MULTISHOT;
	if (cmd->flags & DLN_URING_USER_FLAGS & ~allowed)
		return -EINVAL;
	in = dln_uring_payload(cmd, struct deadline_wait);
	if (issue_flags & IO_URING_F_SQE128 &&
	    memchr_inv(in + 1, 0, sizeof(struct io_uring_sqe)))
		return -EINVAL;
	key = READ_ONCE(in->key);
	reserved = READ_ONCE(in->reserved);
	if (reserved)
		return -EINVAL;
	ret = dln_uring_issue(q, cmd, key, issue_flags);
	/*
	 * A worker of Linux 6.1 to 6.9 forgets a result above 0 that is
	 * returned, and so does a link.
	 */
	if (ret <= 0)
		return ret;
	io_uring_cmd_done(cmd, ret, issue_flags);
	return -EIOCBQUEUED;
}

u64 dln_uring_features(void)
{
	if (!IS_ENABLED(CONFIG_IO_URING))
		return 0;
	return DEADLINE_FEATURE_URING_DOORBELL |
	       (DLN_URING_CANCELABLE ? DEADLINE_FEATURE_URING_WAIT : 0) |
	       (IORING_URING_CMD_MULTISHOT ?
			DEADLINE_FEATURE_URING_MULTISHOT : 0);
}

void dln_uring_init(struct dln_queue *q)
{
	INIT_LIST_HEAD(&q->uring);
	init_waitqueue_func_entry(&q->uring_entry, dln_wait_wake);
}
