// SPDX-License-Identifier: GPL-2.0
/*
 * Periodic slots: they go on by themselves, in step with the first deadline for
 * ever, and whatever happens meanwhile, the expiries consumed and their overruns
 * are the periods that passed: none lost, none counted twice, none early.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include "queue.h"

/* No multiples of 16: each period but every sixteenth is rounded. */
#define SHORT 100003
#define LONG 1000001

/* The last time for a word that is not in the future: due at once */
static uint64_t just_past(void)
{
	return clock_ns() & ~DEADLINE_WORD_STATE;
}

static __u64 word_due(const struct queue *q, uint32_t i)
{
	return slot_word(q, i) & ~DEADLINE_WORD_STATE;
}

static __u64 word_state(const struct queue *q, uint32_t i)
{
	return slot_word(q, i) & DEADLINE_WORD_STATE;
}

/*
 * No more periods: from here on the word is what it is, for a look that was under
 * way has ended when a doorbell returns. 0, or -1 if it had stopped before
 */
static int course_stop(struct queue *q, uint32_t i)
{
	return slot_cancel(q, i) && ring_one(q, i) == 1 ? 0 : -1;
}

/* A stopped course, all of it consumed: is it where it ought to be? */
static bool course_complete(const struct queue *q, uint32_t i,
			    const struct course *c)
{
	return !c->early && !c->wrong && word_due(q, i) == due(course_next(c));
}

/* Thousands of periods, seen one by one by their consumer: exact to the ns */
static void run_ring(struct __test_metadata *_metadata, struct queue *q,
		     uint64_t period, unsigned long n)
{
	struct course c = { .period = period };
	uint32_t slot;

	c.start = due(clock_ns() + MS);
	ASSERT_EQ(0, course_arm(q, 7, &c));
	while (c.passed < n) {
		WAIT_FOR(ring_take(q, &slot));
		ASSERT_EQ(7, slot);
		course_claim(q, 7, &c);
		EXPECT_FALSE(slot_over(q, 7));
	}
	ASSERT_EQ(0, course_stop(q, 7));
	course_claim(q, 7, &c);
	EXPECT_EQ(0, c.early);
	EXPECT_EQ(0, c.wrong);
	EXPECT_TRUE(course_complete(q, 7, &c));
	/* It went on without us. */
	EXPECT_EQ(2, status_of(&q->status->doorbells));
	EXPECT_EQ(0, status_of(&q->status->contended));
}

TEST_F(queue, no_drift_short)
{
	run_ring(_metadata, &self->q, SHORT, rounds(10000));
}

TEST_F(queue, no_drift_long)
{
	run_ring(_metadata, &self->q, LONG, rounds(1000));
}

/* A period that is a multiple of 16 needs no rounding. */
TEST_F(queue, no_drift_even)
{
	run_ring(_metadata, &self->q, 200000, rounds(2000));
}

/* The word, its state and what is planned, after each of the first expiries */
TEST_F(queue, word)
{
	struct course c = { .period = 100 * MS + 3 };
	__u64 word, queued;

	c.start = due(clock_ns() + 5 * MS);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	do {
		WAIT_FOR(course_claim(&self->q, 1, &c));
		word = slot_word(&self->q, 1);
		WAIT_FOR((queued = slot_queued(&self->q, 1)) !=
			 DEADLINE_QUEUED_NEVER);
		/* Unless it is expiring again by now */
		if (clock_ns() >= course_next(&c))
			continue;
		EXPECT_EQ(due(course_next(&c)) | DEADLINE_WORD_ARMED |
			  DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN, word);
		EXPECT_EQ(due(course_next(&c)), queued);
	} while (c.passed < 3);
	EXPECT_EQ(0, c.early);
	EXPECT_EQ(0, c.wrong);
}

/* read(2) tells the time that passed: of the period, or up to 15 ns before it */
static void read_course(const struct queue *q, struct course *c)
{
	struct deadline_expiry got;
	uint64_t last;

	if (read_one(q, &got) != 1) {
		c->wrong++;
		return;
	}
	course_add(c, got.expired_at, got.overruns);
	last = course_next(c) - c->period;
	c->early += got.deadline > got.expired_at;
	c->wrong += got.deadline !=
		    ((due(course_next(c)) - c->period) &
		     ~DEADLINE_WORD_STATE);
	c->wrong += got.deadline + 16 <= last || got.deadline >= last + 16;
	c->wrong += got.user_data != 42 || got.slot != 7;
}

