// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells against the timer's callback, on two CPUs. When a doorbell starts
 * the timer while the callback waits for the queue's lock, nobody may change an
 * hrtimer that is in its tree already: other timers behind it would be stuck.
 */
#include <sys/timerfd.h>
#include "queue.h"

#define MOVERS 2
#define BATCH 16

struct mover {
	struct queue *q;
	unsigned int cpu;
	unsigned long n;
	pthread_barrier_t *barrier;
	unsigned long early;
	unsigned long failed;
};

/* Give those slots of the list that are not over a new time, and ring. */
static unsigned int set_batch(struct mover *m, const uint32_t *list,
			      uint64_t when)
{
	unsigned int i, left = 0;
	__u64 old;

	for (i = 0; i < BATCH; i++) {
		old = slot_word(m->q, list[i]);
		if (old & DEADLINE_WORD_ARMED)
			left += slot_swap(m->q, list[i], &old, due(when) |
					  DEADLINE_WORD_ARMED);
	}
	m->failed += ring_list(m->q, list, BATCH) != BATCH;
	return left;
}

/* Arm slots a little ahead, then pull them nearer again and again. */
static void pull_nearer(struct mover *m, uint64_t *seed)
{
	uint64_t when = clock_ns() + 60 * US;
	uint32_t i, list[BATCH];

	for (i = 0; i < BATCH; i++) {
		list[i] = m->cpu * 64 + i;
		slot_arm_silent(m->q, list[i], when);
	}
	while (set_batch(m, list, when))
		when -= next_random(seed) % (8 * US);
	for (i = 0; i < BATCH; i++) {
		WAIT_FOR(slot_over(m->q, list[i]));
		m->early += m->q->slots[list[i]].expired_at <
			(slot_word(m->q, list[i]) & ~DEADLINE_WORD_STATE);
	}
}

/* A timer of this CPU that is there before and has to come after */
static void start_other(int fd)
{
	struct itimerspec spec = { .it_value = { .tv_nsec = 150 * US } };

	timerfd_settime(fd, 0, &spec, NULL);
}

static void *move_thread(void *arg)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct mover *m = arg;
	uint64_t seed = m->cpu + 1, count;
	unsigned long i;

	pin_to(m->cpu);
	for (i = 0; i < m->n; i++) {
		start_other(fd);
		pthread_barrier_wait(m->barrier);
		pull_nearer(m, &seed);
		/* Until all have seen theirs, no doorbell puts things right. */
		pthread_barrier_wait(m->barrier);
		m->failed += read(fd, &count, sizeof(count)) != sizeof(count);
		pthread_barrier_wait(m->barrier);
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

TEST_F(queue, doorbell_against_callback)
{
	struct mover movers[MOVERS] = {};
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	pthread_barrier_t barrier;
	pthread_t threads[MOVERS];
	unsigned int i;

	ASSERT_LE(0, log);
	lseek(log, 0, SEEK_END);
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, MOVERS));
	/* What the timer is for when all others are over */
	ASSERT_EQ(0, slot_arm(&self->q, 1001, clock_ns() + 1000 * SECOND));
	for (i = 0; i < MOVERS; i++) {
		movers[i].q = &self->q;
		movers[i].cpu = i;
		movers[i].n = rounds(5000);
		movers[i].barrier = &barrier;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, move_thread,
					    &movers[i]));
	}
	for (i = 0; i < MOVERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, movers[i].early);
		EXPECT_EQ(0, movers[i].failed);
	}
	/* The timer works as before. */
	ASSERT_EQ(0, slot_arm(&self->q, 1000, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 1000));
	EXPECT_EQ(0, kernel_complaints(log));
	close(log);
}

TEST_HARNESS_MAIN
