// SPDX-License-Identifier: GPL-2.0
/*
 * Slack: a slot may expire until @slack ns after its deadline, so that it can
 * share the interrupt of another; never before its deadline, and no later than
 * the slack allows. Where several slots are to be planned before the first of
 * them is due, that has 100 ms, and is done again if it took longer.
 */
#include "periodic.h"

#define AHEAD (100 * MS)
#define SLACK ((uint32_t)(2 * SECOND))

/* What an interrupt knows of a slack: whole grains */
static uint64_t grains(uint32_t slack)
{
	return slack & ~DEADLINE_WORD_STATE;
}

static int arm_slack(struct queue *q, uint32_t i, uint64_t when, uint32_t slack)
{
	q->slots[i].slack = slack;
	return slot_plan(q, i, when);
}

struct plan {
	uint64_t after;
	uint32_t slack;
};

/*
 * Arm slot i of a new queue for @plan[i].after from now on, all before any
 * interrupt, and return from when; 0 if that failed.
 */
static uint64_t arm_plan(struct queue *q, const struct plan *plan, uint32_t n)
{
	uint64_t base;
	uint32_t i;

	for (;;) {
		base = due(clock_ns() + AHEAD);
		for (i = 0; i < n; i++) {
			if (arm_slack(q, i, base + plan[i].after,
				      plan[i].slack))
				return 0;
		}
		if (clock_ns() < base)
			return base;
		queue_close(q);
		if (queue_open(q, 1024, O_CLOEXEC))
			return 0;
	}
}

/* The interrupts that there were when the first @n slots are over */
static uint64_t await_plan(struct queue *q, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		WAIT_FOR(slot_over(q, i));
	/* The last one has done its counting, as we get the lock. */
	ring_one(q, 0);
	return status_of(&q->status->interrupts);
}

TEST_F(queue, queued_with_it)
{
	static const uint32_t slacks[] = {
		0, 1, 15, 16, 17, 31, 32, 1000, MS + 7, INT32_MAX,
		UINT32_MAX - 15, UINT32_MAX,
	};
	uint64_t when = due(clock_ns() + 1000 * SECOND);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(slacks); i++) {
		ASSERT_EQ(0, arm_slack(&self->q, i, when, slacks[i]));
		EXPECT_EQ(when + grains(slacks[i]), slot_queued(&self->q, i));
		EXPECT_EQ(when | DEADLINE_WORD_ARMED, slot_word(&self->q, i));
	}
	EXPECT_EQ(i, status_of(&self->q.status->doorbells));
}

/* Near never a sum that overflows is the deadline itself. */
TEST_F(queue, near_never)
{
	uint64_t last = DEADLINE_TIME_NEVER - DEADLINE_GRAIN;
	uint64_t near = due(clock_ns() + MS);

	ASSERT_EQ(0, arm_slack(&self->q, 0, last, UINT32_MAX));
	ASSERT_EQ(1, ring_one(&self->q, 0));
	EXPECT_EQ(last, slot_queued(&self->q, 0));
	ASSERT_EQ(0, arm_slack(&self->q, 1, last - UINT32_MAX, UINT32_MAX));
	ASSERT_EQ(1, ring_one(&self->q, 1));
	EXPECT_EQ(due(last - UINT32_MAX) + grains(UINT32_MAX),
		  slot_queued(&self->q, 1));
	ASSERT_EQ(0, arm_slack(&self->q, 2, INT64_MAX - 15, UINT32_MAX));
	EXPECT_EQ((uint64_t)INT64_MAX - 15 + grains(UINT32_MAX),
		  slot_queued(&self->q, 2));
	ASSERT_EQ(0, arm_slack(&self->q, 3, DEADLINE_TIME_NEVER, UINT32_MAX));
	ASSERT_EQ(1, ring_one(&self->q, 3));
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, 3));
	/* None of them keeps another from its time, and back they come. */
	ASSERT_EQ(0, arm_slack(&self->q, 4, near, 0));
	WAIT_FOR(slot_over(&self->q, 4));
	near += 1000 * SECOND;
	ASSERT_EQ(1, slot_move(&self->q, 0, near));
	ASSERT_EQ(1, slot_move(&self->q, 3, 1));
	EXPECT_EQ(near + grains(UINT32_MAX), slot_queued(&self->q, 0));
	EXPECT_TRUE(slot_over(&self->q, 3));
	EXPECT_FALSE(slot_over(&self->q, 1));
	EXPECT_FALSE(slot_over(&self->q, 2));
	EXPECT_EQ(2, expired(&self->q, 2));
}