struct course_reader {
	struct queue *q;
	struct course c;
	unsigned long n;
};

static void *course_thread(void *arg)
{
	struct course_reader *r = arg;

	pin_to(1);
	while (r->c.passed < r->n)
		read_course(r->q, &r->c);
	return NULL;
}

/* Claim what the word says as soon as it does, without a hint. */
static void *watch_thread(void *arg)
{
	struct course_reader *r = arg;

	pin_to(1);
	while (r->c.passed < r->n) {
		if (!course_claim(r->q, 7, &r->c))
			cpu_relax();
	}
	return NULL;
}

/* The same with a consumer on another CPU than the timer */
static void run_thread(struct __test_metadata *_metadata, struct queue *q,
		       void *(*consumer)(void *arg), unsigned long n)
{
	struct course_reader r = { .q = q, .c = { .period = SHORT }, .n = n };
	pthread_t thread;

	pin_to(0);
	q->slots[7].user_data = 42;
	r.c.start = due(clock_ns() + MS);
	ASSERT_EQ(0, course_arm(q, 7, &r.c));
	ASSERT_EQ(0, pthread_create(&thread, NULL, consumer, &r));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, course_stop(q, 7));
	course_claim(q, 7, &r.c);
	EXPECT_EQ(0, r.c.early);
	EXPECT_EQ(0, r.c.wrong);
	EXPECT_TRUE(course_complete(q, 7, &r.c));
}

TEST_F(queue, no_drift_read)
{
	run_thread(_metadata, &self->q, course_thread, rounds(5000));
}

TEST_F(queue, no_drift_watched)
{
	run_thread(_metadata, &self->q, watch_thread, rounds(5000));
}

/* Armed in the past: one expiry at once, the other periods are its overruns. */
TEST_F(queue, armed_in_the_past)
{
	static const uint64_t starts[] = { 0, 1, 16, 17, 1600 };
	unsigned int i;
	uint64_t now;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct course c = { .start = due(starts[i]), .period = LONG };

		now = clock_ns();
		ASSERT_EQ(0, course_arm(&self->q, i, &c));
		ASSERT_TRUE(course_claim(&self->q, i, &c));
		EXPECT_LT((now - c.start) / LONG, c.passed);
		EXPECT_EQ(0, c.early);
		EXPECT_EQ(0, c.wrong);
	}
}

/* Nobody consumes: one expiry, one hint, and all of the periods in it */
TEST_F(queue, merged)
{
	struct course c = { .period = SHORT };

	c.start = due(clock_ns() + MS);
	ASSERT_EQ(0, course_arm(&self->q, 7, &c));
	expired(&self->q, 50);
	ASSERT_EQ(0, course_stop(&self->q, 7));
	EXPECT_EQ(2, status_of(&self->q.status->tail));
	EXPECT_EQ(DEADLINE_WORD_EXPIRED, word_state(&self->q, 7));
	ASSERT_TRUE(course_claim(&self->q, 7, &c));
	EXPECT_FALSE(course_claim(&self->q, 7, &c));
	EXPECT_LE(50, c.passed);
	EXPECT_TRUE(course_complete(&self->q, 7, &c));
}

/* Pending, then cancelled: it is delivered once, and there are no more periods. */
TEST_F(queue, cancelled_with_an_expiry)
{
	struct course c = { .period = 20 * MS };
	struct deadline_expiry got;
	__u64 word;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	c.start = just_past();
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	WAIT_FOR(slot_word(&self->q, 1) & DEADLINE_WORD_EXPIRED);
	ASSERT_EQ(0, course_stop(&self->q, 1));
	word = slot_word(&self->q, 1);
	EXPECT_TRUE(slot_over(&self->q, 1));
	EXPECT_EQ(DEADLINE_WORD_EXPIRED, word & DEADLINE_WORD_STATE);
	/* The look that was planned for the next period */
	WAIT_FOR(status_of(&self->q.status->dropped) == 1);
	EXPECT_EQ(word, slot_word(&self->q, 1));
	ASSERT_EQ(1, read_one(&self->q, &got));
	course_add(&c, got.expired_at, got.overruns);
	EXPECT_TRUE(course_complete(&self->q, 1, &c));
	EXPECT_EQ(0, read_one(&self->q, &got));
	EXPECT_FALSE(slot_claim(&self->q, 1));
	EXPECT_EQ(2, status_of(&self->q.status->tail));
}

