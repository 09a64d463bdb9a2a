// SPDX-License-Identifier: GPL-2.0
/*
 * The queue as a file: open, SETUP, mmap, release, and the ioctl switch.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "compat.h"
#include "trace.h"

#define DLN_FEATURES \
	(DEADLINE_FEATURE_WORD | DEADLINE_FEATURE_PERIODIC | \
	 DEADLINE_FEATURE_SLACK | DEADLINE_FEATURE_CLOCKS | \
	 DEADLINE_FEATURE_SIGNAL)
/* Whole pages of slots; before them come the header and the periods. */
#define DLN_PAGE_SLOTS	(PAGE_SIZE / sizeof(struct deadline_slot))
#define DLN_PERIODS_AT	sizeof(struct deadline_header)
#define DLN_RING_AT	ALIGN(sizeof(struct deadline_status), 128)

static_assert(sizeof(struct deadline_slot) == 64);
static_assert(offsetof(struct deadline_slot, word) == 0);
static_assert(offsetof(struct deadline_slot, user_data) == 8);
static_assert(offsetof(struct deadline_slot, slack) == 16);
static_assert(offsetof(struct deadline_slot, flags) == 20);
static_assert(offsetof(struct deadline_slot, deadline) == 24);
static_assert(offsetof(struct deadline_slot, queued) == 32);
static_assert(offsetof(struct deadline_slot, expired_at) == 40);
static_assert(offsetof(struct deadline_slot, overruns) == 48);
static_assert(offsetof(struct deadline_slot, link) == 52);
static_assert(offsetof(struct deadline_slot, owner) == 56);
static_assert(sizeof(struct deadline_header) == 256);
static_assert(offsetof(struct deadline_header, inbox) == 128);
static_assert(offsetof(struct deadline_status, wake) == 64);
static_assert(offsetof(struct deadline_status, interrupts) == 128);
static_assert(sizeof(struct deadline_entry) == 4);
static_assert(sizeof(struct deadline_expiry) == 32);
static_assert(offsetof(struct deadline_status, late) == 256);
static_assert(sizeof(struct deadline_setup) == 88);
static_assert(DEADLINE_SLOTS_MAX <= DEADLINE_INBOX_SLOT);
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
	struct dln_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q)
		return -ENOMEM;
	q->user = dln_user_get(dln_turn);
	if (IS_ERR(q->user)) {
		int ret = PTR_ERR(q->user);

		kfree(q);
		return ret;
	}
	/* Random: a number that counts would show how many queues others open. */
	q->id = get_random_u32() ?: 1;
	q->opener = get_pid(task_tgid(current));
	raw_spin_lock_init(&q->lock);
	mutex_init(&q->mutex);
	q->tree = RB_ROOT;
	q->tail = 1;
	q->programmed = DEADLINE_QUEUED_NEVER;
	q->wake = DEADLINE_QUEUED_NEVER;
	INIT_LIST_HEAD(&q->turn);
	q->mode = dln_mode();
	hrtimer_setup(&q->resume, dln_resume, CLOCK_MONOTONIC, q->mode);
	dln_clock_open(q);
	dln_wake_init(q, file);
	dln_uring_init(q);
	file->private_data = q;
	file->f_mode |= FMODE_NOWAIT;
	trace_dln_open(q);
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

/*
 * There is no descriptor and no mapping any more, so no doorbell can come. From the lock
 * on no interrupt starts a timer, nor joins a line, whatever the pages have in them.
 */
static void dln_stop(struct dln_queue *q)
{
	dln_clock_unwatch(q);
	raw_spin_lock_irq(&q->lock);
	q->closed = true;
	q->paused = true;
	raw_spin_unlock_irq(&q->lock);
	dln_line_leave(q);
	hrtimer_cancel(&q->timer);
	hrtimer_cancel(&q->resume);
}

