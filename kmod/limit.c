// SPDX-License-Identifier: GPL-2.0
/*
 * Who the users are, and how many queues and slots in total each may have. What
 * their interrupts may take is in throttle.c.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include "dln.h"

static unsigned int user_slots = DEADLINE_SLOTS_MAX;
module_param(user_slots, uint, 0644);
MODULE_PARM_DESC(user_slots,
		 "Slots of all queues of one user (CAP_SYS_RESOURCE is exempt)");

static unsigned int user_queues = 16384;
module_param(user_queues, uint, 0644);
MODULE_PARM_DESC(user_queues,
		 "Queues of one user (CAP_SYS_RESOURCE is exempt)");

static unsigned int period_min = 10 * NSEC_PER_USEC;
module_param(period_min, uint, 0644);
MODULE_PARM_DESC(period_min, "Smallest period of a periodic slot, in ns");

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
	dln_throttle_exit(user);
	kfree(user);
}

static struct dln_user *
dln_user_new(kuid_t uid, enum hrtimer_restart (*turn)(struct hrtimer *))
{
	struct dln_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);

	if (!user)
		return NULL;
	if (dln_throttle_init(user, turn)) {
		kfree(user);
		return NULL;
	}
	user->uid = uid;
	hash_add(dln_users, &user->node, __kuid_val(uid));
	return user;
}

/*
 * Find the user, or NULL. A user who has closed the last queue is kept until the buckets
 * have run out: otherwise closing and opening again would empty them. Records of other
 * users that are no longer needed are freed here, if they are in the same hash bucket.
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
		else if (!user->queues && dln_paid(user, now))
			dln_user_free(user);
	}
	return found;
}

/*
 * The user ID for which the caller's queues are counted. In a user namespace one user
 * has many user IDs, so there it is the user who made the outermost one. If root made it,
 * for a container, it is the user who is root in the container; if that is root
 * outside, too, it is the caller's own user ID.
 */
static kuid_t dln_user_id(void)
{
	struct user_namespace *ns = current_user_ns();
	kuid_t root;

	if (ns == &init_user_ns)
		return current_uid();
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
		return ns->owner;
	root = make_kuid(ns, 0);
	return uid_valid(root) && !uid_eq(root, GLOBAL_ROOT_UID) ?
	       root : current_uid();
}

/*
 * The user for one more queue, to be put when that is closed, or -ENOMEM or -ENOSPC.
 * @turn: of the timers of a new one's lines
 */
struct dln_user *dln_user_get(enum hrtimer_restart (*turn)(struct hrtimer *))
{
	kuid_t uid = dln_user_id();
	struct dln_user *user;

	mutex_lock(&dln_users_mutex);
	user = dln_user_find(uid) ?: dln_user_new(uid, turn);
	if (!user)
		user = ERR_PTR(-ENOMEM);
	else if (user->queues >= READ_ONCE(user_queues) &&
		 !capable(CAP_SYS_RESOURCE))
		user = ERR_PTR(-ENOSPC);
	else
		user->queues++;
	mutex_unlock(&dln_users_mutex);
	return user;
}

void dln_user_put(struct dln_user *user)
{
	mutex_lock(&dln_users_mutex);
	user->queues--;
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
