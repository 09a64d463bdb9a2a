// SPDX-License-Identifier: GPL-2.0
/*
 * How much of each CPU the interrupts of one user may take, and those of all.
 *
 * Each user has a leaky bucket per CPU. What his interrupts cost flows in, wake-ups
 * and work items included; it runs out at the rate of user_share; and it holds a
 * burst, what runs out in 10 ms. While there is more in it, none of his interrupts
 * looks at a slot: the queue joins the user's line instead, where one timer serves
 * one queue at a time, each when the bucket has run out to the brim. So pauses are
 * in proportion to what was spent, a debt is paid off however large it is, and no
 * two queues of a user end their pause at one instant.
 *
 * All users together have a bucket per CPU too, which runs out at the rate of
 * cpu_share. It stops nobody. While it is above its brim, what an interrupt costs
 * counts for more in its user's bucket, by as much as it is above: those who take
 * much are served more rarely, until all fit, and somebody who takes little still
 * has room in a bucket of his own.
 *
 * A bucket is kept as the time at which it will be empty if nothing more flows in,
 * CLOCK_MONOTONIC. Nothing is shared between CPUs but the line, so counting costs
 * the interrupt next to nothing.
 */
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include "compat.h"
#include "dln.h"

static unsigned int user_share = 20;
module_param(user_share, uint, 0644);
MODULE_PARM_DESC(user_share,
		 "Percent of a CPU that the interrupts of one user may take");

static unsigned int cpu_share = 50;
module_param(cpu_share, uint, 0644);
MODULE_PARM_DESC(cpu_share,
		 "Percent of a CPU that the interrupts of all users may take");

/* What an interrupt costs before and after the part that we can time */
#define DLN_ENTRY	1450	/* ns */
/* The same where a thread has to be woken for that part, and runs it */
#define DLN_ENTRY_THREAD	6800	/* ns */
/*
 * A virtual machine may have been stopped in the midst of an interrupt or of a piece of
 * work, so no more than this is charged for one.
 */
#define DLN_CHARGE_MAX		(100 * NSEC_PER_MSEC)
/*
 * An interrupt lasts longer than this if the machine was stopped in it, or if it woke
 * some thousand epoll entries. Nobody can tell which, so what it took is forgiven if
 * that is rare: if in the user's bucket of what he was forgiven, which runs out at
 * DLN_FORGIVEN_SHARE percent of the time, is no more than runs out in DLN_FORGIVEN.
 */
#define DLN_INTERRUPT_MAX	NSEC_PER_MSEC
#define DLN_FORGIVEN		NSEC_PER_SEC
#define DLN_FORGIVEN_SHARE	1

static DEFINE_PER_CPU(u64, dln_all);

/*
 * Turns of different users begin so far apart on a CPU, and no sooner than as long after
 * one as that took. Where the third timer in a row is due when the one before it has been
 * served, Linux 7.2 takes that for a hang: no timer of the CPU fires for as long as the
 * longest such row has ever lasted there. A thread that serves timers has no such rule.
 */
#define DLN_TURNS_APART		(25 * NSEC_PER_USEC)

/**
 * struct dln_turns - when the next user has a turn on a CPU
 * @from: not before, unless his line has reserved an earlier time
 * @last: whose turn was the last
 */
struct dln_turns {
	u64 from;
	const struct dln_line *last;
};

static DEFINE_PER_CPU(struct dln_turns, dln_turns);

static void dln_pour(u64 *empty, u64 now, u64 ns, unsigned int share)
{
	*empty = max(*empty, now) + ns * 100 / max(share, 1u);
}

/*
 * @user's interrupts, or what they left to be done, took @ns until @now. What was in
 * the bucket of all before that decides for how much it counts: else a single long
 * one, as when a virtual machine is stopped in it, counted manifold without anybody
 * having taken much.
 */
static void dln_charge(struct dln_user *user, u64 now, u64 ns)
{
	unsigned long flags;
	u64 *empty, all;

	local_irq_save(flags);
	empty = this_cpu_ptr(&dln_all);
	all = max(*empty, now) - now;
	dln_pour(empty, now, ns, READ_ONCE(cpu_share));
	if (all > DLN_BURST)
		ns = ns * (all / NSEC_PER_USEC) / (DLN_BURST / NSEC_PER_USEC);
	dln_pour(this_cpu_ptr(&user->buckets->empty), now, ns, READ_ONCE(user_share));
	local_irq_restore(flags);
}

