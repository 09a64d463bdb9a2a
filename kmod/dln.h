/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module share.
 *
 * Locking. q->lock (raw, irqs off) is held around everything that the timer
 * interrupt touches: the tree, the nodes, the ring's tail, the timers. It is
 * held for one interrupt's budget or for DLN_BATCH slots of a doorbell, and
 * nothing is woken under it. q->mutex (sleeping) serialises the callers of SETUP
 * and DOORBELL, so that however many threads ring, only one of them competes with
 * the interrupt for q->lock.
 *
 * Functions whose names begin with __ expect q->lock to be held, those of uring.c
 * q->wait.lock; lockdep checks it.
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
 * and the last mapping are gone; then nobody can ring. But somebody who has pinned
 * the pages, as io_uring's registered buffers do, may still write to them: so it is
 * @closed that keeps an interrupt from looking at them and from starting a timer
 * anew, and cancelling the timers waits for the last one. The module's thread may
 * still have the queue to wake, or to tell that its clock was set: it has a
 * reference to struct dln_queue, not to the file nor to the shared memory, which
 * is gone once @closed is set. So release() waits neither for the thread nor for
 * RCU.
 */
#ifndef DLN_H
#define DLN_H

#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
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

/* What a user's bucket holds is what runs out in this time; see throttle.c. */
#define DLN_BURST	(10 * NSEC_PER_MSEC)

struct dln_eventfd;
struct io_uring_cmd;
struct pid;
struct seq_file;
struct task_struct;

/**
 * struct dln_line - a user's queues that wait to be served, see throttle.c
 * @lock: inside of q->lock
 * @queues: in the order in which they are served; under @lock
 * @serving: the one that is being served; under @lock
 * @timer: the next one's turn; started under @lock only
 * @mode: of @timer and of all that join
 * @from: when the one that is served got its turn; under @lock
 * @empty: when the user's bucket would have been empty then; under @lock
 * @reserved: @timer was started for a time between other users' turns; under @lock
 * @user: whose queues
 */
struct dln_line {
	raw_spinlock_t lock;
	struct list_head queues;
	struct dln_queue *serving;
	struct hrtimer timer;
	enum hrtimer_mode mode;
	u64 from;
	u64 empty;
	bool reserved;
	struct dln_user *user;
};

/**
 * struct dln_buckets - what a user took of a CPU, see throttle.c
 * @empty: when the bucket of what his interrupts cost will be empty
 * @forgiven: the same for what he was forgiven
 */
struct dln_buckets {
	u64 empty;
	u64 forgiven;
};

/**
 * struct dln_user - somebody who has queues open, or has not paid yet
 * @node: in limit.c's table
 * @uid: who
 * @queues: how many; under limit.c's mutex
 * @slots: of all queues; under limit.c's mutex
 * @buckets: per CPU, written by that CPU only, with interrupts off
 * @lines: of queues whose timers are not marked HARD, and whose are
 */
struct dln_user {
	struct hlist_node node;
	kuid_t uid;
	unsigned long queues;
	u64 slots;
	struct dln_buckets __percpu *buckets;
	struct dln_line lines[2];
};

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
 * @references: the open file's, and the thread's while it has something to do
 * @lock: see above
 * @closed: the shared memory is gone, or going, so @paused stays; under @lock
 * @tree: nodes by key, see tree.h; under @lock
 * @first: the next one to be looked at; under @lock
 * @last: the one enqueued last, while it is in the tree; under @lock
 * @nodes: one per slot; under @lock
 * @slots: one per node; shared, writable
 * @periods: one per slot; shared, writable
 * @inbox: of what was taken from the inbox: number + 1 of the slot to be looked
 *	at next, 0 = none is left; under @lock
 * @inbox_left: how many links will be followed at most; under @lock
 * @tail: next position of the ring; written under @lock
 * @programmed: when the timer will fire, or DEADLINE_QUEUED_NEVER; under @lock
 * @wake: what status->wake says; under @lock
 * @planned: nodes in the tree for which a look is planned; under @lock
 * @paused: no look until @resume fires or its turn comes; under @lock
 * @turn: in a line of @user's; under that one's lock
 * @lined_up: when it joined the line last, CLOCK_MONOTONIC; under @lock
 * @clock: of the words; set by SETUP
 * @offset: from the host's clock to the time namespace's, ns; set by SETUP
 * @timer: fires for @first, on @clock; started under @lock only, by
 *	__dln_program() only
 * @resume: ends a pause, on CLOCK_MONOTONIC; started under @lock only, by
 *	__dln_pause() only
 * @mode: of both timers
 * @user: who opened the file; its limits
 * @opener: the process that did
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
 * @eventfd: RCU; exchanged by EVENTFD
 * @fasync: the file, if it is O_ASYNC
 * @file: the open file itself; not counted
 * @signal: an expired slot wants one; set under @lock, swapped off by the waker
 * @handed: the thread is to wake, and has not begun to
 * @wake_node: in the list of those handed to the thread, while @handed
 * @group_work: signals a process group
 * @clock_sets: times that the clock was set; by the thread, under @lock
 * @sets_told: how many of them a read(2) has told of
 * @clock_node: in the list of those whose clock can be set
 * @id: for traces
 * @mutex: see above
 */
