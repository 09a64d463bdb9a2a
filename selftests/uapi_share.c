// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt time: beyond his share of a CPU a user's queues pause until the
 * window of 10 ms ends, and nothing is lost; beyond that of all, everybody's.
 *
 * How long an interrupt takes differs a hundredfold between a machine and an
 * emulator. So the shares are set such that one is exceeded on either, or so
 * that none can be; a share of nothing is exceeded by each interrupt that is
 * counted: those of 16 looks and more, and those within 500 us of the last one.
 * Each user here has one test, for what he spends is remembered.
 */
#include "queue.h"

#define WINDOW (10 * MS)
#define BURST 32
/* Per cent: more than there is, as an emulator may be halted in an interrupt */
#define PLENTY 10000

static long user_share, cpu_share;

/* Before any test, as one that dies does not restore them */
static __attribute__((constructor)) void remember(void)
{
	user_share = parameter("user_share");
	cpu_share = parameter("cpu_share");
}

static int set_shares(unsigned int user, unsigned int cpu)
{
	return set_parameter("user_share", user) ?:
	       set_parameter("cpu_share", cpu);
}

/* All is on CPU 0, which is never idle: the timers stay there. */
FIXTURE(share) {
	int unused;
};

FIXTURE_SETUP(share)
{
	ASSERT_EQ(0, set_shares(user_share, cpu_share));
	pin_to(0);
}

FIXTURE_TEARDOWN(share)
{
	EXPECT_EQ(0, set_shares(user_share, cpu_share));
}

/* A queue of that user; 0 or -errno */
static int open_as(uid_t uid, struct queue *q)
{
	int ret = setresuid(uid, -1, -1) ? -errno :
		  queue_open(q, 2048, O_CLOEXEC);

	return setresuid(0, -1, -1) ? -errno : ret;
}

static uint64_t throttled(const struct queue *q)
{
	return status_of(&q->status->throttled);
}

/* The first @n slots, all at @when; how many the doorbell looked at */
static int arm_burst(struct queue *q, uint32_t n, uint64_t when)
{
	uint32_t list[2048], i;

	for (i = 0; i < n; i++) {
		list[i] = i;
		slot_arm_silent(q, i, when);
	}
	return ring_list(q, list, n);
}

/* Have an interrupt that is counted look at some of @n slots. */
static void burst(struct queue *q, uint32_t n, uint64_t until)
{
	uint32_t i;

	while (throttled(q) < until) {
		arm_burst(q, n, clock_ns() + 5 * MS);
		for (i = 0; i < n; i++)
			WAIT_FOR(slot_over(q, i) || throttled(q) >= until);
	}
}

/*
 * A thousand deadlines of one instant are no attack. Only where time is exact
 * (DEADLINE_ICOUNT) do they have to keep to the shares that there are.
 */
TEST_F(share, honest_burst)
{
	uint64_t when = clock_ns() + 300 * MS;
	struct queue q;
	uint32_t i;

	if (!getenv("DEADLINE_ICOUNT"))
		ASSERT_EQ(0, set_shares(PLENTY, PLENTY));
	ASSERT_EQ(0, open_as(3000, &q));
	ASSERT_EQ(1000, arm_burst(&q, 1000, when));
	ASSERT_EQ(1000, ring_collect(&q, 1000));
	EXPECT_EQ(1000, expired(&q, 1000));
	for (i = 0; i < 1000; i++)
		ASSERT_LE(when, q.slots[i].expired_at);
	EXPECT_EQ(0, throttled(&q));
	queue_close(&q);
}

/*
 * Pause: nothing expires before the window ends, though a doorbell plans it, but
 * what is due at a doorbell does at once. Then all goes on.
 */
