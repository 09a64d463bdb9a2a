// SPDX-License-Identifier: MIT
/* From the deadline to whoever waits for it: one that sleeps, one that looks. */
#include <stdlib.h>
#include "bench.h"

#define ROUNDS	200u
#define BURSTS	8u
#define AHEAD	MS

static const unsigned int one[] = { 1, NUMBERS_END };
static const unsigned int bursts[] = { 64, 4096, NUMBERS_END };

static bool can_consume(const struct peer *peer)
{
	return peer->consume;
}

/* How long ago that was */
static uint64_t since(uint64_t when)
{
	uint64_t now = deadline_now();

	must(now >= when, "being never early");
	return now - when;
}

static void run_burst(struct histogram *result, const struct peer *peer,
		      unsigned int n, unsigned int percent)
{
	unsigned int round, i, rounds = BURSTS * percent / 100;
	uint64_t *when = calloc(n, sizeof(*when)), at;
	void *self = peer_open(peer, n);

	must(when, "calloc");
	for (round = 0; round <= rounds; round++) {
		/* Ample to arm them all */
		at = deadline_in(10 * MS + 20 * US * n);
		for (i = 0; i < n; i++)
			when[i] = at;
		peer->start(self, when, n);
		must(deadline_now() < at, "arming in time");
		peer->consume(self, n);
		if (round)
			histogram_add(result, since(at) / n);
	}
	peer->close(self);
	free(when);
}

static bool can_burst(const struct peer *peer)
{
	return peer->consume && peer != &peer_floor;
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

static void run_wake(struct histogram *result, const struct peer *peer,
		     unsigned int n, unsigned int percent)
{
	void *self = peer_open(peer, n);
	unsigned int i;
	uint64_t when;

	for (i = 0; i < ROUNDS * percent / 100; i++) {
		when = deadline_in(AHEAD) & ~15ull;
		peer->start(self, &when, 1);
		peer->consume(self, 1);
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
	*ret_expired = peer->consume(self, 1);
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
	uint64_t when, expired;
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
