// SPDX-License-Identifier: GPL-2.0
/*
 * Periodic slots: they go on by themselves, in step with the first deadline for
 * ever, and whatever happens meanwhile, the expiries consumed and their overruns
 * are the periods that passed: none lost, none counted twice, none early.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include "periodic.h"

/* No multiple of 16, as LONG */
#define SHORT 100003

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

/* read(2) tells the time that passed, exactly */
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
	c->wrong += got.deadline != last;
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
	/*
	 * Either may be behind a while: a timerfd that is served by a thread, and a
	 * slot whose user is throttled because the machine stood still.
	 */
	while (sum < n || after ||
	       (sum < 3 * n && (sum + 1 < c.passed || c.passed + 1 < sum))) {
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

/*
 * What nobody reads is looked at ever more rarely; whoever reads it at last is told
 * of each period, and the next look is planned in time again.
 */
TEST_F(queue, unread)
{
	struct course c = { .period = 20 * US };
	struct deadline_expiry got;
	__u64 word, queued;
	uint64_t looks;

	c.start = due(clock_ns() + MS);
	ASSERT_EQ(0, course_arm(&self->q, 1, &c));
	WAIT_FOR(clock_ns() >= c.start + 400 * MS);
	looks = status_of(&self->q.status->expired);
	/* 20,000 periods; each look lies a sixteenth later than the last. */
	EXPECT_GT(16 + 16 * 8, looks);
	ASSERT_EQ(1, read_one(&self->q, &got));
	EXPECT_LE(16, got.overruns);
	course_add(&c, got.expired_at, got.overruns);
	/* A machine may stop here: then what nobody read since makes it late again. */
	do {
		word = slot_word(&self->q, 1);
		queued = slot_queued(&self->q, 1);
	} while (queued == DEADLINE_QUEUED_NEVER ||
		 slot_word(&self->q, 1) != word);
	word &= ~DEADLINE_WORD_STATE;
	EXPECT_LE(queued - word, (word - got.deadline) / 16);
	ASSERT_EQ(0, course_stop(&self->q, 1));
	course_claim(&self->q, 1, &c);
	EXPECT_EQ(0, c.early);
	EXPECT_TRUE(course_complete(&self->q, 1, &c));
}

TEST_HARNESS_MAIN