TEST_F(share, pause)
{
	uint64_t from, soon;
	struct queue q;

	ASSERT_EQ(0, set_shares(0, PLENTY));
	ASSERT_EQ(0, open_as(3001, &q));
	do {
		burst(&q, BURST, throttled(&q) + 1);
		/* Before the window began, as that was when it was counted */
		from = q.slots[0].expired_at;
		soon = due(clock_ns() + 500 * US);
		ASSERT_EQ(0, slot_arm(&q, BURST, soon));
		/* Too slow: it may have been due when the doorbell looked. */
	} while (clock_ns() >= soon);
	ASSERT_EQ(0, slot_expire(&q, BURST + 1));
	WAIT_FOR(slot_over(&q, BURST));
	EXPECT_LE(from + WINDOW, q.slots[BURST].expired_at);
	/* On it goes. */
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + MS));
	WAIT_FOR(slot_over(&q, 0));
	queue_close(&q);
}

/* Is the timer of a queue's deadlines started? There is only one queue. */
static bool timer_started(void)
{
	FILE *list = fopen("/proc/timer_list", "r");
	bool found = false;
	char line[256];

	while (list && fgets(line, sizeof(line), list))
		found |= !!strstr(line, "dln_interrupt");
	if (list)
		fclose(list);
	return found;
}

/* However often one rings in a pause, no interrupt is planned for that. */
TEST_F(share, doorbell_in_pause)
{
	struct queue q;
	bool started;

	ASSERT_EQ(0, set_shares(0, PLENTY));
	ASSERT_EQ(0, open_as(3009, &q));
	do {
		/* As many as one interrupt sees: nothing else is planned. */
		burst(&q, 16, throttled(&q) + 1);
		slot_arm_silent(&q, 16, clock_ns() + 1000 * SECOND);
		ASSERT_EQ(1, ring_one(&q, 16));
		started = timer_started();
		/* Too slow: the pause may have been over. */
	} while (clock_ns() >= q.slots[0].expired_at + WINDOW);
	EXPECT_FALSE(started);
	WAIT_FOR(timer_started());
	queue_close(&q);
}

/* A fast row of deadlines with no share at all: two interrupts a window at most */
TEST_F(share, nothing_lost)
{
	uint32_t list[1024], i, n = rounds(1024);
	uint64_t from, took, most;
	struct queue q;

	ASSERT_EQ(0, set_shares(0, PLENTY));
	ASSERT_EQ(0, open_as(3002, &q));
	from = clock_ns() + 50 * MS;
	for (i = 0; i < n; i++) {
		list[i] = i;
		slot_arm_silent(&q, i, from + i * 100 * US);
	}
	ASSERT_EQ((int)n, ring_list(&q, list, n));
	EXPECT_EQ(n, ring_collect(&q, n));
	for (i = 0; i < n; i++)
		EXPECT_LE(from + i * 100 * US, q.slots[i].expired_at);
	took = clock_ns() - from;
	most = (took / WINDOW + 2) * 2;
	EXPECT_LE(1, throttled(&q));
	EXPECT_GE(most, status_of(&q.status->interrupts));
	queue_close(&q);
}

struct hostile {
	struct queue q;
	pthread_t thread;
	bool stop;
};

/*
 * Keep an interrupt busy with a slot for ever: moved on a little all the time,
 * armed again when that was not fast enough.
 */
static void *move_for_ever(void *arg)
{
	struct hostile *h = arg;

	pin_to(0);
	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED))
		if (slot_move(&h->q, 0, clock_ns() + 500) != 1)
			slot_arm(&h->q, 0, clock_ns() + 500);
	return NULL;
}

/*
 * Periods as short as can be, by no thread at all, and so many that an interrupt
 * comes to its limit, however late it is; and a thread that moves
 */
static int start_hostile(struct hostile *h, uid_t uid)
{
	uint32_t i;

	memset(h, 0, sizeof(*h));
	if (open_as(uid, &h->q))
		return -1;
	for (i = 1; i < 1024; i++) {
		h->q.slots[i].flags = DEADLINE_SLOT_PERIODIC;
		h->q.slots[i].period = h->q.setup.period_min + i;
		if (slot_arm(&h->q, i, clock_ns()))
			return -1;
	}
	return pthread_create(&h->thread, NULL, move_for_ever, h);
}

