// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody sets the clock: when armed slots expire then. Deadlines are absolute:
 * what is due by the new time expires at once, and once; nothing expires before
 * its time by the new clock, whatever the kernel was doing with the slot when the
 * clock was set. That the program is told of it is uapi_clock_notice's.
 */
#include "clock_set.h"

#define STORM 20000
/* More than an interrupt takes, that are due by a new time */
#define SIGNALS 4096

static uint32_t count_over(const struct queue *q, uint32_t n)
{
	uint32_t i, over = 0;

	for (i = 0; i < n; i++)
		over += slot_over(q, i);
	return over;
}

TEST_F(settable, forward_beyond)
{
	uint64_t when = due(ns_of(variant->clock) + HOUR);

	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	ASSERT_EQ(0, slot_arm(&self->q, 1, when + HOUR));
	ASSERT_EQ(0, step(&self->q, HOUR + SECOND));
	WAIT_FOR(slot_over(&self->q, 0));
	EXPECT_EQ(when | DEADLINE_WORD_EXPIRED, slot_word(&self->q, 0));
	EXPECT_LE(when + SECOND, self->q.slots[0].expired_at);
	EXPECT_GE(ns_of(variant->clock), self->q.slots[0].expired_at);
	EXPECT_FALSE(slot_over(&self->q, 1));
	WAIT_FOR(slot_queued(&self->q, 1) == when + HOUR);
	EXPECT_EQ(1, ring_collect(&self->q, 1));
	EXPECT_EQ(1, expired(&self->q, 1));
}

/*
 * However little the user's interrupts may take, and though the queue pauses for
 * it: who hears of the new time finds what it made due.
 */
TEST_F(settable, forward_in_pause)
{
	unsigned long round, n = rounds(10), late = 0;
	uint64_t throttled;
	uint32_t i, list[16];

	ASSERT_EQ(0, set_parameter("user_share", 0));
	for (round = 0; round < n; round++) {
		uint64_t when = ns_of(variant->clock) + 2 * MS;

		ASSERT_EQ(0, slot_arm(&self->q, 16, when + HOUR));
		throttled = status_of(&self->q.status->throttled);
		/* As many interrupts as it takes */
		do {
			when = ns_of(variant->clock) + 100 * US;
			for (i = 0; i < 16; i++) {
				list[i] = i;
				slot_arm_silent(&self->q, i, when);
			}
			ASSERT_EQ(16, ring_list(&self->q, list, 16));
			WAIT_FOR(status_of(&self->q.status->throttled) !=
					throttled ||
				 count_over(&self->q, 16) == 16);
		} while (status_of(&self->q.status->throttled) == throttled);
		ASSERT_EQ(0, step(&self->q, HOUR + SECOND));
		late += !slot_over(&self->q, 16);
		ASSERT_EQ(0, step(&self->q, -HOUR - SECOND));
	}
	EXPECT_EQ(0, late);
	EXPECT_LT(0, status_of(&self->q.status->throttled));
}

