// SPDX-License-Identifier: GPL-2.0
/*
 * The expired ring: entries are hints, each expiry has one owner, and a head
 * that cannot be right harms nobody but its program.
 */
#include <poll.h>
#include "queue.h"

TEST_F(queue, one_hint_each)
{
	uint32_t hint = 0xA5;

	ASSERT_EQ(0, slot_arm(&self->q, 77, clock_ns() + MS));
	WAIT_FOR(status_of(&self->q.status->tail) == 2);
	EXPECT_TRUE(slot_over(&self->q, 77));
	ASSERT_TRUE(ring_take(&self->q, &hint));
	EXPECT_EQ(77, hint);
	EXPECT_TRUE(slot_claim(&self->q, 77));
	EXPECT_FALSE(slot_claim(&self->q, 77));
	EXPECT_FALSE(ring_take(&self->q, &hint));
}

/* A slot that expires again before anybody looked has its one entry. */
TEST_F(queue, coalesced)
{
	int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, slot_expire(&self->q, 5));
	EXPECT_EQ(2, status_of(&self->q.status->tail));
	EXPECT_EQ(10, status_of(&self->q.status->expired));
	EXPECT_EQ(1, ring_drain(&self->q));
	/* Consumed: the next has an entry again. */
	ASSERT_EQ(0, slot_expire(&self->q, 5));
	EXPECT_EQ(3, status_of(&self->q.status->tail));
	EXPECT_EQ(1, ring_drain(&self->q));
}

/* Between taking the hint and looking at the slot: that look sees both. */
TEST_F(queue, expires_between)
{
	uint32_t hint = 0xA5;

	ASSERT_EQ(0, slot_expire(&self->q, 5));
	ASSERT_TRUE(ring_take(&self->q, &hint));
	ASSERT_EQ(0, slot_expire(&self->q, 5));
	EXPECT_TRUE(slot_claim(&self->q, hint));
	/* The second one's hint finds nothing left. */
	ASSERT_TRUE(ring_take(&self->q, &hint));
	EXPECT_EQ(5, hint);
	EXPECT_FALSE(slot_claim(&self->q, hint));
	EXPECT_FALSE(ring_take(&self->q, &hint));
}

TEST_F(queue, rearm_claims)
{
	struct pollfd pollfd = { .fd = self->q.fd, .events = POLLIN };
	struct deadline_expiry expiry;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, slot_expire(&self->q, 5));
	ASSERT_EQ(0, slot_arm(&self->q, 5, clock_ns() + 1000 * SECOND));
	/* A hint there is, and no expiry behind it. */
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(0, read_one(&self->q, &expiry));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	EXPECT_EQ(0, ring_drain(&self->q));
}

/* Around the ring many times, full each time */
TEST_F(queue, wraps)
{
	uint32_t i, n = self->q.setup.slots, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < n; i++)
			ASSERT_EQ(0, slot_expire(&self->q, i));
		EXPECT_EQ(n, status_of(&self->q.status->tail) -
			  self->q.header->head);
		ASSERT_EQ(n, ring_drain(&self->q));
	}
	EXPECT_EQ(20 * n + 1, status_of(&self->q.status->tail));
}

TEST_F(queue, wrong_head)
{
	struct pollfd pollfd = { .fd = self->q.fd, .events = POLLIN };
	struct deadline_expiry expiry;
	__u64 tail, wrong[6];
	unsigned int i;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		tail = status_of(&self->q.status->tail);
		wrong[0] = tail + 1;
		wrong[1] = tail - self->q.setup.ring_size - 1;
		wrong[2] = 0x8000000000000000;
		wrong[3] = 0x7FFFFFFFFFFFFFFF;
		wrong[4] = tail + 2 * self->q.setup.ring_size;
		wrong[5] = tail + 0x100000000;
		self->q.header->head = wrong[i];
		EXPECT_EQ(0, poll(&pollfd, 1, 0));
		EXPECT_EQ(0, read_one(&self->q, &expiry));
		/* The slot expires; nobody is told; head is not touched. */
		ASSERT_EQ(0, slot_expire(&self->q, i));
		EXPECT_EQ(16 | DEADLINE_WORD_EXPIRED, slot_word(&self->q, i));
		if (i)	/* tail + 1 has become right */
			EXPECT_EQ(0, read_one(&self->q, &expiry));
		EXPECT_EQ(wrong[i], self->q.header->head);
		/* With head put right the service is as before. */
		self->q.header->head = status_of(&self->q.status->tail);
		ASSERT_EQ(0, slot_expire(&self->q, 500 + i));
		EXPECT_EQ(1, poll(&pollfd, 1, 0));
		ASSERT_EQ(1, read_one(&self->q, &expiry));
		EXPECT_EQ(500 + i, expiry.slot);
	}
}

