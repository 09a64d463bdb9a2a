// SPDX-License-Identifier: GPL-2.0
/*
 * A queue that grows when its slots are taken: up to its most, and whoever waits, polls
 * or reaps sees the expiries of all of it. And one is closed with all its slots.
 */
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "library.h"

#define FIRST 64
#define MANY 1000
/* Slots of one user, as the module has it by itself */
#define MOST 1048576

FIXTURE(grow) {
	deadline_queue *queue;
	deadline_slot *slots[MANY];
};

FIXTURE_SETUP(grow)
{
	struct deadline_options options = {
		.slots = FIRST,
		.slots_max = DEADLINE_NEVER,
	};

	ASSERT_EQ(0, deadline_queue_open(&self->queue, &options));
}

FIXTURE_TEARDOWN(grow)
{
	deadline_queue_destroy(self->queue);
}

static int open_most(uint32_t slots, uint64_t most)
{
	struct deadline_options options = {
		.slots = slots,
		.slots_max = most,
	};
	deadline_queue *queue = POISON;
	int ret = deadline_queue_open(&queue, &options);

	if (ret)
		return queue == POISON ? ret : -1000;
	return deadline_queue_close(queue);
}

TEST(options)
{
	EXPECT_EQ(-EINVAL, open_most(FIRST, FIRST - 1));
	EXPECT_EQ(-EINVAL, open_most(0, 4095));
	EXPECT_EQ(0, open_most(FIRST, FIRST));
	EXPECT_EQ(0, open_most(0, 4096));
	EXPECT_EQ(0, open_most(1, DEADLINE_NEVER));
}

TEST(up_to_its_most)
{
	struct deadline_options options = {
		.slots = FIRST,
		.slots_max = 4 * FIRST,
	};
	deadline_slot *slot = POISON;
	deadline_queue *queue;
	int i;

	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	for (i = 0; i < 4 * FIRST; i++)
		ASSERT_EQ(0, deadline_slot_alloc(queue, i, &slot));
	EXPECT_EQ(-ENOSPC, deadline_slot_alloc(queue, i, &slot));
	EXPECT_EQ(4 * FIRST, stats_of(queue).slots);
	EXPECT_EQ(4 * FIRST, stats_of(queue).allocated);
	EXPECT_EQ(-EBUSY, deadline_queue_close(queue));
	deadline_slot_free(slot);
	EXPECT_EQ(0, deadline_slot_alloc(queue, i, &slot));
	deadline_queue_destroy(queue);
}

/* The most is no multiple of what it has: it gets what is left, and the rest of a page. */
TEST(up_to_an_odd_number)
{
	struct deadline_options options = { .slots = FIRST, .slots_max = FIRST + 3 };
	deadline_queue *queue;
	deadline_slot *slot;
	int ret, n = -1;

	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	do {
		ret = deadline_slot_alloc(queue, ++n, &slot);
	} while (!ret);
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_LE(FIRST + 3, n);
	EXPECT_GT(FIRST + 3 + sysconf(_SC_PAGESIZE) / 64, n);
	EXPECT_EQ(n, stats_of(queue).slots);
	deadline_queue_destroy(queue);
}

/*
 * Of 192 slots that are left it begins with 64, gets 64, then 64 in place of 128, then none.
 * The other tests are root's, who has no such limit.
 */
TEST(what_is_left_at_a_limit)
{
	struct deadline_options all = {
		.slots = MOST - 3 * FIRST,
		.backend = DEADLINE_BACKEND_KERNEL,
	};
	struct deadline_options options = {
		.slots = FIRST,
		.slots_max = DEADLINE_NEVER,
		.backend = DEADLINE_BACKEND_KERNEL,
	};
	deadline_queue *rest, *queue;
	deadline_slot *slot;
	int ret, n = -1;

	if (access("/dev/deadline", F_OK))
		return;
	ASSERT_EQ(0, chmod("/dev/deadline", 0666));
	ASSERT_EQ(0, seteuid(65534));
	ASSERT_EQ(0, deadline_queue_open(&rest, &all));
	ASSERT_EQ(MOST - 3 * FIRST, stats_of(rest).slots);
	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	do {
		ret = deadline_slot_alloc(queue, ++n, &slot);
	} while (!ret);
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_EQ(3 * FIRST, n);
	EXPECT_EQ(3 * FIRST, stats_of(queue).slots);
	/* It grows when the limit lets it. */
	EXPECT_EQ(0, deadline_queue_close(rest));
	EXPECT_EQ(0, deadline_slot_alloc(queue, n, &slot));
	deadline_queue_destroy(queue);
	EXPECT_EQ(0, seteuid(0));
	EXPECT_EQ(0, chmod("/dev/deadline", 0600));
}

