// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody sets the clock: how a program learns of it, by read(2), poll(2), an
 * eventfd and the status page. It is told once of each set, or of several at once,
 * on the clocks that can be set. When slots expire then is uapi_clock_set's.
 */
#include <sys/eventfd.h>
#include "clock_set.h"

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