/* Nothing pending: it stops, before the first expiry or after one. */
TEST_F(queue, cancelled_without_one)
{
	struct course c = { .period = 20 * MS };

	c.start = due(clock_ns() + 200 * MS);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	ASSERT_EQ(0, course_stop(&self->q, 1));
	EXPECT_EQ(c.start, slot_word(&self->q, 1));
	WAIT_FOR(status_of(&self->q.status->dropped) == 1);
	EXPECT_LE(c.start, clock_ns());
	EXPECT_EQ(c.start, slot_word(&self->q, 1));
	EXPECT_EQ(0, status_of(&self->q.status->expired));

	c.start = just_past();
	c.period = 500 * SECOND;
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	ASSERT_TRUE(course_claim(&self->q, 1, &c));
	ASSERT_EQ(0, course_stop(&self->q, 1));
	EXPECT_EQ(DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN,
		  word_state(&self->q, 1));
	EXPECT_EQ(0, slot_cancel(&self->q, 1));
	EXPECT_TRUE(course_complete(&self->q, 1, &c));
	EXPECT_EQ(1, status_of(&self->q.status->expired));
}

/* A new arm consumes what is there, and is a course of its own. */
TEST_F(queue, armed_again)
{
	static const uint64_t starts[] = { 0, 16, 1600 };
	struct course c = { .start = 16 }, old = { .period = 500 * SECOND };
	struct deadline_slot *slot = &self->q.slots[1];
	struct deadline_expiry got;
	unsigned int i;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	old.start = just_past();
	ASSERT_EQ(0, course_arm(&self->q, 1, &old));
	ASSERT_EQ(0, course_stop(&self->q, 1));
	c.period = 300 * SECOND;
	c.start = due(clock_ns() + 1000 * SECOND);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	EXPECT_EQ(c.start | DEADLINE_WORD_ARMED, slot_word(&self->q, 1));
	EXPECT_EQ(0, read_one(&self->q, &got));
	ASSERT_EQ(0, course_stop(&self->q, 1));

	/* Nothing is left of the phase that another course had. */
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		c = (struct course){ .period = 300 * SECOND + 1 + i };
		c.start = just_past();
		ASSERT_EQ(0, course_arm(&self->q, 1, &c));
		/* A look that was left by the last course may be coming. */
		WAIT_FOR(course_claim(&self->q, 1, &c));
		/* It has one. */
		EXPECT_NE(course_next(&c), word_due(&self->q, 1));
		ASSERT_EQ(0, course_stop(&self->q, 1));
		c = (struct course){ .start = due(starts[i]), .period = LONG };
		ASSERT_EQ(0, course_arm(&self->q, 1, &c));
		ASSERT_TRUE(course_claim(&self->q, 1, &c));
		EXPECT_EQ(0, c.early);
		EXPECT_EQ(0, c.wrong);
		EXPECT_FALSE(slot_over(&self->q, 1));
		ASSERT_EQ(0, course_stop(&self->q, 1));
	}

	/* As a plain slot it expires once, whatever it was before. */
	slot->flags = 0;
	ASSERT_EQ(0, slot_arm(&self->q, 1, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 1));
	EXPECT_EQ(0, slot->overruns);
}

/* Move a course in the midst of it, all of it consumed so far. */
static int course_move(struct queue *q, uint32_t i, struct course *c,
		       int64_t by)
{
	__u64 old, to;

	do {
		course_claim(q, i, c);
		old = slot_word(q, i);
		to = old + by;
	} while (!(old & DEADLINE_WORD_TAKEN) || !slot_swap(q, i, &old, to));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	c->wrong += (old & ~DEADLINE_WORD_STATE) != due(course_next(c));
	c->start = to & ~DEADLINE_WORD_STATE;
	c->passed = 0;
	return slot_needs_ring(q, i, c->start) ? ring_one(q, i) : 1;
}

