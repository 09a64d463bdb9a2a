// SPDX-License-Identifier: GPL-2.0
/*
 * A real-time task computes on a CPU and lets nothing of lower priority run there.
 * Whoever is on another CPU gets his expiries, is woken, and can close, whatever
 * CPU the timer was started on.
 *
 * On PREEMPT_RT this is what queues without DEADLINE_FEATURE_HARD promise from the
 * next doorbell on, so each test rings one.
 */
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include "clocks.h"
#include "module.h"
#include "signals.h"

#define NOBODY 65534
#define PERIOD "/proc/sys/kernel/sched_rt_runtime_us"

/* Below the module's thread, above the threads that PREEMPT_RT has for softirqs */
#define HOG 10
#define ABOVE 20
#define SLEEPER 90

static int set_fifo(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(0, priority ? SCHED_FIFO : SCHED_OTHER,
				  &param);
}

/* Real-time tasks may have so much of each second; -1: all. Returns what it was. */
static long set_runtime(long us)
{
	int fd = open(PERIOD, O_RDWR | O_CLOEXEC);
	char text[32] = "";
	long was;

	if (read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	was = atol(text);
	if (dprintf(fd, "%ld", us) < 0)
		was = 0;
	close(fd);
	return was;
}

/*
 * Computes on CPU 1, once @go is posted, until @stop. A test that needs longer than
 * these seconds has failed, and RCU complains of a CPU soon after.
 */
#define HOG_LIMIT (18 * SECOND)

struct hog {
	pthread_t thread;
	bool ready;
	sem_t go;
	bool stop;
	bool stopped_in_time;
};

static void *hog_thread(void *arg)
{
	struct hog *hog = arg;
	uint64_t end;

	pin_to(1);
	if (set_fifo(HOG))
		return NULL;
	__atomic_store_n(&hog->ready, true, __ATOMIC_RELEASE);
	sem_wait(&hog->go);
	end = clock_ns() + HOG_LIMIT;
	while (!__atomic_load_n(&hog->stop, __ATOMIC_ACQUIRE) &&
	       clock_ns() < end)
		cpu_relax();
	hog->stopped_in_time = clock_ns() < end;
	return NULL;
}

FIXTURE(hog) {
	struct hog hog;
	struct queue q;
	struct stat node;
	long runtime;
	long shares[2];
};

FIXTURE_VARIANT(hog) {
	bool root;
	clockid_t clock;
};

FIXTURE_VARIANT_ADD(hog, root) { true, CLOCK_REALTIME };
FIXTURE_VARIANT_ADD(hog, ordinary) { false, CLOCK_REALTIME };

FIXTURE_SETUP(hog)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	self->runtime = set_runtime(-1);
	ASSERT_NE(0, self->runtime);
	/*
	 * Where a busy machine emulates CPUs, interrupts take longer than a share: let it be
	 * one that nobody reaches.
	 */
	self->shares[0] = parameter("user_share");
	ASSERT_EQ(0, set_parameter("user_share", 1000));
	self->shares[1] = parameter("cpu_share");
	ASSERT_EQ(0, set_parameter("cpu_share", 1000));
	ASSERT_EQ(0, stat(DEVICE, &self->node));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	ASSERT_EQ(0, seteuid(variant->root ? 0 : NOBODY));
	ASSERT_EQ(0, queue_open_on(&self->q, variant->clock, 1024,
				   O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, chmod(DEVICE, self->node.st_mode & 07777));
	ASSERT_EQ(0, sem_init(&self->hog.go, 0, 0));
	ASSERT_EQ(0, pthread_create(&self->hog.thread, NULL, hog_thread,
				    &self->hog));
	WAIT_FOR(__atomic_load_n(&self->hog.ready, __ATOMIC_ACQUIRE));
	/* So that what this thread starts is started on the hog's CPU */
	pin_to(1);
	ASSERT_EQ(0, set_fifo(ABOVE));
}

FIXTURE_TEARDOWN(hog)
{
	sem_post(&self->hog.go);
	__atomic_store_n(&self->hog.stop, true, __ATOMIC_RELEASE);
	set_fifo(0);
	pin_to(0);
	pthread_join(self->hog.thread, NULL);
	EXPECT_TRUE(self->hog.stopped_in_time);
	queue_close(&self->q);
	EXPECT_NE(0, set_runtime(self->runtime));
	EXPECT_EQ(0, set_parameter("user_share", self->shares[0]));
	EXPECT_EQ(0, set_parameter("cpu_share", self->shares[1]));
}

/* Leave CPU 1 to the hog. */
static int leave(struct hog *hog)
{
	sem_post(&hog->go);
	pin_to(0);
	return set_fifo(0);
}

/* What the queue is told of ends up here, however it is told. */
static uint64_t told(struct queue *q)
{
	struct deadline_expiry expiries[64];
	ssize_t n;

	if (!(polled(q, 0) & POLLIN))
		return 0;
	n = read(q->fd, expiries, sizeof(expiries));
	return n > 0 ? n / sizeof(expiries[0]) : 0;
}

/* The first one's timer is on the hog's CPU; all are told by poll(2). */
TEST_F(hog, told_each)
{
	struct pollfd pollfd = { .fd = self->q.fd, .events = POLLIN };
	unsigned long i, n = rounds(1000), sum = 0;
	uint64_t when = ns_of(variant->clock) + MS;

	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	/* What expires it has begun when the hog does, or waits for this thread. */
	WAIT_FOR(ns_of(variant->clock) > when);
	ASSERT_EQ(0, leave(&self->hog));
	for (i = 1; i < n; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, i % 1024,
				      ns_of(variant->clock) + 100 * US));
		/* Ten at a time */
		if (i % 10 && i + 1 < n)
			continue;
		while (sum <= i && poll(&pollfd, 1, -1) == 1)
			sum += told(&self->q);
		ASSERT_EQ(i + 1, sum);
	}
	for (i = 0; i < n; i++)
		EXPECT_TRUE(slot_over(&self->q, i % 1024));
}

