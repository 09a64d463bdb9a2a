// SPDX-License-Identifier: MIT
/* What arming costs in all, with the doorbells and the interrupts that follow. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <deadline_inline.h>
#include "costs.h"

#define RUN	(200 * MS)
#define ROUNDS	1000u
#define NEW	16384u

/* What a read of the clock takes */
static uint64_t clock_cost(void)
{
	uint64_t cost[ROUNDS], from;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		from = deadline_now();
		cost[i] = deadline_now() - from;
	}
	return percentile(cost, ROUNDS, 50);
}

static void steady(unsigned int n, uint64_t timeout, double limit)
{
	void *self = peer_open(&peer_deadline, n);
	double bare = steady_bare(&peer_deadline, self, n, RUN / 2);
	char name[80];
	double with;

	/* At least twice the timeout, until it is as it goes on */
	steady_turns(&peer_deadline, self, n, timeout, 2 * timeout);
	with = steady_turns(&peer_deadline, self, n, timeout,
			    timeout > RUN / 4 ? 4 * timeout : RUN);
	snprintf(name, sizeof(name),
		 "steady state: %u timers of %g ms, arm + cancel", n,
		 timeout / 1e6);
	figure(name, with - bare, limit, "instructions");
	peer_deadline.close(self);
}

/*
 * Arm each for some time within a second from @base, or do not. How long each took, on
 * average, with its two reads of the clock
 */
static double arm_each(deadline_slot **slots, unsigned int n, uint64_t base,
		       uint64_t *cost, bool arm)
{
	uint64_t start = deadline_now(), seed = 1, from, when;
	unsigned int i;

	for (i = 0; i < n; i++) {
		when = base + random32(&seed) % 1000000000;
		/* Now, not between the clocks */
		__asm__ volatile("" : "+r"(when));
		from = deadline_now();
		if (arm)
			deadline_slot_arm(slots[i], 0, when);
		cost[i] = deadline_now() - from;
	}
	return (double)(deadline_now() - start) / n;
}

/* Slots never armed before, of which none is the next to expire */
static void arm_new(unsigned int among, double call_limit, double all_limit)
{
	deadline_queue *queue = queue_of(among + NEW);
	deadline_slot **slots = calloc(among + NEW, sizeof(*slots));
	uint64_t *cost = calloc(among + 2 * NEW, sizeof(*cost));
	uint64_t base = deadline_now() + 3000000 * MS;
	double bare, all;
	char name[64];
	unsigned int i;

	must(slots && cost, "calloc");
	for (i = 0; i < among + NEW; i++)
		slots[i] = slot_of(queue);
	deadline_slot_arm(slots[0], 0, base - MS);
	arm_each(slots + 1, among - 1, base, cost, true);
	all = arm_each(slots + among, NEW, base, cost, true);
	bare = arm_each(slots + among, NEW, base, cost + NEW, false);
	snprintf(name, sizeof(name), "arm of a new slot among %u, the call", among);
	figure(name, percentile(cost, NEW, 50) - clock_cost(), call_limit,
	       "instructions");
	snprintf(name, sizeof(name), "arm of a new slot among %u, all in", among);
	figure(name, all - bare, all_limit, "instructions");
	for (i = 0; i < among + NEW; i++)
		deadline_slot_free(slots[i]);
	must(!deadline_queue_close(queue), "deadline_queue_close");
	free(slots);
	free(cost);
}

/* Of a slot that has expired, before an interrupt that comes anyway */
static void arm_after_expiry(double limit)
{
	deadline_queue *queue = queue_of(2);
	deadline_slot *slot = slot_of(queue), *ticker = slot_of(queue);
	uint64_t cost[ROUNDS], from, when;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		when = deadline_in(50 * US);
		deadline_slot_arm(ticker, 0, when - 30 * US);
		from = deadline_now();
		deadline_slot_arm(slot, 0, when);
		cost[i] = deadline_now() - from;
		while (!deadline_over(deadline_slot_word(slot)))
			;
	}
	figure("arm after an expiry, not the next", percentile(cost, ROUNDS, 50) -
	       clock_cost(), limit, "instructions");
	deadline_slot_free(slot);
	deadline_slot_free(ticker);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

void costs_steady(void)
{
	steady(10000, 10 * MS, 200);
	steady(10000, MS, 200);
	steady(10000, 100 * MS, 190);
	steady(100, 10 * MS, 100);
	steady(1, 10 * MS, 62);
	arm_new(4096, 60, 340);
	arm_new(1000000, 60, 360);
	arm_after_expiry(60);
}
