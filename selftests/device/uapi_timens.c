// SPDX-License-Identifier: GPL-2.0
/*
 * Time namespaces: a queue's MONOTONIC and BOOTTIME are those of whoever opened
 * it, wherever it is set up and used. The namespace's clocks are ahead of the
 * host's here, or behind them.
 */
#include <sys/timerfd.h>
#include "clocks.h"
#include "pass_fd.h"

#define HOST "/proc/self/ns/time"
#define CHILDREN "/proc/self/ns/time_for_children"

FIXTURE(timens) {
	int host;
	int inner;
	int64_t offset;
};

FIXTURE_VARIANT(timens) {
	clockid_t clock;
	int64_t monotonic;
	int64_t boottime;
};

FIXTURE_VARIANT_ADD(timens, monotonic_ahead) {
	.clock = CLOCK_MONOTONIC,
	.monotonic = 5000 * (int64_t)SECOND,
	.boottime = 7000 * (int64_t)SECOND,
};

FIXTURE_VARIANT_ADD(timens, boottime_ahead) {
	.clock = CLOCK_BOOTTIME,
	.monotonic = 5000 * (int64_t)SECOND,
	.boottime = 7000 * (int64_t)SECOND,
};

FIXTURE_VARIANT_ADD(timens, monotonic_behind) {
	.clock = CLOCK_MONOTONIC,
	.monotonic = -(int64_t)SECOND,
	.boottime = -(int64_t)SECOND / 2,
};

FIXTURE_VARIANT_ADD(timens, boottime_behind) {
	.clock = CLOCK_BOOTTIME,
	.monotonic = -(int64_t)SECOND,
	.boottime = -(int64_t)SECOND / 2,
};

/* Of the namespace that the next child will be in. Negative: seconds down */
static int write_offset(int fd, const char *clock, int64_t offset)
{
	int64_t seconds = offset / (int64_t)SECOND;
	int64_t ns = offset % (int64_t)SECOND;

	if (ns < 0) {
		seconds--;
		ns += SECOND;
	}
	return dprintf(fd, "%s %lld %lld\n", clock, (long long)seconds,
		       (long long)ns);
}

/* This process, which has one thread, goes into a time namespace. */
static int enter(int fd)
{
	return setns(fd, CLONE_NEWTIME);
}

FIXTURE_SETUP(timens)
{
	int fd;

	/* No clock of a namespace may be behind 0. */
	WAIT_FOR(clock_ns() > 3 * SECOND);
	self->host = open(HOST, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, unshare(CLONE_NEWTIME));
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, write_offset(fd, "monotonic", variant->monotonic));
	ASSERT_LT(0, write_offset(fd, "boottime", variant->boottime));
	close(fd);
	self->inner = open(CHILDREN, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->inner);
	self->offset = variant->clock == CLOCK_MONOTONIC ? variant->monotonic :
							   variant->boottime;
}

FIXTURE_TEARDOWN(timens)
{
	close(self->host);
	close(self->inner);
}

TEST_F(timens, opened_inside)
{
	uint64_t before = ns_of(variant->clock) + self->offset, now;
	struct queue q;

	ASSERT_EQ(0, enter(self->inner));
	now = ns_of(variant->clock);
	ASSERT_LE(before, now);
	ASSERT_GT(before + 1000 * SECOND, now);
	ASSERT_EQ(0, queue_open_on(&q, variant->clock, 64, O_CLOEXEC));
	check_clock(_metadata, &q, variant->clock);
	queue_close(&q);
}

/* The clocks that no namespace has */
TEST_F(timens, others_unaffected)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_TAI };
	struct queue q;
	size_t i;

	ASSERT_EQ(0, enter(self->inner));
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		ASSERT_EQ(0, queue_open_on(&q, clocks[i], 64, O_CLOEXEC));
		check_clock(_metadata, &q, clocks[i]);
		queue_close(&q);
	}
}