/* Alone it has all of its slack: the interrupt is planned for then. */
TEST_F(queue, alone)
{
	static const uint32_t slacks[] = { 1, 15, 16, 1000, MS, 20 * MS + 15 };
	struct deadline_slot *slot = &self->q.slots[1];
	unsigned int i;
	uint64_t when;

	for (i = 0; i < ARRAY_SIZE(slacks); i++) {
		when = due(clock_ns() + 5 * MS);
		ASSERT_EQ(0, arm_slack(&self->q, 1, when, slacks[i]));
		WAIT_FOR(slot_over(&self->q, 1));
		EXPECT_EQ(when | DEADLINE_WORD_EXPIRED,
			  slot_word(&self->q, 1));
		EXPECT_LE(when, slot->expired_at);
		/* If it was planned at all before its time had come */
		if (status_of(&self->q.status->interrupts) == i + 1)
			EXPECT_LE(when + grains(slacks[i]), slot->expired_at);
		EXPECT_GT(when + slacks[i] + 5 * SECOND, slot->expired_at);
		EXPECT_EQ(0, slot->overruns);
	}
}

/* A doorbell finds that the time has come, and does not wait for the rest. */
TEST_F(queue, doorbell_at_once)
{
	ASSERT_EQ(0, arm_slack(&self->q, 1, clock_ns() - 16, UINT32_MAX));
	EXPECT_TRUE(slot_over(&self->q, 1));
	EXPECT_EQ(0, status_of(&self->q.status->interrupts));
}

/* A look that is planned within the slack serves: no doorbell. */
TEST_F(queue, parked_look)
{
	uint64_t parked;

	/* Else there would be no time left to arm it for. */
	do {
		self->q.slots[1].word = 0;
		WAIT_FOR(slot_queued(&self->q, 1) == DEADLINE_QUEUED_NEVER);
		parked = due(clock_ns() + AHEAD);
		ASSERT_EQ(0, arm_slack(&self->q, 1, parked, 0));
		slot_cancel(&self->q, 1);
		self->q.slots[1].slack = 90 * MS;
		slot_arm_silent(&self->q, 1, parked - 80 * MS);
	} while (clock_ns() >= parked - 80 * MS);
	EXPECT_EQ(parked, slot_queued(&self->q, 1));
	EXPECT_FALSE(slot_needs_look(&self->q, 1));
	/* One that is rung all the same changes nothing. */
	ASSERT_EQ(1, ring_one(&self->q, 1));
	EXPECT_EQ(parked, slot_queued(&self->q, 1));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_LE(parked, self->q.slots[1].expired_at);
	EXPECT_GT(parked + 5 * SECOND, self->q.slots[1].expired_at);
}

/* One that is planned too late for the slack does not. */
TEST_F(queue, moved_forward)
{
	uint64_t far = due(clock_ns() + 1000 * SECOND);

	ASSERT_EQ(0, arm_slack(&self->q, 1, far, SLACK));
	/* Later and back: nothing to be done. */
	ASSERT_EQ(1, slot_move(&self->q, 1, far + SECOND));
	ASSERT_EQ(1, slot_move(&self->q, 1, far));
	EXPECT_EQ(far + SLACK, slot_queued(&self->q, 1));
	EXPECT_EQ(1, status_of(&self->q.status->doorbells));
	ASSERT_EQ(1, slot_move(&self->q, 1, far - DEADLINE_GRAIN));
	EXPECT_EQ(far - DEADLINE_GRAIN + SLACK, slot_queued(&self->q, 1));
	EXPECT_EQ(2, status_of(&self->q.status->doorbells));
}

/* A look that finds a later deadline is planned again with its slack. */
TEST_F(queue, moved_later)
{
	uint64_t when = due(clock_ns() + 5 * MS), far = when + 1000 * SECOND;

	ASSERT_EQ(0, arm_slack(&self->q, 1, when, 16));
	slot_cancel(&self->q, 1);
	self->q.slots[1].slack = SLACK;
	ASSERT_EQ(0, slot_arm(&self->q, 1, far));
	WAIT_FOR(status_of(&self->q.status->moved) ||
		 status_of(&self->q.status->doorbells) == 2);
	EXPECT_EQ(far + SLACK, slot_queued(&self->q, 1));
}

