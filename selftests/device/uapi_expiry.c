// SPDX-License-Identifier: GPL-2.0
/*
 * One slot's life: never early, its time beside its flag, and what @queued says
 * after each step. Where a step must come in time, it has 200 ms.
 */
#include "queue.h"

TEST_F(queue, arm_and_expire)
{
	struct deadline_slot *slot = &self->q.slots[1];
	uint64_t when = due(clock_ns() + 2 * MS);

	slot->overruns = 0xA5;
	slot->expired_at = 1;
	slot->user_data = 42;
	slot->owner = 43;
	slot_arm_silent(&self->q, 1, when);
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 1));
	ASSERT_EQ(1, ring_one(&self->q, 1));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_EQ(when | DEADLINE_WORD_EXPIRED, slot_word(&self->q, 1));
	EXPECT_LE(when, slot->expired_at);
	EXPECT_GE(clock_ns(), slot->expired_at);
	EXPECT_EQ(0, slot->overruns);
	EXPECT_EQ(42, slot->user_data);
	EXPECT_EQ(43, slot->owner);
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 1));
	EXPECT_EQ(1, expired(&self->q, 1));
}

TEST_F(queue, queued_until_then)
{
	uint64_t when = due(clock_ns() + 1000 * SECOND);

	ASSERT_EQ(0, slot_arm(&self->q, 1, when));
	EXPECT_EQ(when, slot_queued(&self->q, 1));
	EXPECT_EQ(when | DEADLINE_WORD_ARMED, slot_word(&self->q, 1));
}

struct watcher {
	struct queue *q;
	unsigned long n;
	unsigned long early;
	unsigned long unstamped;
};

/* On another CPU than the timer: see each expiry as it comes, and claim it. */
static void *watch(void *arg)
{
	struct watcher *w = arg;
	uint64_t stamp;
	unsigned long i;
	__u64 word;

	pin_to(1);
	for (i = 0; i < w->n; i++) {
		while (((word = slot_word(w->q, 1)) & DEADLINE_WORD_STATE) !=
		       DEADLINE_WORD_EXPIRED)
			cpu_relax();
		stamp = __atomic_load_n(&w->q->slots[1].expired_at,
					__ATOMIC_RELAXED);
		w->unstamped += stamp == 1;
		w->early += stamp < word - DEADLINE_WORD_EXPIRED ||
			clock_ns() < word - DEADLINE_WORD_EXPIRED;
		slot_claim(w->q, 1);
	}
	return NULL;
}

/* Whoever sees EXPIRED sees the time of this very expiry. */
TEST_F(queue, stamp_beside_flag)
{
	struct watcher watcher = { .q = &self->q, .n = rounds(10000) };
	struct deadline_slot *slot = &self->q.slots[1];
	uint64_t seed = 1, when;
	pthread_t thread;
	unsigned long i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, watch, &watcher));
	pin_to(0);
	for (i = 0; i < watcher.n; i++) {
		__atomic_store_n(&slot->expired_at, 1, __ATOMIC_RELAXED);
		when = clock_ns() + next_random(&seed) % (50 * US);
		ASSERT_EQ(0, slot_arm(&self->q, 1, when));
		WAIT_FOR(slot_word(&self->q, 1) & DEADLINE_WORD_TAKEN);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, watcher.unstamped);
	EXPECT_EQ(0, watcher.early);
	EXPECT_EQ(watcher.n, expired(&self->q, watcher.n));
}

/* Cancelled: the kernel comes to look, and lets it be. */
TEST_F(queue, cancel)
{
	uint64_t when = due(clock_ns() + 200 * MS);

	slot_arm_silent(&self->q, 1, when);
	ASSERT_EQ(1, ring_one(&self->q, 1));
	ASSERT_EQ(1, slot_cancel(&self->q, 1));
	WAIT_FOR(slot_queued(&self->q, 1) == DEADLINE_QUEUED_NEVER);
	WAIT_FOR(status_of(&self->q.status->dropped) == 1);
	EXPECT_LE(when, clock_ns());
	EXPECT_EQ(when, slot_word(&self->q, 1));
	EXPECT_EQ(0, status_of(&self->q.status->expired));
	EXPECT_EQ(1, status_of(&self->q.status->tail));
}

