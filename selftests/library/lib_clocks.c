// SPDX-License-Identifier: GPL-2.0
/* Queues on other clocks: their deadlines, and what is told when a clock is set. */
#include <limits.h>
#include <poll.h>
#include "library.h"

#define HOUR (3600 * SECOND)

static int open_on(int clock, deadline_queue **ret_queue)
{
	struct deadline_options options = { .slots = 64, .clock = clock };

	return deadline_queue_open(ret_queue, &options);
}

/* Does the kernel serve? */
static bool has_clocks(void)
{
	deadline_queue *queue;
	bool kernel;

	if (deadline_queue_open(&queue, NULL))
		return false;
	kernel = deadline_queue_backend(queue) == DEADLINE_BACKEND_KERNEL;
	deadline_queue_close(queue);
	return kernel;
}

TEST(refused)
{
	struct deadline_options options = {
		.clock = DEADLINE_CLOCK_REALTIME,
		.backend = DEADLINE_BACKEND_THREAD,
	};
	deadline_queue *queue = POISON;

	EXPECT_EQ(-EINVAL, open_on(DEADLINE_CLOCK_TAI + 1, &queue));
	EXPECT_EQ(-EINVAL, open_on(-1, &queue));
	EXPECT_EQ(-EOPNOTSUPP, deadline_queue_open(&queue, &options));
	EXPECT_EQ(POISON, queue);
}

TEST(deadlines_by_each)
{
	static const struct {
		int clock;
		clockid_t id;
	} clocks[] = {
		{ DEADLINE_CLOCK_MONOTONIC, CLOCK_MONOTONIC },
		{ DEADLINE_CLOCK_BOOTTIME, CLOCK_BOOTTIME },
		{ DEADLINE_CLOCK_REALTIME, CLOCK_REALTIME },
		{ DEADLINE_CLOCK_TAI, CLOCK_TAI },
	};
	struct deadline_record record;
	deadline_queue *queue;
	deadline_slot *slot;
	uint64_t when;
	unsigned int i;

	for (i = 0; i < (has_clocks() ? ARRAY_SIZE(clocks) : 1); i++) {
		ASSERT_EQ(0, open_on(clocks[i].clock, &queue));
		ASSERT_EQ(0, deadline_slot_alloc(queue, i, &slot));
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, ns_of(clocks[i].id) + HOUR));
		EXPECT_FALSE(slot_is_over(slot));
		EXPECT_GE(HOUR + 16, deadline_slot_remaining(slot));
		EXPECT_LT(0, deadline_slot_remaining(slot));
		when = ns_of(clocks[i].id) + MS;
		ASSERT_EQ(1, deadline_slot_move(slot, when));
		/* The limit is of CLOCK_MONOTONIC. */
		EXPECT_EQ(0, deadline_queue_wait(queue, deadline_in(HOUR)));
		EXPECT_LE(when, ns_of(clocks[i].id));
		EXPECT_EQ(1, deadline_queue_reap(queue, &record, 1));
		EXPECT_LE(when, record.when);
		EXPECT_LE(record.when, record.expired_at);
		EXPECT_EQ(0, stats_of(queue).clock_sets);
		deadline_queue_destroy(queue);
	}
}

/* By a clock that counts from 1970, more of the least periods than an int can count */
TEST(most_overruns)
{
	struct deadline_record record;
	deadline_queue *queue;
	deadline_slot *slot;

	if (!has_clocks())
		return;
	ASSERT_EQ(0, open_on(DEADLINE_CLOCK_REALTIME, &queue));
	ASSERT_EQ(0, deadline_slot_alloc(queue, 0, &slot));
	ASSERT_EQ(0, deadline_slot_set_period(slot, 10 * US));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 16));
	ASSERT_EQ(1, reap_one(queue, &record));
	EXPECT_EQ(INT_MAX, record.overruns);
	EXPECT_LT(INT_MAX * 10ull * US, record.when);
	deadline_queue_destroy(queue);
}

static void set_clock(uint64_t ns)
{
	struct timespec ts = { ns / SECOND, ns % SECOND };

	clock_settime(CLOCK_REALTIME, &ts);
}

/* Only in a guest, whose clock is nobody else's */
static void check_set(struct __test_metadata *_metadata, int clock, clockid_t id)
{
	deadline_queue *queue, *steady;
	deadline_slot *slot, *other;
	struct pollfd pollfd = { .events = POLLPRI };

	ASSERT_EQ(0, open_on(clock, &queue));
	ASSERT_EQ(0, open_on(DEADLINE_CLOCK_BOOTTIME, &steady));
	ASSERT_EQ(0, deadline_slot_alloc(queue, 0, &slot));
	ASSERT_EQ(0, deadline_slot_alloc(steady, 0, &other));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, ns_of(id) + HOUR));
	ASSERT_EQ(0, deadline_slot_arm(other, 0, ns_of(CLOCK_BOOTTIME) + HOUR));
	set_clock(ns_of(CLOCK_REALTIME) + 2 * HOUR);
	pollfd.fd = deadline_queue_fd(queue);
	EXPECT_EQ(1, poll(&pollfd, 1, -1));
	EXPECT_TRUE(pollfd.revents & POLLPRI);
	EXPECT_EQ(0, deadline_queue_wait(queue, deadline_in(HOUR)));
	EXPECT_TRUE(slot_is_over(slot));
	EXPECT_FALSE(slot_is_over(other));
	EXPECT_EQ(1, stats_of(queue).clock_sets);
	EXPECT_EQ(0, stats_of(steady).clock_sets);
	set_clock(ns_of(CLOCK_REALTIME) - 2 * HOUR);
	/* Or a queue that is opened next may be told of it, too. */
	WAIT_FOR(stats_of(queue).clock_sets == 2);
	deadline_queue_destroy(queue);
	deadline_queue_destroy(steady);
}

TEST(set)
{
	if (!has_clocks())
		return;
	check_set(_metadata, DEADLINE_CLOCK_REALTIME, CLOCK_REALTIME);
	check_set(_metadata, DEADLINE_CLOCK_TAI, CLOCK_TAI);
}

/* Neither ahead of the clock nor behind */
TEST(now)
{
	uint64_t before, now, after;
	int i, wrong = 0;

	for (i = 0; i < 10000; i++) {
		before = clock_ns();
		now = deadline_now();
		after = clock_ns();
		wrong += now < before || now > after;
	}
	EXPECT_EQ(0, wrong);
}

TEST_HARNESS_MAIN
