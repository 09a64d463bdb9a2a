// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt time: who took more than his share of a CPU is served more rarely, one
 * queue after the other, and nothing is lost; when all together took more than
 * theirs, those who took most are.
 *
 * How long an interrupt takes differs a hundredfold between a machine and an
 * emulator. So the shares are set such that one is exceeded on either, or so
 * that none can be: of a share of one percent each interrupt takes at least ENTRY,
 * however fast the machine. Figures are uapi_greedy's to tell. Each user here has
 * one test, for what he spent is remembered.
 */
#include <sys/epoll.h>
#include "module.h"
#include "queue.h"

/* A user's queues, all of them greedy */
#define CROWD 128
/* What an interrupt counts for at least, in the time that one percent has for it */
#define ENTRY (1300ull * 100)
/* What a bucket holds, in that time */
#define BURST (10 * MS)
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

/* Queues with a period of the shortest kind each, so that the user is over */
static int crowd_open(struct queue *queues, uid_t uid)
{
	unsigned int i;

	for (i = 0; i < CROWD; i++) {
		struct queue *q = &queues[i];

		if (open_as(uid, q))
			return -1;
		q->slots[0].flags = DEADLINE_SLOT_PERIODIC;
		q->periods[0] = q->setup.period_min;
		if (slot_arm(q, 0, clock_ns()))
			return -1;
	}
	for (i = 0; i < CROWD; i++)
		WAIT_FOR(throttled(&queues[i]) >= 2);
	return 0;
}

static void crowd_close(struct queue *queues)
{
	unsigned int i;

	for (i = 0; i < CROWD; i++)
		queue_close(&queues[i]);
}

static uint64_t interrupts(const struct queue *q)
{
	return status_of(&q->status->interrupts);
}

/* They are served in turn: each as often as the others, and so rarely at most. */
TEST_F(share, in_turn)
{
	uint64_t before[CROWD], sum = 0, from, most, n;
	struct queue queues[CROWD];
	unsigned int i, uneven = 0;

	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, crowd_open(queues, 3001));
	for (i = 0; i < CROWD; i++)
		before[i] = interrupts(&queues[i]);
	from = clock_ns();
	WAIT_FOR(interrupts(&queues[0]) >= before[0] + 10);
	for (i = 0; i < CROWD; i++) {
		n = interrupts(&queues[i]) - before[i];
		/* Where it is not exact, this thread may be halted as it reads. */
		uneven += getenv("DEADLINE_ICOUNT") ? n < 9 || n > 11 : n < 4;
		sum += n;
	}
	most = (clock_ns() - from + BURST) / ENTRY + 1;
	EXPECT_EQ(0, uneven);
	EXPECT_LE(4 * CROWD, sum);
	EXPECT_GE(most, sum);
	crowd_close(queues);
}

/*
 * Before its turn nothing expires, though a doorbell plans it, but what is due at a
 * doorbell does at once. Then all goes on.
 */
TEST_F(share, pause)
{
	struct queue queues[CROWD], *q = &queues[0];
	uint64_t from, soon, once, before, now;

	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, crowd_open(queues, 3002));
	do {
		once = interrupts(q);
		WAIT_FOR(interrupts(q) > once);
		from = q->slots[0].expired_at;
		soon = due(clock_ns() + 500 * US);
		ASSERT_EQ(0, slot_arm(q, 1, soon));
		ASSERT_EQ(0, slot_expire(q, 2));
		EXPECT_TRUE(slot_over(q, 2));
		before = 0;
		for (now = clock_ns(); now < soon; now = clock_ns())
			before = now;
		/*
		 * Again, if this CPU was halted meanwhile: slot 1 may have been due
		 * at the second doorbell, or the bucket have run out to the brim when
		 * it became due, so that whoever is due first is served.
		 */
	} while (now - before > 100 * US || soon > from + MS);
	WAIT_FOR(slot_over(q, 1));
	EXPECT_LE(from + (CROWD - 1) * ENTRY, q->slots[1].expired_at);
	crowd_close(queues);
}

