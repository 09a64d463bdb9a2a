// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody sets the clock. Deadlines are absolute: what is due by the new time
 * expires, at once and once; nothing expires before its time by the new clock,
 * wherever the look at it stood; and the program is told once for each set.
 *
 * These tests set the guest's clock, and put it right again. Each waits until
 * the kernel has told of a set before it goes on: the work behind it is not to
 * fall into the next test.
 */
#include <sys/eventfd.h>
#include "clocks.h"

#define STORM 20000

FIXTURE(settable) {
	struct queue q;
	uint64_t ahead;
	long share;
};

FIXTURE_VARIANT(settable) {
	clockid_t clock;
};

FIXTURE_VARIANT_ADD(settable, realtime) { .clock = CLOCK_REALTIME };
FIXTURE_VARIANT_ADD(settable, tai) { .clock = CLOCK_TAI };

FIXTURE_SETUP(settable)
{
	self->ahead = ns_of(CLOCK_REALTIME) - clock_ns();
	self->share = parameter("user_share");
	ASSERT_EQ(0, queue_open_on(&self->q, variant->clock, 1024, O_CLOEXEC));
}

/* What is left of the test's own steps is put right by MONOTONIC. */
FIXTURE_TEARDOWN(settable)
{
	int64_t off = clock_ns() + self->ahead - ns_of(CLOCK_REALTIME);

	EXPECT_EQ(0, set_parameter("user_share", self->share));
	EXPECT_EQ(0, step(&self->q, off));
	queue_close(&self->q);
}

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
	EXPECT_EQ(when + HOUR, slot_queued(&self->q, 1));
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
		for (i = 0; i < 16; i++) {
			list[i] = i;
			slot_arm_silent(&self->q, i, when);
		}
		ASSERT_EQ(16, ring_list(&self->q, list, 16));
		WAIT_FOR(status_of(&self->q.status->throttled) != throttled ||
			 count_over(&self->q, 16) == 16);
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
		late += self->q.slots[i].expired_at > when[i] + 5 * SECOND;
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
}

/* The hour is over: @n more expire, none early, each once. */
static void storm_end(struct __test_metadata *_metadata, struct storm *s,
		      uint32_t n)
{
	uint64_t before = status_of(&s->q.status->expired), limit;
	uint32_t i, early = 0, lost = 0;

	ASSERT_EQ(0, step(&s->q, HOUR));
	limit = clock_ns() + 20 * SECOND;
	WAIT_FOR(count_over(&s->q, STORM) == STORM || clock_ns() > limit);
	for (i = 0; i < STORM; i++) {
		lost += !slot_over(&s->q, i);
		early += s->q.slots[i].expired_at < s->when;
	}
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, early);
	EXPECT_EQ(n - lost, ring_collect(&s->q, n - lost));
	EXPECT_EQ(before + n, expired(&s->q, before + n - lost));
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
	struct deadline_slot *slot = &self->q.slots[0];
	struct deadline_expiry expiry;
	uint64_t next;

	slot->flags = DEADLINE_SLOT_PERIODIC;
	slot->period = 60 * SECOND;
	ASSERT_EQ(0, slot_arm(&self->q, 0, start));
	ASSERT_EQ(0, step(&self->q, HOUR));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_LE(59, expiry.overruns);
	EXPECT_GE(60, expiry.overruns);
	EXPECT_EQ(start + expiry.overruns * slot->period, expiry.deadline);
	EXPECT_LE(expiry.deadline, expiry.expired_at);
	next = expiry.deadline + slot->period;
	EXPECT_EQ(next, slot_word(&self->q, 0) & ~DEADLINE_WORD_STATE);

	ASSERT_EQ(0, step(&self->q, -HOUR));
	EXPECT_EQ(next, slot_word(&self->q, 0) & ~DEADLINE_WORD_STATE);
	EXPECT_EQ(next, slot_queued(&self->q, 0));
	EXPECT_EQ(1, expired(&self->q, 1));

	ASSERT_EQ(0, step(&self->q, HOUR + 60 * SECOND));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_LE(next, expiry.expired_at);
	EXPECT_EQ(next + expiry.overruns * slot->period, expiry.deadline);
	EXPECT_GE(1, expiry.overruns);
}

