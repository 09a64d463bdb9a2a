// SPDX-License-Identifier: GPL-2.0
/*
 * The inbox as a user of the library sees it, on either backend: what is armed for
 * later than the next look costs no system call, and is on time nevertheless; and
 * nothing that was handed in is lost, whoever hands in meanwhile: other threads, or a
 * signal handler of the thread that is just doing so.
 */
#include "library.h"
#include "steps.h"

#define FAR (deadline_in(1000 * SECOND))
#define SLOTS 64
#define THREADS 4

/* Cancel all, and forget what has expired. */
static void drain(deadline_queue *queue, deadline_slot **slots)
{
	struct deadline_record record;
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		deadline_slot_cancel(slots[i]);
	WAIT_FOR(!deadline_queue_pending(queue) ||
		 deadline_queue_reap(queue, &record, 1) < 0);
}

/* Have a look planned for the first slot, so that nobody rings for later ones. */
static int plan_first(deadline_queue *queue, deadline_slot **slots,
		      uint64_t when)
{
	int ret = deadline_slot_arm(slots[0], 0, when);

	if (!ret)
		serve_inbox(queue, slots[SLOTS - 1]);
	return ret;
}

/* Nobody rings for slots that are due after the next look; each is on time. */
TEST_F(lib, later_ones)
{
	uint64_t first, ahead = 20 * MS, before, rung;
	struct deadline_record record;
	unsigned int i, wrong = 0;

	/* Unless the machine is too slow */
	do {
		drain(self->queue, self->slots);
		ahead *= 2;
		first = deadline_in(ahead);
		ASSERT_EQ(0, plan_first(self->queue, self->slots, first));
		before = stats_of(self->queue).doorbells;
		for (i = 1; i < SLOTS - 1; i++)
			ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0,
						       first + i * 50 * US));
		rung = stats_of(self->queue).doorbells - before;
	} while (deadline_now() >= first);
	EXPECT_EQ(0, rung);
	for (i = 0; i < SLOTS - 1; i++) {
		ASSERT_EQ(1, reap_one(self->queue, &record));
		wrong += record.when - first - record.user_data * 50 * US > 15;
		wrong += record.expired_at < record.when;
	}
	EXPECT_EQ(0, wrong);
}

/* Whatever is done to a slot before it is taken, it and another are handed in once. */
TEST_F(lib, once)
{
	deadline_slot *slot = self->slots[1];
	uint64_t far = FAR, before;
	int i;

	ASSERT_EQ(0, plan_first(self->queue, self->slots, far));
	before = stats_of(self->queue).handed_in;
	ASSERT_EQ(0, deadline_slot_arm(self->slots[2], 0, far + SECOND));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, far + 2 * SECOND));
		ASSERT_EQ(1, deadline_slot_move(slot, far + 3 * SECOND));
		ASSERT_EQ(1, deadline_slot_move(slot, far + SECOND));
		ASSERT_EQ(1, deadline_slot_cancel(slot));
	}
	serve_inbox(self->queue, self->slots[SLOTS - 1]);
	EXPECT_EQ(before + 4, stats_of(self->queue).handed_in);
}

/* What was cancelled before it was taken does not expire; then it can be armed. */
TEST_F(lib, cancelled)
{
	deadline_slot *slot = self->slots[1];
	struct deadline_record record;
	uint64_t far = FAR;

	ASSERT_EQ(0, plan_first(self->queue, self->slots, far));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, far + SECOND));
	ASSERT_EQ(1, deadline_slot_cancel(slot));
	serve_inbox(self->queue, self->slots[SLOTS - 1]);
	EXPECT_FALSE(deadline_queue_pending(self->queue));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(MS)));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(slot, record.slot);
}

/* Moved to before the next look while it is in the inbox; and to after that */
TEST_F(lib, moved_earlier)
{
	deadline_slot *slot = self->slots[1];
	struct deadline_record record;
	uint64_t when, far = FAR;
	int i;

	ASSERT_EQ(0, plan_first(self->queue, self->slots, far));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, far + SECOND));
	when = deadline_in(5 * MS);
	ASSERT_EQ(1, deadline_slot_move(slot, when));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(slot, record.slot);
	EXPECT_GE(15, record.when - when);

	when = deadline_in(20 * MS);
	ASSERT_EQ(0, deadline_slot_arm(self->slots[2], 0, when));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, far + SECOND));
	ASSERT_EQ(1, deadline_slot_move(slot, when + 10 * MS));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, reap_one(self->queue, &record));
		EXPECT_GE(15, record.when -
			  (record.slot == slot ? when + 10 * MS : when));
		EXPECT_LE(record.when, record.expired_at);
	}
}

struct pusher {
	deadline_slot **slots;
	pthread_barrier_t *barrier;
	unsigned int number;
	unsigned long failed;
};

/*
 * Each has slots of its own, arms them for later or earlier than others', moves and
 * cancels some, and waits until they are over before all begin anew: if the last one
 * is lost, no look comes any more, and it waits for ever.
 */
