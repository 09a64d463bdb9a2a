/* SPDX-License-Identifier: MIT */
/* What the measuring files share: the report, and queues that must open. */
#ifndef COSTS_H
#define COSTS_H

#include "../bench/bench.h"

/* Print one figure, and whether it is at most @limit (0 = no limit). */
void figure(const char *name, double value, double limit, const char *unit);

/* Sorts @values; p = 50 is the median, 100 the largest. */
uint64_t percentile(uint64_t *values, unsigned int n, unsigned int p);

static inline deadline_queue *queue_of(uint32_t slots)
{
	struct deadline_options options = { .slots = slots };
	deadline_queue *queue = NULL;

	must(!deadline_queue_open(&queue, &options), "deadline_queue_open");
	return queue;
}

static inline deadline_slot *slot_of(deadline_queue *queue)
{
	deadline_slot *slot = NULL;

	must(!deadline_slot_alloc(queue, 0, &slot), "deadline_slot_alloc");
	return slot;
}

/* words.c: arm, move, cancel, over?; the second where no kernel serves */
void costs_words_exact(void);
void costs_words_in_ns(void);
/* wakeups.c: from the deadline to whoever sees it */
void costs_wakeups(void);
/* contexts.c: made, cancelled, released */
void costs_contexts(void);
/* crowds.c: many deadlines in one queue */
void costs_crowds(void);
/* storms.c: what they take from others */
void costs_storms(void);
/* uring.c: moves and wake-ups beside io_uring's timeouts */
void costs_uring(void);

#endif