struct dln_queue {
	refcount_t references;
	raw_spinlock_t lock;
	bool closed;
	struct rb_root tree;
	struct dln_node *first;
	struct dln_node *last;
	struct dln_node *nodes;
	struct deadline_slot *slots;
	u64 *periods;
	u32 inbox;
	u32 inbox_left;
	u64 tail;
	u64 programmed;
	u64 wake;
	bool paused;
	u32 planned;
	struct list_head turn;
	u64 lined_up;
	clockid_t clock;
	s64 offset;
	struct hrtimer timer;
	struct hrtimer resume;
	enum hrtimer_mode mode;
	struct dln_user *user;
	struct pid *opener;

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
	struct dln_eventfd __rcu *eventfd;
	struct fasync_struct *fasync;
	struct file *file;
	bool signal;
	bool handed;
	struct llist_node wake_node;
	struct work_struct group_work;
	u64 clock_sets;
	u64 sets_told;
	struct list_head clock_node;
	u32 id;
	/* SETUP and DOORBELL, one at a time */
	struct mutex mutex;
};

/* For the kernel-written page: we are 64-bit, so nobody sees half a sum. */
static inline void dln_count(__u64 *counter, u64 n)
{
	*counter += n;
}

/* Was something handed in that is not planned yet? */
static inline bool __dln_inbox_waits(const struct dln_queue *q)
{
	return q->inbox || READ_ONCE(q->header->inbox);
}

static inline bool dln_ready(const struct dln_queue *q)
{
	/* Pairs with the release in dln_ioctl_setup(). */
	return smp_load_acquire(&q->count);
}

/* Was the clock set since a read(2) last told so? */
static inline bool dln_clock_news(const struct dln_queue *q)
{
	return READ_ONCE(q->clock_sets) != READ_ONCE(q->sets_told);
}

/*
 * Which file calls which: one names only those of a line below its own.
 *
 *	main
 *	queue, thread
 *	uring, fdinfo
 *	doorbell, read, clock_was_set
 *	expire
 *	inbox, wake
 *	look
 *	ring, tree, clock, limit
 *	share
 */
/* clock.c */
u64 dln_now_other(const struct dln_queue *q);
void dln_clock_open(struct dln_queue *q);
int dln_clock_setup(struct dln_queue *q, clockid_t clock);
/* clock_was_set.c */
void dln_clock_watch(struct dln_queue *q);
void dln_clock_unwatch(struct dln_queue *q);
bool dln_clock_any_untold(void);
bool dln_clock_tell(void);
void dln_clock_exit(void);
/* expire.c */
void __dln_pause(struct dln_queue *q, u64 until);
void __dln_program(struct dln_queue *q);
void dln_look_clock_set(struct dln_queue *q);
void dln_look_on_time(struct dln_queue *q, u32 index);
enum hrtimer_restart dln_interrupt(struct hrtimer *timer);
enum hrtimer_restart dln_resume(struct hrtimer *timer);
enum hrtimer_restart dln_turn(struct hrtimer *timer);
/* inbox.c */
unsigned int __dln_take_inbox(struct dln_queue *q, u64 now, unsigned int most,
			      bool interrupt);
