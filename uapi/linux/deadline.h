/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/deadline: deadlines that expire into shared memory
 *
 * An open file is a *queue*. DEADLINE_IOC_SETUP gives it slots; two mappings
 * make them visible: one that the program writes (struct deadline_header, then
 * the slots), one that only the kernel writes (struct deadline_status, then the
 * ring). How the two sides use them is told in deadline.rst, beside this file's
 * directory; every rule there is one that a model or a test stands behind.
 */
#ifndef _UAPI_LINUX_DEADLINE_H
#define _UAPI_LINUX_DEADLINE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * The word: a deadline in nanoseconds, rounded up to DEADLINE_GRAIN, whose low
 * bits are the state. Every change of a word is one 64-bit compare-and-swap.
 */
#define DEADLINE_WORD_ARMED	((__u64)1)	/* still running */
#define DEADLINE_WORD_EXPIRED	((__u64)2)	/* its time came */
#define DEADLINE_WORD_TAKEN	((__u64)4)	/* the expiry has its consumer */
#define DEADLINE_WORD_WAKE	((__u64)8)	/* the canceller wakes a futex */
#define DEADLINE_WORD_STATE	((__u64)15)
#define DEADLINE_GRAIN		16
/* As a deadline: never (not queued, no doorbell). As @queued: in no queue. */
#define DEADLINE_TIME_NEVER	(~DEADLINE_WORD_STATE)
#define DEADLINE_QUEUED_NEVER	(~(__u64)0)

/**
 * struct deadline_slot - one deadline, 64 bytes of shared memory
 * @word: Deadline and state. Both sides, by compare-and-swap only.
 * @user_data: The program's, handed back with each expiry. Not looked at.
 * @slack: How many ns later than its deadline the slot may expire. Zero unless
 *	DEADLINE_FEATURE_SLACK. Program, while the slot is not armed.
 * @flags: DEADLINE_SLOT_* that the features allow. Program, while not armed.
 * @period: With DEADLINE_SLOT_PERIODIC: nanoseconds between expiries. Less than
 *	deadline_setup.period_min is refused by the doorbell, and raised to that
 *	where none was rung. Program, while not armed.
 * @queued: The time for which the kernel has planned its next look at the slot,
 *	DEADLINE_QUEUED_NEVER if it has not. Kernel.
 * @expired_at: The queue's clock when the slot last expired, in ns; valid for
 *	whoever sees DEADLINE_WORD_EXPIRED. Within one interrupt the clock is
 *	read once for up to 16 expiries, before them. Kernel.
 * @overruns: Periods that passed before the last expiry without one of their own
 *	that was consumed; at most INT_MAX. Kernel.
 * @phase: Low half of the time at which a periodic slot is due exactly, before
 *	it is rounded up, so that no period is longer than the others. Not looked
 *	at once the slot was armed or moved. Kernel.
 * @owner: The program's, or its library's. Never looked at.
 */
struct deadline_slot {
	__aligned_u64 word;
	__aligned_u64 user_data;
	__u32 slack;
	__u32 flags;
	__aligned_u64 period;
	__aligned_u64 queued;
	__aligned_u64 expired_at;
	__u32 overruns;
	__u32 phase;
	__aligned_u64 owner;
};

/* deadline_slot.flags; each needs the feature bit of its name */
#define DEADLINE_SLOT_SIGNAL	((__u32)1)	/* its expiry signals */
#define DEADLINE_SLOT_PERIODIC	((__u32)2)	/* it goes on, by its @period */

/**
 * struct deadline_header - what the program writes beside its slots
 * @head: Position of the next ring entry to be consumed. Positions only grow;
 *	the first is 1. A head that is not in [tail - ring_size, tail] counts as
 *	tail. Program and read(2), by compare-and-swap.
 * @reserved: Zero.
 */
struct deadline_header {
	__aligned_u64 head;
	__aligned_u64 reserved[15];
};

/**
 * struct deadline_entry - one place of the expired ring: a hint, not an expiry
 * @slot: Number of a slot that expired after the entry was free.
 * @reserved: Zero.
 */
struct deadline_entry {
	__u32 slot;
	__u32 reserved;
};

/**
 * struct deadline_status - what only the kernel writes, mapped read-only
 * @tail: Position at which the next entry will be posted.
 * @reserved: Zero.
 * @interrupts: Timer interrupts taken.
 * @expired: Looks that found the deadline due and expired the slot.
 * @moved: Looks that found a later deadline and queued the slot again.
 * @dropped: Looks that found the slot no longer armed.
 * @contended: Looks that lost every swap and had to be made again.
 * @full: Interrupts that ended with their budget spent and slots still due.
 * @doorbells: Slots named in doorbells.
 * @longest: The longest interrupt in ns, by clock reads 16 looks apart.
 * @throttled: Interrupts after which the queue had to pause, because its user's
 *	interrupts, or those of all users, had their share of the CPU.
 * @clock_sets: Times that the queue's clock was set; sets in quick succession may
 *	count as one. REALTIME and TAI are set together.
 * @late: Expiries in interrupts by lateness: late[n] counts those of at least
 *	2^n and less than 2^(n+1) ns; late[0] has those of 0 as well.
 */
struct deadline_status {
	__aligned_u64 tail;
	__aligned_u64 reserved[15];
	__aligned_u64 interrupts;
	__aligned_u64 expired;
	__aligned_u64 moved;
	__aligned_u64 dropped;
	__aligned_u64 contended;
	__aligned_u64 full;
	__aligned_u64 doorbells;
	__aligned_u64 longest;
	__aligned_u64 throttled;
	__aligned_u64 clock_sets;
	__aligned_u64 late[64];
};

