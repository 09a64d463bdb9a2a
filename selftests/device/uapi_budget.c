// SPDX-License-Identifier: GPL-2.0
/*
 * No interrupt takes more than its budget, however many queues are due at one
 * instant and whatever a program does to its words meanwhile; after a full one
 * the CPU is left alone for as long. How long that is in ns, tools/bench/costs tells.
 */
#include "module.h"
#include "trace.h"

#define QUEUES 64
#define EACH 1024

/* What one interrupt may look at, and for how long it may go on */
#define LOOKS 512
#define BUDGET ((is_rt() ? 10 : 40) * US)

FIXTURE(crowd) {
	struct queue queues[QUEUES];
	uint32_t each;
	uint64_t when;
};

/* All slots of all queues for one instant, @ahead of now; is it still to come? */
static bool arm_crowd(struct queue *queues, uint32_t each, uint64_t when)
{
	uint32_t i, at, *list = calloc(each, sizeof(*list));

	for (at = 0; at < QUEUES; at++) {
		for (i = 0; i < each; i++) {
			list[i] = i;
			slot_arm_silent(&queues[at], i, when);
		}
		if (ring_list(&queues[at], list, each) != (int)each)
			break;
	}
	free(list);
	return at == QUEUES && clock_ns() < when;
}

FIXTURE_SETUP(crowd)
{
	uint64_t ahead = 250 * MS;
	uint32_t at;
	bool good;

	self->each = EACH;
	do {
		for (at = 0; at < QUEUES; at++)
			ASSERT_EQ(0, queue_open(&self->queues[at], self->each,
						O_CLOEXEC));
		self->when = due(clock_ns() + ahead);
		good = arm_crowd(self->queues, self->each, self->when);
		ahead *= 2;
		for (at = 0; at < QUEUES && !good; at++)
			queue_close(&self->queues[at]);
	} while (!good);
}

FIXTURE_TEARDOWN(crowd)
{
	uint32_t at;

	for (at = 0; at < QUEUES; at++)
		queue_close(&self->queues[at]);
}

/* Each expires once, none early, in bounded interrupts; all queues get on. */
TEST_F(crowd, all_once)
{
	uint32_t at, i, early = 0, wrong = 0;
	const struct deadline_status *status;
	__u64 want = self->when | DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN;

	for (at = 0; at < QUEUES; at++) {
		EXPECT_EQ(self->each,
			  ring_collect(&self->queues[at], self->each));
		EXPECT_EQ(self->each, expired(&self->queues[at], self->each));
		for (i = 0; i < self->each; i++) {
			early += self->queues[at].slots[i].expired_at <
				 self->when;
			wrong += slot_word(&self->queues[at], i) != want;
		}
		status = self->queues[at].status;
		EXPECT_EQ(self->each + 1, status_of(&status->tail));
		EXPECT_LE(self->each / LOOKS, status_of(&status->interrupts));
		EXPECT_LT(0, status_of(&status->full));
		EXPECT_LT(0, status_of(&status->longest));
	}
	EXPECT_EQ(0, early);
	EXPECT_EQ(0, wrong);
}

/* One queue's slots all due, and no limit but the budget */
FIXTURE(burst) {
	struct queue q;
	struct trace t;
	uint32_t n;
	uint64_t when;
	long shares[2];
};

FIXTURE_SETUP(burst)
{
	uint64_t ahead = 100 * MS;
	uint32_t i, list[4096];

	self->n = ARRAY_SIZE(list);
	self->shares[0] = parameter("user_share");
	ASSERT_EQ(0, set_parameter("user_share", 1000));
	self->shares[1] = parameter("cpu_share");
	ASSERT_EQ(0, set_parameter("cpu_share", 1000));
	ASSERT_LE(0, self->shares[0]);
	ASSERT_LE(0, self->shares[1]);
	for (;;) {
		ASSERT_EQ(0, queue_open(&self->q, self->n, O_CLOEXEC));
		self->when = due(clock_ns() + ahead);
		for (i = 0; i < self->n; i++) {
			list[i] = i;
			slot_arm_silent(&self->q, i, self->when);
		}
		ASSERT_EQ((int)self->n, ring_list(&self->q, list, self->n));
		ASSERT_EQ(0, trace_open(&self->t, &self->q));
		if (clock_ns() < self->when)
			break;
		trace_close(&self->t);
		queue_close(&self->q);
		ahead *= 2;
	}
}