/* A parked look serves the next arm: no doorbell. */
TEST_F(queue, parked_look)
{
	uint64_t when = due(clock_ns() + 200 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 1, when));
	ASSERT_EQ(1, status_of(&self->q.status->doorbells));
	ASSERT_EQ(1, slot_cancel(&self->q, 1));
	slot_arm_silent(&self->q, 1, when + 200 * MS);
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_LE(when + 200 * MS, self->q.slots[1].expired_at);
	EXPECT_EQ(1, status_of(&self->q.status->doorbells));
	EXPECT_EQ(1, status_of(&self->q.status->moved));
}

TEST_F(queue, move_later)
{
	uint64_t when = due(clock_ns() + 200 * MS), later = when + 200 * MS;
	__u64 queued;

	ASSERT_EQ(0, slot_arm(&self->q, 1, when));
	ASSERT_EQ(1, slot_move(&self->q, 1, later));
	EXPECT_EQ(1, status_of(&self->q.status->doorbells));
	do {
		queued = slot_queued(&self->q, 1);
		EXPECT_TRUE(queued == when || queued == later ||
			    queued == DEADLINE_QUEUED_NEVER);
	} while (!slot_over(&self->q, 1));
	EXPECT_EQ(later | DEADLINE_WORD_EXPIRED, slot_word(&self->q, 1));
	EXPECT_LE(later, self->q.slots[1].expired_at);
	EXPECT_EQ(1, status_of(&self->q.status->moved));
	EXPECT_EQ(1, expired(&self->q, 1));
}

TEST_F(queue, move_earlier)
{
	uint64_t far = due(clock_ns() + 1000 * SECOND);
	uint64_t near = due(clock_ns() + 5 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 1, far));
	ASSERT_EQ(1, slot_move(&self->q, 1, near));
	EXPECT_NE(far, slot_queued(&self->q, 1));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_EQ(near | DEADLINE_WORD_EXPIRED, slot_word(&self->q, 1));
	EXPECT_LE(near, self->q.slots[1].expired_at);
	EXPECT_GT(far, self->q.slots[1].expired_at);
	EXPECT_EQ(2, status_of(&self->q.status->doorbells));
}

/* One earlier than what the timer waits for; the other still comes. */
TEST_F(queue, overtake)
{
	uint64_t when = due(clock_ns() + 20 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 1, when));
	ASSERT_EQ(0, slot_arm(&self->q, 2, when - 15 * MS));
	ASSERT_EQ(0, slot_arm(&self->q, 3, when - 10 * MS));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_TRUE(slot_over(&self->q, 2));
	EXPECT_TRUE(slot_over(&self->q, 3));
	EXPECT_LE(when, self->q.slots[1].expired_at);
	EXPECT_LE(when - 15 * MS, self->q.slots[2].expired_at);
	EXPECT_LE(when - 10 * MS, self->q.slots[3].expired_at);
}

/* A waiter's bit does not keep the slot from expiring. */
TEST_F(queue, waker_bit)
{
	__u64 word = due(clock_ns() + MS) | DEADLINE_WORD_ARMED;

	self->q.slots[1].word = word | DEADLINE_WORD_WAKE;
	ASSERT_EQ(1, ring_one(&self->q, 1));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_TRUE(slot_word(&self->q, 1) & DEADLINE_WORD_EXPIRED);
	EXPECT_FALSE(slot_word(&self->q, 1) & DEADLINE_WORD_TAKEN);
	EXPECT_EQ(1, ring_collect(&self->q, 1));
}

/* Many at random times, armed in any order: each at its own time or later */
TEST_F(queue, each_at_its_time)
{
	check_each_time(_metadata, &self->q, 0);
}

TEST_HARNESS_MAIN