static int dln_release(struct inode *inode, struct file *file)
{
	struct dln_queue *q = file->private_data;

	trace_dln_close(q);
	if (q->count)
		dln_stop(q);
	cancel_work_sync(&q->group_work);
	dln_free(q);
	dln_user_put(q->user);
	mutex_destroy(&q->mutex);
	dln_put(q);
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
	    setup->period_min || setup->periods_offset || setup->slot_stride ||
	    setup->entry_stride)
		return -EINVAL;
	if (setup->features & ~dln_features(q))
		return -EOPNOTSUPP;
	return 0;
}

static int dln_setup(struct dln_queue *q, struct deadline_setup *setup)
{
	size_t slots_at;
	u32 i, count, ring_size;
	int ret = dln_setup_check(q, setup);

	if (ret)
		return ret;
	if (q->count)
		return -EBUSY;
	ret = dln_clock_setup(q, setup->clock);
	if (ret)
		return ret;
	hrtimer_setup(&q->timer, dln_interrupt, q->clock, q->mode);
	count = round_up(setup->slots, DLN_PAGE_SLOTS);
	ret = dln_user_charge(q->user, count);
	if (ret)
		return ret;
	q->charged = count;
	ring_size = roundup_pow_of_two(count);
	slots_at = PAGE_ALIGN(DLN_PERIODS_AT + count * sizeof(u64));
	q->shared_size = slots_at + count * sizeof(struct deadline_slot);
	q->status_size = PAGE_ALIGN(DLN_RING_AT + ring_size *
				    sizeof(struct deadline_entry));

	q->header = dln_alloc(q->shared_size);
	q->status = dln_alloc(q->status_size);
	q->nodes = dln_alloc(array_size(count, sizeof(struct dln_node)));
	if (!q->header || !q->status || !q->nodes) {
		dln_free(q);
		return -ENOMEM;
	}

	q->periods = (void *)q->header + DLN_PERIODS_AT;
	q->slots = (void *)q->header + slots_at;
	q->ring = (void *)q->status + DLN_RING_AT;
	q->ring_size = ring_size;
	q->header->head = q->tail;
	q->status->tail = q->tail;
	q->status->wake = q->wake;
	for (i = 0; i < count; i++) {
		q->slots[i].queued = DEADLINE_QUEUED_NEVER;
		if (i % DLN_PAGE_SLOTS == 0)
			cond_resched();
	}

	setup->slots = count;
	setup->ring_size = ring_size;
	setup->features = dln_features(q);
	setup->shared_size = q->shared_size;
	setup->slots_offset = slots_at;
	setup->periods_offset = DLN_PERIODS_AT;
	setup->status_offset = q->shared_size;
	setup->status_size = q->status_size;
	setup->ring_offset = q->shared_size + DLN_RING_AT;
	setup->period_min = dln_period_min();
	setup->slot_stride = sizeof(struct deadline_slot);
	setup->entry_stride = sizeof(struct deadline_entry);
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
		/* Pairs with dln_ready(): a thread that sees it sees the whole queue. */
		smp_store_release(&q->count, setup.slots);
		trace_dln_setup(q);
		dln_clock_watch(q);
	}
	mutex_unlock(&q->mutex);
	return ret;
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
	case DEADLINE_IOC_DOORBELL:
		return arg ? -EINVAL : dln_doorbell(q);
	case DEADLINE_IOC_EVENTFD:
		/* A number of 32 bits; -1 may come with a sign or without. */
		if (arg != (u32)arg && arg != (unsigned long)(int)arg)
			return -EBADF;
		return dln_set_eventfd(q, arg);
	default:
		return -ENOIOCTLCMD;
	}
}

static int dln_map(struct vm_area_struct *vma, void *from)
{
	struct page *pages[DLN_BATCH];
	unsigned long i, n, left;
	unsigned long addr;
	int ret;

	vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP,
		     VM_MAYEXEC);
	for (addr = vma->vm_start; addr < vma->vm_end; addr += n * PAGE_SIZE) {
		n = min_t(unsigned long, ARRAY_SIZE(pages),
			  (vma->vm_end - addr) >> PAGE_SHIFT);
		for (i = 0; i < n; i++, from += PAGE_SIZE)
			pages[i] = vmalloc_to_page(from);
		left = n;
		ret = vm_insert_pages(vma, addr, pages, &left);
		if (ret)
			return ret;
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
