// SPDX-License-Identifier: GPL-2.0
/*
 * Each tracepoint comes from the act that it tells of, with what there is to
 * tell, and from no other. selftests/trace/run has its events recorded by what
 * deadline.rst names for that.
 */
#include <stdarg.h>
#include <sys/eventfd.h>
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

/* Planned, then expired by the interrupt */
TEST_F(trace, expire)
{
	uint64_t when = due(clock_ns() + 500 * MS);
	struct deadline_slot *slot = &self->q.slots[5];

	ASSERT_EQ(0, slot_arm(&self->q, 5, when));
	wait_wake(self->eventfd);
	ASSERT_STREQ("doorbell expire wake", names(&self->t));
	EXPECT_FIELDS(0, "slots=1 done=1 posted=0");
	EXPECT_FIELDS(1, "slot=5 deadline=%lu late=%llu", when,
		      slot->expired_at - when);
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
	EXPECT_FIELDS(0, "slot=6 deadline=16 late=%llu", slot->expired_at - 16);
	EXPECT_FIELDS(1, "slots=1 done=1 posted=1");
	EXPECT_FIELDS(2, "signal=0");
}

/* The deadline is the one that passed, not the next. */
TEST_F(trace, expire_periodic)
{
	uint64_t when = due(clock_ns() + 500 * MS);
	struct deadline_slot *slot = &self->q.slots[7];

	slot->flags = DEADLINE_SLOT_PERIODIC;
	slot->period = 1000 * SECOND;
	ASSERT_EQ(0, slot_arm(&self->q, 7, when));
	wait_wake(self->eventfd);
	ASSERT_STREQ("doorbell expire wake", names(&self->t));
	EXPECT_FIELDS(1, "slot=7 deadline=%lu late=%llu", when,
		      slot->expired_at - when);
}

/* Of a list 16 slots at a time, up to the bad one */
TEST_F(trace, doorbell)
{
	uint64_t far = clock_ns() + 1000 * SECOND;
	uint32_t list[40], i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, i % 8 ? far : 1);
	}
	list[35] = UINT32_MAX;
	ASSERT_EQ(35, ring_list(&self->q, list, ARRAY_SIZE(list)));
	ASSERT_STREQ("expire*2 doorbell wake expire*2 doorbell wake expire doorbell wake",
		     names(&self->t));
	EXPECT_FIELDS(2, "slots=16 done=16 posted=2");
	EXPECT_FIELDS(6, "slots=16 done=16 posted=2");
	EXPECT_FIELDS(9, "slots=8 done=3 posted=1");
}

/* Refused, not armed, or armed for never: a doorbell and no more */
TEST_F(trace, doorbell_alone)
{
	ASSERT_EQ(1, ring_one(&self->q, 3));
	slot_arm_silent(&self->q, 3, DEADLINE_TIME_NEVER);
	ASSERT_EQ(1, ring_one(&self->q, 3));
	self->q.slots[4].flags = UINT32_MAX;
	slot_arm_silent(&self->q, 4, 1);
	ASSERT_EQ(-1, ring_one(&self->q, 4));
	ASSERT_STREQ("doorbell*3", names(&self->t));
	EXPECT_FIELDS(0, "slots=1 done=1 posted=0");
	EXPECT_FIELDS(1, "slots=1 done=1 posted=0");
	EXPECT_FIELDS(2, "slots=1 done=0 posted=0");
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
	EXPECT_FIELDS(2, "slot=10 deadline=%lu late=%llu", later,
		      self->q.slots[10].expired_at - later);
	EXPECT_LE(when / US * US, self->t.events[1].time);
	EXPECT_GT(later, self->t.events[1].time);
}

/* An expiry that puts nothing into the ring wakes nobody. */
TEST_F(trace, wake)
{
	ASSERT_EQ(0, slot_expire(&self->q, 11));
	ASSERT_EQ(0, slot_expire(&self->q, 11));
	ASSERT_STREQ("expire doorbell wake expire doorbell", names(&self->t));
	EXPECT_FIELDS(1, "slots=1 done=1 posted=1");
	EXPECT_FIELDS(4, "slots=1 done=1 posted=0");
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

/* Without a share of the CPU a burst ends in a pause, for so long and no less. */
TEST_F(trace, throttle)
{
	static const char first[] = "doorbell*2 expire*16 throttle";
	uint64_t when = due(clock_ns() + 500 * MS), start;
	unsigned long long pause = 0;
	uint32_t list[16], i;

	self->share = parameter("user_share");
	ASSERT_EQ(0, set_parameter("user_share", 0));
	ASSERT_LE(0, self->share);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, when);
	}
	ASSERT_EQ(0, slot_arm(&self->q, 20, when + MS));
	ASSERT_EQ(16, ring_list(&self->q, list, 16));
	wait_wake(self->eventfd);
	/* The wake after it comes when it comes, on PREEMPT_RT. */
	ASSERT_EQ(0, strncmp(first, names(&self->t), strlen(first)))
		TH_LOG("%s", names(&self->t));
	pause = atoll(fields(&self->t, 18, self->number) + strlen("pause="));
	EXPECT_FIELDS(18, "pause=%llu", pause);
	EXPECT_LT(0, pause);
	/* To the end of a window of 10 ms that began no later than it ended */
	start = self->q.slots[0].expired_at;
	EXPECT_GE(self->t.events[18].time + US + 10 * MS, start + pause);
	wait_wake(self->eventfd);
	EXPECT_LE(start + pause, self->q.slots[20].expired_at);
	EXPECT_EQ(1, status_of(&self->q.status->throttled));
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