TEST_F(settable, notice)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct deadline_expiry expiry;

	ASSERT_EQ(0, set_nonblock(&self->q));
	ASSERT_EQ(0, set_eventfd(&self->q, fd));
	EXPECT_EQ(0, clock_sets(&self->q));
	EXPECT_EQ(0, polled(&self->q, 0));
	EXPECT_EQ(0, read_one(&self->q, &expiry));

	ASSERT_EQ(0, step(&self->q, SECOND));
	EXPECT_EQ(1, clock_sets(&self->q));
	EXPECT_EQ(POLLPRI, polled(&self->q, 10000));
	EXPECT_EQ(-ECANCELED, read_one(&self->q, &expiry));
	EXPECT_EQ(0, polled(&self->q, 0));
	EXPECT_EQ(0, read_one(&self->q, &expiry));
	WAIT_FOR(counted(fd) == 1);

	/* Twice, and a reader hears of it once. */
	ASSERT_EQ(0, step(&self->q, SECOND));
	ASSERT_EQ(0, step(&self->q, -SECOND));
	EXPECT_EQ(3, clock_sets(&self->q));
	EXPECT_EQ(-ECANCELED, read_one(&self->q, &expiry));
	EXPECT_EQ(0, read_one(&self->q, &expiry));
	EXPECT_EQ(0, polled(&self->q, 0));
	close(fd);
}

/* What the new time made due is read before that it is new. */
TEST_F(settable, expiries_first)
{
	struct deadline_expiry expiry;

	ASSERT_EQ(0, set_nonblock(&self->q));
	ASSERT_EQ(0, slot_arm(&self->q, 5, ns_of(variant->clock) + HOUR));
	ASSERT_EQ(0, step(&self->q, 2 * HOUR));
	EXPECT_EQ(POLLIN | POLLRDNORM | POLLPRI, polled(&self->q, 0));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(5, expiry.slot);
	EXPECT_EQ(POLLPRI, polled(&self->q, 0));
	EXPECT_EQ(-ECANCELED, read_one(&self->q, &expiry));
	EXPECT_EQ(0, read_one(&self->q, &expiry));
}

/* Of several who sleep in read(2) one is told; the others sleep on. */
TEST_F(settable, one_reader)
{
	struct reader readers[4];
	pthread_t threads[4];
	int i, told = 0, got = 0;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, start_reader(&readers[i], &self->q, &threads[i]));
	ASSERT_EQ(0, step(&self->q, SECOND));
	WAIT_FOR(!polled(&self->q, 0));
	/* Three to be had, for three */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, slot_expire(&self->q, i));
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		told += readers[i].ret == -ECANCELED;
		got += readers[i].ret == 1;
	}
	EXPECT_EQ(1, told);
	EXPECT_EQ(3, got);
}

struct poller {
	const struct queue *q;
	pid_t id;
	int events;
};

static void *poll_thread(void *arg)
{
	struct poller *p = arg;

	__atomic_store_n(&p->id, thread_id(), __ATOMIC_RELEASE);
	p->events = polled(p->q, -1);
	return NULL;
}

TEST_F(settable, wakes_poller)
{
	struct poller poller = { .q = &self->q };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, poll_thread, &poller));
	WAIT_FOR(__atomic_load_n(&poller.id, __ATOMIC_ACQUIRE));
	WAIT_FOR(is_asleep(poller.id));
	ASSERT_EQ(0, step(&self->q, SECOND));
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLPRI, poller.events);
}