/* The same for a piece of work that began at @start and ends now */
void dln_charge_work(struct dln_user *user, u64 start)
{
	u64 now = ktime_get_ns();

	dln_charge(user, now, min_t(u64, now - start, DLN_CHARGE_MAX));
}

/* What is to be charged for a long interrupt of @ns that stands for @weight like it */
static u64 dln_unforgiven(struct dln_user *user, u64 now, u64 ns, unsigned int weight)
{
	unsigned long flags;
	u64 *forgiven;

	ns = min_t(u64, ns, DLN_CHARGE_MAX);
	local_irq_save(flags);
	forgiven = this_cpu_ptr(&user->buckets->forgiven);
	if (max(*forgiven, now) - now <= DLN_FORGIVEN) {
		dln_pour(forgiven, now, ns * weight, DLN_FORGIVEN_SHARE);
		ns = 0;
	}
	local_irq_restore(flags);
	return ns;
}

static u64 dln_entry(enum hrtimer_mode mode)
{
	return dln_by_thread(mode) ? DLN_ENTRY_THREAD : DLN_ENTRY;
}

/* For an interrupt that began at @start and ends now, @weight times */
void dln_charge_interrupt(struct dln_user *user, enum hrtimer_mode mode, u64 start,
			  unsigned int weight)
{
	u64 now = ktime_get_ns();
	u64 ns = now - start;

	if (unlikely(ns > DLN_INTERRUPT_MAX))
		ns = dln_unforgiven(user, now, ns, weight);
	dln_charge(user, now, (ns + dln_entry(mode)) * weight);
}

/* For one that was turned away at @now */
void dln_charge_refusal(struct dln_user *user, u64 now)
{
	dln_charge(user, now, DLN_ENTRY);
}

/* When will @user's bucket on this CPU be empty? Any CPU, if interrupts are on. */
static u64 dln_empty_at(const struct dln_user *user)
{
	return raw_cpu_read(user->buckets->empty);
}

/* And no more than full? */
u64 dln_served_from(const struct dln_user *user)
{
	return max_t(u64, dln_empty_at(user), DLN_BURST) - DLN_BURST;
}

/* Has he paid for everything, and for what he was forgiven? He has no queue any more. */
bool dln_paid(const struct dln_user *user, u64 now)
{
	const struct dln_buckets *buckets;
	int cpu;

	for_each_possible_cpu(cpu) {
		buckets = per_cpu_ptr(user->buckets, cpu);
		if (buckets->empty > now || buckets->forgiven > now)
			return false;
	}
	return true;
}

static struct dln_line *dln_line_of(const struct dln_queue *q)
{
	return &q->user->lines[q->mode == HRTIMER_MODE_ABS_HARD];
}

static void dln_line_start(struct dln_line *line, u64 soonest)
{
	u64 when = max(dln_served_from(line->user), soonest);

	lockdep_assert_held(&line->lock);
	line->reserved = false;
	hrtimer_start(&line->timer, ns_to_ktime(when), line->mode);
}

/*
 * With q->lock held: the queue is served when its turn has come. It may stand in the
 * line already, where a clock set had it served before its turn.
 */
void dln_line_join(struct dln_queue *q)
{
	struct dln_line *line = dln_line_of(q);

	raw_spin_lock(&line->lock);
	if (list_empty(&line->queues) && !line->serving)
		dln_line_start(line, 0);
	if (list_empty(&q->turn))
		list_add_tail(&q->turn, &line->queues);
	raw_spin_unlock(&line->lock);
}

/*
 * With q->lock held, by a doorbell: where a thread keeps the line's time, and that
 * thread does not run, this CPU's does it.
 */
void dln_line_revive(struct dln_queue *q)
{
	struct dln_line *line = dln_line_of(q);

	raw_spin_lock(&line->lock);
	if (!list_empty(&q->turn) && dln_overdue(&line->timer, line->mode))
		hrtimer_start(&line->timer, hrtimer_get_expires(&line->timer),
			      line->mode);
	raw_spin_unlock(&line->lock);
}