/* There is no descriptor for what it would get; then there is. */
TEST_F(grow, at_the_limit_of_descriptors)
{
	struct rlimit all, none;
	deadline_slot *slot = POISON;
	int i;

	for (i = 0; i < FIRST; i++)
		ASSERT_EQ(0, deadline_slot_alloc(self->queue, i, &slot));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &all));
	none = all;
	none.rlim_cur = next_number();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	slot = POISON;
	EXPECT_EQ(-EMFILE, deadline_slot_alloc(self->queue, i, &slot));
	EXPECT_EQ(POISON, slot);
	EXPECT_EQ(FIRST, stats_of(self->queue).slots);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &all));
	EXPECT_EQ(0, deadline_slot_alloc(self->queue, i, &slot));
	/* It has grown, and of such a one it may be that something waits. */
	EXPECT_TRUE(deadline_queue_pending(self->queue));
}

/* Every expiry is told once, of the slot that was armed. */
TEST_F(grow, all_expire)
{
	struct deadline_record record;
	bool seen[MANY] = { false };
	unsigned int i;

	ASSERT_EQ(0, slots_alloc(self->queue, self->slots, MANY));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0,
					       deadline_in(i % 7 * MS)));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(1, reap_one(self->queue, &record));
		ASSERT_GT(MANY, record.user_data);
		EXPECT_EQ(self->slots[record.user_data], record.slot);
		EXPECT_FALSE(seen[record.user_data]);
		seen[record.user_data] = true;
	}
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(MANY, stats_of(self->queue).expired);
	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue, deadline_in(MS)));
}

/* Only the last part has anything: a descriptor that was asked for before tells. */
TEST_F(grow, descriptor_of_all)
{
	struct pollfd pollfd = { .events = POLLIN };
	struct deadline_record record;

	pollfd.fd = deadline_queue_fd(self->queue);
	ASSERT_EQ(0, slots_alloc(self->queue, self->slots, MANY));
	EXPECT_EQ(pollfd.fd, deadline_queue_fd(self->queue));
	ASSERT_EQ(0, deadline_slot_arm(self->slots[MANY - 1], 0,
				       deadline_in(MS)));
	EXPECT_EQ(1, poll(&pollfd, 1, -1));
	EXPECT_TRUE(deadline_queue_pending(self->queue));
	EXPECT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(MANY - 1, record.user_data);
	/* A thread that has just made it readable is believed once more at worst. */
	WAIT_FOR(!deadline_queue_reap(self->queue, &record, 1) &&
		 !poll(&pollfd, 1, 0));
}

struct taker {
	deadline_queue *queue;
	deadline_slot **slots;
};

#define TAKERS 4

static void *take(void *arg)
{
	struct taker *taker = arg;
	int i;

	for (i = 0; i < MANY / TAKERS; i++) {
		if (deadline_slot_alloc(taker->queue, i, &taker->slots[i]))
			return NULL;
	}
	return arg;
}

/* Threads that find all taken at once: it does not grow for each of them. */
TEST_F(grow, by_several_threads)
{
	struct taker takers[TAKERS];
	pthread_t threads[TAKERS];
	void *ret;
	int i;

	for (i = 0; i < TAKERS; i++) {
		takers[i].queue = self->queue;
		takers[i].slots = self->slots + i * (MANY / TAKERS);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, take,
					    &takers[i]));
	}
	for (i = 0; i < TAKERS; i++) {
		pthread_join(threads[i], &ret);
		EXPECT_EQ(&takers[i], ret);
	}
	EXPECT_EQ(MANY, stats_of(self->queue).allocated);
	EXPECT_EQ(1024, stats_of(self->queue).slots);
	slots_free(self->slots, MANY);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
	self->queue = NULL;
}

/* Closed with slots that are armed, and with expiries that nobody has reaped */
TEST(destroyed)
{
	int before = dup(0), after, i;
	deadline_queue *queue;
	deadline_slot *slot;

	close(before);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
		ASSERT_EQ(0, deadline_slot_alloc(queue, 0, &slot));
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(SECOND)));
		ASSERT_EQ(0, deadline_slot_alloc(queue, 0, &slot));
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
		EXPECT_EQ(-EBUSY, deadline_queue_close(queue));
		deadline_queue_destroy(queue);
	}
	deadline_queue_destroy(NULL);
	after = dup(0);
	EXPECT_EQ(before, after);
}

TEST_HARNESS_MAIN
