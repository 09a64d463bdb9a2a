/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only file that knows kernel versions: the others are written for the newest
 * kernel. Versions between those that the tests boot (6.1, 6.12 and 7.3) may build, too;
 * newer and older ones are refused.
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
#error "deadline: for Linux 6.1 to 7.3 (tested on 6.1, 6.12 and 7.3)"
#endif

#ifndef CONFIG_64BIT
#error "deadline: needs a 64-bit kernel (programs may be 32-bit)"
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
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

/* Of cmd->flags, the program's */
#define DLN_URING_USER_FLAGS	0xffffff

#ifdef IORING_URING_CMD_CANCELABLE
#define DLN_URING_CANCELABLE	true
#else
/* A command that waits could not be cancelled: none is let wait. */
#define DLN_URING_CANCELABLE	false
#define IO_URING_F_CANCEL	0
#define io_uring_cmd_to_pdu(cmd, type) ((type *)(cmd)->pdu)

static inline void io_uring_cmd_mark_cancelable(struct io_uring_cmd *cmd,
						unsigned int issue_flags)
{
}
#endif

#ifndef IORING_URING_CMD_MULTISHOT
#define IORING_URING_CMD_MULTISHOT	0

struct io_br_sel {
	s32 val;
};

static inline bool io_uring_mshot_cmd_post_cqe(struct io_uring_cmd *cmd,
					       struct io_br_sel *sel,
					       unsigned int issue_flags)
{
	return true;
}
#endif

#ifdef io_uring_sqe_cmd
#define dln_uring_payload(command, type) io_uring_sqe_cmd((command)->sqe, type)
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define dln_uring_payload(command, type)				\
	((const type *)io_uring_sqe_cmd((command)->sqe))
#else
#define dln_uring_payload(command, type) ((const type *)(command)->cmd)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define io_uring_cmd_done(cmd, ret, flags) io_uring_cmd_done(cmd, ret, 0, flags)
#endif

/* DLN_DEFINE_URING_WORK(f) {...}: task work, with @cmd and @issue_flags */
#ifdef IO_URING_CMD_TASK_WORK_ISSUE_FLAGS
#define DLN_DEFINE_URING_WORK(name)					\
static void name##_cmd(struct io_uring_cmd *cmd,			\
		       unsigned int issue_flags);			\
static void name(struct io_tw_req request, io_tw_token_t token)		\
{									\
	name##_cmd(io_uring_cmd_from_tw(request),			\
		   IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);			\
}									\
static void name##_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
#else
#define DLN_DEFINE_URING_WORK(name)					\
static void name(struct io_uring_cmd *cmd, unsigned int issue_flags)
#endif

#endif