/* To shortly before the deadline: its time is still to come. */
TEST_F(settable, forward_up_to)
{
	uint64_t when = due(ns_of(variant->clock) + HOUR + 50 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	ASSERT_EQ(0, step(&self->q, HOUR));
	WAIT_FOR(slot_over(&self->q, 0));
	EXPECT_LE(when, ns_of(variant->clock));
	EXPECT_LE(when, self->q.slots[0].expired_at);
	EXPECT_GE(ns_of(variant->clock), self->q.slots[0].expired_at);
}

/* Its old time passes, and others' new ones; then its own comes. */
TEST_F(settable, backward)
{
	uint64_t ahead = 100 * MS, when, other, monotonic;

	do {
		ahead *= 2;
		when = due(ns_of(variant->clock) + ahead);
		ASSERT_EQ(0, slot_arm(&self->q, 0, when));
		monotonic = clock_ns() + ahead;
		ASSERT_EQ(0, step(&self->q, -HOUR));
	} while (slot_over(&self->q, 0));

	WAIT_FOR(clock_ns() > monotonic);
	other = due(ns_of(variant->clock) + 10 * MS);
	ASSERT_EQ(0, slot_arm(&self->q, 1, other));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_LE(other, self->q.slots[1].expired_at);
	EXPECT_GE(ns_of(variant->clock), self->q.slots[1].expired_at);
	EXPECT_FALSE(slot_over(&self->q, 0));
	EXPECT_EQ(when, slot_queued(&self->q, 0));

	ASSERT_EQ(0, step(&self->q, HOUR));
	WAIT_FOR(slot_over(&self->q, 0));
	EXPECT_EQ(when | DEADLINE_WORD_EXPIRED, slot_word(&self->q, 0));
	EXPECT_LE(when, self->q.slots[0].expired_at);
}

/*
 * The kernel keeps the places of those that it has looked at. After a step back
 * new ones come to stand before, between, beside and behind them, and some of
 * them are armed again.
 */
TEST_F(settable, backward_among_looked_at)
{
	const uint32_t old = 64, n = 512;
	uint64_t seed = 11, base, now, when[512];
	uint32_t i, early = 0, late = 0, wrong = 0;

	base = ns_of(variant->clock);
	for (i = 0; i < old; i++) {
		when[i] = due(base + next_random(&seed) % (50 * MS));
		ASSERT_EQ(0, slot_arm(&self->q, i, when[i]));
	}
	ASSERT_EQ(old, ring_collect(&self->q, old));
	ASSERT_EQ(old, expired(&self->q, old));
	ASSERT_EQ(0, step(&self->q, -(int64_t)(ns_of(variant->clock) - base)));

	now = ns_of(variant->clock);
	for (i = old / 2; i < n; i++) {
		/* The very time of one that was looked at, or any */
		if (i % 4 == 0)
			when[i] = when[i / 4 % (old / 2)];
		else
			when[i] = due(now + next_random(&seed) % (80 * MS));
		ASSERT_EQ(0, slot_arm(&self->q, i, when[i]));
	}
	for (i = old / 2; i < n; i++) {
		WAIT_FOR(slot_over(&self->q, i));
		wrong += (slot_word(&self->q, i) & ~DEADLINE_WORD_STATE) !=
			 when[i];
		early += self->q.slots[i].expired_at < when[i];
		late += self->q.slots[i].expired_at > when[i] + 60 * SECOND;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, early);
	EXPECT_EQ(0, late);
	/* Each once */
	EXPECT_EQ(n - old / 2, ring_collect(&self->q, n - old / 2));
	EXPECT_EQ(n + old / 2, expired(&self->q, n + old / 2));
}

struct storm {
	struct queue q;
	clockid_t clock;
	uint32_t over;
	uint64_t when;
	uint64_t expired;
};

/* Arm all of the storm at one instant that is still to come. */
static uint64_t storm_arm(struct __test_metadata *_metadata, struct storm *s,
			  const uint32_t *list)
{
	uint64_t ahead = 50 * MS, when;
	uint32_t i;

	do {
		ring_drain(&s->q);
		ahead *= 2;
		when = due(ns_of(s->clock) + ahead);
		for (i = 0; i < STORM; i++)
			slot_arm_silent(&s->q, i, when);
		ASSERT_EQ(STORM, ring_list(&s->q, list, STORM));
	} while (ns_of(s->clock) >= when);
	return when;
}

/* Back an hour in the midst of a storm; some have expired, and all of those. */
static void storm_break(struct __test_metadata *_metadata, struct storm *s,
			clockid_t clock)
{
	uint32_t i, early = 0, *list = calloc(STORM, sizeof(*list));

	ASSERT_NE(NULL, list);
	for (i = 0; i < STORM; i++)
		list[i] = i;
	s->clock = clock;
	ASSERT_EQ(0, queue_open_on(&s->q, clock, STORM + 1, O_CLOEXEC));
	do {
		s->when = storm_arm(_metadata, s, list);
		WAIT_FOR(count_over(&s->q, STORM) > STORM / 2);
		ASSERT_EQ(0, step(&s->q, -HOUR));
		s->over = count_over(&s->q, STORM);
	} while (s->over == STORM);
	free(list);

	EXPECT_LT(0, status_of(&s->q.status->full) +
		     status_of(&s->q.status->throttled));
	for (i = 0; i < STORM; i++)
		early += slot_over(&s->q, i) &&
			 s->q.slots[i].expired_at < s->when;
	EXPECT_EQ(0, early);
	EXPECT_EQ(s->over, ring_collect(&s->q, s->over));
	/* All are counted: the clock's look came after the last interrupt. */
	s->expired = status_of(&s->q.status->expired);
}

/* The hour is over: @n more expire, none early, each once. */
static void storm_end(struct __test_metadata *_metadata, struct storm *s,
		      uint32_t n)
{
	uint32_t i, early = 0, lost = 0;
	uint64_t limit;

	ASSERT_EQ(0, step(&s->q, HOUR));
	limit = clock_ns() + 60 * SECOND;
	WAIT_FOR(count_over(&s->q, STORM) == STORM || clock_ns() > limit);
	for (i = 0; i < STORM; i++) {
		lost += !slot_over(&s->q, i);
		early += s->q.slots[i].expired_at < s->when;
	}
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, early);
	EXPECT_EQ(n - lost, ring_collect(&s->q, n - lost));
	EXPECT_EQ(s->expired + n, expired(&s->q, s->expired + n - lost));
	queue_close(&s->q);
}