/* The interrupt for another slot serves one whose time has come. */
TEST_F(queue, served_early)
{
	static const struct plan plan[] = { { 0, SLACK }, { MS, 0 } };
	const struct deadline_slot *slots = self->q.slots;
	uint64_t base;

	base = arm_plan(&self->q, plan, 2);
	ASSERT_NE(0, base);
	EXPECT_EQ(1, await_plan(&self->q, 2));
	EXPECT_EQ(slots[1].expired_at, slots[0].expired_at);
	EXPECT_LE(base + MS, slots[0].expired_at);
	EXPECT_EQ(base | DEADLINE_WORD_EXPIRED, slot_word(&self->q, 0));
	EXPECT_EQ(2, ring_collect(&self->q, 2));
}

/* Once it was served, nobody comes for it again at the end of its slack. */
TEST_F(queue, served_for_good)
{
	static const struct plan plan[] = {
		{ 0, 100 * MS }, { MS, 0 }, { 200 * MS, 0 },
	};
	uint64_t base;

	base = arm_plan(&self->q, plan, 3);
	ASSERT_NE(0, base);
	WAIT_FOR(slot_over(&self->q, 0));
	/* One that comes between */
	ASSERT_EQ(0, arm_slack(&self->q, 3, base + 50 * MS, 0));
	await_plan(&self->q, 4);
	EXPECT_EQ(0, status_of(&self->q.status->dropped));
	EXPECT_EQ(4, expired(&self->q, 4));
}

/* However much slack it has, not before its time; then in its own interrupt */
TEST_F(queue, not_before)
{
	static const struct plan plan[] = {
		{ 200 * MS, 100 * MS }, { MS, 0 }, { 2 * MS, 0 },
	};
	const struct deadline_slot *slots = self->q.slots;
	uint64_t base, interrupts;

	base = arm_plan(&self->q, plan, 3);
	ASSERT_NE(0, base);
	interrupts = await_plan(&self->q, 3);
	EXPECT_LE(base + 200 * MS, slots[0].expired_at);
	EXPECT_LE(base + MS, slots[1].expired_at);
	EXPECT_LE(base + 2 * MS, slots[2].expired_at);
	/* Unless the others were that late */
	if (slots[2].expired_at < base + 200 * MS) {
		EXPECT_EQ(0, status_of(&self->q.status->moved));
		EXPECT_LE(base + 300 * MS, slots[0].expired_at);
		EXPECT_LE(2, interrupts);
	}
}

/* Many are looked at in the order of deadline and slack, until one is not due. */
TEST_F(queue, in_order)
{
	static const struct plan plan[] = {
		{ 0, 300 * MS },	/* after the next one */
		{ 240 * MS, 10 * MS },	/* the one in the way */
		{ 100 * MS, 120 * MS },	/* before that one */
		{ 200 * MS, 0 },
	};
	const struct deadline_slot *slots = self->q.slots;
	uint64_t base, interrupts;

	base = arm_plan(&self->q, plan, 4);
	ASSERT_NE(0, base);
	interrupts = await_plan(&self->q, 4);
	EXPECT_LE(base + 200 * MS, slots[3].expired_at);
	EXPECT_EQ(slots[3].expired_at, slots[2].expired_at);
	EXPECT_EQ(slots[1].expired_at, slots[0].expired_at);
	EXPECT_LE(base + 240 * MS, slots[1].expired_at);
	if (slots[3].expired_at < base + 240 * MS) {
		EXPECT_EQ(2, interrupts);
		EXPECT_LE(base + 250 * MS, slots[1].expired_at);
	}
}

/* Cancelled: nobody comes before the slack is over, and then lets it be. */
TEST_F(queue, cancelled)
{
	static const struct plan plan[] = {
		{ 0, 150 * MS }, { 0, 150 * MS }, { 50 * MS, 0 },
	};
	uint64_t base;

	base = arm_plan(&self->q, plan, 3);
	ASSERT_NE(0, base);
	ASSERT_EQ(1, slot_cancel(&self->q, 0));
	WAIT_FOR(slot_queued(&self->q, 0) == DEADLINE_QUEUED_NEVER);
	await_plan(&self->q, 3);
	EXPECT_EQ(base, slot_word(&self->q, 0));
	EXPECT_LE(base, self->q.slots[1].expired_at);
	EXPECT_EQ(1, status_of(&self->q.status->dropped));
	EXPECT_EQ(2, expired(&self->q, 2));
	EXPECT_EQ(2, ring_collect(&self->q, 2));
}

#define MANY 64

