/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module share.
 *
 * Locking. q->lock (raw, irqs off) is held around everything that the timer
 * interrupt touches: the tree, the nodes, the ring's tail, the timers. It is
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
 * Time. The words are in the queue's clock, as its opener's time namespace has
 * it: dln_now() and __dln_program() know of that. What limits the interrupts is
 * in CLOCK_MONOTONIC, which nobody sets.
 *
 * Lifetime. Each mapping holds the file, so release() comes after the last fd
 * and the last mapping are gone; then nobody can ring, and cancelling the timers
 * ends all.
 */
#ifndef DLN_H
#define DLN_H

#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/deadline.h>

/* Slots looked at between two reads of the clock, or under one doorbell lock */
#define DLN_BATCH	16
/* Swaps that one look tries, and looks in place of a timer whose time has come */
#define DLN_TRIES	4
/* How long the queue pauses if more of those were needed */
#define DLN_AGAIN	(10 * NSEC_PER_USEC)

struct dln_user;
struct io_uring_cmd;

/**
 * struct dln_node - what the kernel keeps of a slot, beyond the program's reach
 * @rb: In q->tree while @key is not 0.
 * @key: When the slot will be looked at, see tree.h. Marked DLN_LOOKED if it has
 *	been and no further look is planned; 0 before the first and after a
 *	removal.
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
 * @paused: no look until @resume fires; under @lock
 * @clock: of the words; set by SETUP
 * @offset: from the host's clock to the time namespace's, ns; set by SETUP
 * @timer: fires for @first, on @clock; started under @lock only, by
 *	__dln_program() only
 * @resume: ends a pause, on CLOCK_MONOTONIC; started under @lock only, by
 *	__dln_pause() only
 * @mode: of both timers
 * @user: who opened the file; its limits
 * @header: shared, writable
 * @status: shared, read-only for the program
 * @ring: shared, read-only for the program
 * @ring_size: entries, a power of two
 * @count: slots; 0 until SETUP is done, then never changes (acquire/release)
 * @charged: slots that @user was charged
 * @shared_size: bytes at @header
 * @status_size: bytes at @status
 * @offsets: of the opener's time namespace: monotonic, boottime
 * @wait: readers and pollers
 * @uring: commands of io_uring that wait; under @wait.lock
 * @uring_count: how many
 * @uring_entry: in @wait while there are any
 * @eventfd: RCU; written under @mutex
 * @fasync: the file, if it is O_ASYNC
 * @file: the open file itself; not counted
 * @signal: an expired slot wants one; set under @lock, swapped off by the waker
 * @irq_work: wakes for a hard interrupt on PREEMPT_RT
 * @group_work: signals a process group
 * @clock_sets: times that the clock was set; by clock.c's work item
 * @sets_told: how many of them a read(2) has told of
 * @clock_node: in the list of those whose clock can be set
 * @id: for traces
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
	bool paused;
	clockid_t clock;
	s64 offset;
	struct hrtimer timer;
	struct hrtimer resume;
	enum hrtimer_mode mode;
	struct dln_user *user;

	struct deadline_header *header;
	struct deadline_status *status;
	struct deadline_entry *ring;
	u32 ring_size;
	u32 count;
	u32 charged;
	size_t shared_size;
	size_t status_size;
	s64 offsets[2];

	wait_queue_head_t wait;
	struct list_head uring;
	unsigned int uring_count;
	wait_queue_entry_t uring_entry;
	struct eventfd_ctx __rcu *eventfd;
	struct fasync_struct *fasync;
	struct file *file;
	bool signal;
	struct irq_work irq_work;
	struct work_struct group_work;
	u64 clock_sets;
	u64 sets_told;
	struct list_head clock_node;
	u32 id;
	/* SETUP, DOORBELL and EVENTFD, one at a time */
	struct mutex mutex;
};

/* For the kernel-written page: we are 64-bit, so nobody sees half a sum. */
static inline void dln_count(__u64 *counter, u64 n)
{
	*counter += n;
}

static inline bool dln_ready(const struct dln_queue *q)
{
	/* Pairs with the release in dln_ioctl_setup(). */
	return smp_load_acquire(&q->count);
}

/* clock.c */
u64 dln_now_other(const struct dln_queue *q);
void dln_clock_open(struct dln_queue *q);
int dln_clock_setup(struct dln_queue *q, clockid_t clock);
void dln_clock_watch(struct dln_queue *q);
void dln_clock_unwatch(struct dln_queue *q);
int dln_clock_init(void);
void dln_clock_exit(void);
/* expire.c */
void __dln_look(struct dln_queue *q, struct dln_node *node, u64 now);
void __dln_program(struct dln_queue *q);
void dln_look_now(struct dln_queue *q);
enum hrtimer_restart dln_interrupt(struct hrtimer *timer);
enum hrtimer_restart dln_resume(struct hrtimer *timer);
/* doorbell.c */
long dln_ring_one(struct dln_queue *q, u32 index);
bool dln_bell_valid(const struct deadline_doorbell *bell);
long dln_ring_list(struct dln_queue *q, const struct deadline_doorbell *bell,
		   bool whole);
long dln_ring_many(struct dln_queue *q, const struct deadline_doorbell *bell);
/* read.c */
u64 dln_waiting(const struct dln_queue *q);
bool dln_clock_news(const struct dln_queue *q);
ssize_t dln_read_iter(struct kiocb *iocb, struct iov_iter *to);
/* wake.c */
void dln_wake_init(struct dln_queue *q, struct file *file);
void dln_wake(struct dln_queue *q);
void dln_wake_from_timer(struct dln_queue *q);
void dln_wake_clock_set(struct dln_queue *q);
void dln_wake_release(struct dln_queue *q);
__poll_t dln_poll(struct file *file, struct poll_table_struct *table);
int dln_fasync(int fd, struct file *file, int on);
long dln_set_eventfd(struct dln_queue *q, int fd);
/* uring.c */
int dln_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
u64 dln_uring_features(void);
void dln_uring_init(struct dln_queue *q);
/* limit.c */
u64 dln_period_min(void);
struct dln_user *dln_user_get(kuid_t uid);
void dln_user_put(struct dln_user *user);
int dln_user_charge(struct dln_user *user, u32 slots);
void dln_user_uncharge(struct dln_user *user, u32 slots);
bool dln_spent(const struct dln_user *user, u64 now);
u64 dln_charge(struct dln_user *user, u64 start);
void dln_users_exit(void);
/* queue.c */
extern const struct file_operations dln_fops;

/* The queue's clock, in ns, where @monotonic is CLOCK_MONOTONIC just read */
static inline u64 dln_now(const struct dln_queue *q, u64 monotonic)
{
	if (likely(q->clock == CLOCK_MONOTONIC))
		return monotonic + q->offset;
	return dln_now_other(q);
}

#endif