/**
 * struct deadline_expiry - one expiry as read(2) delivers it
 * @user_data: The slot's.
 * @deadline: The deadline that expired, as the word had it; of a periodic slot
 *	the one that passed last, that is the word's less the period.
 * @expired_at: When it expired, on the queue's clock.
 * @slot: The slot's number.
 * @overruns: The slot's.
 */
struct deadline_expiry {
	__aligned_u64 user_data;
	__aligned_u64 deadline;
	__aligned_u64 expired_at;
	__u32 slot;
	__u32 overruns;
};

/* deadline_setup.features */
#define DEADLINE_FEATURE_WORD		((__u64)1 << 0)	/* this protocol */
#define DEADLINE_FEATURE_PERIODIC	((__u64)1 << 1)
#define DEADLINE_FEATURE_SLACK		((__u64)1 << 2)
#define DEADLINE_FEATURE_CLOCKS		((__u64)1 << 3)	/* not only MONOTONIC */
#define DEADLINE_FEATURE_SIGNAL		((__u64)1 << 4)
#define DEADLINE_FEATURE_URING_WAIT	((__u64)1 << 5)
#define DEADLINE_FEATURE_URING_DOORBELL	((__u64)1 << 6)
#define DEADLINE_FEATURE_HARD		((__u64)1 << 7)	/* expires in hard irq */
#define DEADLINE_FEATURE_URING_MULTISHOT ((__u64)1 << 8) /* of _URING_WAIT */

#define DEADLINE_SLOTS_MAX	((__u32)1 << 20)

/**
 * struct deadline_setup - argument of DEADLINE_IOC_SETUP
 * @slots: In: how many slots, 1 to DEADLINE_SLOTS_MAX. Out: how many there are,
 *	at least as many.
 * @clock: In: clock id; CLOCK_MONOTONIC, or with DEADLINE_FEATURE_CLOCKS also
 *	CLOCK_BOOTTIME, CLOCK_REALTIME and CLOCK_TAI.
 * @flags: In: zero.
 * @ring_size: Out: entries of the ring, a power of two.
 * @features: In: those that the program cannot do without. Out: those there are.
 * @shared_size: Out: bytes to map writable, at offset 0: the header, the slots.
 * @slots_offset: Out: offset of the first slot.
 * @status_offset: Out: offset at which to map the status, read-only.
 * @status_size: Out: bytes to map there: the status, the ring.
 * @ring_offset: Out: offset of the first ring entry.
 * @period_min: Out: the smallest period, in ns.
 *
 * What is marked "out" only must be zero on the way in. The structure may grow;
 * its size is part of the ioctl number, and what this kernel does not know of a
 * larger one must be zero (-E2BIG).
 */
struct deadline_setup {
	__u32 slots;
	__s32 clock;
	__u32 flags;
	__u32 ring_size;
	__aligned_u64 features;
	__aligned_u64 shared_size;
	__aligned_u64 slots_offset;
	__aligned_u64 status_offset;
	__aligned_u64 status_size;
	__aligned_u64 ring_offset;
	__aligned_u64 period_min;
};

/**
 * struct deadline_doorbell - argument of DEADLINE_IOC_DOORBELL
 * @slots: Address of an array of __u32 slot numbers, a multiple of 4.
 * @count: How many.
 * @flags: Zero.
 */
struct deadline_doorbell {
	__aligned_u64 slots;
	__u32 count;
	__u32 flags;
};

/**
 * struct deadline_wait - payload of DEADLINE_URING_WAIT and DEADLINE_URING_CANCEL
 * @key: The program's; a cancel names it.
 * @reserved: Zero.
 */
struct deadline_wait {
	__aligned_u64 key;
	__aligned_u64 reserved;
};

#define DEADLINE_IOC_MAGIC	0xDE
/* Give the queue its slots; once. */
#define DEADLINE_IOC_SETUP \
	_IOWR(DEADLINE_IOC_MAGIC, 0, struct deadline_setup)
/* Look at these slots now; returns how many, as write(2) does. */
#define DEADLINE_IOC_DOORBELL \
	_IOW(DEADLINE_IOC_MAGIC, 1, struct deadline_doorbell)
/* Look at one slot now; its number is the argument itself. */
#define DEADLINE_IOC_RING	_IO(DEADLINE_IOC_MAGIC, 2)
/* Count every wake-up on this eventfd; the argument is its fd, -1 for none. */
#define DEADLINE_IOC_EVENTFD	_IO(DEADLINE_IOC_MAGIC, 3)

/*
 * Commands of io_uring, in the SQE's cmd_op, with 16 bytes of payload in its cmd:
 * DEADLINE_IOC_DOORBELL, and these two.
 */
/*
 * Complete when the ring has entries, with their number; 0 = look again. With
 * IORING_URING_CMD_MULTISHOT each time that it gets some, while there is
 * IORING_CQE_F_MORE: io_uring wants IOSQE_BUFFER_SELECT too, but no buffer is taken.
 */
#define DEADLINE_URING_WAIT \
	_IOW(DEADLINE_IOC_MAGIC, 4, struct deadline_wait)
/* Have all waits of this key complete with -ECANCELED; how many, or -ENOENT. */
#define DEADLINE_URING_CANCEL \
	_IOW(DEADLINE_IOC_MAGIC, 5, struct deadline_wait)

#endif /* _UAPI_LINUX_DEADLINE_H */