static void *push_rounds(void *arg)
{
	struct pusher *p = arg;
	uint64_t seed = p->number + 1, when, pick;
	unsigned long i, n = rounds(500);
	deadline_slot *slot;

	pin_to(p->number % 2);
	for (i = 0; i < n; i++) {
		pick = next_random(&seed);
		slot = p->slots[pick % 8];
		pthread_barrier_wait(p->barrier);
		when = deadline_in(pick >> 8 & 0x7FFF);
		if (pick >> 32 & 1) {
			p->failed += deadline_slot_arm(slot, 0, FAR) != 0;
			p->failed += deadline_slot_move(slot, when) < 0;
		} else {
			p->failed += deadline_slot_arm(slot, 0, when) != 0;
		}
		if (pick >> 33 & 1)
			deadline_slot_cancel(p->slots[(pick + 1) % 8]);
		WAIT_FOR(slot_is_over(slot));
	}
	return NULL;
}

TEST_F(lib, threads)
{
	struct pusher pushers[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;
	unsigned int i;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, THREADS));
	for (i = 0; i < THREADS; i++) {
		pushers[i] = (struct pusher){
			.slots = &self->slots[8 * i],
			.barrier = &barrier,
			.number = i,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, push_rounds,
					    &pushers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, pushers[i].failed);
	}
	pthread_barrier_destroy(&barrier);
}

/* What the signal handler does, and when: after so many steps of the thread */
static struct {
	void (*act)(void);
	deadline_slot **slots;
	unsigned int at;
	unsigned int steps;
	int moved;
	int armed;
} handler;

static void on_step(int signo)
{
	(void)signo;
	if (++handler.steps == handler.at)
		handler.act();
}

/* Arm a slot of which the handler may know; what that answers */
static int arm_in_steps(deadline_slot *slot, uint64_t when)
{
	int ret;

	handler.steps = 0;
	handler.moved = -1;
	handler.armed = -1;
	set_steps(true);
	ret = deadline_slot_arm(slot, 0, when);
	set_steps(false);
	return ret;
}

/* The very slot: an earlier time */
static void act_move(void)
{
	deadline_slot *slot = handler.slots[1];

	handler.moved = deadline_slot_move(slot, deadline_in(US));
	if (!handler.moved)
		handler.armed = deadline_slot_arm(slot, 0, deadline_in(US));
}

static void act_cancel(void)
{
	deadline_slot_cancel(handler.slots[1]);
}

/* Another one */
static void act_arm_other(void)
{
	handler.armed = deadline_slot_arm(handler.slots[2], 0, deadline_in(US));
}

FIXTURE(steps) {
	deadline_queue *queue;
	deadline_slot *slots[SLOTS];
};

FIXTURE_VARIANT(steps) {
	void (*act)(void);
};

FIXTURE_VARIANT_ADD(steps, move) { .act = act_move };
FIXTURE_VARIANT_ADD(steps, cancel) { .act = act_cancel };
FIXTURE_VARIANT_ADD(steps, arm_other) { .act = act_arm_other };

FIXTURE_SETUP(steps)
{
	struct sigaction action = { .sa_handler = on_step };

	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, slots_alloc(self->queue, self->slots, SLOTS));
	ASSERT_EQ(0, sigaction(SIGTRAP, &action, NULL));
	handler.act = variant->act;
	handler.slots = self->slots;
}

FIXTURE_TEARDOWN(steps)
{
	slots_free(self->slots, SLOTS);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/*
 * A thread arms a slot for later than the next look, and is interrupted after each of
 * its instructions in turn: whatever the handler has the library do, it is done.
 */
TEST_F(steps, amid_arm)
{
	deadline_slot *slot = self->slots[1];
	uint64_t far = FAR;
	unsigned int n = 0;
	int ret;

	ASSERT_EQ(0, plan_first(self->queue, self->slots, far));
	do {
		handler.at = ++n;
		ret = arm_in_steps(slot, far + SECOND);
		/* Armed by the handler before, it is busy, unless over by then. */
		ASSERT_TRUE(!ret || (ret == -EBUSY && !handler.armed));
		if (variant->act == act_arm_other && handler.steps >= n) {
			ASSERT_EQ(0, handler.armed);
			WAIT_FOR(slot_is_over(self->slots[2]));
		}
		if (handler.moved == 1 || ret == -EBUSY)
			WAIT_FOR(slot_is_over(slot));
		deadline_slot_cancel(slot);
		serve_inbox(self->queue, self->slots[SLOTS - 1]);
		while (deadline_queue_pending(self->queue)) {
			struct deadline_record record;

			deadline_queue_reap(self->queue, &record, 1);
		}
		/* And it can be armed again, for soon. */
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(US)));
		WAIT_FOR(slot_is_over(slot));
	} while (handler.steps >= n);
	TH_LOG("interrupted at %u instructions", n - 1);
}

TEST_HARNESS_MAIN
