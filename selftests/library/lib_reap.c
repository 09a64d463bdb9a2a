// SPDX-License-Identifier: GPL-2.0
/* Reaping: as many as asked for, each once, by any number of threads. */
#include "library.h"

#define CONSUMERS 3

/* Have slots 0 to @n - 1 expire, and wait until all are in the ring. */
static int expire_some(deadline_queue *queue, deadline_slot **slots,
		       unsigned int n)
{
	uint64_t before = stats_of(queue).expired;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (deadline_slot_arm(slots[i], 0, 1))
			return -1;
	}
	WAIT_FOR(stats_of(queue).expired >= before + n);
	return 0;
}

TEST_F(lib, as_many_as_asked)
{
	struct deadline_record records[64];
	uint64_t seen = 0;
	int i, n, total = 0;

	memset(records, 0xA5, sizeof(records));
	EXPECT_FALSE(deadline_queue_pending(self->queue));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, records, 64));
	ASSERT_EQ(0, expire_some(self->queue, self->slots, 10));
	EXPECT_TRUE(deadline_queue_pending(self->queue));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, NULL, 0));
	EXPECT_EQ(POISON, records[0].slot);
	for (n = 1; n <= 4; n++) {
		ASSERT_EQ(n, deadline_queue_reap(self->queue, records, n));
		EXPECT_EQ(POISON, records[n].slot);
		for (i = 0; i < n; i++)
			seen |= 1ull << records[i].user_data;
		total += n;
	}
	EXPECT_EQ(10, total);
	EXPECT_EQ(0x3FF, seen);
	EXPECT_FALSE(deadline_queue_pending(self->queue));
	EXPECT_EQ(0, deadline_queue_reap(self->queue, records, 64));
}

/* An entry of the ring whose slot has no expiry any more is no record. */
TEST_F(lib, skips_stale_hints)
{
	struct deadline_record records[64];
	unsigned int i;

	ASSERT_EQ(0, expire_some(self->queue, self->slots, 64));
	for (i = 0; i < 64; i++) {
		if (i % 8)
			ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0,
						       DEADLINE_NEVER));
	}
	ASSERT_EQ(8, deadline_queue_reap(self->queue, records, 8));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, records[i].user_data % 8);
	EXPECT_EQ(0, deadline_queue_reap(self->queue, records, 64));
}

struct consumer {
	deadline_queue *queue;
	unsigned int batch;
	unsigned int *seen;
	bool *stop;
	unsigned long early;
};

static void *consume(void *arg)
{
	struct deadline_record records[64];
	struct consumer *c = arg;
	int i, n;

	while (!__atomic_load_n(c->stop, __ATOMIC_ACQUIRE)) {
		n = deadline_queue_reap(c->queue, records, c->batch);
		for (i = 0; i < n; i++) {
			c->early += records[i].expired_at < records[i].when;
			__atomic_add_fetch(&c->seen[records[i].user_data], 1,
					   __ATOMIC_RELEASE);
		}
		if (!n)
			relax();
	}
	return NULL;
}

/* Every slot expires once in each round, and somebody reaps it. */
static int reap_round(deadline_slot **slots, unsigned int *seen,
		      unsigned int round, uint64_t *seed)
{
	unsigned int i;

	for (i = 0; i < 64; i++) {
		if (deadline_slot_arm(slots[i], 0, clock_ns() +
				      next_random(seed) % (100 * US)))
			return -1;
	}
	for (i = 0; i < 64; i++)
		WAIT_FOR(__atomic_load_n(&seen[i], __ATOMIC_ACQUIRE) >= round);
	return 0;
}

TEST_F(lib, several_consumers)
{
	static const unsigned int batches[CONSUMERS] = { 1, 7, 64 };
	struct consumer consumers[CONSUMERS] = {};
	unsigned int i, round, n = rounds(500), seen[64] = {}, wrong = 0;
	pthread_t threads[CONSUMERS];
	bool stop = false;
	uint64_t seed = 5;

	for (i = 0; i < CONSUMERS; i++) {
		consumers[i].queue = self->queue;
		consumers[i].batch = batches[i];
		consumers[i].seen = seen;
		consumers[i].stop = &stop;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, consume,
					    &consumers[i]));
	}
	for (round = 1; round <= n; round++)
		ASSERT_EQ(0, reap_round(self->slots, seen, round, &seed));
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < CONSUMERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, consumers[i].early);
	}
	for (i = 0; i < 64; i++)
		wrong += seen[i] != n;
	EXPECT_EQ(0, wrong);
	WAIT_FOR(stats_of(self->queue).expired >= n * 64);
	EXPECT_EQ(n * 64, stats_of(self->queue).expired);
}

TEST_HARNESS_MAIN
