// SPDX-License-Identifier: GPL-2.0
/*
 * Shards: whose expiries a worker reaps, and that each comes once, whoever does. How
 * many there are of their own accord, lib_cpus tells.
 */
#include <sys/resource.h>
#include "library.h"

#define WORKERS 3
#define EACH 32

/* The user data is the address of a counter. */
static int alloc_counted(deadline_queue *queue, unsigned int *seen,
			 deadline_slot **ret_slot)
{
	return deadline_slot_alloc(queue, (uintptr_t)seen, ret_slot);
}

FIXTURE(shards) {
	struct deadline_shards *shards;
	struct deadline_slot *slots[WORKERS][EACH];
	unsigned int seen[WORKERS][EACH];
};

FIXTURE_SETUP(shards)
{
	struct deadline_options options = { .slots = EACH };
	deadline_queue *queue;
	int w, i;

	ASSERT_EQ(0, deadline_shards_open(&self->shards, &options, WORKERS));
	for (w = 0; w < WORKERS; w++) {
		queue = deadline_shards_queue(self->shards, w);
		for (i = 0; i < EACH; i++)
			ASSERT_EQ(0, alloc_counted(queue, &self->seen[w][i],
						   &self->slots[w][i]));
	}
}

FIXTURE_TEARDOWN(shards)
{
	int w;

	for (w = 0; w < WORKERS; w++)
		slots_free(self->slots[w], EACH);
	EXPECT_EQ(0, deadline_shards_close(self->shards));
}

TEST_F(shards, one_queue_each)
{
	deadline_queue *a = deadline_shards_queue(self->shards, 0);
	deadline_queue *b = deadline_shards_queue(self->shards, 1);
	deadline_queue *c = deadline_shards_queue(self->shards, 2);

	EXPECT_EQ(WORKERS, deadline_shards_count(self->shards));
	EXPECT_TRUE(a != b && b != c && c != a);
	EXPECT_EQ(c, deadline_shards_queue(self->shards, 2));
	EXPECT_GT(4096, stats_of(c).slots);
}

TEST_F(shards, refused)
{
	struct deadline_options options = { .slots = UINT32_MAX };
	struct deadline_record record = {};
	deadline_shards *shards = POISON;
	int no_device = access("/dev/deadline", F_OK);
	struct rlimit few;

	EXPECT_EQ(-EINVAL, deadline_shards_open(&shards, NULL, 8193));
	EXPECT_EQ(-EINVAL, deadline_shards_open(&shards, NULL, UINT32_MAX));
	EXPECT_EQ(-EINVAL, deadline_shards_open(&shards, &options, 1));
	/* 8192 are not too many, but there is none, or not one descriptor for each. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &few));
	few.rlim_cur = 100;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	options.slots = 64;
	options.backend = DEADLINE_BACKEND_KERNEL;
	EXPECT_EQ(no_device ? -ENOENT : -EMFILE,
		  deadline_shards_open(&shards, &options, 8192));
	EXPECT_EQ(POISON, shards);
	EXPECT_EQ(NULL, deadline_shards_queue(self->shards, WORKERS));
	EXPECT_EQ(-EINVAL, deadline_shards_reap(self->shards, WORKERS, &record,
						1));
	EXPECT_EQ(0, deadline_shards_close(NULL));
}

/* The lowest descriptor that is free */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

TEST_F(shards, all_or_none)
{
	deadline_shards *shards = POISON;
	struct rlimit limit;
	int fd = next_fd();

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = fd + 2;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, deadline_shards_open(&shards, NULL, 3));
	EXPECT_EQ(POISON, shards);
	EXPECT_EQ(fd, next_fd());
	EXPECT_EQ(0, deadline_shards_open(&shards, NULL, 2));
	EXPECT_EQ(0, deadline_shards_close(shards));
	EXPECT_EQ(fd, next_fd());
}

/* Have the first @n slots of a worker expire, and wait until they are in its ring. */
static int expire_some(deadline_shards *shards, unsigned int worker,
		       deadline_slot **slots, unsigned int n)
{
	deadline_queue *queue = deadline_shards_queue(shards, worker);
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (deadline_slot_arm(slots[i], 0, 1))
			return -1;
	}
	WAIT_FOR(stats_of(queue).expired >= n);
	return 0;
}

static unsigned int worker_of(deadline_slot *slots[WORKERS][EACH],
			      const deadline_slot *slot)
{
	unsigned int w, i;

	for (w = 0; w < WORKERS; w++) {
		for (i = 0; i < EACH; i++) {
			if (slots[w][i] == slot)
				return w;
		}
	}
	return WORKERS;
}

TEST_F(shards, own_first)
{
	static const unsigned int own = 1, turn[] = { 1, 2, 0 };
	struct deadline_record records[WORKERS * EACH + 1];
	int w, i;

	for (w = 0; w < WORKERS; w++)
		ASSERT_EQ(0, expire_some(self->shards, w, self->slots[w], 5));
	ASSERT_EQ(3, deadline_shards_reap(self->shards, own, records, 3));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(own, worker_of(self->slots, records[i].slot));
	ASSERT_EQ(12, deadline_shards_reap(self->shards, own, records,
					   ARRAY_SIZE(records)));
	for (i = 0; i < 12; i++)
		EXPECT_EQ(turn[(i + 3) / 5],
			  worker_of(self->slots, records[i].slot));
	EXPECT_EQ(0, deadline_shards_reap(self->shards, own, records,
					  ARRAY_SIZE(records)));
}

