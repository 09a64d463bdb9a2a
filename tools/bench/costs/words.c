// SPDX-License-Identifier: MIT
/* Arm, move, cancel, over?: what a program does without the kernel. */
#include <stdio.h>
#include <deadline_inline.h>
#include "costs.h"

#define ROUNDS	200000u
#define RANDOM	65536u

/* Where the next deadline lies; far enough that none is due in between */
#define AHEAD	(1000 * MS)

/* The exported functions, which this file has inline */
typedef int arm_fn(deadline_slot *slot, uint32_t flags, uint64_t when);
typedef int cancel_fn(deadline_slot *slot);
static arm_fn *volatile exported_arm = deadline_slot_arm;
static cancel_fn *volatile exported_cancel = deadline_slot_cancel;

/* For the runs over many slots */
static deadline_slot *slots[RANDOM];

/* What a loop does; always inlined, so that the loop holds nothing else */
typedef void pair_fn(deadline_slot *slot, uint64_t when);

/* The least that the machine allows: two swaps of one word */
static inline void bare_swaps(deadline_slot *slot, uint64_t when)
{
	__u64 old = 0;

	(void)when;
	deadline_swap_(&slot->word, &old, DEADLINE_WORD_TAKEN);
	old = DEADLINE_WORD_TAKEN;
	deadline_swap_(&slot->word, &old, 0);
}

static inline void arm_cancel(deadline_slot *slot, uint64_t when)
{
	deadline_slot_arm(slot, 0, when);
	deadline_slot_cancel(slot);
}

static inline __attribute__((always_inline))
double pairs(deadline_slot *slot, pair_fn *pair)
{
	uint64_t start = deadline_now(), when = start + AHEAD;
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < ROUNDS; i++)
		pair(slot ? slot : slots[i % RANDOM], when + i);
	return (double)(deadline_now() - start) / ROUNDS;
}

typedef double cost_fn(deadline_slot *slot);

static double bare_swaps_hot(deadline_slot *slot)
{
	must(!!slot, "a slot");
	return pairs(slot, bare_swaps);
}

static double bare_swaps_random(deadline_slot *unused)
{
	(void)unused;
	return pairs(NULL, bare_swaps);
}

static double arm_cancel_hot(deadline_slot *slot)
{
	must(!!slot, "a slot");
	return pairs(slot, arm_cancel);
}

static double arm_cancel_random(deadline_slot *unused)
{
	(void)unused;
	return pairs(NULL, arm_cancel);
}

static double arm_cancel_exported(deadline_slot *slot)
{
	arm_fn *arm = exported_arm;
	cancel_fn *cancel = exported_cancel;
	uint64_t start = deadline_now(), when = start + AHEAD;
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < ROUNDS; i++) {
		arm(slot, 0, when + i);
		cancel(slot);
	}
	return (double)(deadline_now() - start) / ROUNDS;
}

static double move_later(deadline_slot *slot)
{
	uint64_t start, when = deadline_in(AHEAD);
	unsigned int i;
	double cost;

	deadline_slot_arm(slot, 0, when);
	start = deadline_now();
	for (i = 0; i < ROUNDS; i += 4) {
		deadline_slot_move(slot, when += DEADLINE_GRAIN);
		deadline_slot_move(slot, when += DEADLINE_GRAIN);
		deadline_slot_move(slot, when += DEADLINE_GRAIN);
		deadline_slot_move(slot, when += DEADLINE_GRAIN);
	}
	cost = (double)(deadline_now() - start) / ROUNDS;
	deadline_slot_cancel(slot);
	return cost;
}

static double over(deadline_slot *slot)
{
	const deadline_word *word = deadline_slot_word(slot);
	uint64_t start;
	unsigned int i;
	double cost;

	deadline_slot_arm(slot, 0, deadline_in(AHEAD));
	start = deadline_now();
	#pragma GCC unroll 8
	for (i = 0; i < ROUNDS; i++) {
		if (deadline_over(word))
			break;
	}
	cost = (double)(deadline_now() - start) / ROUNDS;
	must(i == ROUNDS, "a deadline of one second");
	deadline_slot_cancel(slot);
	return cost;
}

/*
 * The least of several runs is what the code costs; what is above it, others cost:
 * on a machine its neighbours, in a guest under icount the kernel's own threads.
 */
static double least(cost_fn *cost, deadline_slot *slot, unsigned int tries)
{
	double best, next;

	cost(slot);
	best = cost(slot);
	while (--tries) {
		next = cost(slot);
		if (next < best)
			best = next;
	}
	return best;
}

void costs_words_exact(void)
{
	deadline_queue *queue = queue_of(0);
	deadline_slot *slot = slot_of(queue);

	figure("arm + cancel, inline",
	       least(arm_cancel_hot, slot, 5), 30, "instructions");
	figure("arm + cancel, exported",
	       least(arm_cancel_exported, slot, 5), 40, "instructions");
	figure("move to a later time",
	       least(move_later, slot, 5), 17, "instructions");
	figure("over?", least(over, slot, 5), 4, "instructions");
	deadline_slot_free(slot);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

/* In ns, beside two bare swaps in the same run: those we cannot do without */
static void beside_floor(const char *what, cost_fn *bare, cost_fn *ours,
			 deadline_slot *slot, double limit)
{
	double floor = least(bare, slot, 200);
	char name[80];

	snprintf(name, sizeof(name), "two bare swaps, %s", what);
	figure(name, floor, 0, "ns");
	if (limit < 1.25 * floor)
		limit = 1.25 * floor;
	snprintf(name, sizeof(name), "arm + cancel, inline, %s", what);
	figure(name, least(ours, slot, 200), limit, "ns");
}

void costs_words_in_ns(void)
{
	deadline_queue *queue = queue_of(RANDOM);
	deadline_slot *swap;
	uint32_t random = 1;
	unsigned int i, j;

	for (i = 0; i < RANDOM; i++)
		slots[i] = slot_of(queue);
	for (i = RANDOM - 1; i; i--) {
		random = random * 1664525u + 1013904223u;
		j = (random >> 8) % (i + 1);
		swap = slots[i];
		slots[i] = slots[j];
		slots[j] = swap;
	}
	beside_floor("one hot slot", bare_swaps_hot, arm_cancel_hot, slots[0],
		     8);
	beside_floor("65536 slots at random", bare_swaps_random,
		     arm_cancel_random, NULL, 12);
	for (i = 0; i < RANDOM; i++)
		deadline_slot_free(slots[i]);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}