/*
 * The others of the storm have to wait for the hour; but the pause between two
 * interrupts that was in force is no hour longer.
 */
TEST_F(settable, backward_amid_storm)
{
	struct storm storm;
	uint64_t when;

	storm_break(_metadata, &storm, variant->clock);
	when = due(ns_of(variant->clock) + 20 * MS);
	ASSERT_EQ(0, slot_arm(&storm.q, STORM, when));
	WAIT_FOR(slot_over(&storm.q, STORM));
	EXPECT_LE(when, storm.q.slots[STORM].expired_at);
	EXPECT_EQ(storm.over, count_over(&storm.q, STORM));
	EXPECT_EQ(1, ring_collect(&storm.q, 1));
	storm.expired++;
	storm_end(_metadata, &storm, STORM - storm.over);
}

/* Those that had expired are armed once more for the instant of the others. */
TEST_F(settable, again_amid_storm)
{
	struct storm storm;
	uint32_t i;

	storm_break(_metadata, &storm, variant->clock);
	/* The kernel tries beside the one that came last: not there */
	ASSERT_EQ(0, slot_arm(&storm.q, STORM, storm.when + HOUR));
	for (i = 0; i < STORM; i++)
		if (slot_over(&storm.q, i))
			ASSERT_EQ(0, slot_arm(&storm.q, i, storm.when));
	EXPECT_EQ(0, count_over(&storm.q, STORM));
	storm_end(_metadata, &storm, STORM);
}

/*
 * Periods that the clock was set over count as overruns, once; set back, it comes
 * to them a second time, and they do not.
 */
TEST_F(settable, periodic)
{
	uint64_t start = due(ns_of(variant->clock) + 30 * SECOND);
	uint64_t next, period = 60 * SECOND;
	struct deadline_expiry expiry;

	self->q.slots[0].flags = DEADLINE_SLOT_PERIODIC;
	self->q.periods[0] = period;
	ASSERT_EQ(0, slot_arm(&self->q, 0, start));
	ASSERT_EQ(0, step(&self->q, HOUR));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_LE(59, expiry.overruns);
	EXPECT_GE(60, expiry.overruns);
	EXPECT_EQ(start + expiry.overruns * period, expiry.deadline);
	EXPECT_LE(expiry.deadline, expiry.expired_at);
	next = expiry.deadline + period;
	EXPECT_EQ(next, slot_word(&self->q, 0) & ~DEADLINE_WORD_STATE);

	ASSERT_EQ(0, step(&self->q, -HOUR));
	EXPECT_EQ(next, slot_word(&self->q, 0) & ~DEADLINE_WORD_STATE);
	EXPECT_EQ(next, slot_queued(&self->q, 0));
	EXPECT_EQ(1, expired(&self->q, 1));

	ASSERT_EQ(0, step(&self->q, HOUR + 60 * SECOND));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_LE(next, expiry.expired_at);
	EXPECT_EQ(next + expiry.overruns * period, expiry.deadline);
	EXPECT_GE(1, expiry.overruns);
}

/* Who changes the owner of the signals, all the time */
struct changer {
	int fd;
	bool stop;
};

static void *change_owner(void *arg)
{
	struct changer *changer = arg;

	while (!__atomic_load_n(&changer->stop, __ATOMIC_RELAXED))
		fcntl(changer->fd, F_SETOWN, getpid());
	return NULL;
}

/*
 * What a clock set makes due signals, more of it than one interrupt takes: the rest is
 * the thread's, which waits for no lock that it has itself.
 */
TEST_F(settable, signals)
{
	struct changer changer = {};
	pthread_t threads[3];
	uint32_t *list = calloc(SIGNALS, sizeof(*list)), i;
	unsigned long round, n = rounds(10);
	struct queue q;

	ASSERT_NE(NULL, list);
	ASSERT_EQ(0, queue_open_on(&q, variant->clock, SIGNALS, O_CLOEXEC));
	signal(SIGIO, SIG_IGN);
	ASSERT_EQ(0, fcntl(q.fd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(q.fd, F_SETFL, O_ASYNC));
	changer.fd = q.fd;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, change_owner,
					    &changer));
	for (i = 0; i < SIGNALS; i++) {
		list[i] = i;
		q.slots[i].flags = DEADLINE_SLOT_SIGNAL;
	}
	for (round = 0; round < n; round++) {
		for (i = 0; i < SIGNALS; i++)
			slot_arm_silent(&q, i, ns_of(variant->clock) + HOUR);
		ASSERT_EQ(SIGNALS, ring_list(&q, list, SIGNALS));
		ASSERT_EQ(0, step(&q, 2 * HOUR));
		WAIT_FOR(count_over(&q, SIGNALS) == SIGNALS);
		ASSERT_EQ(0, step(&q, -2 * HOUR));
	}
	__atomic_store_n(&changer.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	free(list);
	queue_close(&q);
}