/* Does another user's turn still keep the CPU? Then reserve the next time there. */
static bool dln_line_waits(struct dln_line *line, u64 now)
{
	struct dln_turns *turns;

	lockdep_assert_held(&line->lock);
	if (dln_by_thread(line->mode))
		return false;
	turns = this_cpu_ptr(&dln_turns);
	if (!line->reserved && turns->last != line && now < turns->from) {
		dln_line_start(line, turns->from);
		line->reserved = true;
		turns->from += DLN_TURNS_APART;
		dln_charge(line->user, now, DLN_ENTRY);
		return true;
	}
	if (!line->reserved)
		turns->from = max(turns->from, now + DLN_TURNS_APART);
	line->reserved = false;
	turns->last = line;
	return false;
}

/* It began at @from, and is over now: the next user's is not before as long a time. */
static void dln_turn_over(u64 from)
{
	struct dln_turns *turns = this_cpu_ptr(&dln_turns);
	u64 now = ktime_get_ns();

	turns->from = max(turns->from, now + (now - from));
}

/*
 * The line's timer fired: whose turn is it? NULL if it is too early, as more was
 * spent since the timer was started, or others have their turns. To be followed by
 * dln_line_done().
 */
struct dln_queue *dln_line_next(struct dln_line *line)
{
	u64 now = ktime_get_ns();
	struct dln_queue *q;
	unsigned long flags;

	raw_spin_lock_irqsave(&line->lock, flags);
	q = list_first_entry_or_null(&line->queues, struct dln_queue, turn);
	if (q && dln_served_from(line->user) > now) {
		dln_line_start(line, 0);
		q = NULL;
	}
	if (q && dln_line_waits(line, now))
		q = NULL;
	if (q)
		list_del_init(&q->turn);
	line->serving = q;
	line->from = now;
	line->empty = max(dln_empty_at(line->user), now);
	raw_spin_unlock_irqrestore(&line->lock, flags);
	return q;
}

/*
 * It was served: charge for that, then it is the next one's turn. Not before what
 * this one took has run out again, even if there is room in the bucket: several
 * users who caught up at once would hold the CPU.
 */
void dln_line_done(struct dln_line *line)
{
	unsigned long flags;
	u64 empty;

	dln_charge_interrupt(line->user, line->mode, line->from, 1);
	raw_spin_lock_irqsave(&line->lock, flags);
	if (!dln_by_thread(line->mode))
		dln_turn_over(line->from);
	line->serving = NULL;
	empty = dln_empty_at(line->user);
	if (!list_empty(&line->queues))
		dln_line_start(line, line->from +
				     (empty > line->empty ?
				      empty - line->empty : 0));
	raw_spin_unlock_irqrestore(&line->lock, flags);
}

/*
 * The queue has no node to be looked at any more, so whoever serves it does not
 * have it join again. It may be being served now: wait for the end of that.
 */
void dln_line_leave(struct dln_queue *q)
{
	struct dln_line *line = dln_line_of(q);
	bool serving;

	raw_spin_lock_irq(&line->lock);
	list_del_init(&q->turn);
	serving = line->serving == q;
	raw_spin_unlock_irq(&line->lock);
	if (!serving)
		return;
	hrtimer_cancel(&line->timer);
	raw_spin_lock_irq(&line->lock);
	if (!list_empty(&line->queues) && !line->serving)
		dln_line_start(line, 0);
	raw_spin_unlock_irq(&line->lock);
}

static void dln_line_init(struct dln_line *line, struct dln_user *user,
			  enum hrtimer_mode mode,
			  enum hrtimer_restart (*turn)(struct hrtimer *))
{
	raw_spin_lock_init(&line->lock);
	INIT_LIST_HEAD(&line->queues);
	line->user = user;
	line->mode = mode;
	hrtimer_setup(&line->timer, turn, CLOCK_MONOTONIC, mode);
}

int dln_throttle_init(struct dln_user *user,
		      enum hrtimer_restart (*turn)(struct hrtimer *))
{
	user->buckets = alloc_percpu_gfp(struct dln_buckets, GFP_KERNEL_ACCOUNT);
	if (!user->buckets)
		return -ENOMEM;
	dln_line_init(&user->lines[0], user, HRTIMER_MODE_ABS, turn);
	dln_line_init(&user->lines[1], user, HRTIMER_MODE_ABS_HARD, turn);
	return 0;
}

/* Nobody is in a line, but a timer may still be started. */
void dln_throttle_exit(struct dln_user *user)
{
	hrtimer_cancel(&user->lines[0].timer);
	hrtimer_cancel(&user->lines[1].timer);
	free_percpu(user->buckets);
}
