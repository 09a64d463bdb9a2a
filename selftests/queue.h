/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue by the bare uapi: open, SETUP, map, and the program's side of the
 * slot protocol. It shares no code with the library, so that a mistake in one
 * shows against the other.
 */
#ifndef SELFTESTS_QUEUE_H
#define SELFTESTS_QUEUE_H

#include <sys/ioctl.h>
#include <linux/deadline.h>
#include "harness.h"

#define DEVICE "/dev/deadline"

struct queue {
	int fd;
	struct deadline_setup setup;
	struct deadline_header *header;
	struct deadline_slot *slots;
	const struct deadline_status *status;
	const struct deadline_entry *ring;
};

/* Without the device a program of these tests skips: exit 4. */
static __attribute__((constructor)) void need_device(void)
{
	if (!access(DEVICE, F_OK))
		return;
	ksft_print_header();
	ksft_exit_skip("no " DEVICE "\n");
}

static inline int queue_map(struct queue *q)
{
	void *shared, *status;

	shared = mmap(NULL, q->setup.shared_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, q->fd, 0);
	if (shared == MAP_FAILED)
		return -errno;
	status = mmap(NULL, q->setup.status_size, PROT_READ, MAP_SHARED, q->fd,
		      q->setup.status_offset);
	if (status == MAP_FAILED)
		return -errno;
	q->header = shared;
	q->slots = shared + q->setup.slots_offset;
	q->status = status;
	q->ring = status + (q->setup.ring_offset - q->setup.status_offset);
	return 0;
}

/* A queue with at least @slots slots; @flags as in open(2), beside O_RDWR. */
static inline int queue_open(struct queue *q, uint32_t slots, int flags)
{
	memset(q, 0, sizeof(*q));
	q->setup.slots = slots;
	q->setup.clock = CLOCK_MONOTONIC;
	q->fd = open(DEVICE, O_RDWR | flags);
	if (q->fd < 0)
		return -errno;
	if (ioctl(q->fd, DEADLINE_IOC_SETUP, &q->setup))
		return -errno;
	return queue_map(q);
}

static inline void queue_unmap(struct queue *q)
{
	munmap(q->header, q->setup.shared_size);
	munmap((void *)q->status, q->setup.status_size);
}

static inline void queue_close(struct queue *q)
{
	queue_unmap(q);
	close(q->fd);
}

/* A word's deadline: rounded up, so that nothing expires early */
static inline __u64 due(uint64_t when)
{
	return (when + DEADLINE_GRAIN - 1) & ~DEADLINE_WORD_STATE;
}

static inline __u64 slot_word(const struct queue *q, uint32_t i)
{
	return __atomic_load_n(&q->slots[i].word, __ATOMIC_ACQUIRE);
}

static inline bool slot_over(const struct queue *q, uint32_t i)
{
	return !(slot_word(q, i) & DEADLINE_WORD_ARMED);
}

static inline __u64 slot_queued(const struct queue *q, uint32_t i)
{
	return __atomic_load_n(&q->slots[i].queued, __ATOMIC_SEQ_CST);
}