/* Who reaps one queue leaves the others alone. */
TEST_F(shards, of_one_alone)
{
	struct deadline_record record;

	ASSERT_EQ(0, expire_some(self->shards, 1, self->slots[1], 2));
	EXPECT_EQ(0, deadline_queue_reap(deadline_shards_queue(self->shards, 0),
					 &record, 1));
	EXPECT_EQ(1, deadline_queue_reap(deadline_shards_queue(self->shards, 1),
					 &record, 1));
	EXPECT_EQ(1, deadline_shards_reap(self->shards, 0, &record, 1));
	EXPECT_EQ(1, worker_of(self->slots, record.slot));
}

/* No more than there is room for: the rest stays where it is. */
TEST_F(shards, room)
{
	struct deadline_record records[EACH];
	int w, n;

	for (w = 0; w < WORKERS; w++)
		ASSERT_EQ(0, expire_some(self->shards, w, self->slots[w], 4));
	memset(records, 0xA5, sizeof(records));
	EXPECT_EQ(0, deadline_shards_reap(self->shards, 0, records, 0));
	for (n = 12; n > 0; n -= 3) {
		EXPECT_EQ(3, deadline_shards_reap(self->shards, 0, records, 3));
		EXPECT_EQ(POISON, records[3].slot);
	}
	EXPECT_EQ(0, deadline_shards_reap(self->shards, 0, records, EACH));
}

struct worker {
	deadline_shards *shards;
	unsigned int number;
	unsigned long rounds;
	deadline_slot **slots;
	unsigned int *seen;
	unsigned int *left;
	unsigned long early;
};

static void reap(struct worker *worker)
{
	struct deadline_record records[7];
	int i, n;

	n = deadline_shards_reap(worker->shards, worker->number, records, 7);
	for (i = 0; i < n; i++) {
		worker->early += records[i].expired_at < records[i].when;
		__atomic_add_fetch((unsigned int *)(uintptr_t)
				   records[i].user_data, 1, __ATOMIC_RELEASE);
	}
	if (n <= 0)
		relax();
}

static bool all_seen(const struct worker *worker, unsigned long round)
{
	int i;

	for (i = 0; i < EACH; i++) {
		if (__atomic_load_n(&worker->seen[i], __ATOMIC_ACQUIRE) < round)
			return false;
	}
	return true;
}

/*
 * All slots of its own in each round. All workers but the first are stuck in every
 * other round: were their expiries not stolen, they would be so for ever.
 */
static void *work(void *arg)
{
	struct worker *worker = arg;
	uint64_t seed = worker->number + 1;
	unsigned long round;
	int i;

	for (round = 1; round <= worker->rounds; round++) {
		for (i = 0; i < EACH; i++)
			deadline_slot_arm(worker->slots[i], 0, clock_ns() +
					  next_random(&seed) % (100 * US));
		while (!all_seen(worker, round)) {
			if (worker->number && round % 2)
				relax();
			else
				reap(worker);
		}
	}
	/* The others may be stuck still. */
	__atomic_sub_fetch(worker->left, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(worker->left, __ATOMIC_ACQUIRE))
		reap(worker);
	return NULL;
}

TEST_F(shards, each_once)
{
	unsigned int left = WORKERS, wrong = 0;
	struct worker workers[WORKERS];
	unsigned long n = rounds(300);
	pthread_t threads[WORKERS];
	int w, i;

	for (w = 0; w < WORKERS; w++) {
		workers[w] = (struct worker){
			.shards = self->shards,
			.number = w,
			.rounds = n,
			.slots = self->slots[w],
			.seen = self->seen[w],
			.left = &left,
		};
		ASSERT_EQ(0, pthread_create(&threads[w], NULL, work,
					    &workers[w]));
	}
	for (w = 0; w < WORKERS; w++) {
		pthread_join(threads[w], NULL);
		EXPECT_EQ(0, workers[w].early);
	}
	for (w = 0; w < WORKERS; w++) {
		for (i = 0; i < EACH; i++)
			wrong += self->seen[w][i] != n;
	}
	EXPECT_EQ(0, wrong);
}

TEST_F(shards, close_while_allocated)
{
	struct deadline_record record;
	int w;

	for (w = 0; w < WORKERS - 1; w++)
		slots_free(self->slots[w], EACH);
	slots_free(self->slots[w], EACH - 1);
	EXPECT_EQ(-EBUSY, deadline_shards_close(self->shards));

	/* All are still open. */
	for (w = 0; w < WORKERS - 1; w++)
		ASSERT_EQ(0, slots_alloc(deadline_shards_queue(self->shards, w),
					 self->slots[w], EACH));
	ASSERT_EQ(0, expire_some(self->shards, 0, self->slots[0], 1));
	EXPECT_EQ(1, deadline_shards_reap(self->shards, 1, &record, 1));
	EXPECT_EQ(self->slots[0][0], record.slot);
	ASSERT_EQ(0, slots_alloc(deadline_shards_queue(self->shards, w),
				 self->slots[w], EACH - 1));
}

static int reap_and_close(void *arg)
{
	struct deadline_record record;

	if (deadline_shards_reap(arg, 0, &record, 1) != -ECHILD)
		return 1;
	return deadline_shards_close(arg) ? 2 : 0;
}

TEST_F(shards, in_a_child)
{
	EXPECT_TRUE(exited(in_child(reap_and_close, self->shards), 0));
}

TEST_HARNESS_MAIN
