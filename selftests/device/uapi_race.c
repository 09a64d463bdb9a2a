// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells against the timer's callback, on two CPUs. When a doorbell starts
 * the timer while the callback waits for the queue's lock, nobody may change an
 * hrtimer that is in its tree already: other timers behind it would be stuck.
 */
#include <sys/timerfd.h>
#include "queue.h"

#define THREADS 2
#define BATCH 16

struct racer {
	struct queue *q;
	unsigned int cpu;
	unsigned long n;
	pthread_barrier_t *barrier;
	uint64_t *when;
	uint64_t seed;
	unsigned long early;
	unsigned long failed;
};

/* The slots of this thread */
static void list_batch(const struct racer *r, uint32_t *list)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++)
		list[i] = r->cpu * 64 + i;
}

/* Give those of the list that are not over a new time; how many those are. */
static unsigned int move_batch(struct racer *r, const uint32_t *list,
			       uint64_t when)
{
	unsigned int i, left = 0;
	__u64 old;

	for (i = 0; i < BATCH; i++) {
		old = slot_word(r->q, list[i]);
		if (old & DEADLINE_WORD_ARMED)
			left += slot_swap(r->q, list[i], &old, due(when) |
					  DEADLINE_WORD_ARMED);
	}
	return left;
}

static void arm_batch(struct racer *r, const uint32_t *list, uint64_t when)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++)
		slot_arm_silent(r->q, list[i], when);
}

static void ring_batch(struct racer *r, const uint32_t *list)
{
	r->failed += ring_list(r->q, list, BATCH) != BATCH;
}

static void finish_batch(struct racer *r, const uint32_t *list)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		WAIT_FOR(slot_over(r->q, list[i]));
		r->early += r->q->slots[list[i]].expired_at <
			(slot_word(r->q, list[i]) & ~DEADLINE_WORD_STATE);
	}
}

/* Arm slots a little ahead, then pull them nearer again and again. */
static void *pull_nearer(void *arg)
{
	struct racer *r = arg;
	uint32_t list[BATCH];
	unsigned long i;
	uint64_t when;

	pin_to(r->cpu);
	list_batch(r, list);
	for (i = 0; i < r->n; i++) {
		when = clock_ns() + 60 * US;
		arm_batch(r, list, when);
		do {
			ring_batch(r, list);
			when -= next_random(&r->seed) % (8 * US);
		} while (move_batch(r, list, when));
		finish_batch(r, list);
	}
	return NULL;
}

/* One has the timer fire on its CPU, and the other is told when. */
static void fire(struct racer *r, const uint32_t *list)
{
	uint64_t when = due(clock_ns() + 60 * US);

	arm_batch(r, list, when);
	__atomic_store_n(r->when, when, __ATOMIC_RELEASE);
	ring_batch(r, list);
}

/* The other just then rings for slots that are due a little earlier. */
static void ring_into(struct racer *r, const uint32_t *list)
{
	uint64_t when, then;

	WAIT_FOR((when = __atomic_load_n(r->when, __ATOMIC_ACQUIRE)));
	then = when - next_random(&r->seed) % (10 * US);
	arm_batch(r, list, when - US);
	while (clock_ns() < then)
		;
	ring_batch(r, list);
}

/* A timer of this CPU that is there before and has to come after */
static void start_other(int fd)
{
	struct itimerspec spec = { .it_value = { .tv_nsec = 300 * US } };

	timerfd_settime(fd, 0, &spec, NULL);
}

static void *ring_while_firing(void *arg)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct racer *r = arg;
	uint32_t list[BATCH];
	unsigned long i;
	uint64_t count;

	pin_to(r->cpu);
	list_batch(r, list);
	for (i = 0; i < r->n; i++) {
		__atomic_store_n(r->when, 0, __ATOMIC_RELAXED);
		start_other(fd);
		pthread_barrier_wait(r->barrier);
		if (i % THREADS == r->cpu)
			fire(r, list);
		else
			ring_into(r, list);
		finish_batch(r, list);
		/* Until all have seen theirs, no doorbell puts things right. */
		pthread_barrier_wait(r->barrier);
		r->failed += read(fd, &count, sizeof(count)) != sizeof(count);
		pthread_barrier_wait(r->barrier);
	}
	close(fd);
	return NULL;
}

/* Lines of the kernel's log, from @fd's place on, that tell of trouble */
static int kernel_complaints(int fd)
{
	static const char *const words[] = { "BUG", "WARNING", "Call Trace",
		"Oops", "stall", "lockup" };
	char line[8192];
	unsigned int i;
	ssize_t size;
	int n = 0;

	while ((size = read(fd, line, sizeof(line) - 1)) > 0) {
		line[size] = 0;
		for (i = 0; i < ARRAY_SIZE(words); i++)
			n += !!strstr(line, words[i]);
	}
	return n;
}

static void race(struct __test_metadata *_metadata, struct queue *q,
		 unsigned long n, void *(*run)(void *arg))
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct racer racers[THREADS] = {};
	pthread_barrier_t barrier;
	pthread_t threads[THREADS];
	uint64_t when = 0;
	unsigned int i;

	ASSERT_LE(0, log);
	lseek(log, 0, SEEK_END);
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, THREADS));
	/* What the timer is for when all others are over */
	ASSERT_EQ(0, slot_arm(q, 1001, clock_ns() + 1000 * SECOND));
	for (i = 0; i < THREADS; i++) {
		racers[i].q = q;
		racers[i].cpu = i;
		racers[i].n = n;
		racers[i].seed = i + 1;
		racers[i].when = &when;
		racers[i].barrier = &barrier;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, run,
					    &racers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, racers[i].early);
		EXPECT_EQ(0, racers[i].failed);
	}
	/* The timer works as before. */
	ASSERT_EQ(0, slot_arm(q, 1000, clock_ns() + MS));
	WAIT_FOR(slot_over(q, 1000));
	EXPECT_EQ(0, kernel_complaints(log));
	close(log);
}

TEST_F(queue, pull_nearer)
{
	race(_metadata, &self->q, rounds(5000), pull_nearer);
}

TEST_F(queue, ring_while_firing)
{
	race(_metadata, &self->q, rounds(5000), ring_while_firing);
}

TEST_HARNESS_MAIN
