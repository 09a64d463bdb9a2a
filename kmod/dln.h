/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module share.
 *
 * Locking. q->lock (raw, irqs off) is held around everything that the timer
 * interrupt touches: the tree, the nodes, the ring's tail, the timer. It is
 * held for one interrupt's budget or for DLN_BATCH slots of a doorbell, and
 * nothing is woken under it. q->mutex (sleeping) serialises the callers of
 * SETUP, DOORBELL and EVENTFD, so that however many threads ring, only one of
 * them competes with the interrupt for q->lock.
 *
 * Functions whose names begin with __ expect q->lock to be held.
 *
 * Hostile memory. slots and header are mapped writable by the program: each
 * field is read once, and no index, count or offset is taken from them. status
 * and ring are mapped read-only, and still nothing is read back from them that
 * a decision hangs on.
 *
 * Lifetime. Each mapping holds the file, so release() comes after the last fd
 * and the last mapping are gone; then nobody can ring, and one hrtimer_cancel()
 * ends all.
 */
#ifndef DLN_H
#define DLN_H

#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/deadline.h>

/* Slots looked at between two reads of the clock, or under one doorbell lock */
#define DLN_BATCH	16
/* Swaps that one look tries before it puts the slot off, and for how long */
#define DLN_TRIES	4
#define DLN_AGAIN	(10 * NSEC_PER_USEC)

/**
 * struct dln_node - what the kernel keeps of a slot, beyond the program's reach
 * @rb: In q->tree while @key is not 0.
 * @key: When the slot will be looked at. Marked DLN_LOOKED if it has been and
 *	no further look is planned; 0 before the first and after a removal.
 * @position: Where in the ring it was last posted; 0 = never.
 */
struct dln_node {
	struct rb_node rb;
	u64 key;
	u64 position;
};

/**
 * struct dln_queue - one open file
 * @lock: see above
 * @tree: nodes by key, see tree.h; under @lock
 * @first: the next one to be looked at; under @lock
 * @last: the one enqueued last, while it is in the tree; under @lock
 * @nodes: one per slot; under @lock
 * @slots: one per node; shared, writable
 * @tail: next position of the ring; written under @lock
 * @programmed: when the timer will fire, or DEADLINE_QUEUED_NEVER; under @lock
 * @not_before: no interrupt before this time (budget); under @lock
 * @timer: started under @lock only, by __dln_program() only
 * @header: shared, writable
 * @status: shared, read-only for the program
 * @ring: shared, read-only for the program
 * @ring_size: entries, a power of two
 * @count: slots; 0 until SETUP is done, then never changes (acquire/release)
 * @shared_size: bytes at @header
 * @status_size: bytes at @status
 * @wait: readers and pollers
 * @eventfd: RCU; written under @mutex
 * @mutex: see above
 */
struct dln_queue {
	raw_spinlock_t lock;
	struct rb_root tree;
	struct dln_node *first;
	struct dln_node *last;
	struct dln_node *nodes;
	struct deadline_slot *slots;
	u64 tail;
	u64 programmed;
	u64 not_before;
	struct hrtimer timer;

	struct deadline_header *header;
	struct deadline_status *status;
	struct deadline_entry *ring;
	u32 ring_size;
	u32 count;
	size_t shared_size;
	size_t status_size;

	wait_queue_head_t wait;
	struct eventfd_ctx __rcu *eventfd;
	/* SETUP, DOORBELL and EVENTFD, one at a time */
	struct mutex mutex;
};

/* For the kernel-written page: plain adds, and no torn reads for the program */
static inline void dln_count(__u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

static inline bool dln_ready(const struct dln_queue *q)
{
	/* Pairs with the release in dln_setup(). */
	return smp_load_acquire(&q->count);
}

/* expire.c */
void __dln_look(struct dln_queue *q, struct dln_node *node, u64 now);
void __dln_program(struct dln_queue *q);
enum hrtimer_restart dln_interrupt(struct hrtimer *timer);
/* doorbell.c */
long dln_ring_one(struct dln_queue *q, u32 index);
long dln_ring_many(struct dln_queue *q, const struct deadline_doorbell *bell);
/* read.c */
bool dln_pending(const struct dln_queue *q);
ssize_t dln_read_iter(struct kiocb *iocb, struct iov_iter *to);
/* wake.c */
void dln_wake(struct dln_queue *q);
__poll_t dln_poll(struct file *file, struct poll_table_struct *table);
long dln_set_eventfd(struct dln_queue *q, int fd);
/* queue.c */
extern const struct file_operations dln_fops;

#endif
