// SPDX-License-Identifier: MIT
/* Many deadlines in one queue: bursts, batches, big trees, memory. */
#include <deadline_inline.h>
#include "costs.h"

#define BURST	4096u
#define STORM	65536u
#define SMALL	4096u
#define BIG	1000000u
#define BATCH	128u
#define BATCHES	64u
#define MOVES	4096u

/* Of random32() */
static uint64_t order = 1;

static deadline_slot *slots[BIG + BATCH * BATCHES];

static void alloc_slots(deadline_queue *queue, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		slots[i] = slot_of(queue);
}

static void free_slots(deadline_queue *queue, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		deadline_slot_free(slots[i]);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

/* All at one instant, claimed one by one */
static void burst(void)
{
	deadline_queue *queue = queue_of(BURST);
	struct deadline_record records[64];
	unsigned int n, round, got;
	uint64_t when, cost[5];

	alloc_slots(queue, BURST);
	for (round = 0; round < 5; round++) {
		when = deadline_in(10 * MS);
		arm_all(slots, BURST, when);
		must(deadline_now() < when, "arming in time");
		while (deadline_now() < when)
			;
		for (n = 0; n < BURST; n += got)
			got = deadline_queue_reap(queue, records, 64);
		cost[round] = (deadline_now() - when) / BURST;
	}
	figure("burst of 4096, each claimed", percentile(cost, 5, 50), 220,
	       "instructions");
	free_slots(queue, BURST);
}

/* The longest that a running thread is kept from running, in a storm */
static uint64_t longest_in_storm(deadline_queue *queue)
{
	uint64_t when = deadline_in(200 * MS), last, now, longest = 0, before;
	struct deadline_stats stats;

	must(!deadline_queue_stats(queue, &stats), "stats");
	before = stats.expired;
	arm_all(slots, STORM, when);
	last = deadline_now();
	must(last < when, "arming in time");
	do {
		now = deadline_now();
		if (now - last > longest)
			longest = now - last;
		last = now;
		must(!deadline_queue_stats(queue, &stats), "stats");
	} while (stats.expired < before + STORM);
	return longest;
}

static void interrupts_off(void)
{
	deadline_queue *queue = queue_of(STORM);
	uint64_t longest, least = UINT64_MAX;
	struct deadline_record records[64];
	unsigned int round;

	alloc_slots(queue, STORM);
	/* The kernel's own threads may come into one of them. */
	for (round = 0; round < 3; round++) {
		longest = longest_in_storm(queue);
		if (longest < least)
			least = longest;
		while (deadline_queue_reap(queue, records, 64))
			;
	}
	figure("longest interrupt, 65536 due at one instant", least, 50000,
	       "instructions");
	free_slots(queue, STORM);
}

static void memory(void)
{
	long before = memory_used();
	deadline_queue *queue = queue_of(BIG);

	figure("memory per slot of 1000000, kernel and mappings",
	       (memory_used() - before) * 1024.0 / BIG, 120, "bytes");
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

/* Some time in the far future, over ten seconds */
static uint64_t far(uint64_t base)
{
	return base + 20000 * MS + random32(&order) * 10000ull * MS / UINT32_MAX;
}

/* Move as many of the first @n, each to half its time from @base on. Returns how long. */
static uint64_t move_batch(unsigned int n, uint64_t base)
{
	deadline_slot *batch[BATCH];
	uint64_t whens[BATCH], start;
	unsigned int i, at = random32(&order);

	for (i = 0; i < BATCH; i++) {
		/* A stride that has no factor in common with @n */
		at = (at + 61) % n;
		batch[i] = slots[at];
		whens[i] = (__atomic_load_n(&batch[i]->queued, __ATOMIC_RELAXED) +
			    base) / 2;
	}
	start = deadline_now();
	for (i = 0; i < BATCH; i++)
		must(deadline_slot_move(batch[i], whens[i]) == 1, "move");
	return deadline_now() - start;
}

static uint64_t tree(unsigned int n, const char *batch_name,
		     double batch_limit)
{
	deadline_queue *queue = queue_of(n + BATCH * BATCHES);
	static uint64_t whens[BATCH * BATCHES];
	uint64_t start, base = deadline_now(), sum = 0;
	unsigned int i, moved = 0;

	alloc_slots(queue, n + BATCH * BATCHES);
	for (i = 0; i < n; i++)
		deadline_slot_arm(slots[i], 0, far(base));

	/* Those of a batch are for one time. */
	for (i = 0; i < BATCH * BATCHES; i++)
		whens[i] = i % BATCH ? whens[i - 1] : far(base);
	start = deadline_now();
	for (i = 0; i < BATCH * BATCHES; i += BATCH)
		must(!deadline_slot_arm_many(&slots[n + i], &whens[i], BATCH),
		     "arm_many");
	figure(batch_name,
	       (double)(deadline_now() - start) / BATCHES / BATCH, batch_limit,
	       "instructions");

	for (; moved < MOVES; moved += BATCH)
		sum += move_batch(n, base);
	must(deadline_now() < base + 10000 * MS, "being in time");
	free_slots(queue, n + BATCH * BATCHES);
	return sum / moved;
}

void costs_crowds(void)
{
	uint64_t small, big;

	memory();
	burst();
	interrupts_off();
	small = tree(SMALL, "new slots in batches of 128, among 4096", 320);
	big = tree(BIG, "new slots in batches of 128, among 1000000", 400);
	figure("move to an earlier time, among 4096", small, 420,
	       "instructions");
	figure("move to an earlier time, among 1000000", big, 1.2 * small,
	       "instructions");
}
