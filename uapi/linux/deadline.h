/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/deadline: deadlines that expire into shared memory
 *
 * An open file is a *queue*. DEADLINE_IOC_SETUP gives it slots; two mappings
 * make them visible: one that the program writes (struct deadline_header, the
 * periods, the slots), one that only the kernel writes (struct deadline_status,
 * the ring). uapi/deadline.rst (installed below share/doc/deadline) says how the
 * program and the kernel use them; a model or a test stands behind each rule there.
 */
#ifndef _UAPI_LINUX_DEADLINE_H
#define _UAPI_LINUX_DEADLINE_H

#include <linux/const.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * The word: a deadline in nanoseconds, rounded up to DEADLINE_GRAIN, whose low
 * bits are the state. Every change of a word is one 64-bit compare-and-swap.
 */
#define DEADLINE_WORD_ARMED	_BITULL(0)	/* still running */
#define DEADLINE_WORD_EXPIRED	_BITULL(1)	/* its time came */
#define DEADLINE_WORD_TAKEN	_BITULL(2)	/* its expiry is consumed */
#define DEADLINE_WORD_WAKE	_BITULL(3)	/* cancelling it wakes a private futex */
#define DEADLINE_WORD_STATE	((__u64)15)
#define DEADLINE_GRAIN		16
/* As a deadline: never (not queued, no doorbell). As @queued: in no queue. */
#define DEADLINE_TIME_NEVER	(~DEADLINE_WORD_STATE)
#define DEADLINE_QUEUED_NEVER	(~(__u64)0)

/*
 * The inbox: a stack of slots at which the kernel is asked to plan a look, in
 * deadline_header.inbox and deadline_slot.link. The low bits of both name a slot
 * by its number + 1; 0 names none.
 */
#define DEADLINE_INBOX_SLOT	((__u32)0x1fffff)
/* In the inbox, above that: how many slots are on the stack, modulo 2048 */
#define DEADLINE_INBOX_ONE	((__u32)1 << 21)
/* A program that makes their number a multiple of this rings the doorbell. */
#define DEADLINE_INBOX_MANY	128
/* In a link: the slot is on the stack, or about to be pushed. */
#define DEADLINE_LINK_PUSHED	((__u32)1 << 30)

/**
 * struct deadline_slot - one deadline, 64 bytes of shared memory
 * @word: Deadline and state. Both sides, by compare-and-swap only.
 * @user_data: The program's, handed back with each expiry. Not looked at.
 * @slack: How many ns later than its deadline the slot may expire. Zero unless
 *	DEADLINE_FEATURE_SLACK. Program, while the slot is not armed, or before it
 *	moves it, see deadline.rst.
 * @flags: DEADLINE_SLOT_* that the features allow. A slot with any other never
 *	expires; deadline_status.refused counts it. Program, while not armed.
 * @deadline: The deadline that last expired, in ns; valid for a thread that has seen
 *	DEADLINE_WORD_EXPIRED, even if the slot was moved or cancelled since, but
 *	not if it was armed anew. Of a periodic slot it is the last one that had
 *	passed, exact to the ns. Kernel.
 * @queued: The time for which the kernel has planned its next look at the slot,
 *	DEADLINE_QUEUED_NEVER if it has not. Kernel.
 * @expired_at: The queue's clock when the slot last expired, in ns; valid for a
 *	thread that has seen DEADLINE_WORD_EXPIRED. Within one interrupt the clock
 *	is read once for up to 16 expiries, before them. Kernel.
 * @overruns: Periods that passed before the last expiry without one of their own
 *	that was consumed; at most INT_MAX. Kernel.
 * @link: DEADLINE_LINK_PUSHED while the slot is in the inbox, and the slot that
 *	is below it there. Both sides, by atomic operations.
 * @owner: The program's, or its library's. Never looked at.
 *
 * In memory slots are deadline_setup.slot_stride bytes apart.
 */
