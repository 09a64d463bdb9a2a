// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells against the timer's callback, on two CPUs. A doorbell that starts
 * the timer while the callback waits for the queue's lock must not change an
 * hrtimer that is in its tree: such a tree loses or reorders other timers.
 */
#include "queue.h"

#define MOVERS 2

struct mover {
	struct queue *q;
	unsigned int cpu;
	unsigned long n;
	unsigned long early;
	unsigned long failed;
};

/* Arm a slot a little ahead, then pull it nearer again and again. */
static void pull_nearer(struct mover *m, uint32_t slot, uint64_t *seed)
{
	uint64_t now = clock_ns(), when = now + 60 * US;
	int ret = slot_arm(m->q, slot, when);

	while (!ret) {
		when -= next_random(seed) % (8 * US);
		ret = slot_move(m->q, slot, when);
		if (ret == 0)
			break;
		ret = ret == 1 ? 0 : -1;
	}
	m->failed += ret < 0;
	WAIT_FOR(slot_over(m->q, slot));
	m->early += m->q->slots[slot].expired_at <
		(slot_word(m->q, slot) & ~DEADLINE_WORD_STATE);
}

static void *move_thread(void *arg)
{
	struct mover *m = arg;
	uint64_t seed = m->cpu + 1;
	unsigned long i;

	pin_to(m->cpu);
	for (i = 0; i < m->n; i++)
		pull_nearer(m, m->cpu * 64 + i % 64, &seed);
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
	struct timespec short_while = { .tv_nsec = 1000 };
	pthread_t threads[MOVERS];
	unsigned int i;

	ASSERT_LE(0, log);
	lseek(log, 0, SEEK_END);
	for (i = 0; i < MOVERS; i++) {
		movers[i].q = &self->q;
		movers[i].cpu = i;
		movers[i].n = rounds(20000);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, move_thread,
					    &movers[i]));
	}
	for (i = 0; i < MOVERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, movers[i].early);
		EXPECT_EQ(0, movers[i].failed);
	}
	/* The timer works as before, and so do those of others. */
	ASSERT_EQ(0, slot_arm(&self->q, 1000, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 1000));
	EXPECT_EQ(0, clock_nanosleep(CLOCK_MONOTONIC, 0, &short_while, NULL));
	EXPECT_EQ(0, kernel_complaints(log));
	close(log);
}

TEST_HARNESS_MAIN
