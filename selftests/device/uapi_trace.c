// SPDX-License-Identifier: GPL-2.0
/*
 * Each tracepoint comes from the act that it tells of, with what there is to
 * tell, and from no other. selftests/traces/run has its events recorded by what
 * deadline.rst names for that.
 */
#include <stdarg.h>
#include <sys/eventfd.h>
#include "module.h"
#include "trace.h"

/* A queue, its trace, and an eventfd: when that has counted, all is traced. */
FIXTURE(trace) {
	struct queue q;
	struct trace t;
	long long number;
	int eventfd;
	long share;
};

FIXTURE_SETUP(trace)
{
	self->share = -1;
	ASSERT_EQ(0, queue_open(&self->q, 64, O_CLOEXEC));
	self->number = queue_fdinfo(self->q.fd, "queue");
	ASSERT_LT(0, self->number);
	ASSERT_EQ(0, trace_open(&self->t, &self->q));
	self->eventfd = eventfd(0, EFD_CLOEXEC);
	ASSERT_EQ(0, ioctl(self->q.fd, DEADLINE_IOC_EVENTFD, self->eventfd));
}

FIXTURE_TEARDOWN(trace)
{
	if (self->share >= 0)
		set_parameter("user_share", self->share);
	trace_close(&self->t);
	close(self->eventfd);
	queue_close(&self->q);
}

static void wait_wake(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) != sizeof(count))
		;
}

static int name_length(const struct trace *t, size_t i)
{
	return strcspn(t->events[i].text, ":");
}

/* Names of the events that were traced, in their order: "doorbell expire*2" */
static const char *names(struct trace *t)
{
	static char text[1024];
	size_t i, same, n = 0;

	text[0] = 0;
	trace_read(t);
	for (i = 0; i < t->n && n < sizeof(text) - 64; i += same) {
		for (same = 1; i + same < t->n; same++)
			if (strncmp(t->events[i].text, t->events[i + same].text,
				    name_length(t, i) + 1))
				break;
		n += sprintf(text + n, "%s%.*s", i ? " " : "",
			     name_length(t, i), t->events[i].text);
		if (same > 1)
			n += sprintf(text + n, "*%zu", same);
	}
	return text;
}

/* What event @i says, after its name and the number of the queue, if right */
static const char *fields(const struct trace *t, size_t i, long long number)
{
	char begin[32];
	const char *at = t->events[i].text + name_length(t, i);
	int n = sprintf(begin, ": queue=%lld ", number);

	return strncmp(at, begin, n) ? t->events[i].text : at + n;
}

