// SPDX-License-Identifier: GPL-2.0
/*
 * Signals, by the standard way (fcntl(2): O_ASYNC, F_SETSIG): only slots with
 * DEADLINE_SLOT_SIGNAL send them, one for an interrupt or doorbell, and none is a
 * danger. To whom they go is for uapi_signal_owner.
 */
#include <sys/resource.h>
#include "signals.h"

TEST_F(signal, from_doorbell)
{
	uint32_t list[16], i;

	ASSERT_EQ(0, slot_expire(&self->q, 100));
	EXPECT_EQ(1, caught_ours());
	EXPECT_EQ(self->q.fd, caught.fd);
	/* However many it expires, it signals once. */
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, 16);
	}
	ASSERT_EQ(16, ring_list(&self->q, list, ARRAY_SIZE(list)));
	EXPECT_EQ(2, caught_ours());
}

TEST_F(signal, not_asked_for)
{
	struct deadline_expiry expiry;
	uint64_t when = clock_ns() + MS;

	ASSERT_EQ(0, slot_expire(&self->q, 512));
	ASSERT_EQ(0, slot_arm(&self->q, 513, when));
	/* The wake-up is over when the next interrupt comes. */
	WAIT_FOR(slot_over(&self->q, 513));
	ASSERT_EQ(2, ring_collect(&self->q, 2));
	ASSERT_EQ(0, slot_arm(&self->q, 514, clock_ns() + MS));
	WAIT_FOR(read_one(&self->q, &expiry) == 1);
	EXPECT_EQ(514, expiry.slot);
	EXPECT_EQ(0, caught_ours());
	/* Another flag is not that one. */
	self->q.slots[515].flags = DEADLINE_SLOT_PERIODIC;
	self->q.periods[515] = 1000 * SECOND;
	slot_arm_silent(&self->q, 515, 16);
	ASSERT_EQ(1, ring_one(&self->q, 515));
	EXPECT_EQ(1, ring_drain(&self->q));
	EXPECT_EQ(0, caught_ours());
	/* Armed again without the flag */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_ours());
	self->q.slots[0].flags = 0;
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_ours());
	EXPECT_EQ(0, caught_sigio());
}

/* Without O_ASYNC none is sent, and none is kept for when it comes. */
TEST_F(signal, switched_off)
{
	ASSERT_EQ(0, set_async(&self->q, false));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	/* One whose hint still stands in the ring, too */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	ASSERT_EQ(0, set_async(&self->q, true));
	EXPECT_EQ(0, caught_ours());
	ASSERT_EQ(0, slot_expire(&self->q, 512));
	EXPECT_EQ(0, caught_ours());
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_EQ(1, caught_ours());
}

/* A program that goes by signals need not consume the ring. */
TEST_F(signal, ring_not_consumed)
{
	unsigned int i;

	for (i = 1; i <= 5; i++) {
		ASSERT_EQ(0, slot_expire(&self->q, 0));
		EXPECT_EQ(i, caught_ours());
	}
	for (; i <= 10; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + MS));
		WAIT_FOR(caught_ours() == i);
	}
	EXPECT_EQ(1, ring_drain(&self->q));
}

/* Many deadlines of one instant: a signal for each interrupt, not for each */
TEST_F(signal, coalesced)
{
	uint64_t when = clock_ns() + SECOND;
	uint32_t list[512], i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, when);
	}
	ASSERT_EQ(512, ring_list(&self->q, list, ARRAY_SIZE(list)));
	ASSERT_GT(when, clock_ns());
	ASSERT_EQ(512, ring_collect(&self->q, 512));
	EXPECT_EQ(512, expired(&self->q, 512));
	WAIT_FOR(caught_ours());
	EXPECT_GE(status_of(&self->q.status->interrupts), caught_ours());
	/* It takes 16 at least, unless it is the last. */
	EXPECT_GE(512 / 16 + 1, status_of(&self->q.status->interrupts));
}

TEST_F(signal, sigio_by_default)
{
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETSIG, 0));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_sigio());
	ASSERT_EQ(0, slot_arm(&self->q, 1, clock_ns() + MS));
	WAIT_FOR(caught_sigio() == 2);
	EXPECT_EQ(0, caught_ours());
}

