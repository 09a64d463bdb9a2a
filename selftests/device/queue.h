/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue by the bare uapi: open, SETUP, map, and the program's side of the
 * slot protocol. It shares no code with the library, so that a mistake in one
 * shows against the other.
 */
#ifndef SELFTESTS_QUEUE_H
#define SELFTESTS_QUEUE_H

#include <poll.h>
#include <sys/ioctl.h>
#include <linux/deadline.h>
#include "harness.h"

#define DEVICE "/dev/deadline"

struct queue {
	int fd;
	struct deadline_setup setup;
	struct deadline_header *header;
	struct deadline_slot *slots;
	__u64 *periods;
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
	q->periods = shared + q->setup.periods_offset;
	q->status = status;
	q->ring = status + (q->setup.ring_offset - q->setup.status_offset);
	return 0;
}

/* Make a queue of @fd, an open device that had no SETUP. */
static inline int queue_make(struct queue *q, int fd, clockid_t clock,
			     uint32_t slots)
{
	memset(q, 0, sizeof(*q));
	q->setup.slots = slots;
	q->setup.clock = clock;
	q->fd = fd;
	if (ioctl(q->fd, DEADLINE_IOC_SETUP, &q->setup))
		return -errno;
	return queue_map(q);
}

/* A queue with at least @slots slots; @flags as in open(2), beside O_RDWR. */
static inline int queue_open_on(struct queue *q, clockid_t clock,
				uint32_t slots, int flags)
{
	int fd = open(DEVICE, O_RDWR | flags);

	return fd < 0 ? -errno : queue_make(q, fd, clock, slots);
}

