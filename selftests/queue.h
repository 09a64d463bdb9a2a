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
#include <sys/utsname.h>
#include <sys/socket.h>
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

/* Does somebody have to ring for the slot, due at @when? */
static inline bool slot_needs_ring(const struct queue *q, uint32_t i,
				   uint64_t when)
{
	uint64_t latest = due(when) + q->slots[i].slack;

	if (latest < due(when))
		latest = UINT64_MAX;
	return slot_queued(q, i) > latest;
}

/* Arm by the protocol. 0, or -1 if a doorbell was needed and failed. */
static inline int slot_arm(struct queue *q, uint32_t i, uint64_t when)
{
	slot_arm_silent(q, i, when);
	if (!slot_needs_ring(q, i, when))
		return 0;
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
	return slot_needs_ring(q, i, when) ? ring_one(q, i) : 1;
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

/*
 * What has come of a periodic slot: @start + n * @period, exactly. Expiries that
 * were consumed and their overruns are what passed.
 */
struct course {
	uint64_t start;
	uint64_t period;
	uint64_t passed;
	unsigned long consumed;
	unsigned long early;
	unsigned long wrong;
};

static inline uint64_t course_next(const struct course *c)
{
	return c->start + c->passed * c->period;
}

static inline void course_add(struct course *c, uint64_t expired_at,
			      uint32_t overruns)
{
	c->early += expired_at < course_next(c) + overruns * c->period;
	c->passed += overruns + 1ull;
	c->consumed++;
	/* The next one would have been due. */
	c->wrong += expired_at >= course_next(c);
}

/* Arm the slot for this course. */
static inline int course_arm(struct queue *q, uint32_t i, struct course *c)
{
	q->slots[i].flags = DEADLINE_SLOT_PERIODIC;
	q->slots[i].period = c->period;
	return slot_arm(q, i, c->start);
}

/* Own the periodic slot's expiry, if there is one, and count it. */
static inline bool course_claim(struct queue *q, uint32_t i, struct course *c)
{
	const struct deadline_slot *slot = &q->slots[i];
	__u64 old = slot_word(q, i);
	uint64_t expired_at;
	uint32_t overruns;

	do {
		if ((old & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) !=
		    DEADLINE_WORD_EXPIRED)
			return false;
		expired_at = __atomic_load_n(&slot->expired_at,
					     __ATOMIC_RELAXED);
		overruns = __atomic_load_n(&slot->overruns, __ATOMIC_RELAXED);
	} while (!slot_swap(q, i, &old, old | DEADLINE_WORD_TAKEN));
	course_add(c, expired_at, overruns);
	c->wrong += (old & ~DEADLINE_WORD_STATE) != due(course_next(c));
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

/* Is this kernel PREEMPT_RT? */
static inline bool is_rt(void)
{
	struct utsname name;

	return uname(&name) == 0 && strstr(name.version, "PREEMPT_RT");
}

/* What /proc/self/fdinfo says of the queue; -1 if it has no such line */
static inline long long queue_fdinfo(int fd, const char *name)
{
	char path[64], line[128], key[64];
	long long value, found = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "deadline-%63[^:]:\t%lld", key, &value) == 2 &&
		    !strcmp(key, name))
			found = value;
	if (file)
		fclose(file);
	return found;
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

static inline int send_fd(int via, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(via, &msg, 0) == 1 ? 0 : -1;
}

static inline int receive_fd(int via)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(via, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
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