struct deadline_slot {
	__aligned_u64 word;
	__aligned_u64 user_data;
	__u32 slack;
	__u32 flags;
	__aligned_u64 deadline;
	__aligned_u64 queued;
	__aligned_u64 expired_at;
	__u32 overruns;
	__u32 link;
	__aligned_u64 owner;
};

/* deadline_slot.flags; each needs the feature bit of its name */
#define DEADLINE_SLOT_SIGNAL	((__u32)1)	/* its expiry signals */
/*
 * It goes on, by its period: a __u64 of ns for each slot, at periods_offset.
 * Program, while not armed. Less than period_min counts as that.
 */
#define DEADLINE_SLOT_PERIODIC	((__u32)2)

/**
 * struct deadline_header - what the program writes beside its slots
 * @head: Position of the next ring entry to be consumed. Positions only grow;
 *	the first is 1. A head that is not in [tail - ring_size, tail] counts as
 *	tail. Program and read(2), by compare-and-swap.
 * @pad1: Keeps @head and @inbox on cache lines of their own.
 * @inbox: The slot that was handed in last, and how many were (see
 *	DEADLINE_INBOX_SLOT). Program, by compare-and-swap; the kernel takes all.
 * @reserved: Zero, or the doorbell fails.
 * @pad2: As @pad1.
 */
struct deadline_header {
	__aligned_u64 head;
	__aligned_u64 pad1[15];
	__u32 inbox;
	__u32 reserved[7];
	__aligned_u64 pad2[12];
};

/**
 * struct deadline_entry - one place of the expired ring: a hint, not an expiry
 * @slot: Number of a slot that expired after the entry was free.
 *
 * In memory entries are deadline_setup.entry_stride bytes apart.
 */
struct deadline_entry {
	__u32 slot;
};

/**
 * struct deadline_status - what only the kernel writes, mapped read-only
 * @tail: Position at which the next entry will be posted.
 * @pad1: Keeps @tail and @wake on cache lines of their own.
 * @wake: When the kernel will take the inbox without a doorbell, on the queue's
 *	clock: by this time at the latest. 0 while that is soon,
 *	DEADLINE_QUEUED_NEVER while no interrupt is planned.
 * @pad2: As @pad1.
 * @interrupts: Timer interrupts taken.
 * @expired: Looks that found the deadline due and expired the slot.
 * @moved: Looks that found a later deadline and queued the slot again.
 * @dropped: Looks that found the slot no longer armed.
 * @contended: Looks that lost every swap and had to be made again.
 * @full: Interrupts that ended because their budget was spent, while slots were due.
 * @doorbells: Doorbells rung.
 * @longest: The longest interrupt in ns, by clock reads 16 looks apart.
 * @throttled: Times that the queue had to wait, because its user's interrupts had
 *	used up their share of the CPU.
 * @clock_sets: Times that the queue's clock was set; sets in quick succession may
 *	count as one. REALTIME and TAI are set together.
 * @handed_in: Slots taken from the inbox.
 * @refused: Looks, and slots taken from the inbox, that found flags which no
 *	feature allows. Such a slot is left as it is.
 * @reserved: Zero.
 * @late: Expiries in interrupts by lateness: late[n] counts those of at least
 *	2^n and less than 2^(n+1) ns; late[0] has those of 0 as well. If several
 *	periods have passed, the first counts. A clock that is set ahead makes late
 *	what is due by that.
 */
struct deadline_status {
	__aligned_u64 tail;
	__aligned_u64 pad1[7];
	__aligned_u64 wake;
	__aligned_u64 pad2[7];
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
	__aligned_u64 handed_in;
	__aligned_u64 refused;
	__aligned_u64 reserved[4];
	__aligned_u64 late[64];
};