/* Signals are lost beyond the limit, deadlines are not; SIGIO says so. */
TEST_F(signal, pending_limit)
{
	struct rlimit limit = { 0, 64 };
	uint32_t i;

	ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &limit));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	ASSERT_EQ(0, slot_arm(&self->q, 1, clock_ns() + MS));
	WAIT_FOR(caught_sigio() == 2);
	EXPECT_EQ(0, caught_ours());

	block(OURS);
	block(SIGIO);
	limit.rlim_cur = 1;
	ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &limit));
	for (i = 2; i < 100; i++)
		ASSERT_EQ(0, slot_expire(&self->q, i));
	EXPECT_TRUE(accept_signal(OURS));
	EXPECT_TRUE(accept_signal(SIGIO));
	EXPECT_FALSE(accept_signal(OURS));
	EXPECT_FALSE(accept_signal(SIGIO));
	EXPECT_EQ(100, ring_drain(&self->q));
}

/* The last mapping is gone while deadlines are close: no signal comes after. */
TEST_F(signal, close_armed)
{
	unsigned long round, n = rounds(300);
	uint64_t seed = 5, when = 0;
	unsigned int count;
	struct queue q;
	uint32_t i;

	for (round = 0; round < n; round++) {
		ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC | O_NONBLOCK));
		ASSERT_EQ(0, set_owner(&q, F_OWNER_TID, thread_id()));
		ASSERT_EQ(0, fcntl(q.fd, F_SETSIG, OURS));
		ASSERT_EQ(0, set_async(&q, true));
		for (i = 0; i < 4; i++) {
			q.slots[i].flags = DEADLINE_SLOT_SIGNAL;
			when = clock_ns() + next_random(&seed) % (200 * US);
			ASSERT_EQ(0, slot_arm(&q, i, when));
		}
		queue_close(&q);
		count = caught_ours();
		WAIT_FOR(clock_ns() > when + 200 * US);
		ASSERT_EQ(count, caught_ours());
	}
}

/* The descriptor is gone, the mapping is not: the queue goes on. */
TEST_F(signal, mapping_only)
{
	struct queue q;

	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, set_owner(&q, F_OWNER_TID, thread_id()));
	ASSERT_EQ(0, fcntl(q.fd, F_SETSIG, OURS));
	ASSERT_EQ(0, set_async(&q, true));
	q.slots[0].flags = DEADLINE_SLOT_SIGNAL;
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + 20 * MS));
	close(q.fd);
	WAIT_FOR(caught_ours() == 1);
	EXPECT_TRUE(slot_over(&q, 0));
	queue_unmap(&q);
}

/* With any other bit of the flags it is refused, by doorbell and interrupt alike. */
TEST_F(signal, garbage_flags)
{
	struct deadline_slot *slots = self->q.slots;
	uint32_t bit;

	for (bit = 2; bit < 32; bit++) {
		slot_arm_silent(&self->q, 0, 16);
		slots[0].flags = DEADLINE_SLOT_SIGNAL | 1u << bit;
		EXPECT_EQ(1, ring_one(&self->q, 0));
		EXPECT_FALSE(slot_over(&self->q, 0));
	}
	EXPECT_EQ(30, status_of(&self->q.status->refused));
	/* This one's interrupt is served, and takes the others. */
	ASSERT_EQ(0, slot_plan(&self->q, 600, clock_ns() + 20 * MS));
	for (bit = 2; bit < 32; bit++) {
		slots[512 + bit].flags = DEADLINE_SLOT_SIGNAL | 1u << bit;
		slot_arm_silent(&self->q, 512 + bit, clock_ns() + MS);
		hand_in(&self->q, 512 + bit);
	}
	WAIT_FOR(slot_over(&self->q, 600));
	WAIT_FOR(status_of(&self->q.status->refused) == 60);
	for (bit = 2; bit < 32; bit++)
		EXPECT_FALSE(slot_over(&self->q, 512 + bit));
	EXPECT_EQ(1, ring_collect(&self->q, 1));
	EXPECT_EQ(0, caught_ours());
	slots[0].flags = DEADLINE_SLOT_SIGNAL;
	ASSERT_EQ(1, ring_one(&self->q, 0));
	EXPECT_EQ(1, caught_ours());
}

TEST_HARNESS_MAIN
