/* SPDX-License-Identifier: MIT */
/* What the measuring files share: the report, and queues that must open. */
#ifndef COSTS_H
#define COSTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../scenarios/bench.h"

/* Print one figure, and whether it is at most @limit (0 = no limit). */
void figure(const char *name, double value, double limit, const char *unit);

/* Sorts @values; p = 50 is the median, 100 the largest. */
uint64_t percentile(uint64_t *values, unsigned int n, unsigned int p);

static inline deadline_queue *queue_of(uint32_t slots)
{
	struct deadline_options options = { .slots = slots };
	deadline_queue *queue = NULL;
	int ret = deadline_queue_open(&queue, &options);

	if (ret) {
		fprintf(stderr, "costs: deadline_queue_open: %s\n", strerror(-ret));
		exit(1);
	}
	return queue;
}

static inline deadline_slot *slot_of(deadline_queue *queue)
{
	deadline_slot *slot = NULL;

	must(!deadline_slot_alloc(queue, 0, &slot), "deadline_slot_alloc");
	return slot;
}

/* Arm @n slots for one time. */
static inline void arm_all(deadline_slot *const *slots, unsigned int n,
			   uint64_t when)
{
	static uint64_t whens[65536];
	unsigned int i;

	for (i = 0; i < n; i++)
		whens[i] = when;
	must(!deadline_slot_arm_many(slots, whens, n), "arm_many");
}

/* words.c: arm, move, cancel, over?; the second where no kernel serves */
void costs_words_exact(void);
void costs_words_in_ns(void);
/* wakeups.c: from the deadline to whoever sees it */
void costs_wakeups(void);
/* The same where timerfd's calls are served from a queue, by a thread */
void costs_relay(void);
/* blocking.c: the first context, when there is none yet; calls that block */
void costs_first(void);
/* Of this process alone: prints a number of ns */
void costs_first_here(void);
void costs_blocking(void);
/* contexts.c: made, cancelled, released */
void costs_contexts(void);
/* steady.c: arming, with the doorbells and interrupts that follow */
void costs_steady(void);
/* crowds.c: many deadlines in one queue */
void costs_crowds(void);
/* storms.c: what they take from others */
void costs_storms(void);
/* uring.c: moves and wake-ups beside io_uring's timeouts */
void costs_uring(void);

#endif