/* The same asleep in read(2), and by the eventfd and the signal */
TEST_F(hog, woken)
{
	struct queue *q = &self->q;
	struct pollfd pollfd = { .events = POLLIN };
	struct deadline_expiry expiry;
	uint64_t when;

	pollfd.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	block(OURS);
	ASSERT_EQ(0, set_eventfd(q, pollfd.fd));
	ASSERT_EQ(0, set_owner(q, F_OWNER_TID, thread_id()));
	ASSERT_EQ(0, fcntl(q->fd, F_SETSIG, OURS));
	ASSERT_EQ(0, fcntl(q->fd, F_SETFL, O_ASYNC));
	q->slots[0].flags = DEADLINE_SLOT_SIGNAL;
	when = ns_of(variant->clock) + 20 * MS;
	ASSERT_EQ(0, slot_arm(q, 0, when));
	ASSERT_EQ(0, leave(&self->hog));
	/* For those whose timer is kept back by the hog */
	WAIT_FOR(ns_of(variant->clock) > when + MS);
	ASSERT_EQ(0, slot_expire(q, 1));
	WAIT_FOR(slot_over(q, 0));
	EXPECT_EQ(1, poll(&pollfd, 1, -1));
	WAIT_FOR(accept_signal(OURS));
	ASSERT_EQ(1, read_one(q, &expiry));
	ASSERT_EQ(1, read_one(q, &expiry));

	/* By a timer on this CPU, which the doorbell has to start first */
	ASSERT_EQ(0, slot_arm(q, 2, ns_of(variant->clock) + MS));
	EXPECT_EQ(1, read_one(q, &expiry));
	EXPECT_EQ(2, expiry.slot);
	close(pollfd.fd);
}

/* Somebody sets the clock on the hog's CPU. */
TEST_F(hog, clock_set)
{
	uint64_t ahead = ns_of(CLOCK_REALTIME) - clock_ns();
	struct deadline_expiry expiry;

	ASSERT_EQ(0, slot_arm(&self->q, 0, ns_of(variant->clock) + HOUR));
	/* The hog comes first when this thread gives it the CPU. */
	sem_post(&self->hog.go);
	ASSERT_EQ(0, set_realtime(ns_of(CLOCK_REALTIME) + 2 * HOUR));
	ASSERT_EQ(0, leave(&self->hog));
	WAIT_FOR(clock_sets(&self->q));
	WAIT_FOR(slot_over(&self->q, 0));
	EXPECT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(-ECANCELED, read_one(&self->q, &expiry));
	EXPECT_EQ(0, step(&self->q, clock_ns() + ahead -
				    ns_of(CLOCK_REALTIME)));
}

/* However many wake-ups hang on that CPU */
TEST_F(hog, closed)
{
	uint64_t over, closed, start;
	struct queue queues[16];
	uint32_t i, k;

	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		ASSERT_EQ(0, queue_open(&queues[i], 64, O_CLOEXEC));
		for (k = 0; k < 64; k++)
			ASSERT_EQ(0, slot_arm(&queues[i], k, clock_ns() +
					      20 * MS + k * 100 * US));
	}
	ASSERT_EQ(0, leave(&self->hog));
	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		start = clock_ns();
		WAIT_FOR(slot_over(&queues[i], i));
		over = clock_ns();
		queue_close(&queues[i]);
		closed = clock_ns();
		if (closed - start > SECOND)
			TH_LOG("queue %u: over after %lu us, closed after %lu", i,
			       (unsigned long)((over - start) / US),
			       (unsigned long)((closed - over) / US));
	}
}

/*
 * A reader of high priority sleeps on one CPU; the timer fires on the other, where
 * a task computes that has a lower one.
 */
TEST_F(hog, no_inversion)
{
	struct deadline_expiry expiry;
	unsigned long i, n = rounds(20);

	/* Else the timer fires in a thread that the hog keeps from the CPU. */
	if (!(self->q.setup.features & DEADLINE_FEATURE_HARD))
		return;
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFL, 0));
	/* The last one's time comes long after the hog has begun. */
	for (i = 0; i < n; i++) {
		self->q.slots[i].slack = 0;
		ASSERT_EQ(0, slot_arm(&self->q, i, ns_of(variant->clock) +
				      (i + 2) * 10 * MS));
	}
	ASSERT_EQ(0, set_fifo(SLEEPER));
	sem_post(&self->hog.go);
	pin_to(0);
	for (i = 0; i < n; i++)
		ASSERT_EQ(1, read_one(&self->q, &expiry));
}

TEST_HARNESS_MAIN