/* Deadlines 10 ms apart: how many interrupts, and without those after pauses */
static uint64_t interrupts_for(struct queue *q, uint32_t slack,
			       uint64_t *planned)
{
	struct plan plan[MANY];
	uint64_t base, all;
	uint32_t i;

	for (i = 0; i < MANY; i++) {
		plan[i].after = i * 10 * MS;
		plan[i].slack = slack;
	}
	base = arm_plan(q, plan, MANY);
	all = await_plan(q, MANY);
	*planned = all - status_of(&q->status->full) -
		   status_of(&q->status->throttled);
	for (i = 0; i < MANY; i++) {
		if (q->slots[i].expired_at < base + plan[i].after)
			return 0;
	}
	return all;
}

/* What slack is for: deadlines that are near each other, and one interrupt */
TEST_F(queue, shared_interrupts)
{
	uint64_t with, without, planned;

	with = interrupts_for(&self->q, SECOND, &planned);
	ASSERT_LT(0, with);
	/* One, or as many as its budget allows on a slow machine */
	EXPECT_GE(MANY / 16, planned);
	EXPECT_EQ(MANY, expired(&self->q, MANY));
	queue_close(&self->q);
	ASSERT_EQ(0, queue_open(&self->q, 1024, O_CLOEXEC));
	without = interrupts_for(&self->q, 0, &planned);
	EXPECT_GE(MANY, planned);
	EXPECT_EQ(MANY, expired(&self->q, MANY));
	TH_LOG("%llu with slack, %llu without", (unsigned long long)with,
	       (unsigned long long)without);
	EXPECT_LT(2 * with, without);
}

/* At random, many at a time, with any slack: each in its own interval */
TEST_F(queue, each_in_its_interval)
{
	check_each_time(_metadata, &self->q, 30 * MS);
}

/* A periodic slot has slack in each period, and its periods stay what they are. */
TEST_F(queue, periodic)
{
	unsigned long n = rounds(200), wrong = 0, seen = 0;
	struct course c = { .period = 1000003 };
	__u64 queued, want, before;

	c.start = due(clock_ns() + 5 * MS);
	self->q.slots[1].slack = 300 * US + 7;
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	while (c.passed < n || !seen) {
		before = c.passed;
		WAIT_FOR(course_claim(&self->q, 1, &c));
		WAIT_FOR((queued = slot_queued(&self->q, 1)) !=
			 DEADLINE_QUEUED_NEVER);
		/*
		 * Unless it is expiring again by now, or was not consumed for so long, as
		 * this guest was halted, that it is looked at more rarely
		 */
		if (clock_ns() >= course_next(&c) || c.passed - before > DEADLINE_UNREAD)
			continue;
		want = due(course_next(&c)) + grains(300 * US + 7);
		if (queued != want)
			TH_LOG("after %lu: a look at %llu, not %llu", c.passed,
			       (unsigned long long)queued, (unsigned long long)want);
		wrong += queued != want;
		seen++;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, c.early);
	EXPECT_EQ(0, c.wrong);
	EXPECT_FALSE(slot_over(&self->q, 1));
	EXPECT_EQ(1, status_of(&self->q.status->doorbells));
}

/* Served early, in the interrupts of another, it keeps its phase as well. */
TEST_F(queue, periodic_served_early)
{
	struct course c = { .period = 1000003 }, other = { .period = 1500007 };
	uint64_t n = rounds(300), early = 0;
	__u64 word;

	c.start = due(clock_ns() + 20 * MS);
	other.start = c.start;
	self->q.slots[1].slack = 900 * US;
	ASSERT_EQ(0, course_arm(&self->q, 2, &other));
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	while (c.passed < n) {
		WAIT_FOR(course_claim(&self->q, 1, &c));
		word = due(course_next(&c) - c.period);
		early += self->q.slots[1].expired_at < word + 900 * US;
		course_claim(&self->q, 2, &other);
	}
	EXPECT_EQ(0, c.early + other.early);
	EXPECT_EQ(0, c.wrong + other.wrong);
	/* So it was in fact served by the other. */
	EXPECT_LT(0, early);
}

/* More slack than period: what passed meanwhile is counted. */
TEST_F(queue, periods_within_slack)
{
	struct course c = { .period = 1000003 };

	c.start = due(clock_ns() + 5 * MS);
	self->q.slots[1].slack = 50 * MS;
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	WAIT_FOR(course_claim(&self->q, 1, &c));
	/* 49 whole periods if it was planned in time */
	if (status_of(&self->q.status->interrupts))
		EXPECT_LE(50, c.passed);
	WAIT_FOR(course_claim(&self->q, 1, &c));
	EXPECT_EQ(0, c.early);
	EXPECT_EQ(0, c.wrong);
	EXPECT_LE(51, c.passed);
}

TEST_HARNESS_MAIN