static __attribute__((format(printf, 1, 2))) const char *text(const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

#define EXPECT_FIELDS(i, ...) \
	EXPECT_STREQ(text(__VA_ARGS__), fields(&self->t, i, self->number))

/* All of a queue's life, and each event once */
TEST_F(trace, life)
{
	char filter[32];
	long long number;
	struct queue q;
	int fd;

	snprintf(filter, sizeof(filter), "pid == %d", getpid());
	ASSERT_TRUE(trace_write(&self->t, "events/deadline/filter", filter));
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	number = queue_fdinfo(fd, "queue");
	EXPECT_STREQ("open", names(&self->t));
	ASSERT_EQ(0, queue_make(&q, fd, CLOCK_TAI, 100));
	/* Not the last that holds it */
	close(fd);
	ASSERT_STREQ("open setup", names(&self->t));
	queue_unmap(&q);
	ASSERT_STREQ("open setup close", names(&self->t));
	EXPECT_STREQ(text("pid=%d user=0 clock=0 slots=0", getpid()),
		     fields(&self->t, 0, number));
	EXPECT_STREQ(text("pid=%d user=0 clock=%d slots=%u", getpid(), CLOCK_TAI,
			  q.setup.slots), fields(&self->t, 1, number));
	EXPECT_STREQ(text("pid=%d user=0 clock=%d slots=%u", getpid(), CLOCK_TAI,
			  q.setup.slots), fields(&self->t, 2, number));
}

/* A SETUP that fails gives no slots. */
TEST_F(trace, setup_fails)
{
	struct deadline_setup setup = { .slots = 1, .clock = CLOCK_MONOTONIC };

	EXPECT_EQ(-1, ioctl(self->q.fd, DEADLINE_IOC_SETUP, &setup));
	EXPECT_STREQ("", names(&self->t));
}

/* Planned, then expired by the interrupt */
TEST_F(trace, expire)
{
	uint64_t when = due(clock_ns() + 500 * MS);
	struct deadline_slot *slot = &self->q.slots[5];

	slot->user_data = 0x77;
	slot->slack = 1000;
	ASSERT_EQ(0, slot_arm(&self->q, 5, when));
	wait_wake(self->eventfd);
	ASSERT_STREQ("doorbell expire wake", names(&self->t));
	EXPECT_FIELDS(0, "slots=1 posted=0");
	EXPECT_FIELDS(1, "slot=5 deadline=%lu late=%llu pid=%d user=0 user_data=0x77 slack=1000",
		      when, slot->expired_at - when, getpid());
	EXPECT_FIELDS(2, "signal=0");
	/* Each as it happens */
	EXPECT_GT(when, self->t.events[0].time);
	EXPECT_LE(slot->expired_at / US * US, self->t.events[1].time);
	EXPECT_LE(self->t.events[1].time, self->t.events[2].time);
}

/* Due already: the doorbell itself expires it, late since then */
TEST_F(trace, expire_at_once)
{
	struct deadline_slot *slot = &self->q.slots[6];

	ASSERT_EQ(0, slot_expire(&self->q, 6));
	ASSERT_STREQ("expire doorbell wake", names(&self->t));
	EXPECT_FIELDS(0, "slot=6 deadline=16 late=%llu pid=%d user=0 user_data=0x0 slack=0",
		      slot->expired_at - 16, getpid());
	EXPECT_FIELDS(1, "slots=1 posted=1");
	EXPECT_FIELDS(2, "signal=0");
}

/* The deadline is the one that passed, not the next. */
TEST_F(trace, expire_periodic)
{
	uint64_t when = due(clock_ns() + 500 * MS);
	struct deadline_slot *slot = &self->q.slots[7];

	slot->flags = DEADLINE_SLOT_PERIODIC;
	self->q.periods[7] = 1000 * SECOND;
	ASSERT_EQ(0, slot_arm(&self->q, 7, when));
	wait_wake(self->eventfd);
	ASSERT_STREQ("doorbell expire wake", names(&self->t));
	EXPECT_FIELDS(1, "slot=7 deadline=%lu late=%llu pid=%d user=0 user_data=0x0 slack=0",
		      when, slot->expired_at - when, getpid());
}

/* Of all that was handed in 16 slots at a time, the last one first */
TEST_F(trace, doorbell)
{
	uint64_t far = clock_ns() + 1000 * SECOND;
	uint32_t list[40], i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, i % 8 ? far : 1);
	}
	ASSERT_EQ(40, ring_list(&self->q, list, ARRAY_SIZE(list)));
	ASSERT_STREQ("expire*2 doorbell wake expire*2 doorbell wake expire doorbell wake",
		     names(&self->t));
	EXPECT_FIELDS(2, "slots=16 posted=2");
	EXPECT_FIELDS(6, "slots=16 posted=2");
	EXPECT_FIELDS(9, "slots=8 posted=1");
}

/* Not armed, or armed for never: a doorbell and no more; refused: that is told */
TEST_F(trace, doorbell_alone)
{
	ASSERT_EQ(1, ring_one(&self->q, 3));
	slot_arm_silent(&self->q, 3, DEADLINE_TIME_NEVER);
	ASSERT_EQ(1, ring_one(&self->q, 3));
	self->q.slots[4].flags = UINT32_MAX;
	slot_arm_silent(&self->q, 4, 1);
	ASSERT_EQ(1, ring_one(&self->q, 4));
	ASSERT_STREQ("doorbell*2 refuse doorbell", names(&self->t));
	EXPECT_FIELDS(0, "slots=1 posted=0");
	EXPECT_FIELDS(1, "slots=1 posted=0");
	EXPECT_FIELDS(2, "slot=4 flags=0xffffffff");
	EXPECT_FIELDS(3, "slots=1 posted=0");
}

/* No system call, no event: what is done to the word alone is not seen. */
TEST_F(trace, silent)
{
	uint64_t far = clock_ns() + 1000 * SECOND;

	ASSERT_EQ(0, slot_arm(&self->q, 1, far));
	ASSERT_EQ(1, slot_move(&self->q, 1, far + SECOND));
	ASSERT_EQ(1, slot_cancel(&self->q, 1));
	ASSERT_EQ(0, slot_arm(&self->q, 1, far));
	EXPECT_STREQ("doorbell", names(&self->t));
}

/* Cancelled, and for never: forgotten when the look comes */
TEST_F(trace, drop)
{
	uint64_t when = due(clock_ns() + 500 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 8, when));
	ASSERT_EQ(1, slot_cancel(&self->q, 8));
	WAIT_FOR(status_of(&self->q.status->interrupts) == 1);
	ASSERT_STREQ("doorbell drop", names(&self->t));
	EXPECT_FIELDS(1, "slot=8 deadline=%lu", when);

	ASSERT_EQ(0, slot_arm(&self->q, 9, clock_ns() + 500 * MS));
	slot_arm_silent(&self->q, 9, DEADLINE_TIME_NEVER);
	WAIT_FOR(status_of(&self->q.status->interrupts) == 2);
	ASSERT_STREQ("doorbell drop doorbell drop", names(&self->t));
	EXPECT_FIELDS(3, "slot=9 deadline=%llu", DEADLINE_TIME_NEVER);
}