/* Entries that were consumed before, named once more by a head set back */
TEST_F(queue, head_set_back)
{
	struct deadline_expiry expiry;
	int i;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, slot_expire(&self->q, i));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(1, read_one(&self->q, &expiry));
	self->q.header->head = 1;
	EXPECT_EQ(0, read_one(&self->q, &expiry));
	EXPECT_EQ(101, self->q.header->head);
}

/* What a thread does to a queue until it is told to stop */
struct busy {
	struct queue *q;
	bool stop;
};

static void *scribble(void *arg)
{
	struct busy *s = arg;
	uint64_t seed = 99;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		__atomic_store_n(&s->q->header->head,
				 next_random(&seed) >> next_random(&seed) % 64,
				 __ATOMIC_RELAXED);
	return NULL;
}

/* A program that writes nonsense to head all the time, and one that reads */
TEST_F(queue, hostile_head)
{
	struct busy busy = { .q = &self->q };
	struct deadline_expiry expiry;
	unsigned long i, n = rounds(20000), wrong = 0;
	pthread_t thread;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, &busy));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, slot_expire(&self->q, i % 1000));
		if (read_one(&self->q, &expiry) == 1)
			wrong += expiry.slot >= 1000;
	}
	__atomic_store_n(&busy.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, wrong);
	self->q.header->head = status_of(&self->q.status->tail);
	ASSERT_EQ(0, slot_arm(&self->q, 1010, clock_ns() + MS));
	WAIT_FOR(read_one(&self->q, &expiry));
	EXPECT_EQ(1010, expiry.slot);
}

#define CONSUMERS 4

struct mixed {
	struct queue *q;
	uint32_t *seen;
	bool stop;
};

/* One that reads the mapping */
static void *consume_mapped(void *arg)
{
	struct mixed *m = arg;
	uint32_t slot;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		if (ring_take(m->q, &slot) && slot_claim(m->q, slot))
			__atomic_add_fetch(&m->seen[slot], 1, __ATOMIC_RELEASE);
		else
			relax();
	}
	return NULL;
}

/* One that asks the kernel, several at a time */
static void *consume_read(void *arg)
{
	struct deadline_expiry got[5];
	struct mixed *m = arg;
	ssize_t i, n;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		n = read(m->q->fd, got, sizeof(got));
		for (i = 0; i < n / (ssize_t)sizeof(got[0]); i++)
			__atomic_add_fetch(&m->seen[got[i].slot], 1,
					   __ATOMIC_RELEASE);
		if (n < 0)
			relax();
	}
	return NULL;
}

/* Arm slots @from to @to, some due, some soon; wait for all to be seen. */
static int mixed_round(struct mixed *m, uint32_t slots, uint32_t round,
		       uint64_t *seed)
{
	uint32_t i;

	for (i = 0; i < slots; i++) {
		if (slot_arm(m->q, i, clock_ns() +
			     next_random(seed) % (200 * US)))
			return -1;
	}
	for (i = 0; i < slots; i++)
		WAIT_FOR(__atomic_load_n(&m->seen[i], __ATOMIC_ACQUIRE) >=
			 round);
	return 0;
}

TEST_F(queue, mixed_consumers)
{
	struct mixed m = { .q = &self->q };
	uint32_t i, round, n = rounds(50), slots = 256, wrong = 0;
	pthread_t threads[CONSUMERS];
	uint64_t seed = 5;

	m.seen = calloc(self->q.setup.slots, sizeof(*m.seen));
	ASSERT_NE(NULL, m.seen);
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	for (i = 0; i < CONSUMERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, i % 2 ?
					    consume_mapped : consume_read, &m));
	for (round = 1; round <= n; round++)
		ASSERT_EQ(0, mixed_round(&m, slots, round, &seed));
	__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < CONSUMERS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < slots; i++)
		wrong += m.seen[i] != n;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, ring_drain(&self->q));
	EXPECT_EQ(n * slots, expired(&self->q, n * slots));
	free(m.seen);
}

static void *read_all(void *arg)
{
	struct busy *s = arg;
	struct deadline_expiry expiry;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		if (read_one(s->q, &expiry) != 1)
			cpu_relax();
	return NULL;
}

/* Armed again while it is being read: what was armed stays so. */
TEST_F(queue, rearm_against_read)
{
	struct busy reader = { .q = &self->q };
	unsigned long i, spin, n = rounds(20000), lost = 0;
	pthread_t thread;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_all, &reader));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, slot_expire(&self->q, 5));
		slot_arm_silent(&self->q, 5, DEADLINE_TIME_NEVER);
		for (spin = 0; spin < 50; spin++)
			cpu_relax();
		lost += !slot_cancel(&self->q, 5);
	}
	__atomic_store_n(&reader.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, lost);
}

TEST_HARNESS_MAIN
