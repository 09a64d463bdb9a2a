// SPDX-License-Identifier: GPL-2.0
/*
 * Cancel, request, move, expiry, reaping and arming again, two of them at the
 * same moment: one wins, and everybody is told so.
 */
#include "library.h"

/* What the two threads do in a round, and what came of it */
struct race {
	deadline_queue *queue;
	deadline_slot *slot;
	int (*ours)(struct race *race);
	int (*theirs)(struct race *race);
	unsigned long n;
	unsigned long started;
	unsigned long finished;
	int won;
	uint64_t when;
	unsigned long reaped;
	unsigned long wrong;
};

static int cancel(struct race *race)
{
	return deadline_slot_cancel(race->slot);
}

static int request(struct race *race)
{
	return deadline_slot_expire(race->slot);
}

/* Moving is no end: to soon, or to now. */
static int move(struct race *race)
{
	int ret = deadline_slot_move(race->slot, race->when + US);

	if (ret == 1)
		ret = deadline_slot_move(race->slot, race->when);
	race->wrong += ret != 0 && ret != 1;
	return 0;
}

/* An expiry, not the slot: it is an end only of what has expired. */
static int drop(struct race *race)
{
	int ret = 0;

	while (!ret && !slot_is_over(race->slot))
		ret = deadline_slot_drop(race->slot);
	return ret ? ret : deadline_slot_drop(race->slot);
}

static int reap(struct race *race)
{
	struct deadline_record record;

	WAIT_FOR(slot_is_over(race->slot));
	return deadline_queue_reap(race->queue, &record, 1);
}

static int watch(struct race *race)
{
	WAIT_FOR(slot_is_over(race->slot));
	return 0;
}