/* Set TAI's distance from UTC; until @q has been told. */
static int tell_tai(const struct queue *q, long seconds)
{
	uint64_t sets = clock_sets(q);

	if (set_tai(seconds))
		return -1;
	WAIT_FOR(clock_sets(q) != sets);
	return 0;
}

/* That moves TAI alone. */
TEST(tai_offset)
{
	uint64_t when, until, ahead = 20 * MS;
	struct queue tai, utc;

	ASSERT_EQ(0, queue_open_on(&tai, CLOCK_TAI, 64, O_NONBLOCK));
	ASSERT_EQ(0, queue_open_on(&utc, CLOCK_REALTIME, 64, O_NONBLOCK));
	when = due(ns_of(CLOCK_TAI) + 1000 * SECOND);
	ASSERT_EQ(0, slot_arm(&tai, 0, when));
	ASSERT_EQ(0, slot_arm(&utc, 0, ns_of(CLOCK_REALTIME) + 1000 * SECOND));
	ASSERT_EQ(0, tell_tai(&tai, 2000));
	EXPECT_EQ(POLLPRI, polled(&tai, 10000) & POLLPRI);
	WAIT_FOR(slot_over(&tai, 0));
	EXPECT_LE(when, tai.slots[0].expired_at);
	EXPECT_FALSE(slot_over(&utc, 0));

	/* And back, unless the machine was too slow: its old time passes. */
	do {
		ASSERT_EQ(0, tell_tai(&tai, 3000));
		ahead *= 2;
		ASSERT_EQ(0, slot_arm(&tai, 1, ns_of(CLOCK_TAI) + ahead));
		until = clock_ns() + ahead;
		ASSERT_EQ(0, tell_tai(&tai, 0));
	} while (slot_over(&tai, 1));
	WAIT_FOR(clock_ns() > until);
	EXPECT_FALSE(slot_over(&tai, 1));
	queue_close(&tai);
	queue_close(&utc);
}

struct hostile {
	struct queue *q;
	bool stop;
};

/* A due slot whose word is never the one that the kernel has just read */
static void *change_for_ever(void *arg)
{
	struct hostile *h = arg;
	__u64 *word = &h->q->slots[0].word, when = DEADLINE_GRAIN;

	pin_to(1);
	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(word, when | DEADLINE_WORD_ARMED,
				 __ATOMIC_RELAXED);
		when = when % (1 << 30) + DEADLINE_GRAIN;
	}
	return NULL;
}

/*
 * Looks that lose every swap, and are to be made again, while the clock goes
 * forth and back: the others come on time, and in the end that one. An emulator
 * that runs one CPU at a time has next to no such looks.
 */
TEST_F(settable, contended)
{
	struct hostile hostile = { .q = &self->q };
	unsigned long i, j, n = rounds(50);
	pthread_t thread;
	uint64_t when;

	ASSERT_EQ(0, pthread_create(&thread, NULL, change_for_ever, &hostile));
	pin_to(0);
	for (i = 0; i < n; i++) {
		for (j = 0; j < 100; j++)
			ASSERT_EQ(1, ring_one(&self->q, 0));
		when = due(ns_of(variant->clock) + HOUR);
		ASSERT_EQ(0, slot_arm(&self->q, 1, when));
		ASSERT_EQ(0, step(&self->q, HOUR));
		WAIT_FOR(slot_over(&self->q, 1));
		ASSERT_LE(when, self->q.slots[1].expired_at);
		ASSERT_EQ(1, ring_one(&self->q, 0));
		ASSERT_EQ(0, slot_arm(&self->q, 1, when + HOUR));
		ASSERT_EQ(0, step(&self->q, -HOUR));
		ASSERT_EQ(1, slot_cancel(&self->q, 1));
	}
	/* Planned anew or not, it is left armed. */
	ASSERT_EQ(1, ring_one(&self->q, 0));
	ASSERT_EQ(0, step(&self->q, -HOUR));
	__atomic_store_n(&hostile.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TH_LOG("%llu looks lost every swap",
	       status_of(&self->q.status->contended));

	WAIT_FOR(slot_over(&self->q, 0) ||
		 slot_queued(&self->q, 0) == DEADLINE_QUEUED_NEVER);
	slot_arm_silent(&self->q, 0, ns_of(variant->clock) + 10 * MS);
	ASSERT_EQ(1, ring_one(&self->q, 0));
	WAIT_FOR(slot_over(&self->q, 0));
}

TEST_HARNESS_MAIN
