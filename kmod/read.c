// SPDX-License-Identifier: GPL-2.0
/*
 * read(2): the consumer of the expired ring that the kernel has to offer. It
 * follows the same rule as those in the program.
 */
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include "ring.h"

/* Move head past one entry and tell its slot; false if the ring is empty. */
static bool dln_take_entry(struct dln_queue *q, u32 *index)
{
	/* Pairs with the release in __dln_post(). */
	u64 tail = smp_load_acquire(&q->tail);
	u64 head = dln_head(q, tail);

	if (head == tail)
		return false;
	*index = READ_ONCE(q->ring[head & (q->ring_size - 1)].slot);
	/* [take], a full barrier. If it fails, another consumer has this entry. */
	if (cmpxchg(&q->header->head, head, head + 1) != head)
		*index = q->count;
	return true;
}

/*
 * The expiry could not be delivered: put its hint back, and wake the readers that went
 * to sleep because we had it.
 */
static void dln_put_back(struct dln_queue *q, u32 index)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	__dln_post(q, &q->nodes[index], index);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	dln_wake(q);
}

/* Copy out the slot's expiry. Returns bytes copied. */
static size_t dln_copy(const struct deadline_slot *slot, u32 index,
		       struct iov_iter *to)
{
	struct deadline_expiry expiry = {
		.user_data = READ_ONCE(slot->user_data),
		.deadline = READ_ONCE(slot->deadline),
		.expired_at = READ_ONCE(slot->expired_at),
		.slot = index,
		.overruns = READ_ONCE(slot->overruns),
	};

	return copy_to_iter(&expiry, sizeof(expiry), to);
}

/*
 * Deliver the slot's expiry if it has one that nobody owns yet: copy it out
 * first, then own it, so that a fault loses nothing. Returns -EFAULT or 0.
 */
static int dln_deliver(struct dln_queue *q, u32 index, struct iov_iter *to)
{
	struct deadline_slot *slot;
	int tries = DLN_TRIES;
	size_t copied;
	u64 word;

	if (index >= q->count)
		return 0;
	index = array_index_nospec(index, q->count);
	slot = &q->slots[index];
	while (tries--) {
		/* Pairs with the swap in __dln_look(): the stamps are there. */
		word = smp_load_acquire(&slot->word);
		if ((word & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) !=
		    DEADLINE_WORD_EXPIRED)
			return 0;
		copied = dln_copy(slot, index, to);
		if (copied == sizeof(struct deadline_expiry) &&
		    cmpxchg(&slot->word, word,
			    word | DEADLINE_WORD_TAKEN) == word) {
			if (word & DEADLINE_WORD_ARMED &&
			    READ_ONCE(slot->overruns) >= DEADLINE_UNREAD)
				dln_look_on_time(q, index);
			return 0;
		}
		iov_iter_revert(to, copied);
		if (copied != sizeof(struct deadline_expiry)) {
			dln_put_back(q, index);
			return -EFAULT;
		}
	}
	dln_put_back(q, index);
	return 0;
}

/*
 * Was the clock set since a read(2) last said so? If so, this one does, and no other
 * reader: if another one changes @sets_told after it was read here, the swap fails, and
 * that one says so.
 */
static bool dln_tell_clock_set(struct dln_queue *q)
{
	/* Acquire: what is told was set before. */
	u64 told = smp_load_acquire(&q->sets_told);
	u64 sets = READ_ONCE(q->clock_sets);

	return told != sets && cmpxchg(&q->sets_told, told, sets) == told;
}

/*
 * The reader got nothing. Is there more in the ring, which it may not take now? To say
 * that nothing is there would send its caller to sleep.
 */
static int dln_unfinished(const struct dln_queue *q, u32 left)
{
	if (!dln_waiting(q))
		return 0;
	if (signal_pending(current))
		return -ERESTARTSYS;
	return left ? 0 : -EINTR;
}

/*
 * There is room for one. Returns bytes delivered, 0 if nothing has expired, or an error.
 * A program that writes head back all the time cannot keep the reader here: it takes no
 * more entries than are @left, and ends at any signal.
 */
static ssize_t dln_consume(struct dln_queue *q, struct iov_iter *to, u32 *left)
{
	size_t room = iov_iter_count(to);
	int ret = 0;
	u32 index;

	while (*left && dln_take_entry(q, &index)) {
		--*left;
		ret = dln_deliver(q, index, to);
		if (ret ||
		    iov_iter_count(to) < sizeof(struct deadline_expiry) ||
		    signal_pending(current))
			break;
		cond_resched();
	}
	room -= iov_iter_count(to);
	if (room)
		return room;
	return ret ?: dln_unfinished(q, *left);
}

/*
 * Sleep until there may be something to read, or return -ERESTARTSYS. After that the
 * caller looks again, and may take @left entries anew if there was none for a moment.
 * The waker has taken us out of the wait queue, so its lock need not be taken once more.
 */
static int dln_sleep(struct dln_queue *q, u32 *left)
{
	DEFINE_WAIT(wait);
	/* [sleep] is in it, see dln_wake(). */
	int ret = prepare_to_wait_event(&q->wait, &wait, TASK_INTERRUPTIBLE);

	if (!ret && !dln_waiting(q) && !dln_clock_news(q)) {
		schedule();
		*left = q->ring_size;
	}
	finish_wait(&q->wait, &wait);
	return ret;
}

ssize_t dln_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct dln_queue *q = iocb->ki_filp->private_data;
	ssize_t ret;
	u32 left;

	if (!dln_ready(q))
		return -EBADFD;
	if (iov_iter_count(to) < sizeof(struct deadline_expiry))
		return -EINVAL;
	left = q->ring_size;
	for (;;) {
		ret = dln_consume(q, to, &left);
		/* Who may not sleep at all, as io_uring, goes on by poll(2). */
		if ((ret == -EINTR || ret == -ERESTARTSYS) &&
		    iocb->ki_flags & IOCB_NOWAIT)
			return -EAGAIN;
		if (ret)
			return ret;
		if (dln_tell_clock_set(q))
			return -ECANCELED;
		if ((iocb->ki_filp->f_flags & O_NONBLOCK) ||
		    (iocb->ki_flags & IOCB_NOWAIT))
			return -EAGAIN;
		ret = dln_sleep(q, &left);
		if (ret)
			return ret;
	}
}
