// SPDX-License-Identifier: GPL-2.0
/*
 * The inbox: a slot that was handed in is planned by the next interrupt, whoever
 * rings only does so because that would be too late, and nothing that was handed
 * in is lost.
 */
#include <sys/time.h>
#include "queue.h"

#define FAR (1000 * SECOND)

static uint32_t link_of(const struct queue *q, uint32_t i)
{
	return __atomic_load_n(&q->slots[i].link, __ATOMIC_ACQUIRE);
}

static uint32_t inbox_of(const struct queue *q)
{
	return __atomic_load_n(&q->header->inbox, __ATOMIC_ACQUIRE);
}

static bool planned(const struct queue *q, uint32_t i)
{
	return slot_queued(q, i) != DEADLINE_QUEUED_NEVER;
}

/* Slot 0 is planned for the time returned, which has not come yet; or 0 */
static uint64_t plan_first(struct queue *q, uint64_t ahead)
{
	uint64_t when = due(clock_ns() + ahead);

	return slot_plan(q, 0, when) ? 0 : when;
}

/* The time at which an interrupt comes is told, and when none comes. */
TEST_F(queue, next_interrupt)
{
	uint64_t far = due(clock_ns() + FAR), when, wake;

	EXPECT_EQ(DEADLINE_QUEUED_NEVER, queue_wake(&self->q));
	ASSERT_EQ(0, slot_plan(&self->q, 1, far));
	EXPECT_EQ(far, queue_wake(&self->q));
	ASSERT_EQ(0, slot_plan(&self->q, 2, far + SECOND));
	EXPECT_EQ(far, queue_wake(&self->q));
	self->q.slots[3].slack = 160;
	ASSERT_EQ(0, slot_plan(&self->q, 3, far - SECOND));
	EXPECT_EQ(far - SECOND + 160, queue_wake(&self->q));
	/* Cancelled or not, it comes. */
	slot_cancel(&self->q, 3);
	ASSERT_EQ(1, ring_one(&self->q, 3));
	EXPECT_EQ(far - SECOND + 160, queue_wake(&self->q));
	when = plan_first(&self->q, MS);
	wake = queue_wake(&self->q);
	if (!slot_over(&self->q, 0))
		EXPECT_GE(when, wake);
	WAIT_FOR(slot_over(&self->q, 0));
	WAIT_FOR(queue_wake(&self->q) == far - SECOND + 160);
}

TEST_F(queue, no_interrupt)
{
	ASSERT_NE(0, plan_first(&self->q, MS));
	WAIT_FOR(slot_over(&self->q, 0));
	WAIT_FOR(queue_wake(&self->q) == DEADLINE_QUEUED_NEVER);
}

/* While the queue pauses, it comes soon: nobody is to ring for that. */
TEST(paused)
{
	const uint32_t n = 4096;
	bool seen = false;
	struct queue q;
	uint64_t when;
	uint32_t i;

	ASSERT_EQ(0, queue_open(&q, n, O_CLOEXEC));
	while (!seen) {
		when = clock_ns() + 20 * MS;
		for (i = 0; i < n; i++)
			slot_arm_silent(&q, i, when);
		for (i = 0; i < n; i++)
			hand_in(&q, i);
		ASSERT_LE(0, ring(&q));
		do {
			seen |= queue_wake(&q) == 0;
			cpu_relax();
		} while (ring_drain(&q) || !slot_over(&q, 0) ||
			 !slot_over(&q, n - 1));
	}
	queue_close(&q);
}

/* For later than the next interrupt no doorbell is rung, and it is on time. */
TEST_F(queue, by_interrupt)
{
	uint64_t first, when;

	/* Unless the machine is too slow */
	do {
		ring_drain(&self->q);
		first = plan_first(&self->q, 20 * MS);
		ASSERT_NE(0, first);
		when = first + 10 * MS;
		slot_arm_silent(&self->q, 1, when);
	} while (hand_in(&self->q, 1));
	WAIT_FOR(slot_over(&self->q, 0));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_LE(when, self->q.slots[1].expired_at);
	EXPECT_EQ(when, self->q.slots[1].deadline);
	EXPECT_EQ(0, link_of(&self->q, 1));
	EXPECT_EQ(0, inbox_of(&self->q));
	EXPECT_EQ(2, ring_collect(&self->q, 2));
}

