// SPDX-License-Identifier: GPL-2.0
/*
 * The queue as a file: open, SETUP, mmap, release, and the ioctl switch.
 */
#include <linux/eventfd.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "compat.h"
#include "dln.h"

#define DLN_FEATURES	DEADLINE_FEATURE_WORD
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
static_assert(sizeof(struct deadline_setup) == 64);
static_assert(sizeof(struct deadline_doorbell) == 16);

static int dln_open(struct inode *inode, struct file *file)
{
	struct dln_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q)
		return -ENOMEM;
	raw_spin_lock_init(&q->lock);
	mutex_init(&q->mutex);
	init_waitqueue_head(&q->wait);
	q->tree = RB_ROOT;
	q->tail = 1;
	q->programmed = DEADLINE_QUEUED_NEVER;
	hrtimer_setup(&q->timer, dln_interrupt, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS);
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
}

static int dln_release(struct inode *inode, struct file *file)
{
	struct dln_queue *q = file->private_data;
	struct eventfd_ctx *eventfd = rcu_access_pointer(q->eventfd);

	/* No fd, no mapping, so no doorbell: the callback restarts nothing */
	hrtimer_cancel(&q->timer);
	if (eventfd)
		eventfd_ctx_put(eventfd);
	dln_free(q);
	mutex_destroy(&q->mutex);
	kfree(q);
	return 0;
}

/* Zeroed pages for the program to map, charged to its memory cgroup. */
static void *dln_alloc(size_t size)
{
	return __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

static int dln_setup_check(const struct deadline_setup *setup)
{
	if (!setup->slots || setup->slots > DEADLINE_SLOTS_MAX ||
	    setup->clock != CLOCK_MONOTONIC || setup->flags)
		return -EINVAL;
	if (setup->ring_size || setup->shared_size || setup->slots_offset ||
	    setup->status_offset || setup->status_size || setup->ring_offset)
		return -EINVAL;
	if (setup->features & ~DLN_FEATURES)
		return -EOPNOTSUPP;
	return 0;
}

static int dln_setup(struct dln_queue *q, struct deadline_setup *setup)
{
	u32 i, count, ring_size;
	int ret = dln_setup_check(setup);

	if (ret)
		return ret;
	if (q->count)
		return -EBUSY;
	count = round_up(setup->slots, DLN_PAGE_SLOTS);
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
	setup->features = DLN_FEATURES;
	setup->shared_size = q->shared_size;
	setup->slots_offset = DLN_SLOTS_AT;
	setup->status_offset = q->shared_size;
	setup->status_size = q->status_size;
	setup->ring_offset = q->shared_size + DLN_RING_AT;
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
	.llseek		= noop_llseek,
};
