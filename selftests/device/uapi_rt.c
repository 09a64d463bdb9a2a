// SPDX-License-Identifier: GPL-2.0
/*
 * DEADLINE_FEATURE_HARD: all queues have it, but on PREEMPT_RT only those whose
 * opener had a real-time policy or CAP_SYS_NICE when he opened them. Whether it
 * is there or not, all is delivered.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include "module.h"
#include "queue.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

/* Who has no capabilities */
#define NOBODY 65534

/* The kernel's struct sched_attr, up to what all versions have */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

static int set_policy(uint32_t policy)
{
	struct attributes a = { .size = sizeof(a), .policy = policy };

	if (policy == SCHED_FIFO || policy == SCHED_RR)
		a.priority = 1;
	if (policy == SCHED_DEADLINE) {
		a.runtime = 5 * MS;
		a.deadline = 50 * MS;
		a.period = 50 * MS;
	}
	return syscall(SYS_sched_setattr, 0, &a, 0);
}

/* Open the device by @policy and, but for @root, without capabilities. */
static int open_as(uint32_t policy, bool root)
{
	int fd;

	if (set_policy(policy))
		return -1;
	/* Takes away all that is effective, and gives it back. */
	if (!root && seteuid(NOBODY))
		return -1;
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (seteuid(0) || set_policy(SCHED_OTHER))
		return -1;
	return fd;
}

/* The device is open to all for the duration of a test. */
FIXTURE(opener) {
	struct stat node;
	struct queue q;
	bool hard;
};

FIXTURE_VARIANT(opener) {
	uint32_t policy;
	bool root;
	bool trusted;
};

FIXTURE_VARIANT_ADD(opener, root) { SCHED_OTHER, true, true };
FIXTURE_VARIANT_ADD(opener, fifo) { SCHED_FIFO, false, true };
FIXTURE_VARIANT_ADD(opener, rr) { SCHED_RR, false, true };
FIXTURE_VARIANT_ADD(opener, deadline) { SCHED_DEADLINE, false, true };
FIXTURE_VARIANT_ADD(opener, batch) { SCHED_BATCH, false, false };
FIXTURE_VARIANT_ADD(opener, ordinary) { SCHED_OTHER, false, false };

FIXTURE_SETUP(opener)
{
	ASSERT_EQ(0, stat(DEVICE, &self->node));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	self->hard = variant->trusted || !is_rt();
	memset(&self->q, 0, sizeof(self->q));
	self->q.setup.slots = 64;
	self->q.setup.clock = CLOCK_MONOTONIC;
	self->q.fd = open_as(variant->policy, variant->root);
	ASSERT_EQ(0, chmod(DEVICE, self->node.st_mode & 07777));
	ASSERT_LE(0, self->q.fd);
}

FIXTURE_TEARDOWN(opener)
{
	if (self->q.header)
		queue_unmap(&self->q);
	close(self->q.fd);
}

static int set_up(struct queue *q, uint64_t features)
{
	q->setup.features = features;
	if (ioctl(q->fd, DEADLINE_IOC_SETUP, &q->setup))
		return errno;
	return -queue_map(q);
}

/* SETUP is done by root, whoever opened: what was decided then, stays. */
TEST_F(opener, feature)
{
	ASSERT_EQ(0, set_up(&self->q, 0));
	EXPECT_EQ(self->hard ? DEADLINE_FEATURE_HARD : 0,
		  self->q.setup.features & DEADLINE_FEATURE_HARD);
	EXPECT_TRUE(self->q.setup.features & DEADLINE_FEATURE_WORD);
}

/* And the other way: SETUP by one who could not have it */
TEST_F(opener, feature_unprivileged_setup)
{
	int ret;

	ASSERT_EQ(0, seteuid(NOBODY));
	ret = set_up(&self->q, 0);
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, ret);
	EXPECT_EQ(self->hard ? DEADLINE_FEATURE_HARD : 0,
		  self->q.setup.features & DEADLINE_FEATURE_HARD);
}

TEST_F(opener, demanded)
{
	struct deadline_setup before = self->q.setup;

	ASSERT_EQ(self->hard ? 0 : EOPNOTSUPP,
		  set_up(&self->q, DEADLINE_FEATURE_HARD));
	if (self->hard)
		return;
	/* Nothing was changed, and without it all goes well. */
	EXPECT_EQ(DEADLINE_FEATURE_HARD, self->q.setup.features);
	EXPECT_EQ(before.slots, self->q.setup.slots);
	EXPECT_EQ(0, set_up(&self->q, DEADLINE_FEATURE_WORD));
}

TEST_F(opener, word)
{
	uint64_t when = due(clock_ns() + MS);

	ASSERT_EQ(0, set_up(&self->q, 0));
	ASSERT_EQ(0, slot_arm(&self->q, 1, when));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_LE(when, self->q.slots[1].expired_at);
	EXPECT_EQ(1, ring_collect(&self->q, 1));
}