/* Is a timer of some queue's deadlines started? */
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
	struct queue queues[CROWD];

	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, crowd_open(queues, 3009));
	slot_arm_silent(&queues[0], 1, clock_ns() + 1000 * SECOND);
	ASSERT_EQ(1, ring_one(&queues[0], 1));
	EXPECT_FALSE(timer_started());
	crowd_close(queues);
}

/* Whoever is in the line, or has his turn just now, can go. */
TEST_F(share, closed_in_line)
{
	struct queue queues[CROWD], q;
	unsigned int i, n = rounds(20);

	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, open_as(3011, &q));
	while (n--) {
		ASSERT_EQ(0, crowd_open(queues, 3011));
		for (i = 0; i < CROWD; i++)
			queue_close(&queues[(i * 37 + n) % CROWD]);
	}
	/* And the line goes on. */
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + MS));
	WAIT_FOR(slot_over(&q, 0));
	queue_close(&q);
}

/* A fast row of deadlines with hardly any share: none is lost, interrupts are few. */
TEST_F(share, nothing_lost)
{
	uint32_t list[1024], i, n = rounds(1024);
	uint64_t from, most;
	struct queue q;

	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, open_as(3003, &q));
	from = clock_ns() + 50 * MS;
	for (i = 0; i < n; i++) {
		list[i] = i;
		slot_arm_silent(&q, i, from + i * 20 * US);
	}
	ASSERT_EQ((int)n, ring_list(&q, list, n));
	EXPECT_EQ(n, ring_collect(&q, n));
	for (i = 0; i < n; i++)
		EXPECT_LE(from + i * 20 * US, q.slots[i].expired_at);
	most = (clock_ns() - from + BURST) / ENTRY + 1;
	/* A machine that stands still has few interrupts, and nobody to throttle. */
	if (getenv("DEADLINE_ICOUNT"))
		EXPECT_LE(1, throttled(&q));
	EXPECT_GE(most, interrupts(&q));
	queue_close(&q);
}

struct hostile {
	struct queue q;
	pthread_t thread;
	bool stop;
};

/*
 * Keep an interrupt busy with a slot for ever: moved on a little all the time,
 * armed again when that was not fast enough. And the periodic ones are made to look
 * as if they were reaped, or they would soon expire more rarely.
 */
static void *move_for_ever(void *arg)
{
	struct hostile *h = arg;
	unsigned int i;

	pin_to(0);
	for (i = 0; !__atomic_load_n(&h->stop, __ATOMIC_RELAXED); i++) {
		if (slot_move(&h->q, 0, clock_ns() + 500) != 1)
			slot_arm(&h->q, 0, clock_ns() + 500);
		__atomic_store_n(&h->q.slots[1 + i % 1023].overruns, 0,
				 __ATOMIC_RELAXED);
	}
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
		h->q.periods[i] = h->q.setup.period_min + i;
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

/* He is paused again and again; when he is not, things expire. */
TEST_F(share, hostile)
{
	uint64_t once, before;
	struct hostile h;

	ASSERT_EQ(0, set_shares(1, PLENTY));
	ASSERT_EQ(0, start_hostile(&h, 3004));
	WAIT_FOR(throttled(&h.q));
	once = throttled(&h.q);
	before = status_of(&h.q.status->expired);
	WAIT_FOR(throttled(&h.q) >= once + 10);
	EXPECT_LT(before, status_of(&h.q.status->expired));
	stop_hostile(&h);
}

/*
 * With these shares he is paused, and another user on that CPU is not, who has an
 * interrupt each 100 ms. On a busy machine an emulator's come late, and a hostile user
 * takes no more than some percent.
 */
static void beside_hostile(struct __test_metadata *_metadata, uid_t uid,
			   unsigned int user, unsigned int cpu)
{
	struct hostile h;
	struct queue q;
	uint64_t once;

	ASSERT_EQ(0, set_shares(user, cpu));
	ASSERT_EQ(0, open_as(uid, &q));
	ASSERT_EQ(0, start_hostile(&h, uid + 1));
	/* As if it were to signal, or it would come ever more rarely: nobody reads. */
	q.slots[0].flags = DEADLINE_SLOT_PERIODIC | DEADLINE_SLOT_SIGNAL;
	q.periods[0] = 100 * MS;
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns()));
	WAIT_FOR(throttled(&h.q));
	once = throttled(&h.q);
	WAIT_FOR(throttled(&h.q) >= once + 20 && interrupts(&q) >= 20);
	/* An emulator may be halted in the midst of an interrupt. */
	EXPECT_GT(10, throttled(&q));
	stop_hostile(&h);
	queue_close(&q);
}

