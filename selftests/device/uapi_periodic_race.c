// SPDX-License-Identifier: GPL-2.0
/*
 * Periodic slots that are cancelled at any time while other threads consume and
 * move them: the expiries consumed and their overruns are what passed.
 */
#include "periodic.h"

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