TEST_F(opener, read)
{
	struct deadline_expiry expiry;
	unsigned long i, n = rounds(100);
	uint64_t when;

	ASSERT_EQ(0, set_up(&self->q, 0));
	for (i = 0; i < n; i++) {
		when = due(clock_ns() + 100 * US);
		ASSERT_EQ(0, slot_arm(&self->q, i % 64, when));
		ASSERT_EQ(1, read_one(&self->q, &expiry));
		EXPECT_EQ(when, expiry.deadline);
		EXPECT_LE(when, expiry.expired_at);
	}
}

TEST_F(opener, poll)
{
	struct pollfd pollfd = { .fd = self->q.fd, .events = POLLIN };
	unsigned long i, n = rounds(100);

	ASSERT_EQ(0, set_up(&self->q, 0));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, i % 64,
				      clock_ns() + 100 * US));
		ASSERT_EQ(1, poll(&pollfd, 1, -1));
		ASSERT_EQ(1, ring_collect(&self->q, 1));
	}
}

TEST_F(opener, eventfd)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	unsigned long i, n = rounds(100);
	uint64_t count = 0;

	ASSERT_EQ(0, set_up(&self->q, 0));
	ASSERT_EQ(0, ioctl(self->q.fd, DEADLINE_IOC_EVENTFD, fd));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, i % 64,
				      clock_ns() + 100 * US));
		ASSERT_EQ(8, read(fd, &count, sizeof(count)));
		ASSERT_EQ(1, count);
		ASSERT_EQ(1, ring_collect(&self->q, 1));
	}
	close(fd);
}

TEST_F(opener, signal)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = thread_id() };
	unsigned long i, n = rounds(100);
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, set_up(&self->q, 0));
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETOWN_EX, &owner));
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETSIG, SIGRTMIN));
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_ASYNC));
	for (i = 0; i < n; i++) {
		self->q.slots[i % 64].flags = DEADLINE_SLOT_SIGNAL;
		ASSERT_EQ(0, slot_arm(&self->q, i % 64,
				      clock_ns() + 100 * US));
		ASSERT_EQ(SIGRTMIN, sigwaitinfo(&set, &info));
		ASSERT_EQ(self->q.fd, info.si_fd);
		ASSERT_EQ(1, ring_collect(&self->q, 1));
	}
}

/*
 * What it is for. A real-time thread has the CPU, and nothing that needs a
 * thread of lower priority to run on it happens: neither a softirq of
 * PREEMPT_RT, nor what a SCHED_OTHER thread does.
 */
TEST_F(opener, under_realtime_spinner)
{
	struct sched_param top = { .sched_priority = 50 }, none = {};
	uint64_t when, end;
	bool over;

	ASSERT_EQ(0, set_up(&self->q, 0));
	pin_to(0);
	/* All planned and programmed by the CPU on which we spin */
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &top));
	when = clock_ns() + 5 * MS;
	end = when + 300 * MS;
	slot_arm(&self->q, 1, when);
	while (!(over = slot_over(&self->q, 1)) && clock_ns() < end)
		cpu_relax();
	sched_setscheduler(0, SCHED_OTHER, &none);
	/* Else the kernel lends its thread a higher priority now and then. */
	if (self->hard)
		EXPECT_TRUE(over);
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_EQ(1, ring_collect(&self->q, 1));
}

/* Have the queue wait in its user's line, whose timer is started on this CPU. */
static int throttle(struct queue *q)
{
	uint64_t before = status_of(&q->status->throttled), when;
	uint32_t i, list[64];

	do {
		when = clock_ns() + 50 * US;
		for (i = 0; i < 64; i++) {
			list[i] = i;
			slot_arm_silent(q, i, when);
		}
		if (ring_list(q, list, 64) != 64)
			return -1;
		for (i = 0; i < 64; i++)
			WAIT_FOR(slot_over(q, i) ||
				 status_of(&q->status->throttled) != before);
	} while (status_of(&q->status->throttled) == before);
	return 0;
}

static void *spin_realtime(void *arg)
{
	struct sched_param top = { .sched_priority = 50 };
	bool *stop = arg;

	pin_to(0);
	sched_setscheduler(0, SCHED_FIFO, &top);
	__atomic_store_n(stop, false, __ATOMIC_RELEASE);
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		cpu_relax();
	return NULL;
}

/*
 * The line's timer is one of a CPU on which a real-time thread computes. Whoever rings
 * on another one starts it there.
 */
TEST_F(opener, throttled_beside_realtime_spinner)
{
	long share = parameter("user_share"), over = 0;
	bool stop = true;
	pthread_t thread;
	uint64_t end;
	uint32_t i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, set_up(&self->q, 0));
	ASSERT_EQ(0, set_parameter("user_share", 2));
	pin_to(0);
	ASSERT_EQ(0, throttle(&self->q));
	pin_to(1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, spin_realtime, &stop));
	WAIT_FOR(!__atomic_load_n(&stop, __ATOMIC_ACQUIRE));
	end = clock_ns() + 800 * MS;
	while (over < 64 && clock_ns() < end) {
		ring(&self->q);
		for (i = 0, over = 0; i < 64; i++)
			over += slot_over(&self->q, i);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, set_parameter("user_share", share));
	EXPECT_EQ(64, over);
}

TEST_HARNESS_MAIN
