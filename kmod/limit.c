// SPDX-License-Identifier: GPL-2.0
/*
 * What one user may take: slots in total, and interrupt time.
 *
 * Interrupt time is counted per user and CPU, and per CPU for all users, in
 * windows: who has used up his share is looked at again when the window ends. A
 * window is long, so that an honest burst passes; and since nothing is shared
 * between CPUs, counting costs the interrupt next to nothing.
 */
#include <linux/capability.h>
#include <linux/hashtable.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include "dln.h"

static unsigned int user_slots = DEADLINE_SLOTS_MAX;
module_param(user_slots, uint, 0644);
MODULE_PARM_DESC(user_slots,
		 "Slots of all queues of one user (CAP_SYS_RESOURCE is exempt)");

static unsigned int period_min = 10 * NSEC_PER_USEC;
module_param(period_min, uint, 0644);
MODULE_PARM_DESC(period_min, "Smallest period of a periodic slot, in ns");

static unsigned int user_share = 20;
module_param(user_share, uint, 0644);
MODULE_PARM_DESC(user_share,
		 "Percent of a CPU that the interrupts of one user may take");

static unsigned int cpu_share = 50;
module_param(cpu_share, uint, 0644);
MODULE_PARM_DESC(cpu_share,
		 "Percent of a CPU that the interrupts of all users may take");

#define DLN_WINDOW	(10 * NSEC_PER_MSEC)
/* What an interrupt costs before and after the part that we can time */
#define DLN_ENTRY	(3 * NSEC_PER_USEC / 2)

/**
 * struct dln_spent - interrupt time of one CPU, written by its interrupts only
 * @window: when the window began, CLOCK_MONOTONIC
 * @ns: spent since
 */
struct dln_spent {
	u64 window;
	u64 ns;
};

static DEFINE_PER_CPU(struct dln_spent, dln_all);

/**
 * struct dln_user - somebody who has queues open, or had just now
 * @node: in dln_users
 * @uid: who
 * @queues: how many; under dln_users_mutex
 * @slots: of all queues; under dln_users_mutex
 * @left: when the last one was closed, CLOCK_MONOTONIC
 * @spent: per CPU
 */
struct dln_user {
	struct hlist_node node;
	kuid_t uid;
	unsigned long queues;
	u64 slots;
	u64 left;
	struct dln_spent __percpu *spent;
};

static DEFINE_HASHTABLE(dln_users, 8);
static DEFINE_MUTEX(dln_users_mutex);

u64 dln_period_min(void)
{
	/* A word's deadline must change with each period. */
	return max_t(u64, READ_ONCE(period_min), DEADLINE_GRAIN);
}

static void dln_user_free(struct dln_user *user)
{
	hash_del(&user->node);
	free_percpu(user->spent);
	kfree(user);
}

static struct dln_user *dln_user_new(kuid_t uid)
{
	struct dln_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);

	if (!user)
		return NULL;
	user->spent = alloc_percpu_gfp(struct dln_spent, GFP_KERNEL_ACCOUNT);
	if (!user->spent) {
		kfree(user);
		return NULL;
	}
	user->uid = uid;
	hash_add(dln_users, &user->node, __kuid_val(uid));
	return user;
}

/*
 * Who closes his last queue is remembered for a window more, or closing and
 * opening would be a way to a new share. Then whoever comes by here forgets him.
 */
static struct dln_user *dln_user_find(kuid_t uid)
{
	struct dln_user *user, *found = NULL;
	u64 now = ktime_get_ns();
	struct hlist_node *next;

	hash_for_each_possible_safe(dln_users, user, next, node,
				    __kuid_val(uid)) {
		if (uid_eq(user->uid, uid))
			found = user;
		else if (!user->queues && now - user->left >= DLN_WINDOW)
			dln_user_free(user);
	}
	return found ?: dln_user_new(uid);
}

struct dln_user *dln_user_get(kuid_t uid)
{
	struct dln_user *user;

	mutex_lock(&dln_users_mutex);
	user = dln_user_find(uid);
	if (user)
		user->queues++;
	mutex_unlock(&dln_users_mutex);
	return user;
}

void dln_user_put(struct dln_user *user)
{
	mutex_lock(&dln_users_mutex);
	if (!--user->queues)
		user->left = ktime_get_ns();
	mutex_unlock(&dln_users_mutex);
}

int dln_user_charge(struct dln_user *user, u32 slots)
{
	int ret = 0;

	mutex_lock(&dln_users_mutex);
	if (user->slots + slots > READ_ONCE(user_slots) &&
	    !capable(CAP_SYS_RESOURCE))
		ret = -ENOSPC;
	else
		user->slots += slots;
	mutex_unlock(&dln_users_mutex);
	return ret;
}

void dln_user_uncharge(struct dln_user *user, u32 slots)
{
	mutex_lock(&dln_users_mutex);
	user->slots -= slots;
	mutex_unlock(&dln_users_mutex);
}

void dln_users_exit(void)
{
	struct hlist_node *next;
	struct dln_user *user;
	int bucket;

	hash_for_each_safe(dln_users, bucket, next, user, node)
		dln_user_free(user);
}

/*
 * Add to what was spent. Returns when the window ends if that is the @share, in
 * percent, else 0. What went beyond counts for the windows that follow.
 */
static u64 dln_spend(struct dln_spent *spent, u64 now, u64 ns,
		     unsigned int share)
{
	u64 most = DLN_WINDOW / 100 * share;
	u64 windows = (now - spent->window) / DLN_WINDOW;

	if (windows) {
		spent->window = now;
		spent->ns -= min(spent->ns, most * windows);
	}
	spent->ns += ns;
	return spent->ns < most ? 0 : spent->window + DLN_WINDOW;
}

static bool dln_over(const struct dln_spent *spent, u64 now, unsigned int share)
{
	return now - spent->window < DLN_WINDOW &&
	       spent->ns >= DLN_WINDOW / 100 * share;
}

/*
 * Is the share of @user, or of all, spent already, before the interrupt that
 * asks is counted? Then it is to end soon: there may be any number of queues
 * that are due at one instant. CLOCK_MONOTONIC; irqs are off.
 */
bool dln_spent(const struct dln_user *user, u64 now)
{
	return dln_over(this_cpu_ptr(&dln_all), now, READ_ONCE(cpu_share)) ||
	       dln_over(this_cpu_ptr(user->spent), now, READ_ONCE(user_share));
}

/*
 * Count an interrupt for @user that began at @start and ends now. Returns before
 * what time the queue should not be looked at, or 0. All is CLOCK_MONOTONIC; irqs
 * are off.
 */
u64 dln_charge(struct dln_user *user, u64 start)
{
	u64 end = ktime_get_ns();
	u64 ns = end - start + DLN_ENTRY;
	u64 all, own;

	all = dln_spend(this_cpu_ptr(&dln_all), end, ns, READ_ONCE(cpu_share));
	own = dln_spend(this_cpu_ptr(user->spent), end, ns,
			READ_ONCE(user_share));
	return max(all, own);
}