/* All interrupts of his are counted, and none of the other's as if they were his. */
TEST_F(share, other_user)
{
	beside_hostile(_metadata, 3005, 1, PLENTY);
}

/*
 * One long interrupt, here for the entries of epoll that it wakes, may empty the share
 * of all; that has it counted once all the same. Only where time is exact is it known
 * how long it takes: 0.5 ms, of a burst that is 1 ms of a tenth of a CPU.
 */
TEST_F(share, one_long)
{
	struct epoll_event event = { .events = EPOLLIN };
	int i, fd, epoll = epoll_create1(EPOLL_CLOEXEC);
	uint64_t when = clock_ns() + 500 * MS;
	struct queue q;

	ASSERT_EQ(0, set_shares(10, 1));
	ASSERT_EQ(0, open_as(3012, &q));
	for (i = 0; i < 4000; i++) {
		fd = dup(q.fd);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	}
	/* More than a batch: such an interrupt is timed in any case. */
	ASSERT_EQ(32, arm_burst(&q, 32, when));
	ASSERT_EQ(32, ring_collect(&q, 32));
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + MS));
	WAIT_FOR(slot_over(&q, 0));
	if (getenv("DEADLINE_ICOUNT"))
		EXPECT_EQ(0, throttled(&q));
	queue_close(&q);
}

/* The share of all is kept by who takes most of it, though he is below his own. */
TEST_F(share, all_users)
{
	beside_hostile(_metadata, 3007, 100, 1);
}

/* Would the next interrupt of his be turned away? */
static bool turned_away(struct queue *q)
{
	uint64_t before = throttled(q);

	if (slot_arm(q, 0, clock_ns() + MS))
		return false;
	WAIT_FOR(slot_over(q, 0));
	return throttled(q) != before;
}

/*
 * What he owes is remembered when all his queues are closed; and forgotten when it
 * has been paid. Only where time is exact (DEADLINE_ICOUNT) is he back in time.
 */
TEST_F(share, reopened)
{
	uint64_t when = clock_ns() + 200 * MS;
	struct queue queues[CROWD], q;
	unsigned int i;

	ASSERT_EQ(0, set_shares(1, PLENTY));
	/* Small ones: to close them is to take less time than he has to pay for. */
	ASSERT_EQ(0, setresuid(3010, -1, -1));
	for (i = 0; i < CROWD; i++) {
		ASSERT_EQ(0, queue_open(&queues[i], 64, O_CLOEXEC));
		ASSERT_EQ(0, slot_arm(&queues[i], 0, when));
	}
	/* Some are served, until there is too much in his bucket; the others add. */
	WAIT_FOR(clock_ns() > when + MS);
	crowd_close(queues);
	ASSERT_EQ(0, open_as(3010, &q));
	if (getenv("DEADLINE_ICOUNT"))
		EXPECT_TRUE(turned_away(&q));
	WAIT_FOR(!turned_away(&q));
	queue_close(&q);
}

TEST_HARNESS_MAIN