/* Moved: the periods that follow are counted from there, to the ns. */
TEST_F(queue, moved)
{
	static const int64_t by[] = { 16, -16, 32, 400000, -400000, 7000000 };
	unsigned long i, n = rounds(60);
	struct course c = { .period = LONG };
	unsigned int j;

	c.start = due(clock_ns() + MS);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	for (i = 0; i < n; i++) {
		for (j = 0; j < 3; j++)
			WAIT_FOR(course_claim(&self->q, 1, &c));
		ASSERT_EQ(1, course_move(&self->q, 1, &c,
					 by[i % ARRAY_SIZE(by)]));
	}
	WAIT_FOR(course_claim(&self->q, 1, &c));
	EXPECT_EQ(0, c.early);
	EXPECT_EQ(0, c.wrong);
}

/* An expiry that is pending when the slot is moved is not lost by that. */
TEST_F(queue, moved_with_an_expiry)
{
	struct course c = { .period = 500 * SECOND };
	uint64_t later = due(clock_ns() + 1000 * SECOND);
	struct deadline_expiry got;

	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, O_NONBLOCK));
	c.start = just_past();
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	ASSERT_EQ(1, slot_move(&self->q, 1, later));
	EXPECT_EQ(later | DEADLINE_WORD_ARMED | DEADLINE_WORD_EXPIRED,
		  slot_word(&self->q, 1));
	EXPECT_EQ(1, read_one(&self->q, &got));
	EXPECT_EQ(0, got.overruns);
	EXPECT_EQ(0, read_one(&self->q, &got));
	/* At once: an expiry of the new course, whose first it is */
	ASSERT_EQ(1, slot_move(&self->q, 1, just_past()));
	EXPECT_EQ(1, read_one(&self->q, &got));
	EXPECT_EQ(0, got.overruns);
}

/* Without a doorbell nobody refuses a period that is too small: it is raised. */
TEST_F(queue, raised)
{
	static const uint64_t periods[] = { 0, 1, 15, 16, 9999 };
	uint64_t least = self->q.setup.period_min, when;
	struct deadline_slot *slot = &self->q.slots[1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(periods); i++) {
		struct course c = { .period = least };

		ASSERT_GT(least, periods[i]);
		when = due(clock_ns() + 5 * MS);
		ASSERT_EQ(0, slot_arm(&self->q, 1, when));
		slot_cancel(&self->q, 1);
		slot->flags = DEADLINE_SLOT_PERIODIC;
		slot->period = periods[i];
		c.start = due(when + MS);
		slot_arm_silent(&self->q, 1, c.start);
		if (slot_needs_ring(&self->q, 1, c.start)) {
			/* Too slow. But no harm is done. */
			EXPECT_EQ(-1, ring_one(&self->q, 1));
			EXPECT_EQ(EINVAL, errno);
		} else {
			WAIT_FOR(course_claim(&self->q, 1, &c));
			ASSERT_EQ(0, course_stop(&self->q, 1));
			course_claim(&self->q, 1, &c);
			EXPECT_TRUE(course_complete(&self->q, 1, &c));
		}
		slot->word = 0;
		slot->flags = 0;
	}
}

/* As many periods as a timerfd counts, started at the same time */
TEST_F(queue, agrees_with_timerfd)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct course c = { .period = LONG };
	struct itimerspec spec = { .it_interval = { .tv_nsec = LONG } };
	uint64_t n = rounds(300), count, sum = 0, after = 1;

	c.start = due(clock_ns() + 5 * MS);
	spec.it_value.tv_sec = c.start / SECOND;
	spec.it_value.tv_nsec = c.start % SECOND;
	ASSERT_EQ(0, timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	/* Where the timerfd is served by a thread it may be behind a while. */
	while (sum < n || after ||
	       (sum < 3 * n && sum + 1 < c.passed)) {
		sum += read(fd, &count, sizeof(count)) > 0 ? count : 0;
		course_claim(&self->q, 1, &c);
		/* Had the timerfd another one between? Then once more. */
		after = read(fd, &count, sizeof(count)) > 0 ? count : 0;
		sum += after;
	}
	EXPECT_GE(sum + 1, c.passed);
	EXPECT_GE(c.passed + 1, sum);
	EXPECT_EQ(0, c.early);
	EXPECT_EQ(0, c.wrong);
	close(fd);
}

