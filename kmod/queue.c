// SPDX-License-Identifier: GPL-2.0
/*
 * The queue as a file: open, SETUP, mmap, release, and the ioctl switch.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "compat.h"
#include "dln.h"

#define DLN_FEATURES \
	(DEADLINE_FEATURE_WORD | DEADLINE_FEATURE_PERIODIC | \
	 DEADLINE_FEATURE_SLACK | DEADLINE_FEATURE_CLOCKS | \
	 DEADLINE_FEATURE_SIGNAL)
/* Whole pages of slots; the header has the first page to itself. */
#define DLN_PAGE_SLOTS	(PAGE_SIZE / sizeof(struct deadline_slot))
#define DLN_SLOTS_AT	PAGE_SIZE
#define DLN_RING_AT	ALIGN(sizeof(struct deadline_status), 128)

static_assert(sizeof(struct deadline_slot) == 64);
static_assert(offsetof(struct deadline_slot, word) == 0);
static_assert(offsetof(struct deadline_slot, user_data) == 8);
static_assert(offsetof(struct deadline_slot, slack) == 16);
static_assert(offsetof(struct deadline_slot, flags) == 20);
static_assert(offsetof(struct deadline_slot, period) == 24);
static_assert(offsetof(struct deadline_slot, queued) == 32);
static_assert(offsetof(struct deadline_slot, expired_at) == 40);
static_assert(offsetof(struct deadline_slot, overruns) == 48);
static_assert(offsetof(struct deadline_slot, owner) == 56);
static_assert(sizeof(struct deadline_header) == 128);
static_assert(offsetof(struct deadline_status, interrupts) == 128);
static_assert(sizeof(struct deadline_entry) == 8);
static_assert(sizeof(struct deadline_expiry) == 32);
static_assert(offsetof(struct deadline_status, late) == 208);
static_assert(sizeof(struct deadline_setup) == 72);
static_assert(sizeof(struct deadline_doorbell) == 16);
static_assert(sizeof(struct deadline_wait) == 16);

/*
 * On PREEMPT_RT only whom the administrator trusts may have hard interrupts, by
 * the rule that the kernel has for sleepers. Elsewhere all timers have them, and
 * none is marked: lockdep takes a mark as a promise of what PREEMPT_RT wants.
 */
static enum hrtimer_mode dln_mode(void)
{
	return IS_ENABLED(CONFIG_PREEMPT_RT) &&
	       (rt_or_dl_task_policy(current) || capable(CAP_SYS_NICE)) ?
	       HRTIMER_MODE_ABS_HARD : HRTIMER_MODE_ABS;
}

static u64 dln_features(const struct dln_queue *q)
{
	bool hard = !IS_ENABLED(CONFIG_PREEMPT_RT) ||
		    q->mode == HRTIMER_MODE_ABS_HARD;

	return DLN_FEATURES | dln_uring_features() |
	       (hard ? DEADLINE_FEATURE_HARD : 0);
}

static int dln_open(struct inode *inode, struct file *file)
{
	static atomic_t ids;
	struct dln_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q)
		return -ENOMEM;
	q->user = dln_user_get(current_uid());
	if (!q->user) {
		kfree(q);
		return -ENOMEM;
	}
	q->id = atomic_inc_return(&ids);
	raw_spin_lock_init(&q->lock);
	mutex_init(&q->mutex);
	q->tree = RB_ROOT;
	q->tail = 1;
	q->programmed = DEADLINE_QUEUED_NEVER;
	q->mode = dln_mode();
	hrtimer_setup(&q->resume, dln_resume, CLOCK_MONOTONIC, q->mode);
	dln_clock_open(q);
	dln_wake_init(q, file);
	dln_uring_init(q);
	file->private_data = q;
	file->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, file);
}

static void dln_free(struct dln_queue *q)
{
	vfree(q->nodes);
	vfree(q->status);
	vfree(q->header);
	q->nodes = NULL;
	q->status = NULL;
	q->header = NULL;
	dln_user_uncharge(q->user, q->charged);
	q->charged = 0;
}