static inline bool slot_swap(struct queue *q, uint32_t i, __u64 *old, __u64 to)
{
	return __atomic_compare_exchange_n(&q->slots[i].word, old, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/* 1, or -1 with errno */
static inline int ring_one(const struct queue *q, uint32_t i)
{
	return ioctl(q->fd, DEADLINE_IOC_RING, i);
}

static inline int ring_list(const struct queue *q, const uint32_t *list,
			    uint32_t n)
{
	struct deadline_doorbell bell = {
		.slots = (uintptr_t)list,
		.count = n,
	};

	return ioctl(q->fd, DEADLINE_IOC_DOORBELL, &bell);
}

/* Make the slot armed and leave the doorbell to the caller. */
static inline void slot_arm_silent(struct queue *q, uint32_t i, uint64_t when)
{
	__u64 old = slot_word(q, i);

	while (!slot_swap(q, i, &old, due(when) | DEADLINE_WORD_ARMED))
		;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Arm by the protocol. 0, or -1 if a doorbell was needed and failed. */
static inline int slot_arm(struct queue *q, uint32_t i, uint64_t when)
{
	slot_arm_silent(q, i, when);
	if (slot_queued(q, i) <= due(when))
		return 0;
	return ring_one(q, i) == 1 ? 0 : -1;
}

/* Move by the protocol. 1 moved, 0 over, -1 the doorbell failed. */
static inline int slot_move(struct queue *q, uint32_t i, uint64_t when)
{
	__u64 old = slot_word(q, i);

	do {
		if (!(old & DEADLINE_WORD_ARMED))
			return 0;
	} while (!slot_swap(q, i, &old, due(when) | DEADLINE_WORD_ARMED));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (slot_queued(q, i) <= due(when))
		return 1;
	return ring_one(q, i);
}

/* 1 cancelled, 0 over */
static inline int slot_cancel(struct queue *q, uint32_t i)
{
	__u64 old = slot_word(q, i);

	do {
		if (!(old & DEADLINE_WORD_ARMED))
			return 0;
	} while (!slot_swap(q, i, &old, old & ~DEADLINE_WORD_STATE));
	return 1;
}

/* Have the slot expire now. */
static inline int slot_expire(struct queue *q, uint32_t i)
{
	slot_arm_silent(q, i, 1);
	return ring_one(q, i) == 1 && slot_over(q, i) ? 0 : -1;
}

static inline __u64 status_of(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

/* How many expiries were counted, once those are that the words tell of */
static inline __u64 expired(const struct queue *q, uint64_t at_least)
{
	/* An interrupt adds what it expired when it ends. */
	WAIT_FOR(status_of(&q->status->expired) >= at_least);
	return status_of(&q->status->expired);
}

/* Take one hint out of the ring; false if it is empty. */
static inline bool ring_take(struct queue *q, uint32_t *slot)
{
	__u64 head = __atomic_load_n(&q->header->head, __ATOMIC_ACQUIRE);
	uint32_t mask = q->setup.ring_size - 1;

	do {
		if (head == status_of(&q->status->tail))
			return false;
		*slot = __atomic_load_n(&q->ring[head & mask].slot,
					__ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&q->header->head, &head, head + 1,
					      false, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	return true;
}

/* Own the slot's expiry, if it has one that nobody owns yet. */
static inline bool slot_claim(struct queue *q, uint32_t i)
{
	__u64 old = slot_word(q, i);

	do {
		if ((old & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) !=
		    DEADLINE_WORD_EXPIRED)
			return false;
	} while (!slot_swap(q, i, &old, old | DEADLINE_WORD_TAKEN));
	return true;
}

/* Consume all that is in the ring; how many expiries that were. */
static inline unsigned int ring_drain(struct queue *q)
{
	unsigned int claimed = 0;
	uint32_t slot;

	while (ring_take(q, &slot))
		claimed += slot_claim(q, slot);
	return claimed;
}

/*
 * The same until @n were claimed: a word turns over a moment before its hint is
 * in the ring, and on another CPU that moment can be seen.
 */
static inline unsigned int ring_collect(struct queue *q, unsigned int n)
{
	unsigned int claimed = 0;

	WAIT_FOR((claimed += ring_drain(q)) >= n);
	return claimed + ring_drain(q);
}

/* read(2) one expiry. 1, 0 if there is none (O_NONBLOCK), -errno */
static inline int read_one(const struct queue *q, struct deadline_expiry *to)
{
	ssize_t ret;

	memset(to, 0xA5, sizeof(*to));
	ret = read(q->fd, to, sizeof(*to));
	if (ret < 0)
		return errno == EAGAIN ? 0 : -errno;
	return ret == sizeof(*to) ? 1 : -EIO;
}

/* How many files hold the module */
static inline int module_uses(void)
{
	char text[16] = "";
	int fd = open("/sys/module/deadline/refcnt", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -1;
	close(fd);
	return atoi(text);
}

/* What the administrator can set, in /sys/module/deadline/parameters */
static inline int parameter_open(const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/deadline/parameters/%s",
		 name);
	return open(path, flags | O_CLOEXEC);
}

static inline long parameter(const char *name)
{
	int fd = parameter_open(name, O_RDONLY);
	char text[24] = "-1";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -1;
	close(fd);
	return atol(text);
}

/* 0 or -errno */
static inline int set_parameter(const char *name, unsigned long value)
{
	int ret = 0, fd = parameter_open(name, O_WRONLY);

	if (fd < 0 || dprintf(fd, "%lu", value) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* For tests that want a queue and care about no more: read(2) blocks. */
FIXTURE(queue) {
	struct queue q;
};

FIXTURE_SETUP(queue)
{
	ASSERT_EQ(0, queue_open(&self->q, 1024, O_CLOEXEC));
}

FIXTURE_TEARDOWN(queue)
{
	queue_close(&self->q);
}

#endif