/* Each expiry that is posted wakes once; one whose hint still stands does not. */
TEST_F(queue, wakes)
{
	struct pollfd pollfd = { .fd = self->q.fd, .events = POLLIN };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct course c = { .period = LONG };
	uint64_t count, sum = 0;
	uint32_t slot;

	ASSERT_EQ(0, ioctl(self->q.fd, DEADLINE_IOC_EVENTFD, fd));
	c.start = due(clock_ns() + MS);
	ASSERT_EQ(0, course_arm(&self->q, 7, &c));
	while (c.consumed < rounds(200)) {
		ASSERT_EQ(1, poll(&pollfd, 1, -1));
		ASSERT_EQ(POLLIN, pollfd.revents);
		ASSERT_TRUE(ring_take(&self->q, &slot));
		course_claim(&self->q, 7, &c);
		sum += read(fd, &count, sizeof(count)) > 0 ? count : 0;
	}
	/* A hundred more that nobody takes: at most one */
	expired(&self->q, status_of(&self->q.status->expired) + 100);
	ASSERT_EQ(0, course_stop(&self->q, 7));
	course_claim(&self->q, 7, &c);
	EXPECT_TRUE(course_complete(&self->q, 7, &c));
	EXPECT_LT(c.consumed + 90, status_of(&self->q.status->expired));
	WAIT_FOR((sum += read(fd, &count, sizeof(count)) > 0 ? count : 0) >=
		 status_of(&self->q.status->tail) - 1);
	EXPECT_EQ(status_of(&self->q.status->tail) - 1, sum);
	EXPECT_LE(c.consumed - 1, sum);
	EXPECT_GE(c.consumed + 10, sum);
	close(fd);
}

/* The last periods there are; what goes beyond them is never. */
TEST_F(queue, end_of_time)
{
	static const uint64_t periods[] = {
		UINT64_MAX, UINT64_MAX - 15, 1ull << 63, INT64_MAX,
		INT64_MAX - 15,
	};
	uint64_t start = just_past();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(periods); i++) {
		struct course c = { .start = start, .period = periods[i] };

		ASSERT_EQ(0, course_arm(&self->q, i, &c));
		EXPECT_EQ(DEADLINE_TIME_NEVER | DEADLINE_WORD_ARMED |
			  DEADLINE_WORD_EXPIRED, slot_word(&self->q, i));
		EXPECT_EQ(DEADLINE_QUEUED_NEVER, slot_queued(&self->q, i));
		EXPECT_EQ(0, self->q.slots[i].overruns);
		EXPECT_LE(start, self->q.slots[i].expired_at);
		EXPECT_TRUE(slot_claim(&self->q, i));
		EXPECT_FALSE(slot_over(&self->q, i));
	}
	/* Just so, and one ns beyond */
	for (; i < 8; i++) {
		struct course c = {
			.start = start,
			.period = INT64_MAX - start + i - 6,
		};

		ASSERT_EQ(0, course_arm(&self->q, i, &c));
		EXPECT_EQ((i == 7 ? DEADLINE_TIME_NEVER : 1ull << 63) |
			  DEADLINE_WORD_ARMED | DEADLINE_WORD_EXPIRED,
			  slot_word(&self->q, i));
		EXPECT_EQ(i == 7 ? DEADLINE_QUEUED_NEVER : 1ull << 63,
			  slot_queued(&self->q, i));
	}
	EXPECT_EQ(i, expired(&self->q, i));
	/* They keep nothing from its time, and can be had back. */
	EXPECT_EQ(1, slot_move(&self->q, 0, clock_ns() + MS));
	WAIT_FOR(slot_claim(&self->q, 0));
	EXPECT_EQ(1, slot_cancel(&self->q, 0));
	EXPECT_EQ(1, slot_cancel(&self->q, 7));
}