/**
 * struct deadline_expiry - one expiry as read(2) delivers it
 * @user_data: The slot's.
 * @deadline: The slot's: the one that expired.
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
#define DEADLINE_FEATURE_WORD		_BITULL(0)	/* this protocol */
#define DEADLINE_FEATURE_PERIODIC	_BITULL(1)
#define DEADLINE_FEATURE_SLACK		_BITULL(2)
#define DEADLINE_FEATURE_CLOCKS		_BITULL(3)	/* not only MONOTONIC */
#define DEADLINE_FEATURE_SIGNAL		_BITULL(4)
#define DEADLINE_FEATURE_URING_WAIT	_BITULL(5)
#define DEADLINE_FEATURE_URING_DOORBELL	_BITULL(6)
#define DEADLINE_FEATURE_HARD		_BITULL(7)	/* expires in hard irq */
#define DEADLINE_FEATURE_URING_MULTISHOT _BITULL(8) /* of _URING_WAIT */

#define DEADLINE_SLOTS_MAX	((__u32)1 << 20)
/* Overruns from which on a periodic slot is looked at more rarely */
#define DEADLINE_UNREAD		16

/**
 * struct deadline_setup - argument of DEADLINE_IOC_SETUP
 * @slots: In: how many slots, 1 to DEADLINE_SLOTS_MAX. Out: how many there are,
 *	at least as many.
 * @clock: In: clock id; CLOCK_MONOTONIC, or with DEADLINE_FEATURE_CLOCKS also
 *	CLOCK_BOOTTIME, CLOCK_REALTIME and CLOCK_TAI.
 * @flags: In: zero.
 * @ring_size: Out: entries of the ring, a power of two.
 * @features: In: those that the program cannot do without. Out: those there are.
 * @shared_size: Out: bytes to map writable, at offset 0: the header, the periods,
 *	the slots.
 * @slots_offset: Out: offset of the first slot.
 * @periods_offset: Out: offset of the first slot's period; 8 bytes for each.
 * @status_offset: Out: offset at which to map the status, read-only.
 * @status_size: Out: bytes to map there: the status, the ring.
 * @ring_offset: Out: offset of the first ring entry.
 * @period_min: Out: the smallest period now, in ns; root may change it.
 * @slot_stride: Out: bytes from one slot to the next, a power of two, at least 64.
 * @entry_stride: Out: bytes from one ring entry to the next, a power of two, at
 *	least 4.
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
	__aligned_u64 periods_offset;
	__aligned_u64 status_offset;
	__aligned_u64 status_size;
	__aligned_u64 ring_offset;
	__aligned_u64 period_min;
	__u32 slot_stride;
	__u32 entry_stride;
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

/* The kernel's ioctl-number.rst gives this type to nobody. */
#define DEADLINE_IOC_MAGIC	0xDE
/* Give the queue its slots; once. */
#define DEADLINE_IOC_SETUP \
	_IOWR(DEADLINE_IOC_MAGIC, 0, struct deadline_setup)
/*
 * Take the inbox: plan a look at each slot in it, or look at once if it is due.
 * No argument (0). Returns how many slots were taken.
 */
#define DEADLINE_IOC_DOORBELL	_IO(DEADLINE_IOC_MAGIC, 1)
/* Count every wake-up on this eventfd; the argument is its fd, -1 for none. */
#define DEADLINE_IOC_EVENTFD	_IO(DEADLINE_IOC_MAGIC, 2)

/*
 * Commands of io_uring, in the SQE's cmd_op, with 16 bytes of payload in its cmd:
 * DEADLINE_IOC_DOORBELL, whose payload is zero, and these two.
 */
/*
 * Complete when the ring has entries, with their number; 0 = look again. With
 * IORING_URING_CMD_MULTISHOT each time that it gets some, while there is
 * IORING_CQE_F_MORE: io_uring wants IOSQE_BUFFER_SELECT too, but no buffer is taken.
 */
#define DEADLINE_URING_WAIT \
	_IOW(DEADLINE_IOC_MAGIC, 3, struct deadline_wait)
/* Have all waits of this key complete with -ECANCELED; how many, or -ENOENT. */
#define DEADLINE_URING_CANCEL \
	_IOW(DEADLINE_IOC_MAGIC, 4, struct deadline_wait)

#endif /* _UAPI_LINUX_DEADLINE_H */