/* What was handed in is planned when the interrupt ends, and not before. */
TEST_F(queue, planned_then)
{
	uint64_t first, far = due(clock_ns() + FAR);
	bool before;

	do {
		slot_arm_silent(&self->q, 1, far);
		first = plan_first(&self->q, 20 * MS);
		ASSERT_NE(0, first);
		/* With an early time for slot 2, whose look was planned late */
		ASSERT_EQ(0, slot_plan(&self->q, 2, far));
		slot_arm_silent(&self->q, 2, far - SECOND);
		ASSERT_FALSE(hand_in(&self->q, 1) && clock_ns() < first);
		ASSERT_FALSE(hand_in(&self->q, 2) && clock_ns() < first);
		before = planned(&self->q, 1);
	} while (clock_ns() >= first);
	EXPECT_FALSE(before);
	WAIT_FOR(slot_over(&self->q, 0));
	WAIT_FOR(planned(&self->q, 1));
	EXPECT_EQ(far, slot_queued(&self->q, 1));
	WAIT_FOR(slot_queued(&self->q, 2) == far - SECOND);
}

/* Cancelled meanwhile: taken, and that was all. */
TEST_F(queue, cancelled)
{
	slot_arm_silent(&self->q, 1, clock_ns() + FAR);
	EXPECT_TRUE(hand_in(&self->q, 1));
	slot_cancel(&self->q, 1);
	EXPECT_EQ(DEADLINE_LINK_PUSHED, link_of(&self->q, 1));
	EXPECT_EQ(1, ring(&self->q));
	EXPECT_EQ(0, link_of(&self->q, 1));
	EXPECT_FALSE(planned(&self->q, 1));
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, queue_wake(&self->q));
}

/* Whoever makes it so many rings, so that an interrupt never has more to take. */
TEST_F(queue, many)
{
	uint64_t first;
	uint32_t i;

	do {
		ring(&self->q);
		first = plan_first(&self->q, 100 * MS);
		ASSERT_NE(0, first);
		for (i = 1; i < DEADLINE_INBOX_MANY; i++) {
			slot_arm_silent(&self->q, i, first + FAR);
			if (hand_in(&self->q, i))
				break;
		}
		slot_arm_silent(&self->q, i, first + FAR);
	} while (clock_ns() >= first);
	EXPECT_EQ(DEADLINE_INBOX_MANY, i);
	EXPECT_TRUE(hand_in(&self->q, i));
	EXPECT_EQ(DEADLINE_INBOX_MANY, ring(&self->q));
	for (i = 1; i <= DEADLINE_INBOX_MANY; i++)
		EXPECT_EQ(first + FAR, slot_queued(&self->q, i));
}

/*
 * A signal handler moves the slot that its thread is just handing in: it finds it
 * pushed, and rings in vain. Whoever pushes it goes by the word as it is then.
 */
TEST_F(queue, moved_while_pushed)
{
	slot_arm_silent(&self->q, 1, clock_ns() + FAR);
	ASSERT_FALSE(link_or(&self->q, 1, DEADLINE_LINK_PUSHED));
	/* The handler */
	ASSERT_EQ(1, slot_move(&self->q, 1, clock_ns() + MS));
	EXPECT_FALSE(planned(&self->q, 1));
	/* The thread again */
	inbox_push(&self->q, 1);
	EXPECT_LT(slot_latest(&self->q, 1), queue_wake(&self->q));
	ASSERT_EQ(1, ring(&self->q));
	WAIT_FOR(slot_over(&self->q, 1));
}

/* Slots that are always due do not keep others from being planned. */
TEST_F(queue, beside_a_storm)
{
	uint32_t i, n = self->q.setup.slots;

	for (i = 1; i < n; i++) {
		self->q.slots[i].flags = DEADLINE_SLOT_PERIODIC;
		self->q.periods[i] = self->q.setup.period_min;
		slot_arm_silent(&self->q, i, clock_ns());
		hand_in(&self->q, i);
	}
	ASSERT_LE(0, ring(&self->q));
	for (i = 0; i < 3; i++) {
		slot_arm_silent(&self->q, 0, clock_ns() + FAR);
		ASSERT_FALSE(link_or(&self->q, 0, DEADLINE_LINK_PUSHED));
		inbox_push(&self->q, 0);
		WAIT_FOR(planned(&self->q, 0));
		ASSERT_EQ(1, slot_move(&self->q, 0, 1));
		WAIT_FOR(slot_over(&self->q, 0));
	}
}

/* A queue may go while there is something in its inbox. */
TEST(closed)
{
	struct queue q;
	int i, j;

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
		ASSERT_EQ(0, slot_plan(&q, 0, clock_ns() + i * 1000));
		for (j = 1; j < 64; j++) {
			slot_arm_silent(&q, j, clock_ns() + i * 10000);
			link_or(&q, j, DEADLINE_LINK_PUSHED);
			inbox_push(&q, j);
		}
		queue_close(&q);
	}
}

