// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU whose timers are to fire goes offline: they move to another one, and
 * nothing is lost or early. Who sleeps is woken, and close(2) returns, while that CPU
 * is offline.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include "queue.h"

#define SLOTS 64u
#define ONLINE "/sys/devices/system/cpu/cpu1/online"

static int set_online(bool on)
{
	int fd = open(ONLINE, O_WRONLY | O_CLOEXEC);
	int ret = write(fd, on ? "1" : "0", 1) == 1 ? 0 : -1;

	close(fd);
	return ret;
}

FIXTURE(offline) {
	struct queue q[8];
};

FIXTURE_SETUP(offline)
{
	uint32_t i;

	ASSERT_EQ(0, set_online(true));
	for (i = 0; i < ARRAY_SIZE(self->q); i++)
		ASSERT_EQ(0, queue_open(&self->q[i], SLOTS, O_CLOEXEC));
}

FIXTURE_TEARDOWN(offline)
{
	uint32_t i;

	EXPECT_EQ(0, set_online(true));
	for (i = 0; i < ARRAY_SIZE(self->q); i++)
		queue_close(&self->q[i]);
}

TEST_F(offline, under_the_timer)
{
	uint64_t when[ARRAY_SIZE(self->q)][SLOTS], early = 0, seed = 1;
	unsigned long round, n = rounds(10);
	uint32_t i, k;

	for (round = 0; round < n; round++) {
		/* A timer that is started here fires here. */
		pin_to(1);
		for (k = 0; k < ARRAY_SIZE(self->q); k++) {
			for (i = 0; i < SLOTS; i++) {
				when[k][i] = due(clock_ns() +
						 next_random(&seed) % (60 * MS));
				ASSERT_EQ(0, slot_arm(&self->q[k], i,
						      when[k][i]));
			}
		}
		pin_to(0);
		ASSERT_EQ(0, set_online(false));
		for (k = 0; k < ARRAY_SIZE(self->q); k++) {
			for (i = 0; i < SLOTS; i++) {
				WAIT_FOR(slot_over(&self->q[k], i));
				early += self->q[k].slots[i].expired_at <
					 when[k][i];
			}
			EXPECT_EQ(SLOTS, ring_collect(&self->q[k], SLOTS));
		}
		ASSERT_EQ(0, set_online(true));
	}
	EXPECT_EQ(0, early);
}

/* Keeps CPU 1 busy, so that timers are still started there. */
static void *spin_thread(void *arg)
{
	const bool *stop = arg;

	pin_to(1);
	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE))
		cpu_relax();
	return NULL;
}

/*
 * Each queue has one deadline, at some time while the CPU goes offline. How many are
 * told by @epoll before it is online again, of @n
 */
static uint32_t tell_offline(struct __test_metadata *_metadata,
			     struct queue *queues, uint32_t n, int epoll,
			     uint64_t *took, uint64_t *seed)
{
	uint64_t start, before;
	struct deadline_expiry expiry;
	struct epoll_event event;
	uint32_t i, told = 0;
	bool stop = false;
	pthread_t spinner;

	ASSERT_EQ(0, pthread_create(&spinner, NULL, spin_thread, &stop));
	pin_to(1);
	start = clock_ns() + 20 * MS;
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, slot_arm(&queues[i], 0, start +
				      next_random(seed) % *took));
	pin_to(0);
	WAIT_FOR(clock_ns() >= start);
	before = clock_ns();
	EXPECT_EQ(0, set_online(false));
	*took = (clock_ns() - before) * 5 / 4;
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(spinner, NULL);
	while (told < n && epoll_wait(epoll, &event, 1, 20000) == 1)
		told += read_one(&queues[event.data.u32], &expiry) == 1;
	for (i = 0; i < n; i++)
		EXPECT_TRUE(slot_over(&queues[i], 0));
	return told;
}

/* As many rounds of 500 queues; DEADLINE_TEST_PERCENT=100000 makes it a thousand. */
TEST_F_TIMEOUT(offline, told, 3600)
{
	unsigned long round, n_rounds = rounds(1), lost = 0;
	const struct rlimit files = { 1024, 1024 };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	uint64_t took = 10 * MS, seed = 1;
	struct epoll_event event = { .events = EPOLLIN };
	struct queue *queues;
	uint32_t i, n = 500;

	queues = calloc(n, sizeof(*queues));
	ASSERT_NE(NULL, queues);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (i = 0; i < n; i++) {
		event.data.u32 = i;
		ASSERT_EQ(0, queue_open(&queues[i], SLOTS,
					O_CLOEXEC | O_NONBLOCK));
		ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, queues[i].fd,
				       &event));
	}
	for (round = 0; round < n_rounds; round++) {
		lost += n - tell_offline(_metadata, queues, n, epoll, &took,
					 &seed);
		/* The last time they are closed first. */
		if (round + 1 < n_rounds)
			ASSERT_EQ(0, set_online(true));
	}
	EXPECT_EQ(0, lost);
	for (i = 0; i < n; i++)
		queue_close(&queues[i]);
	free(queues);
	close(epoll);
	TH_LOG("%lu rounds of %u queues", n_rounds, n);
}

TEST_HARNESS_MAIN