FIXTURE_TEARDOWN(burst)
{
	set_parameter("user_share", self->shares[0]);
	set_parameter("cpu_share", self->shares[1]);
	trace_close(&self->t);
	queue_close(&self->q);
}

/*
 * Each expiry's stamp is the start of its interrupt or of a later batch in it,
 * the trace's time lies behind that. An interrupt that began at s has read the
 * clock at s + BUDGET or later only to end. So the first stamp from there on is
 * another interrupt's, and what was spent until then is known.
 */
TEST_F(burst, pause_as_long_as_spent)
{
	uint64_t start = 0, last = 0, budget = BUDGET, stamp, deadline, late;
	unsigned int looks = 0, interrupts = 1, soon = 0;
	size_t i, n = 0;

	ASSERT_EQ(self->n, ring_collect(&self->q, self->n));
	ASSERT_EQ(self->n, expired(&self->q, self->n));
	trace_read(&self->t);
	for (i = 0; i < self->t.n; i++) {
		if (sscanf(self->t.events[i].text,
			   "expire: %*s %*s deadline=%lu late=%lu", &deadline,
			   &late) != 2)
			continue;
		stamp = deadline + late;
		if (!n++)
			start = stamp;
		ASSERT_LE(start, stamp);
		if (stamp - start >= budget || looks == LOOKS) {
			soon += stamp < last + (last - start);
			interrupts++;
			looks = 0;
			start = stamp;
		}
		looks++;
		last = self->t.events[i].time;
	}
	EXPECT_EQ(self->n, n);
	EXPECT_EQ(0, soon);
	/* No more than the budget in one, and more than one */
	EXPECT_EQ(interrupts, status_of(&self->q.status->interrupts));
	EXPECT_EQ(interrupts - 1, status_of(&self->q.status->full));
	EXPECT_LT(self->n / LOOKS, interrupts + 1);
	EXPECT_EQ(0, status_of(&self->q.status->throttled));
}

struct hostile {
	struct queue *q;
	bool stop;
	unsigned long changes;
};

/* Change the words for ever: due, never armed the same way twice, unasked. */
static void *change_words(void *arg)
{
	struct hostile *h = arg;
	__u64 word = DEADLINE_WORD_ARMED;
	unsigned int i;

	pin_to(1);
	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < 64; i++) {
			word += DEADLINE_GRAIN;
			__atomic_store_n(&h->q->slots[0].word, word,
					 __ATOMIC_RELAXED);
		}
		h->changes += 64;
	}
	return NULL;
}

/*
 * A word that is never twice the same can make looks lose, but not hang; the
 * queue's other slots expire, and so does this one when it is left alone. (That
 * a look really loses every swap is not to be had where one CPU is emulated at
 * a time: then contended stays 0.)
 */
TEST_F(queue, word_never_the_same)
{
	struct hostile h = { .q = &self->q };
	unsigned long i, n = rounds(500);
	pthread_t thread;
	uint64_t when;

	slot_arm_silent(&self->q, 0, 16);
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_words, &h));
	pin_to(0);
	for (i = 0; i < n; i++) {
		/* Due: it is looked at, and armed again behind our back. */
		ASSERT_EQ(1, ring_one(&self->q, 0));
		when = clock_ns() + 50 * US;
		ASSERT_EQ(0, slot_arm(&self->q, 1, when));
		WAIT_FOR(slot_over(&self->q, 1));
		ASSERT_LE(when, self->q.slots[1].expired_at);
		ASSERT_TRUE(slot_claim(&self->q, 1));
	}
	__atomic_store_n(&h.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0, h.changes);
	slot_arm_silent(&self->q, 0, 16);
	ASSERT_EQ(1, ring_one(&self->q, 0));
	WAIT_FOR(slot_over(&self->q, 0));
	EXPECT_LE(n, status_of(&self->q.status->expired));
	TH_LOG("contended %llu times", status_of(&self->q.status->contended));
}

TEST_HARNESS_MAIN