/* No fd, no mapping, so no doorbell. */
static void dln_stop(struct dln_queue *q)
{
	dln_clock_unwatch(q);
	/* With nothing to be looked at, neither timer starts the other. */
	raw_spin_lock_irq(&q->lock);
	q->first = NULL;
	raw_spin_unlock_irq(&q->lock);
	hrtimer_cancel(&q->timer);
	hrtimer_cancel(&q->resume);
}

static int dln_release(struct inode *inode, struct file *file)
{
	struct dln_queue *q = file->private_data;

	if (q->count)
		dln_stop(q);
	dln_wake_release(q);
	dln_free(q);
	dln_user_put(q->user);
	mutex_destroy(&q->mutex);
	kfree(q);
	return 0;
}

/*
 * Zeroed pages for the program to map, charged to its memory cgroup. How many is
 * the program's to say: too many are an error, no reason to kill somebody or to
 * fill the log.
 */
static void *dln_alloc(size_t size)
{
	return __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO |
			 __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
}

static int dln_setup_check(const struct dln_queue *q,
			   const struct deadline_setup *setup)
{
	if (!setup->slots || setup->slots > DEADLINE_SLOTS_MAX || setup->flags)
		return -EINVAL;
	if (setup->ring_size || setup->shared_size || setup->slots_offset ||
	    setup->status_offset || setup->status_size || setup->ring_offset ||
	    setup->period_min)
		return -EINVAL;
	if (setup->features & ~dln_features(q))
		return -EOPNOTSUPP;
	return 0;
}

static int dln_setup(struct dln_queue *q, struct deadline_setup *setup)
{
	u32 i, count, ring_size;
	int ret = dln_setup_check(q, setup);

	if (ret)
		return ret;
	if (q->count)
		return -EBUSY;
	ret = dln_clock_setup(q, setup->clock);
	if (ret)
		return ret;
	count = round_up(setup->slots, DLN_PAGE_SLOTS);
	ret = dln_user_charge(q->user, count);
	if (ret)
		return ret;
	q->charged = count;
	ring_size = roundup_pow_of_two(count);
	q->shared_size = DLN_SLOTS_AT + count * sizeof(struct deadline_slot);
	q->status_size = PAGE_ALIGN(DLN_RING_AT + ring_size *
				    sizeof(struct deadline_entry));

	q->header = dln_alloc(q->shared_size);
	q->status = dln_alloc(q->status_size);
	q->nodes = dln_alloc(array_size(count, sizeof(struct dln_node)));
	if (!q->header || !q->status || !q->nodes) {
		dln_free(q);
		return -ENOMEM;
	}

	q->slots = (void *)q->header + DLN_SLOTS_AT;
	q->ring = (void *)q->status + DLN_RING_AT;
	q->ring_size = ring_size;
	q->header->head = q->tail;
	q->status->tail = q->tail;
	for (i = 0; i < count; i++) {
		q->slots[i].queued = DEADLINE_QUEUED_NEVER;
		if (i % DLN_PAGE_SLOTS == 0)
			cond_resched();
	}

	setup->slots = count;
	setup->ring_size = ring_size;
	setup->features = dln_features(q);
	setup->shared_size = q->shared_size;
	setup->slots_offset = DLN_SLOTS_AT;
	setup->status_offset = q->shared_size;
	setup->status_size = q->status_size;
	setup->ring_offset = q->shared_size + DLN_RING_AT;
	setup->period_min = dln_period_min();
	return 0;
}

static long dln_ioctl_setup(struct dln_queue *q, void __user *arg, size_t size)
{
	struct deadline_setup setup;
	int ret;

	if (size < sizeof(setup))
		return -EINVAL;
	ret = copy_struct_from_user(&setup, sizeof(setup), arg, size);
	if (ret)
		return ret;
	if (mutex_lock_interruptible(&q->mutex))
		return -ERESTARTSYS;
	ret = dln_setup(q, &setup);
	if (!ret && copy_to_user(arg, &setup, sizeof(setup))) {
		dln_free(q);
		ret = -EFAULT;
	}
	if (!ret) {
		/* Pairs with dln_ready(): who sees it sees all of the queue. */
		smp_store_release(&q->count, setup.slots);
		dln_clock_watch(q);
	}
	mutex_unlock(&q->mutex);
	return ret;
}