/* Armed for the end of time, or never: nothing comes, until it is moved. */
TEST_F(queue, far_away)
{
	static const uint64_t starts[] = {
		INT64_MAX - 15, INT64_MAX, UINT64_MAX - 31, UINT64_MAX - 15,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct course c = { .start = starts[i], .period = LONG };

		ASSERT_EQ(0, course_arm(&self->q, i, &c));
		ASSERT_EQ(1, ring_one(&self->q, i));
		EXPECT_EQ(due(starts[i]) == DEADLINE_TIME_NEVER ?
			  DEADLINE_QUEUED_NEVER : due(starts[i]),
			  slot_queued(&self->q, i));
		EXPECT_EQ(due(starts[i]) | DEADLINE_WORD_ARMED,
			  slot_word(&self->q, i));
	}
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct course c = { .period = LONG };

		c.start = due(clock_ns() + MS);
		ASSERT_EQ(1, slot_move(&self->q, i, c.start));
		WAIT_FOR(course_claim(&self->q, i, &c));
		WAIT_FOR(course_claim(&self->q, i, &c));
		EXPECT_EQ(0, c.early);
		EXPECT_EQ(0, c.wrong);
		ASSERT_EQ(1, slot_cancel(&self->q, i));
	}
}

/*
 * A clock that has run for decades, and the smallest period: more periods than
 * fit into overruns (CVE-2018-12896), unconsumed or not, scribbled over or not.
 */
TEST(capped)
{
	static const uint32_t before[] = { 0, INT32_MAX - 1, INT32_MAX,
		(uint32_t)INT32_MAX + 1, UINT32_MAX };
	struct queue q = {
		.setup = { .slots = 64, .clock = CLOCK_REALTIME },
	};
	struct deadline_slot *slot;
	struct course c = {};
	unsigned int i;
	uint64_t sum;

	q.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, q.fd);
	ASSERT_EQ(0, ioctl(q.fd, DEADLINE_IOC_SETUP, &q.setup));
	ASSERT_EQ(0, queue_map(&q));
	slot = &q.slots[1];
	for (i = 0; i < ARRAY_SIZE(before); i++) {
		c.start = 16;
		c.period = q.setup.period_min;
		slot->overruns = before[i];
		ASSERT_EQ(0, course_arm(&q, 1, &c));
		ASSERT_EQ(0, course_stop(&q, 1));
		EXPECT_EQ(DEADLINE_WORD_EXPIRED, word_state(&q, 1));
		EXPECT_EQ(INT32_MAX, slot->overruns);
		/* No period was left out for all that. */
		c.passed = (slot->expired_at - 16) / c.period + 1;
		ASSERT_LT(INT32_MAX, c.passed);
		EXPECT_EQ(due(course_next(&c)), word_due(&q, 1));
		/* Not consumed, and there comes another one. */
		WAIT_FOR(slot_queued(&q, 1) == DEADLINE_QUEUED_NEVER);
		slot->overruns = before[i];
		slot->period = 500 * SECOND;
		__atomic_store_n(&slot->word, 16 | DEADLINE_WORD_ARMED |
				 DEADLINE_WORD_EXPIRED, __ATOMIC_SEQ_CST);
		ASSERT_EQ(1, ring_one(&q, 1));
		sum = (slot->expired_at - 16) / slot->period + before[i] + 1;
		EXPECT_EQ(sum < INT32_MAX ? sum : INT32_MAX, slot->overruns);
		slot->word = 0;
	}
	queue_close(&q);
}

/* A scribbled phase moves a period by less than what phases are about. */
TEST_F(queue, phase_scribbled)
{
	static const uint32_t phases[] = { 1, 15, 16, 17, INT32_MAX,
		UINT32_MAX - 15, UINT32_MAX };
	struct deadline_slot *slot = &self->q.slots[1];
	unsigned int i;
	uint64_t next;

	for (i = 0; i < ARRAY_SIZE(phases); i++) {
		struct course c = { .period = LONG };

		c.start = due(clock_ns() + MS);
		ASSERT_EQ(0, course_arm(&self->q, 1, &c));
		slot->phase = phases[i];
		WAIT_FOR(slot_word(&self->q, 1) & DEADLINE_WORD_EXPIRED);
		slot->phase = phases[i];
		ASSERT_EQ(0, course_stop(&self->q, 1));
		EXPECT_LE(c.start, slot->expired_at);
		c.passed = slot->overruns + 1ull;
		next = word_due(&self->q, 1);
		EXPECT_LT(course_next(&c), next + 32);
		EXPECT_LT(next, course_next(&c) + 32);
		EXPECT_LT(slot->expired_at, next + 32);
		slot->word = 0;
	}
}