/* Nobody sets these clocks; the fixture's queue is told after them. */
TEST(others_not_told)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct deadline_expiry expiry;
	struct queue q[2], witness;
	size_t i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, queue_open_on(&q[i], clocks[i], 64, O_NONBLOCK));
		ASSERT_EQ(0, set_eventfd(&q[i], fd));
		ASSERT_EQ(0, slot_arm(&q[i], 0, ns_of(clocks[i]) + HOUR));
	}
	ASSERT_EQ(0, queue_open_on(&witness, CLOCK_REALTIME, 64, 0));
	ASSERT_EQ(0, step(&witness, 2 * HOUR));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, clock_sets(&q[i]));
		EXPECT_EQ(0, polled(&q[i], 0));
		EXPECT_EQ(0, read_one(&q[i], &expiry));
		EXPECT_FALSE(slot_over(&q[i], 0));
	}
	EXPECT_EQ(0, counted(fd));
	ASSERT_EQ(0, step(&witness, -2 * HOUR));
	for (i = 0; i < 2; i++)
		queue_close(&q[i]);
	queue_close(&witness);
	close(fd);
}

/* TAI's distance from UTC is set: that moves TAI alone. */
TEST(tai_offset)
{
	struct queue tai, utc;
	uint64_t when;

	ASSERT_EQ(0, queue_open_on(&tai, CLOCK_TAI, 64, O_NONBLOCK));
	ASSERT_EQ(0, queue_open_on(&utc, CLOCK_REALTIME, 64, O_NONBLOCK));
	when = due(ns_of(CLOCK_TAI) + 1000 * SECOND);
	ASSERT_EQ(0, slot_arm(&tai, 0, when));
	ASSERT_EQ(0, slot_arm(&utc, 0, ns_of(CLOCK_REALTIME) + 1000 * SECOND));
	ASSERT_EQ(0, set_tai(2000));
	WAIT_FOR(clock_sets(&tai) == 1);
	EXPECT_EQ(POLLPRI, polled(&tai, 10000) & POLLPRI);
	WAIT_FOR(slot_over(&tai, 0));
	EXPECT_LE(when, tai.slots[0].expired_at);
	EXPECT_FALSE(slot_over(&utc, 0));

	/* And back */
	when = due(ns_of(CLOCK_TAI) + 20 * MS);
	ASSERT_EQ(0, slot_arm(&tai, 1, when));
	ASSERT_EQ(0, set_tai(0));
	WAIT_FOR(clock_sets(&tai) == 2);
	EXPECT_GE(1, status_of(&tai.status->tail) - 1);
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

struct listener {
	const struct queue *q;
	unsigned long told;
	unsigned long wrong;
	bool stop;
};

static void *listen_thread(void *arg)
{
	struct listener *l = arg;
	struct deadline_expiry expiry;
	int ret;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		ret = read_one(l->q, &expiry);
		l->told += ret == -ECANCELED;
		l->wrong += ret && ret != -ECANCELED;
	}
	return NULL;
}

/* However many listen: no set is told of twice, and the last one is. */
TEST_F(settable, told_no_more)
{
	struct listener listeners[3];
	unsigned long i, n = rounds(500), told = 0;
	struct deadline_expiry expiry;
	pthread_t threads[3];

	ASSERT_EQ(0, set_nonblock(&self->q));
	for (i = 0; i < 3; i++) {
		listeners[i] = (struct listener){ .q = &self->q };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, listen_thread,
					    &listeners[i]));
	}
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, step(&self->q, i % 2 ? SECOND : -SECOND));
	WAIT_FOR(!polled(&self->q, 0));
	for (i = 0; i < 3; i++) {
		__atomic_store_n(&listeners[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(threads[i], NULL);
		told += listeners[i].told;
		EXPECT_EQ(0, listeners[i].wrong);
	}
	EXPECT_EQ(0, read_one(&self->q, &expiry));
	EXPECT_LT(0, told);
	EXPECT_GE(clock_sets(&self->q), told);
	EXPECT_EQ(n, clock_sets(&self->q));
}

TEST_HARNESS_MAIN
