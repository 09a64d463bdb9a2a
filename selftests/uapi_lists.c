// SPDX-License-Identifier: GPL-2.0
/*
 * Long lists of doorbells, which may take long: one after the other, and a signal
 * ends one early.
 */
#include <sys/time.h>
#include "queue.h"

#define RINGERS 4
#define RINGS 100000

struct ringer {
	struct queue *q;
	uint32_t *list;
	uint32_t n;
	int ret;
};

static void *ring_all(void *arg)
{
	struct ringer *r = arg;

	r->ret = ring_list(r->q, r->list, r->n);
	return NULL;
}

/* Slots that are all armed for a time far ahead, and a list of them */
FIXTURE(lists) {
	struct queue q;
	uint32_t *list;
	uint32_t n;
};

FIXTURE_SETUP(lists)
{
	uint64_t far = clock_ns() + 1000 * SECOND;
	uint32_t i;

	self->n = RINGERS * RINGS;
	self->list = calloc(self->n, sizeof(*self->list));
	ASSERT_NE(NULL, self->list);
	ASSERT_EQ(0, queue_open(&self->q, self->n, O_CLOEXEC));
	for (i = 0; i < self->n; i++) {
		self->list[i] = i;
		slot_arm_silent(&self->q, i, far + i);
	}
}

FIXTURE_TEARDOWN(lists)
{
	queue_close(&self->q);
	free(self->list);
}

static bool planned(const struct queue *q, uint32_t i)
{
	return slot_queued(q, i) != DEADLINE_QUEUED_NEVER;
}

/*
 * Several threads ring for long lists: one list after the other. Two are being
 * worked through if both have begun and, looked at later, neither has ended.
 */
TEST_F(lists, one_at_a_time)
{
	uint32_t i, each = self->n / RINGERS, ended, at_once = 0;
	pthread_t threads[RINGERS];
	struct ringer r[RINGERS];
	uint32_t begun[RINGERS];

	for (i = 0; i < RINGERS; i++) {
		r[i] = (struct ringer){
			.q = &self->q,
			.list = self->list + i * each,
			.n = each,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, ring_all, &r[i]));
	}
	do {
		uint32_t midway = 0;

		for (i = 0; i < RINGERS; i++)
			begun[i] = planned(&self->q, i * each);
		for (i = ended = 0; i < RINGERS; i++) {
			bool end = planned(&self->q, (i + 1) * each - 1);

			ended += end;
			midway += begun[i] && !end;
		}
		at_once += midway > 1;
		cpu_relax();
	} while (ended < RINGERS);
	for (i = 0; i < RINGERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ((int)each, r[i].ret);
	}
	EXPECT_EQ(0, at_once);
	for (i = 0; i < RINGERS * each; i++)
		ASSERT_TRUE(planned(&self->q, i));
}

static void on_signal(int signo)
{
	(void)signo;
}

/* A signal ends a list early; how many were done is how many were done. */
TEST_F(lists, signal)
{
	/* Again and again: the first may come before the doorbell is rung. */
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = {};
	struct sigaction action = { .sa_handler = on_signal };
	uint32_t i;
	int done;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	done = ring_list(&self->q, self->list, self->n);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	ASSERT_LT(0, done);
	ASSERT_GT((int)self->n, done);
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(i < (uint32_t)done, planned(&self->q, i));
	/* Going on from there does the rest. */
	EXPECT_EQ((int)self->n - done, ring_list(&self->q, self->list + done,
						 self->n - done));
}

TEST_HARNESS_MAIN
