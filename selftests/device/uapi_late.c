// SPDX-License-Identifier: GPL-2.0
/*
 * status.late: each expiry in an interrupt is in the bucket of its lateness, as
 * the slot's own stamp tells it, and no other is.
 */
#include "queue.h"

#define BUCKETS 64

static unsigned int bucket_of(uint64_t late)
{
	return late ? 63 - __builtin_clzll(late) : 0;
}

/* Is the histogram @want, once all of it is counted? */
static bool agrees(struct __test_metadata *_metadata, const struct queue *q,
		   const uint64_t *want)
{
	unsigned int i, wrong = 0;
	uint64_t is;

	for (i = 0; i < BUCKETS; i++) {
		is = status_of(&q->status->late[i]);
		if (is == want[i])
			continue;
		TH_LOG("late[%u] is %lu, not %lu", i, is, want[i]);
		wrong++;
	}
	return !wrong;
}

static uint64_t now_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static int open_on(struct queue *q, clockid_t clock)
{
	memset(q, 0, sizeof(*q));
	q->setup.slots = 1024;
	q->setup.clock = clock;
	q->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (ioctl(q->fd, DEADLINE_IOC_SETUP, &q->setup))
		return -errno;
	return queue_map(q);
}

/*
 * Arm all slots for times within 100 ms, of all degrees of slack, @ahead of now;
 * are they before the first one comes? So no doorbell expires any.
 */
static bool arm_all(struct queue *q, uint64_t *when, uint64_t ahead)
{
	uint64_t seed = 5, base = now_of(q->setup.clock) + ahead;
	uint32_t i;

	for (i = 0; i < q->setup.slots; i++) {
		when[i] = due(base + next_random(&seed) % (100 * MS));
		q->slots[i].slack = i % 4 ? 0 : 1u << i / 4 % 26;
		if (slot_arm(q, i, when[i]))
			return false;
	}
	return now_of(q->setup.clock) < base;
}

FIXTURE(clock) {
	struct queue q;
};

FIXTURE_VARIANT(clock) {
	clockid_t clock;
};

FIXTURE_VARIANT_ADD(clock, monotonic) { .clock = CLOCK_MONOTONIC };
FIXTURE_VARIANT_ADD(clock, boottime) { .clock = CLOCK_BOOTTIME };
FIXTURE_VARIANT_ADD(clock, realtime) { .clock = CLOCK_REALTIME };
FIXTURE_VARIANT_ADD(clock, tai) { .clock = CLOCK_TAI };

FIXTURE_SETUP(clock)
{
	ASSERT_EQ(0, open_on(&self->q, variant->clock));
}

FIXTURE_TEARDOWN(clock)
{
	queue_close(&self->q);
}

TEST_F(clock, each_in_its_bucket)
{
	uint64_t want[BUCKETS] = {}, when[1024], ahead = 50 * MS, late;
	unsigned int i, n = self->q.setup.slots, used = 0, after;

	ASSERT_EQ(ARRAY_SIZE(when), n);
	while (!arm_all(&self->q, when, ahead)) {
		queue_close(&self->q);
		ASSERT_EQ(0, open_on(&self->q, variant->clock));
		ahead *= 2;
	}
	ASSERT_EQ(n, ring_collect(&self->q, n));
	ASSERT_EQ(n, expired(&self->q, n));
	for (i = 0; i < n; i++) {
		ASSERT_LE(when[i], self->q.slots[i].expired_at);
		late = self->q.slots[i].expired_at - when[i];
		used += !want[bucket_of(late)]++;
	}
	EXPECT_TRUE(agrees(_metadata, &self->q, want));
	/* The slack saw to some variety. */
	for (i = 14, after = 0; i < BUCKETS; i++)
		after += want[i];
	EXPECT_LT(1, used);
	EXPECT_LT(0, after);
}

