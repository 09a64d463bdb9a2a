/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only file that knows kernel versions; it speaks the newest one's language
 * and supports what the tests boot.
 */
#ifndef DLN_COMPAT_H
#define DLN_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/sched/rt.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0) || \
	LINUX_VERSION_CODE >= KERNEL_VERSION(7, 4, 0)
#error "deadline: tested on Linux 6.1, 6.12 and 7.3 only"
#endif

#ifndef CONFIG_64BIT
#error "deadline: needs a 64-bit kernel (programs may be 32-bit)"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 2, 0)
/* Newer kernels start no timer whose time has come, and return false. */
static inline bool hrtimer_start_range_ns_user(struct hrtimer *timer,
					       ktime_t time, u64 delta,
					       const enum hrtimer_mode mode)
{
	hrtimer_start_range_ns(timer, time, delta, mode);
	return true;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define rt_or_dl_task_policy(task) task_is_realtime(task)

static inline struct fown_struct *file_f_owner(struct file *file)
{
	return &file->f_owner;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define eventfd_signal(ctx) eventfd_signal(ctx, 1)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set,
				vm_flags_t clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#endif

#endif