static void *their_thread(void *arg)
{
	struct race *race = arg;
	unsigned long i;

	for (i = 1; i <= race->n; i++) {
		WAIT_FOR(__atomic_load_n(&race->started, __ATOMIC_ACQUIRE) >=
			 i);
		race->won = race->theirs(race);
		__atomic_store_n(&race->finished, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* One arm must have one end: by us, by them, or delivered. */
static void one_round(struct race *race, unsigned long i)
{
	struct deadline_record record;
	int ends;

	if (deadline_slot_arm(race->slot, 0, race->when))
		race->wrong++;
	__atomic_store_n(&race->started, i, __ATOMIC_RELEASE);
	/* Let them, or the expiry, be first in some rounds. */
	while (i % 4 && clock_ns() < race->when - US)
		relax();
	ends = race->ours(race);
	WAIT_FOR(__atomic_load_n(&race->finished, __ATOMIC_ACQUIRE) == i);
	ends += race->won;
	WAIT_FOR(slot_is_over(race->slot));
	if (!ends) {
		reap_one(race->queue, &record);
		race->wrong += record.when < race->when ||
			record.expired_at < record.when;
		race->reaped++;
		ends++;
	}
	race->wrong += ends != 1;
	race->wrong += deadline_queue_reap(race->queue, &record, 1) != 0;
}

static int race_all(struct race *race)
{
	uint64_t seed = 11;
	pthread_t thread;
	unsigned long i;

	race->n = rounds(5000);
	if (pthread_create(&thread, NULL, their_thread, race))
		return -1;
	for (i = 1; i <= race->n; i++) {
		race->when = clock_ns() + next_random(&seed) % (20 * US);
		one_round(race, i);
	}
	pthread_join(thread, NULL);
	return 0;
}

/* As many expiries as were reaped, because nobody won; @all: each arm ends in one. */
static void check(struct __test_metadata *_metadata,
		  struct deadline_queue *queue, struct deadline_slot *slot,
		  int (*ours)(struct race *race),
		  int (*theirs)(struct race *race), bool all)
{
	struct race race = {
		.queue = queue,
		.slot = slot,
		.ours = ours,
		.theirs = theirs,
	};
	uint64_t expired;

	ASSERT_EQ(0, race_all(&race));
	EXPECT_EQ(0, race.wrong);
	expired = all ? race.n : race.reaped;
	WAIT_FOR(stats_of(race.queue).expired >= expired);
	EXPECT_EQ(expired, stats_of(race.queue).expired);
}

TEST_F(lib, cancel_expiry)
{
	check(_metadata, self->queue, self->slots[0], watch, cancel, false);
}

TEST_F(lib, request_expiry)
{
	check(_metadata, self->queue, self->slots[0], watch, request, false);
}

TEST_F(lib, cancel_cancel)
{
	check(_metadata, self->queue, self->slots[0], cancel, cancel, false);
}

TEST_F(lib, cancel_request)
{
	check(_metadata, self->queue, self->slots[0], cancel, request, false);
}

TEST_F(lib, move_cancel)
{
	check(_metadata, self->queue, self->slots[0], move, cancel, false);
}

TEST_F(lib, move_request)
{
	check(_metadata, self->queue, self->slots[0], move, request, false);
}

TEST_F(lib, move_expiry)
{
	check(_metadata, self->queue, self->slots[0], move, watch, true);
}

/* Dropped by two threads, or dropped and reaped: one of them has it. */
TEST_F(lib, drop_drop)
{
	check(_metadata, self->queue, self->slots[0], drop, drop, true);
}

TEST_F(lib, drop_reap)
{
	check(_metadata, self->queue, self->slots[0], drop, reap, true);
}

static void *reap_thread(void *arg)
{
	struct deadline_record record;
	struct race *race = arg;

	while (!__atomic_load_n(&race->finished, __ATOMIC_ACQUIRE)) {
		if (deadline_queue_reap(race->queue, &record, 1))
			race->reaped++;
		cpu_relax();
	}
	return NULL;
}

/* Expired, and armed again while it is being reaped: that arm stands. */
TEST_F(lib, rearm_reap)
{
	struct race race = { .queue = self->queue, .slot = self->slots[0] };
	unsigned long i, n = rounds(20000), lost = 0;
	uint64_t seed = 1, then;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, reap_thread, &race));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, deadline_slot_arm(race.slot, 0, 1));
		while (!slot_is_over(race.slot))
			cpu_relax();
		then = clock_ns() + next_random(&seed) % (8 * US);
		while (clock_ns() < then)
			cpu_relax();
		ASSERT_EQ(0, deadline_slot_arm(race.slot, 0, DEADLINE_NEVER));
		while (clock_ns() < then + US)
			cpu_relax();
		lost += !deadline_slot_cancel(race.slot);
	}
	__atomic_store_n(&race.finished, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, lost);
	EXPECT_GE(n, race.reaped);
}

/* On CPU 0, where the timer is then: plan a look, and leave it parked. */
static int park(struct race *race)
{
	pin_to(0);
	race->wrong += deadline_slot_arm(race->slot, 0, race->when) != 0;
	deadline_slot_cancel(race->slot);
	return 0;
}

/*
 * Armed again on CPU 1 while the parked look is being made: either the look
 * finds that, or the doorbell is rung. If neither, this would hang.
 */
TEST_F(lib, rearm_look)
{
	struct race race = {
		.queue = self->queue,
		.slot = self->slots[0],
		.theirs = park,
		.n = rounds(10000),
	};
	uint64_t seed = 23, spread = 4 * US, then;
	pthread_t thread;
	unsigned long i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, their_thread, &race));
	pin_to(1);
	if (deadline_queue_backend(self->queue) == DEADLINE_BACKEND_THREAD)
		spread *= 16;	/* it has to wake up first */
	for (i = 1; i <= race.n; i++) {
		race.when = clock_ns() + 20 * US;
		then = race.when + next_random(&seed) % spread;
		__atomic_store_n(&race.started, i, __ATOMIC_RELEASE);
		WAIT_FOR(__atomic_load_n(&race.finished, __ATOMIC_ACQUIRE) ==
			 i);
		while (clock_ns() < then)
			cpu_relax();
		ASSERT_EQ(0, deadline_slot_arm(race.slot, 0, then + 10 * US));
		WAIT_FOR(slot_is_over(race.slot));
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, race.wrong);
}

TEST_HARNESS_MAIN