/* As a timerfd of the same namespace and clock has it */
TEST_F(timens, beside_timerfd)
{
	struct itimerspec timer = {}, left;
	struct queue q;
	uint64_t when, before, fired;
	int fd;

	ASSERT_EQ(0, enter(self->inner));
	ASSERT_EQ(0, queue_open_on(&q, variant->clock, 64, O_CLOEXEC));
	fd = timerfd_create(variant->clock, TFD_CLOEXEC);
	ASSERT_LE(0, fd);

	/* Far off: for as long as the timerfd says */
	when = due(ns_of(variant->clock) + HOUR);
	timer.it_value.tv_sec = when / SECOND;
	timer.it_value.tv_nsec = when % SECOND;
	ASSERT_EQ(0, timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL));
	ASSERT_EQ(0, slot_arm(&q, 0, when));
	before = ns_of(variant->clock);
	ASSERT_EQ(0, timerfd_gettime(fd, &left));
	EXPECT_LE(left.it_value.tv_sec * SECOND + left.it_value.tv_nsec,
		  slot_queued(&q, 0) - before);
	EXPECT_GE(left.it_value.tv_sec * SECOND + left.it_value.tv_nsec,
		  slot_queued(&q, 0) - ns_of(variant->clock));

	/* Near */
	when = due(ns_of(variant->clock) + 20 * MS);
	timer.it_value.tv_sec = when / SECOND;
	timer.it_value.tv_nsec = when % SECOND;
	ASSERT_EQ(0, timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL));
	ASSERT_EQ(0, slot_arm(&q, 1, when));
	ASSERT_EQ(8, read(fd, &fired, sizeof(fired)));
	EXPECT_LE(when, ns_of(variant->clock));
	WAIT_FOR(slot_over(&q, 1));
	EXPECT_LE(when, q.slots[1].expired_at);
	EXPECT_FALSE(slot_over(&q, 0));
	close(fd);
	queue_close(&q);
}

/*
 * Use @q by the clock that the caller reads, less @offset: that of another
 * namespace.
 */
static void check_from_afar(struct __test_metadata *_metadata, struct queue *q,
			    clockid_t clock, int64_t offset)
{
	uint64_t when = due(ns_of(clock) - offset + 2 * MS);
	struct deadline_expiry expiry;

	ASSERT_EQ(0, slot_arm(q, 1, when));
	ASSERT_EQ(1, read_one(q, &expiry));
	EXPECT_EQ(when, expiry.deadline);
	EXPECT_LE(when, expiry.expired_at);
	EXPECT_LE(when, ns_of(clock) - offset);
	EXPECT_GE(ns_of(clock) - offset, expiry.expired_at);

	when = due(ns_of(clock) - offset + HOUR);
	ASSERT_EQ(0, slot_plan(q, 1, when));
	EXPECT_EQ(when, slot_queued(q, 1));
	EXPECT_FALSE(slot_over(q, 1));

	when = ns_of(clock) - offset;
	slot_arm_silent(q, 2, when - DEADLINE_GRAIN);
	ASSERT_EQ(1, ring_one(q, 2));
	EXPECT_TRUE(slot_over(q, 2));
	EXPECT_LE(when, q->slots[2].expired_at);
	EXPECT_GE(ns_of(clock) - offset, q->slots[2].expired_at);
}

/* Opened by the host, and set up in the namespace */
TEST_F(timens, opened_outside)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct queue q;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, enter(self->inner));
	ASSERT_EQ(0, queue_make(&q, fd, variant->clock, 64));
	check_from_afar(_metadata, &q, variant->clock, self->offset);
	queue_close(&q);
}

/* Inherited by a child, which is in the namespace since unshare(2) */
TEST_F(timens, used_by_child)
{
	struct queue q;
	int status;
	pid_t pid;

	ASSERT_EQ(0, queue_open_on(&q, variant->clock, 64, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0) {
		/* No mapping is inherited. */
		ASSERT_EQ(0, queue_map(&q));
		check_from_afar(_metadata, &q, variant->clock, self->offset);
		_exit(__test_passed(_metadata) ? 0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(exited(status, 0));
	queue_close(&q);
}

/* Opened inside, where nobody is any more when it is set up and used */
TEST_F(timens, passed_out)
{
	struct queue q;
	int pair[2], status;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	ASSERT_LE(0, pid);
	if (pid == 0)
		_exit(send_fd(pair[0], open(DEVICE, O_RDWR)) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(exited(status, 0));
	ASSERT_EQ(0, queue_make(&q, receive_fd(pair[1]), variant->clock, 64));
	check_from_afar(_metadata, &q, variant->clock, -self->offset);
	queue_close(&q);
}

/* The end of time, which the host's clock has no room for if it is ahead */
TEST_F(timens, last_moment)
{
	struct queue q;

	ASSERT_EQ(0, enter(self->inner));
	ASSERT_EQ(0, queue_open_on(&q, variant->clock, 64, O_CLOEXEC));
	ASSERT_EQ(0, slot_arm(&q, 0, INT64_MAX & ~DEADLINE_WORD_STATE));
	ASSERT_EQ(0, slot_arm(&q, 1, ns_of(variant->clock) + 20 * MS));
	WAIT_FOR(slot_over(&q, 1));
	EXPECT_FALSE(slot_over(&q, 0));
	/* Nobody looked in vain. */
	EXPECT_EQ(1, expired(&q, 1));
	EXPECT_EQ(1, status_of(&q.status->interrupts));
	queue_close(&q);
}

TEST_HARNESS_MAIN