/* fdinfo.c */
void dln_show_fdinfo(struct seq_file *m, struct file *file);
/* doorbell.c */
long dln_doorbell_locked(struct dln_queue *q);
long dln_doorbell(struct dln_queue *q);
/* read.c */
ssize_t dln_read_iter(struct kiocb *iocb, struct iov_iter *to);
/* wake.c */
extern struct task_struct *dln_thread;
void dln_wake_init(struct dln_queue *q, struct file *file);
void dln_wake(struct dln_queue *q);
void dln_wake_from_timer(struct dln_queue *q);
void dln_wake_clock_set(struct dln_queue *q);
void dln_wake_handed(void);
bool dln_wake_any_handed(void);
void dln_charge_thread(struct dln_queue *q, u64 start);
void dln_put(struct dln_queue *q);
void dln_wake_exit(void);
__poll_t dln_poll(struct file *file, struct poll_table_struct *table);
int dln_fasync(int fd, struct file *file, int on);
long dln_set_eventfd(struct dln_queue *q, int fd);
/* thread.c */
int dln_thread_start(void);
void dln_thread_stop(void);
/* uring.c */
int dln_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
u64 dln_uring_features(void);
void dln_uring_init(struct dln_queue *q);
/* limit.c */
u64 dln_period_min(void);
struct dln_user *dln_user_get(enum hrtimer_restart (*turn)(struct hrtimer *));
void dln_user_put(struct dln_user *user);
int dln_user_charge(struct dln_user *user, u32 slots);
void dln_user_uncharge(struct dln_user *user, u32 slots);
void dln_users_exit(void);
/*
 * On PREEMPT_RT a timer that is not marked HARD fires in a thread of the CPU on
 * which it was started, and a real-time task may keep that thread from running for
 * as long as it likes.
 */
static inline bool dln_by_thread(enum hrtimer_mode mode)
{
	return IS_ENABLED(CONFIG_PREEMPT_RT) && mode != HRTIMER_MODE_ABS_HARD;
}

/*
 * Has the time passed of a timer that such a thread serves? Then the next doorbell
 * starts it anew, on the CPU of its caller.
 */
static inline bool dln_overdue(struct hrtimer *timer, enum hrtimer_mode mode)
{
	return dln_by_thread(mode) && hrtimer_is_queued(timer) &&
	       hrtimer_get_expires(timer) <= hrtimer_cb_get_time(timer);
}

/* throttle.c */
void dln_charge_interrupt(struct dln_user *user, enum hrtimer_mode mode, u64 start,
			  unsigned int weight);
void dln_charge_refusal(struct dln_user *user, u64 now);
void dln_charge_work(struct dln_user *user, u64 start);
bool dln_paid(const struct dln_user *user, u64 now);
u64 dln_served_from(const struct dln_user *user);
void dln_line_join(struct dln_queue *q);
void dln_line_revive(struct dln_queue *q);
void dln_line_leave(struct dln_queue *q);
struct dln_queue *dln_line_next(struct dln_line *line);
void dln_line_done(struct dln_line *line);
int dln_throttle_init(struct dln_user *user,
		      enum hrtimer_restart (*turn)(struct hrtimer *));
void dln_throttle_exit(struct dln_user *user);
/* queue.c */
extern const struct file_operations dln_fops;

/*
 * Is there more in the bucket than it holds? Of this CPU; interrupts are off, or it
 * does not matter which one.
 */
static inline bool dln_over(const struct dln_user *user, u64 now)
{
	return raw_cpu_read(user->buckets->empty) > now + DLN_BURST;
}

/* The queue's clock, in ns, where @monotonic is CLOCK_MONOTONIC just read */
static inline u64 dln_now(const struct dln_queue *q, u64 monotonic)
{
	if (likely(q->clock == CLOCK_MONOTONIC))
		return monotonic + q->offset;
	return dln_now_other(q);
}

#endif