/* Moved: the look at the old time finds the new one. */
TEST_F(trace, move)
{
	uint64_t when = due(clock_ns() + 500 * MS), later = when + 50 * MS;

	ASSERT_EQ(0, slot_arm(&self->q, 10, when));
	ASSERT_EQ(1, slot_move(&self->q, 10, later));
	wait_wake(self->eventfd);
	ASSERT_STREQ("doorbell move expire wake", names(&self->t));
	EXPECT_FIELDS(1, "slot=10 deadline=%lu", later);
	EXPECT_FIELDS(2, "slot=10 deadline=%lu late=%llu pid=%d user=0 user_data=0x0 slack=0",
		      later, self->q.slots[10].expired_at - later, getpid());
	EXPECT_LE(when / US * US, self->t.events[1].time);
	EXPECT_GT(later, self->t.events[1].time);
}

/* An expiry that puts nothing into the ring wakes nobody. */
TEST_F(trace, wake)
{
	ASSERT_EQ(0, slot_expire(&self->q, 11));
	ASSERT_EQ(0, slot_expire(&self->q, 11));
	ASSERT_STREQ("expire doorbell wake expire doorbell", names(&self->t));
	EXPECT_FIELDS(1, "slots=1 posted=1");
	EXPECT_FIELDS(4, "slots=1 posted=0");
}

TEST_F(trace, wake_signals)
{
	self->q.slots[12].flags = DEADLINE_SLOT_SIGNAL;
	ASSERT_EQ(0, slot_expire(&self->q, 12));
	ASSERT_EQ(0, slot_expire(&self->q, 13));
	ASSERT_STREQ("expire doorbell wake expire doorbell wake",
		     names(&self->t));
	EXPECT_FIELDS(2, "signal=1");
	EXPECT_FIELDS(5, "signal=0");
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a < b ? b - a : a - b;
}

/* With hardly any share of the CPU there are pauses: for so long and no less. */
TEST_F(trace, throttle)
{
	unsigned long long pause = 0, late = 0, when = 0, waited = 0;
	uint64_t until = 0, since = 0, wrong;
	size_t i, n = 0, turns = 0;

	self->share = parameter("user_share");
	ASSERT_LE(0, self->share);
	ASSERT_EQ(0, set_parameter("user_share", 1));
	self->q.slots[0].flags = DEADLINE_SLOT_PERIODIC;
	self->q.periods[0] = self->q.setup.period_min;
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + MS));
	/* As if it were reaped: unread, it would soon expire too rarely. */
	while (status_of(&self->q.status->throttled) < 10) {
		__atomic_store_n(&self->q.slots[0].overruns, 0,
				 __ATOMIC_RELAXED);
		sched_yield();
	}
	ASSERT_EQ(1, slot_cancel(&self->q, 0));
	trace_read(&self->t);
	for (i = 0; i < self->t.n; i++) {
		const char *text = self->t.events[i].text;

		if (sscanf(text, "throttle: %*s pause=%llu", &pause) == 1) {
			/* Later ones are due for a turn: how long is not known. */
			EXPECT_LE(!n, pause);
			n++;
			since = self->t.events[i].time;
			until = since + pause;
		} else if (sscanf(text, "turn: %*s waited=%llu", &waited) == 1 &&
			   since) {
			turns++;
			/* An event is written a little later than it tells. */
			wrong = distance(waited, self->t.events[i].time - since);
			if (getenv("DEADLINE_ICOUNT"))
				EXPECT_GT(20 * US, wrong);
		} else if (sscanf(text, "expire: %*s %*s deadline=%llu late=%llu",
				  &when, &late) == 2 && until) {
			if (getenv("DEADLINE_ICOUNT"))
				EXPECT_LE(until, when + late + 10 * US);
		}
	}
	EXPECT_LE(9, n);
	EXPECT_LE(8, turns);
}

/* With the share that there is, nobody pauses. */
TEST_F(trace, no_throttle)
{
	uint64_t when = due(clock_ns() + 500 * MS);
	uint32_t list[16], i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, when);
	}
	ASSERT_EQ(16, ring_list(&self->q, list, 16));
	wait_wake(self->eventfd);
	EXPECT_STREQ("doorbell expire*16 wake", names(&self->t));
}

/* Another queue's events are its own. */
TEST_F(trace, other_queue)
{
	struct queue other;

	ASSERT_EQ(0, queue_open(&other, 1, O_CLOEXEC));
	ASSERT_EQ(0, slot_expire(&other, 0));
	EXPECT_STREQ("", names(&self->t));
	queue_close(&other);
}

TEST_HARNESS_MAIN
