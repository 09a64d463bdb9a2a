// SPDX-License-Identifier: MIT
/* From the deadline to whoever waits for it: one that sleeps, one that looks. */
#include <stdlib.h>
#include "bench.h"

#define ROUNDS	200u
#define BURSTS	8u
#define AHEAD	MS

static const unsigned int one[] = { 1, NUMBERS_END };
static const unsigned int concurrent[] = { CONCURRENT, NUMBERS_END };
static const unsigned int bursts[] = { 64, 4096, NUMBERS_END };

static bool can_consume(const struct peer *peer)
{
	return peer->take;
}

/* How long ago that was */
static uint64_t since(uint64_t when)
{
	uint64_t now = deadline_now();

	must(now >= when, "being never early");
	return now - when;
}

/* Arm them all, for a time or so much later; returns that time. */
static uint64_t arm_all(const struct peer *peer, void *self, unsigned int n,
			uint64_t (*later)(unsigned int i))
{
	uint64_t first = deadline_in(10 * MS + 20 * US * n);	/* ample */
	uint64_t *when = calloc(n, sizeof(*when));
	unsigned int i;

	must(when, "calloc");
	for (i = 0; i < n; i++)
		when[i] = first + later(i);
	peer->start(self, when, n);
	must(deadline_now() < first, "arming in time");
	free(when);
	return first;
}

static uint64_t at_once(unsigned int unused)
{
	(void)unused;
	return 0;
}

static void run_burst(struct histogram *result, const struct peer *peer,
		      unsigned int n, unsigned int percent)
{
	unsigned int left, round, rounds = BURSTS * percent / 100;
	void *self = peer_open(peer, n);
	uint64_t at, expired;

	for (round = 0; round <= rounds; round++) {
		at = arm_all(peer, self, n, at_once);
		left = n;
		do {
			left -= peer->take(self, &expired);
		} while (left);
		if (round)
			histogram_add(result, since(at) / n);
	}
	peer->close(self);
}

static bool can_burst(const struct peer *peer)
{
	return peer->take && peer != &peer_floor;
}

const struct scenario scenario_burst = {
	.name	 = "burst",
	.what	 = "so many at one instant, until all are consumed, each",
	.timers	 = true,
	.numbers = bursts,
	.scale	 = 1,
	.can	 = can_burst,
	.run	 = run_burst,
};

/* Whichever it was: they are due one after the other, and taken so. */
static void run_concurrent(struct histogram *result, const struct peer *peer,
			   unsigned int n, unsigned int percent)
{
	unsigned int got, due, round;
	void *self = peer_open(peer, n);
	uint64_t first, expired;

	for (round = 0; round <= percent / 100; round++) {
		first = arm_all(peer, self, n, spread_out);
		for (due = 0; due < n;) {
			got = peer->take(self, &expired);
			for (; got; got--, due++)
				histogram_add(result,
					      since(first + due * APART));
		}
	}
	peer->close(self);
}

const struct scenario scenario_concurrent = {
	.name	 = "concurrent",
	.what	 = "one of so many due in 99 ms, until it is consumed",
	.timers	 = true,
	.numbers = concurrent,
	.scale	 = 1,
	.spread	 = true,
	.can	 = can_burst,
	.run	 = run_concurrent,
};

static void run_wake(struct histogram *result, const struct peer *peer,
		     unsigned int n, unsigned int percent)
{
	void *self = peer_open(peer, n);
	uint64_t when, expired;
	unsigned int i;

	for (i = 0; i < ROUNDS * percent / 100; i++) {
		when = deadline_in(AHEAD) & ~15ull;
		peer->start(self, &when, 1);
		peer->take(self, &expired);
		histogram_add(result, since(when));
	}
	peer->close(self);
}

const struct scenario scenario_wake = {
	.name	 = "wake",
	.what	 = "a sleeping thread runs again, after the deadline",
	.numbers = one,
	.scale	 = 1,
	.spread	 = true,
	.can	 = can_consume,
	.run	 = run_wake,
};

/* Returns when it was noticed, and by @ret_expired when it was found due. */
static uint64_t spin(const struct peer *peer, void *self, uint64_t when,
		     uint64_t *ret_expired)
{
	uint64_t now;

	peer->start(self, &when, 1);
	while (!peer->over(self, 1))
		;
	now = deadline_now();
	if (peer->take)
		peer->take(self, ret_expired);
	return now;
}

static void run_noticed(struct histogram *result, const struct peer *peer,
			unsigned int n, unsigned int percent)
{
	void *self = peer_open(peer, n);
	uint64_t when, now, expired;
	unsigned int i;

	for (i = 0; i < ROUNDS * percent / 100; i++) {
		when = deadline_in(AHEAD) & ~15ull;
		now = spin(peer, self, when, &expired);
		histogram_add(result, now > when ? now - when : 0);
	}
	peer->close(self);
}

const struct scenario scenario_noticed = {
	.name	 = "noticed",
	.what	 = "a thread that only looks sees it, after the deadline",
	.numbers = one,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_notice,
	.run	 = run_noticed,
};

static void run_stamp(struct histogram *result, const struct peer *peer,
		      unsigned int n, unsigned int percent)
{
	void *self = peer_open(peer, n);
	uint64_t when, expired = 0;
	unsigned int i;

	for (i = 0; i < ROUNDS * percent / 100; i++) {
		when = deadline_in(AHEAD) & ~15ull;
		spin(peer, self, when, &expired);
		must(expired >= when, "being never early");
		histogram_add(result, expired - when);
	}
	peer->close(self);
}

const struct scenario scenario_stamp = {
	.name	 = "stamp",
	.what	 = "it is found due, after the deadline",
	.numbers = one,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_stamp,
	.run	 = run_stamp,
};