static inline int queue_open(struct queue *q, uint32_t slots, int flags)
{
	return queue_open_on(q, CLOCK_MONOTONIC, slots, flags);
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

/* How many slots were taken, or -1 with errno */
static inline int ring(const struct queue *q)
{
	return ioctl(q->fd, DEADLINE_IOC_DOORBELL, 0);
}

static inline __u32 link_or(struct queue *q, uint32_t i, __u32 bits)
{
	return __atomic_fetch_or(&q->slots[i].link, bits, __ATOMIC_SEQ_CST);
}

/* Put the slot on the stack, above @top. How many are there now */
static inline uint32_t inbox_push(struct queue *q, uint32_t i)
{
	__u32 top = __atomic_load_n(&q->header->inbox, __ATOMIC_RELAXED), to;

	do {
		__atomic_store_n(&q->slots[i].link, DEADLINE_LINK_PUSHED |
				 (top & DEADLINE_INBOX_SLOT), __ATOMIC_RELAXED);
		to = ((top & ~DEADLINE_INBOX_SLOT) + DEADLINE_INBOX_ONE) |
		     (i + 1);
	} while (!__atomic_compare_exchange_n(&q->header->inbox, &top, to,
					      false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return to / DEADLINE_INBOX_ONE;
}

/* The latest time at which the slot may expire, as its word and slack say now */
static inline uint64_t slot_latest(const struct queue *q, uint32_t i)
{
	__u64 when = __atomic_load_n(&q->slots[i].word, __ATOMIC_SEQ_CST) &
		     ~DEADLINE_WORD_STATE;
	uint64_t latest = when + q->slots[i].slack;

	return latest < when || when == DEADLINE_TIME_NEVER ? UINT64_MAX :
							      latest;
}

static inline uint64_t queue_wake(const struct queue *q)
{
	return __atomic_load_n(&q->status->wake, __ATOMIC_SEQ_CST);
}

/* Hand the slot in. Is a doorbell needed? */
static inline bool hand_in(struct queue *q, uint32_t i)
{
	bool many = false;

	if (!(link_or(q, i, DEADLINE_LINK_PUSHED) & DEADLINE_LINK_PUSHED))
		many = inbox_push(q, i) % DEADLINE_INBOX_MANY == 0;
	return queue_wake(q) > slot_latest(q, i) || many;
}

/* Hand the slot in and ring in any case. 1, or -1 with errno */
static inline int ring_one(struct queue *q, uint32_t i)
{
	hand_in(q, i);
	return ring(q) < 0 ? -1 : 1;
}

/* The same for many, which the interrupts may take as well. @n, or -1 */
static inline int ring_list(struct queue *q, const uint32_t *list, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		hand_in(q, list[i]);
	return ring(q) < 0 ? -1 : (int)n;
}

/* Make the slot armed and leave the doorbell to the caller. */
static inline void slot_arm_silent(struct queue *q, uint32_t i, uint64_t when)
{
	__u64 old = slot_word(q, i);

	while (!slot_swap(q, i, &old, due(when) | DEADLINE_WORD_ARMED))
		;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Is no look planned early enough for the slot? */
static inline bool slot_needs_look(const struct queue *q, uint32_t i)
{
	return slot_queued(q, i) > slot_latest(q, i);
}

/* Arm by the protocol. 0, or -1 if a doorbell was needed and failed. */
static inline int slot_arm(struct queue *q, uint32_t i, uint64_t when)
{
	slot_arm_silent(q, i, when);
	if (!slot_needs_look(q, i) || !hand_in(q, i))
		return 0;
	return ring(q) < 0 ? -1 : 0;
}

/* The same, and have its look planned. */
static inline int slot_plan(struct queue *q, uint32_t i, uint64_t when)
{
	slot_arm_silent(q, i, when);
	return ring_one(q, i) == 1 ? 0 : -1;
}

/*
 * Move by the protocol; an expiry that is there stays. 1 moved, 0 over, -1 the
 * doorbell failed.
 */
static inline int slot_move(struct queue *q, uint32_t i, uint64_t when)
{
	__u64 old = slot_word(q, i);

	do {
		if (!(old & DEADLINE_WORD_ARMED))
			return 0;
	} while (!slot_swap(q, i, &old,
			    due(when) | (old & DEADLINE_WORD_STATE)));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!slot_needs_look(q, i) || !hand_in(q, i))
		return 1;
	return ring(q) < 0 ? -1 : 1;
}

/* The same for cancelling. 1 cancelled, 0 over */
static inline int slot_cancel(struct queue *q, uint32_t i)
{
	__u64 old = slot_word(q, i);

	do {
		if (!(old & DEADLINE_WORD_ARMED))
			return 0;
	} while (!slot_swap(q, i, &old, old & ~DEADLINE_WORD_ARMED));
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

/*
 * As many as there are slots, at random times, armed in any order, with up to so
 * much slack: each at its own time or later, by the queue's clock, and once.
 */
static inline void check_each_time(struct __test_metadata *_metadata,
				   struct queue *q, uint32_t slack)
{
	uint64_t seed = 7, base = ns_of(q->setup.clock), when[4096];
	uint32_t i, n = q->setup.slots, early = 0, late = 0;

	ASSERT_GE(ARRAY_SIZE(when), n);
	for (i = 0; i < n; i++) {
		when[i] = due(base + next_random(&seed) % (50 * MS));
		q->slots[i].slack = next_random(&seed) % (slack + 1);
		ASSERT_EQ(0, slot_arm(q, i, when[i]));
	}
	for (i = 0; i < n; i++) {
		WAIT_FOR(slot_over(q, i));
		early += q->slots[i].expired_at < when[i];
		late += q->slots[i].expired_at > when[i] + 5 * SECOND;
	}
	EXPECT_EQ(0, early);
	EXPECT_EQ(0, late);
	EXPECT_EQ(n, ring_collect(q, n));
	EXPECT_EQ(n, expired(q, n));
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

struct reader {
	const struct queue *q;
	pid_t id;
	int ret;
	struct deadline_expiry expiry;
};

static inline void *read_thread(void *arg)
{
	struct reader *r = arg;

	__atomic_store_n(&r->id, thread_id(), __ATOMIC_RELEASE);
	r->ret = read_one(r->q, &r->expiry);
	return NULL;
}

/* Start a thread that reads one expiry; it is asleep when this returns. */
static inline int start_reader(struct reader *r, const struct queue *q,
			       pthread_t *to)
{
	memset(r, 0, sizeof(*r));
	r->q = q;
	if (pthread_create(to, NULL, read_thread, r))
		return -1;
	WAIT_FOR(__atomic_load_n(&r->id, __ATOMIC_ACQUIRE));
	WAIT_FOR(is_asleep(r->id));
	return 0;
}

static inline int set_nonblock(const struct queue *q)
{
	return fcntl(q->fd, F_SETFL, O_NONBLOCK);
}

/* What poll(2) reports, 0 if nothing */
static inline int polled(const struct queue *q, int timeout)
{
	struct pollfd pollfd = {
		.fd = q->fd,
		.events = POLLIN | POLLRDNORM | POLLOUT | POLLPRI,
	};

	return poll(&pollfd, 1, timeout) == 1 ? pollfd.revents : 0;
}

static inline int set_eventfd(const struct queue *q, int fd)
{
	return ioctl(q->fd, DEADLINE_IOC_EVENTFD, fd) ? errno : 0;
}

/* What it counted since the last time; 0 if nothing */
static inline uint64_t counted(int fd)
{
	uint64_t count = 0xA5A5;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/*
 * For tests that want a queue and care about no more: read(2) blocks. A program
 * without such a test has no use for the two functions.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
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

#pragma GCC diagnostic pop

#endif