/* What a doorbell found due is late by the program's doing. */
TEST_F(queue, not_by_doorbell)
{
	const uint64_t none[BUCKETS] = {};
	unsigned int i;

	for (i = 0; i < 100; i++) {
		slot_arm_silent(&self->q, i, i % 2 ? 16 : clock_ns() - i * US);
		ASSERT_EQ(1, ring_one(&self->q, i));
		ASSERT_TRUE(slot_over(&self->q, i));
	}
	EXPECT_EQ(100, expired(&self->q, 100));
	EXPECT_TRUE(agrees(_metadata, &self->q, none));
}

/* Looks that expire nothing are not in it. */
TEST_F(queue, not_what_did_not_expire)
{
	const uint64_t none[BUCKETS] = {};
	uint64_t when = clock_ns() + 50 * MS;

	ASSERT_EQ(0, slot_plan(&self->q, 0, when));
	ASSERT_EQ(0, slot_plan(&self->q, 1, when));
	ASSERT_EQ(1, slot_cancel(&self->q, 0));
	ASSERT_EQ(1, slot_move(&self->q, 1, when + 1000 * SECOND));
	WAIT_FOR(status_of(&self->q.status->moved) == 1 &&
		 status_of(&self->q.status->dropped) == 1);
	EXPECT_TRUE(agrees(_metadata, &self->q, none));
}

static bool unconsumed(const struct queue *q, uint32_t i)
{
	return (slot_word(q, i) & (DEADLINE_WORD_EXPIRED |
				   DEADLINE_WORD_TAKEN)) ==
	       DEADLINE_WORD_EXPIRED;
}

/*
 * Slots that expire four times, @period apart; add their lateness to @want.
 * False if one came before the last was consumed, whose stamp is lost.
 */
static bool repeat(struct queue *q, uint64_t period, uint64_t *want)
{
	uint32_t i, round, n = 32;
	uint64_t when[32], late;
	bool good = true;

	for (i = 0; i < n; i++) {
		q->slots[i].flags = DEADLINE_SLOT_PERIODIC;
		q->periods[i] = period;
		when[i] = due(clock_ns() + period + i * MS);
		if (slot_arm(q, i, when[i]))
			return false;
	}
	for (round = 0; round < 4; round++) {
		for (i = 0; i < n && good; i++) {
			WAIT_FOR(unconsumed(q, i));
			late = q->slots[i].expired_at - when[i];
			want[bucket_of(late)]++;
			when[i] += period;
			good = !q->slots[i].overruns && slot_claim(q, i) &&
			       (slot_word(q, i) & ~DEADLINE_WORD_STATE) ==
			       when[i];
		}
	}
	for (i = 0; i < n; i++)
		slot_cancel(q, i);
	for (i = 0; i < n; i++)
		good &= !unconsumed(q, i);
	expired(q, 4 * n * good);
	return good;
}

/* A periodic slot's lateness is that of the deadline which passed. */
TEST_F(queue, periodic)
{
	uint64_t want[BUCKETS] = {}, period = 100 * MS;

	while (!repeat(&self->q, period, want)) {
		queue_close(&self->q);
		ASSERT_EQ(0, open_on(&self->q, CLOCK_MONOTONIC));
		memset(want, 0, sizeof(want));
		period *= 2;
		ASSERT_GT(10 * SECOND, period);
	}
	EXPECT_TRUE(agrees(_metadata, &self->q, want));
}

/* Late by several periods: since the first that passed, and one expiry */
TEST_F(queue, periods_missed)
{
	uint64_t want[BUCKETS] = {}, when = due(clock_ns() + 50 * MS);
	struct deadline_slot *slot = &self->q.slots[3];

	slot->flags = DEADLINE_SLOT_PERIODIC;
	self->q.periods[3] = 20 * MS;
	slot->slack = 500 * MS;
	ASSERT_EQ(0, slot_arm(&self->q, 3, when));
	ASSERT_EQ(1, expired(&self->q, 1));
	ASSERT_EQ(1, slot_cancel(&self->q, 3));
	ASSERT_EQ(1, status_of(&self->q.status->expired));
	EXPECT_LE(20, slot->overruns);
	EXPECT_LE(when + 400 * MS, slot->expired_at);
	want[bucket_of(slot->expired_at - when)]++;
	EXPECT_TRUE(agrees(_metadata, &self->q, want));
}

TEST_HARNESS_MAIN