static long dln_ioctl_doorbell(struct dln_queue *q, void __user *arg)
{
	struct deadline_doorbell bell;

	if (copy_from_user(&bell, arg, sizeof(bell)))
		return -EFAULT;
	return dln_ring_many(q, &bell);
}

static long dln_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dln_queue *q = file->private_data;

	/* The only one whose argument may grow */
	if (_IOC_TYPE(cmd) == DEADLINE_IOC_MAGIC &&
	    _IOC_NR(cmd) == _IOC_NR(DEADLINE_IOC_SETUP) &&
	    _IOC_DIR(cmd) == _IOC_DIR(DEADLINE_IOC_SETUP))
		return dln_ioctl_setup(q, (void __user *)arg, _IOC_SIZE(cmd));
	if (!dln_ready(q))
		return -EBADFD;

	switch (cmd) {
	case DEADLINE_IOC_RING:
		return arg < q->count ? dln_ring_one(q, arg) : -EINVAL;
	case DEADLINE_IOC_DOORBELL:
		return dln_ioctl_doorbell(q, (void __user *)arg);
	case DEADLINE_IOC_EVENTFD:
		return dln_set_eventfd(q, arg);
	default:
		return -ENOIOCTLCMD;
	}
}

static void dln_show_counter(struct seq_file *m, const char *name,
			     const __u64 *counter)
{
	/* Others are counting: any of the values that it has had will do. */
	seq_printf(m, "deadline-%s:\t%llu\n", name, data_race(*counter));
}

static void dln_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct dln_queue *q = file->private_data;
	const struct deadline_status *status;

	seq_printf(m, "deadline-queue:\t%u\n", q->id);
	if (!dln_ready(q))
		return;
	status = q->status;
	seq_printf(m, "deadline-clock:\t%d\n", q->clock);
	seq_printf(m, "deadline-slots:\t%u\n", q->count);
	seq_printf(m, "deadline-pending:\t%llu\n", dln_waiting(q));
	dln_show_counter(m, "interrupts", &status->interrupts);
	dln_show_counter(m, "expired", &status->expired);
	dln_show_counter(m, "moved", &status->moved);
	dln_show_counter(m, "dropped", &status->dropped);
	dln_show_counter(m, "contended", &status->contended);
	dln_show_counter(m, "full", &status->full);
	dln_show_counter(m, "doorbells", &status->doorbells);
	dln_show_counter(m, "longest", &status->longest);
	dln_show_counter(m, "throttled", &status->throttled);
	dln_show_counter(m, "clock_sets", &status->clock_sets);
}

static int dln_map(struct vm_area_struct *vma, void *from)
{
	unsigned long addr;
	int ret;

	vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP,
		     VM_MAYEXEC);
	for (addr = vma->vm_start; addr < vma->vm_end; addr += PAGE_SIZE) {
		ret = vm_insert_page(vma, addr, vmalloc_to_page(from));
		if (ret)
			return ret;
		from += PAGE_SIZE;
	}
	return 0;
}

/* All pages at once: no load of a word ever faults */
static int dln_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dln_queue *q = file->private_data;
	size_t size = vma->vm_end - vma->vm_start;

	if (!dln_ready(q))
		return -EBADFD;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (vma->vm_pgoff == 0 && size == q->shared_size)
		return dln_map(vma, q->header);
	if (vma->vm_pgoff == q->shared_size >> PAGE_SHIFT &&
	    size == q->status_size) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		vm_flags_mod(vma, 0, VM_MAYWRITE);
		return dln_map(vma, q->status);
	}
	return -EINVAL;
}

const struct file_operations dln_fops = {
	.owner		= THIS_MODULE,
	.open		= dln_open,
	.release	= dln_release,
	.unlocked_ioctl	= dln_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= dln_mmap,
	.read_iter	= dln_read_iter,
	.poll		= dln_poll,
	.fasync		= dln_fasync,
	.uring_cmd	= dln_uring_cmd,
	.show_fdinfo	= dln_show_fdinfo,
	.llseek		= noop_llseek,
};