/* What all of a race add to: what was consumed, and what its overruns were */
struct race {
	struct queue *q;
	uint64_t told;
	uint64_t shift;
	bool stop;
};

static bool race_over(const struct race *race)
{
	return __atomic_load_n(&race->stop, __ATOMIC_RELAXED);
}

/* Is what was told since @before all that passed in the course, now stopped? */
static bool race_told(const struct race *race, const struct course *c,
		      uint64_t before)
{
	uint64_t shift = __atomic_load_n(&race->shift, __ATOMIC_SEQ_CST);
	uint64_t told = __atomic_load_n(&race->told, __ATOMIC_SEQ_CST);

	return word_due(race->q, 7) ==
	       c->start + shift + (told - before) * c->period;
}

static bool race_claim(struct race *race)
{
	struct course c = {};

	if (!course_claim(race->q, 7, &c))
		return false;
	__atomic_add_fetch(&race->told, c.passed, __ATOMIC_SEQ_CST);
	return true;
}

static void *race_by_word(void *arg)
{
	struct race *race = arg;
	uint32_t slot;

	pin_to(1);
	while (!race_over(race)) {
		if (!ring_take(race->q, &slot) || !race_claim(race))
			relax();
	}
	return NULL;
}

static void *race_by_read(void *arg)
{
	struct race *race = arg;
	struct deadline_expiry got;

	pin_to(1);
	while (!race_over(race)) {
		if (read_one(race->q, &got) == 1)
			__atomic_add_fetch(&race->told, got.overruns + 1ull,
					   __ATOMIC_SEQ_CST);
		else
			relax();
	}
	return NULL;
}

/* Move it by up to 60 us to and fro, a multiple of 16 as all times here are. */
static void *race_mover(void *arg)
{
	struct race *race = arg;
	uint64_t seed = 5, by;
	__u64 old;

	pin_to(1);
	while (!race_over(race)) {
		relax();
		by = next_random(&seed) % 4096 * 16 - 2048 * 16;
		old = slot_word(race->q, 7);
		if (!(old & DEADLINE_WORD_ARMED) ||
		    !slot_swap(race->q, 7, &old, old + by))
			continue;
		__atomic_add_fetch(&race->shift, by, __ATOMIC_SEQ_CST);
		ring_one(race->q, 7);
	}
	return NULL;
}

/*
 * Courses that are cancelled at any time, with two who consume or move on another
 * CPU. After each, all that was told must be what passed.
 */
static void run_race(struct __test_metadata *_metadata, struct queue *q,
		     void *(*one)(void *arg), void *(*two)(void *arg))
{
	unsigned long i, n = rounds(500);
	struct race race = { .q = q };
	struct course c = { .period = 16000 };
	uint64_t seed = 3, until, limit, passed = 0;
	pthread_t threads[2];

	ASSERT_EQ(0, fcntl(q->fd, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, pthread_create(&threads[0], NULL, one, &race));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, two, &race));
	pin_to(0);
	for (i = 0; i < n; i++) {
		__atomic_store_n(&race.shift, 0, __ATOMIC_SEQ_CST);
		c.start = due(clock_ns() + next_random(&seed) % (30 * US));
		until = clock_ns() + next_random(&seed) % (300 * US);
		ASSERT_EQ(0, course_arm(q, 7, &c));
		while (clock_ns() < until)
			cpu_relax();
		ASSERT_EQ(0, course_stop(q, 7));
		limit = clock_ns() + 10 * SECOND;
		/* The others are a little behind, at most. */
		WAIT_FOR(race_told(&race, &c, passed) ||
			 clock_ns() > limit);
		ASSERT_TRUE(race_told(&race, &c, passed));
		passed = __atomic_load_n(&race.told, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	EXPECT_EQ(passed, race.told);
	TH_LOG("%llu periods, %llu expiries, %llu moved",
	       (unsigned long long)passed, status_of(&q->status->expired),
	       status_of(&q->status->moved));
}

TEST_F(queue, race_word_and_mover)
{
	run_race(_metadata, &self->q, race_by_word, race_mover);
}

TEST_F(queue, race_read_and_mover)
{
	run_race(_metadata, &self->q, race_by_read, race_mover);
}

TEST_F(queue, race_word_and_read)
{
	run_race(_metadata, &self->q, race_by_word, race_by_read);
}

TEST_HARNESS_MAIN