/* A chain that bites its tail ends, after as many steps as there are slots at most. */
TEST_F(queue, endless_chain)
{
	uint32_t n = self->q.setup.slots, i;
	int taken;

	/* Of itself, of two, and of all */
	for (i = 1; i <= n; i = i == 1 ? 2 : i * 512) {
		uint32_t j;

		for (j = 0; j < i; j++)
			self->q.slots[j].link = DEADLINE_LINK_PUSHED |
						((j + 1) % i + 1);
		self->q.header->inbox = 1;
		taken = ring(&self->q);
		/* Each link is 0 once it was followed. */
		EXPECT_EQ((int)(i < n ? i + 1 : n), taken);
		EXPECT_EQ(0, inbox_of(&self->q));
	}
	ASSERT_EQ(0, slot_arm(&self->q, 3, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 3));
}

/* What names no slot ends the chain. */
TEST_F(queue, no_such_slot)
{
	uint32_t n = self->q.setup.slots, i;
	const uint32_t bad[] = {
		n + 1, n + 2, DEADLINE_INBOX_SLOT, UINT32_MAX,
		DEADLINE_INBOX_ONE, ~DEADLINE_INBOX_SLOT, 1u << 31,
		0x7FFFFFFF,
	};

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		self->q.header->inbox = bad[i];
		EXPECT_EQ(0, ring(&self->q));
		EXPECT_EQ(0, inbox_of(&self->q));
		/* Or further down */
		slot_arm_silent(&self->q, 5, clock_ns() + FAR + i * SECOND);
		slot_cancel(&self->q, 5);
		slot_arm_silent(&self->q, 5, 1);
		self->q.slots[5].link = bad[i];
		self->q.header->inbox = 6;
		EXPECT_EQ(1, ring(&self->q));
		EXPECT_TRUE(slot_over(&self->q, 5));
		EXPECT_EQ(0, link_of(&self->q, 5));
	}
	ASSERT_EQ(0, slot_arm(&self->q, 3, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 3));
}

static void on_signal(int signo)
{
	(void)signo;
}

/* A signal ends a long doorbell early; the interrupts take the rest. */
TEST(signal_amid_doorbell)
{
	/* Again and again: the first may come before the doorbell is rung. */
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = {};
	struct sigaction action = { .sa_handler = on_signal };
	const uint32_t n = 400000;
	uint64_t far = clock_ns() + FAR;
	struct queue q;
	int taken = 0;
	uint32_t i;

	ASSERT_EQ(0, queue_open(&q, n, O_CLOEXEC));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (i = 0; i < n; i++) {
		slot_arm_silent(&q, i, far + i);
		hand_in(&q, i);
	}
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	while (taken <= 0)
		taken = ring(&q);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	EXPECT_GT((int)n, taken);
	for (i = 0; i < n; i++)
		WAIT_FOR(planned(&q, i));
	EXPECT_EQ(n, status_of(&q.status->handed_in));
	queue_close(&q);
}

struct pusher {
	struct queue *q;
	pthread_barrier_t *barrier;
	uint32_t slot;
	unsigned long rounds;
	unsigned long failed;
	unsigned long early;
};

/*
 * Each arms its own slot, or moves it to an earlier time, and waits until it is
 * over before the others begin anew: if the last one is lost, no interrupt comes
 * any more, and it waits for ever.
 */
static void *push_rounds(void *arg)
{
	struct pusher *p = arg;
	uint64_t seed = p->slot + 1, when, pick;
	unsigned long i;

	pin_to(p->slot % 2);
	for (i = 0; i < p->rounds; i++) {
		pick = next_random(&seed);
		pthread_barrier_wait(p->barrier);
		when = clock_ns() + pick % (40 * US);
		if (pick >> 32 & 1) {
			p->failed += slot_arm(p->q, p->slot, when + FAR) != 0;
			p->failed += slot_move(p->q, p->slot, when) < 0;
		} else {
			p->failed += slot_arm(p->q, p->slot, when) != 0;
		}
		WAIT_FOR(slot_over(p->q, p->slot));
		p->early += p->q->slots[p->slot].expired_at < when;
	}
	return NULL;
}

TEST_F(queue, none_is_lost)
{
	struct pusher pushers[4];
	pthread_barrier_t barrier;
	pthread_t threads[4];
	unsigned int i, n;

	for (n = 1; n <= 4; n *= 2) {
		pthread_barrier_init(&barrier, NULL, n);
		for (i = 0; i < n; i++) {
			pushers[i] = (struct pusher){
				.q = &self->q,
				.barrier = &barrier,
				.slot = i,
				.rounds = rounds(4000),
			};
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    push_rounds, &pushers[i]));
		}
		for (i = 0; i < n; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], NULL));
			EXPECT_EQ(0, pushers[i].failed);
			EXPECT_EQ(0, pushers[i].early);
		}
		pthread_barrier_destroy(&barrier);
	}
	TH_LOG("%llu interrupts, %llu doorbells, %llu handed in",
	       status_of(&self->q.status->interrupts),
	       status_of(&self->q.status->doorbells),
	       status_of(&self->q.status->handed_in));
}

TEST_HARNESS_MAIN