static void stop_hostile(struct hostile *h)
{
	__atomic_store_n(&h->stop, true, __ATOMIC_RELAXED);
	pthread_join(h->thread, NULL);
	queue_close(&h->q);
}

/* He is paused, once a window; when he is not, things expire. */
TEST_F(share, hostile)
{
	uint64_t from, most, once, before;
	struct hostile h;

	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, start_hostile(&h, 3003));
	WAIT_FOR(throttled(&h.q));
	from = clock_ns();
	once = throttled(&h.q);
	before = status_of(&h.q.status->expired);
	WAIT_FOR(throttled(&h.q) >= once + 10);
	most = (clock_ns() - from) / WINDOW + 2;
	EXPECT_GE(most, 10);
	EXPECT_LT(before, status_of(&h.q.status->expired));
	stop_hostile(&h);
}

/* Another user on that CPU is not paused with him, though all of his are counted. */
TEST_F(share, other_user)
{
	struct hostile h;
	struct queue q;
	uint64_t once;

	ASSERT_EQ(0, set_shares(25, PLENTY));
	ASSERT_EQ(0, open_as(3004, &q));
	ASSERT_EQ(0, start_hostile(&h, 3005));
	q.slots[0].flags = DEADLINE_SLOT_PERIODIC;
	q.slots[0].period = 400 * US;
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns()));
	once = throttled(&h.q);
	WAIT_FOR(throttled(&h.q) >= once + 20);
	/* An emulator may be halted in the midst of an interrupt. */
	EXPECT_GT(10, throttled(&q));
	stop_hostile(&h);
	queue_close(&q);
}

/*
 * Unless the share of all is used up. This one's deadlines alone, each 1 ms after
 * the last, would not be counted.
 */
TEST_F(share, all_users)
{
	unsigned int i, n = 5000;
	struct hostile h;
	struct queue q;

	ASSERT_EQ(0, set_shares(PLENTY, 1));
	ASSERT_EQ(0, open_as(3006, &q));
	ASSERT_EQ(0, start_hostile(&h, 3007));
	for (i = 0; i < n && !throttled(&q); i++) {
		ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + MS));
		WAIT_FOR(slot_over(&q, 0));
	}
	EXPECT_LT(0, throttled(&q));
	stop_hostile(&h);
	queue_close(&q);
}

/*
 * What he spent is remembered when all his queues are closed. Here it is much more
 * than he will have in a window: with no share at all, nothing is forgiven.
 */
TEST_F(share, reopened)
{
	struct queue q;

	ASSERT_EQ(0, set_shares(0, PLENTY));
	ASSERT_EQ(0, open_as(3008, &q));
	burst(&q, 2048, 80);
	queue_close(&q);
	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, open_as(3008, &q));
	/* One interrupt of his that is counted */
	ASSERT_EQ(16, arm_burst(&q, 16, clock_ns() + 20 * MS));
	ASSERT_EQ(16, ring_collect(&q, 16));
	ASSERT_EQ(16, expired(&q, 16));
	EXPECT_EQ(1, throttled(&q));
	queue_close(&q);
}

/*
 * Window by window his share is forgiven, whether or not he has interrupts: here
 * more of it passes each time than he had spent. One of his may be halted.
 */
TEST_F(share, forgiven)
{
	uint64_t before;
	uint32_t i, kept = 0;
	struct queue q;

	ASSERT_EQ(0, set_shares(0, PLENTY));
	ASSERT_EQ(0, open_as(3010, &q));
	burst(&q, 2048, 80);
	for (i = 0; i < 2048; i++)
		WAIT_FOR(slot_over(&q, i));
	ASSERT_EQ(0, set_shares(5, PLENTY));
	for (i = 0; i < 3; i++) {
		before = throttled(&q);
		ASSERT_EQ(16, arm_burst(&q, 16, clock_ns() + 300 * MS));
		WAIT_FOR(slot_over(&q, 15));
		kept += throttled(&q) == before;
	}
	EXPECT_LT(0, kept);
	queue_close(&q);
}

TEST_HARNESS_MAIN
