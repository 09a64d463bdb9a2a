/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the library's tests share: a queue on whichever backend the variable
 * DEADLINE_BACKEND names, else the one that is found.
 */
#ifndef SELFTESTS_LIBRARY_H
#define SELFTESTS_LIBRARY_H

#include <deadline.h>
#include "harness.h"

#define POISON ((void *)(uintptr_t)0xA5A5A5A5A5A5A5A5)

/* If the kernel shall serve and cannot, a program skips: exit 4. */
static __attribute__((constructor)) void need_backend(void)
{
	const char *wanted = getenv("DEADLINE_BACKEND");

	if (!wanted || strcmp(wanted, "kernel") ||
	    !access("/dev/deadline", F_OK))
		return;
	ksft_print_header();
	ksft_exit_skip("no /dev/deadline\n");
}

/* What would disturb others on a machine is done there only. */
static inline bool in_a_guest(void)
{
	return !access("/command", F_OK);
}

static inline bool slot_is_over(const deadline_slot *slot)
{
	return deadline_over(deadline_slot_word(slot));
}

/* The number that the next descriptor of the process gets */
static inline int next_number(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* Wait for one expiry and take it; 1 or the error. */
static inline int reap_one(deadline_queue *queue,
			   struct deadline_record *record)
{
	int ret;

	memset(record, 0xA5, sizeof(*record));
	do {
		ret = deadline_queue_wait(queue, DEADLINE_NEVER);
		if (!ret)
			ret = deadline_queue_reap(queue, record, 1);
	} while (!ret);
	return ret;
}

static inline struct deadline_stats stats_of(deadline_queue *queue)
{
	struct deadline_stats stats;

	memset(&stats, 0xA5, sizeof(stats));
	deadline_queue_stats(queue, &stats);
	return stats;
}

/* The thread backend takes the inbox when it gets to run: wait for that. */
static inline uint64_t handed_in(deadline_queue *queue, uint64_t at_least)
{
	WAIT_FOR(stats_of(queue).handed_in >= at_least);
	return stats_of(queue).handed_in;
}

/*
 * Have all planned that was handed in so far: what is handed in after a doorbell was
 * answered comes after all that was handed in before. Adds two to the count.
 */
static inline void serve_inbox(deadline_queue *queue, deadline_slot *spare)
{
	struct deadline_record record;
	int i;

	for (i = 0; i < 2; i++) {
		deadline_slot_arm(spare, 0, 1);
		reap_one(queue, &record);
	}
}

/* Allocate @n slots with the user data 0, 1, ...; 0 or the error */
static inline int slots_alloc(deadline_queue *queue, deadline_slot **slots,
			      unsigned int n)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = deadline_slot_alloc(queue, i, &slots[i]);
	return ret;
}

/* Arm @n of them for one time. */
static inline int slots_arm(deadline_slot *const *slots, unsigned int n,
			    uint64_t when)
{
	uint64_t *whens = calloc(n + 1, sizeof(*whens));
	unsigned int i;
	int ret;

	for (i = 0; i < n; i++)
		whens[i] = when;
	ret = deadline_slot_arm_many(slots, whens, n);
	free(whens);
	return ret;
}

static inline void slots_free(deadline_slot **slots, unsigned int n)
{
	while (n--)
		deadline_slot_free(slots[n]);
}

/*
 * A queue, and some of its slots. A program whose tests have another fixture has no
 * use for the two functions.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
FIXTURE(lib) {
	deadline_queue *queue;
	deadline_slot *slots[64];
};

FIXTURE_SETUP(lib)
{
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, slots_alloc(self->queue, self->slots, 64));
}

FIXTURE_TEARDOWN(lib)
{
	slots_free(self->slots, 64);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

#pragma GCC diagnostic pop

#endif
