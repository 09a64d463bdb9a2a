// SPDX-License-Identifier: MIT
/*
 * What arming costs in all, with the system calls, interrupts and signals that follow.
 *
 * A steady state is a number of timers of which each is armed in its turn for the
 * same timeout and cancelled, with some work between: the time that such a loop takes
 * beyond one that only works and reads the clock. A peer whose own loop keeps the time
 * looks in each turn for what is due; if that asks for events, so does the loop without
 * timers.
 */
#include "bench.h"

#define WORK	500u	/* turns of two instructions */
#define ROUNDS	4u
#define LEAST	(20 * MS)

static const unsigned int numbers[] = { 1, 100, 10000, NUMBERS_END };

static void work(void)
{
	unsigned int i;

	for (i = 0; i < WORK; i++)
		__asm__ volatile("");
}

/* With constants for the last three, so that a turn has nothing in it that is not asked */
static inline __attribute__((__always_inline__))
double turns(const struct peer *peer, void *self, unsigned int n,
	     uint64_t timeout, uint64_t run, bool arms, bool looks, bool asks)
{
	uint64_t start = deadline_now(), now = start, when;
	unsigned int at = 0, ops = 0;

	while (now < start + run) {
		now = deadline_now();
		when = now + timeout;
		if (arms)
			peer->arm_cancel(self, at, &when, 1);
		else	/* As much is to be reckoned. */
			__asm__ volatile("" : : "r"(at), "m"(when));
		if (looks)
			peer->turn(self, now);
		if (asks)
			peer->anyway(self);
		at = at + 1 < n ? at + 1 : 0;
		ops++;
		work();
	}
	return (double)(now - start) / ops;
}

double steady_turns(const struct peer *peer, void *self, unsigned int n,
		    uint64_t timeout, uint64_t run)
{
	if (peer->turn)
		return turns(peer, self, n, timeout, run, true, true, false);
	return turns(peer, self, n, timeout, run, true, false, false);
}

double steady_bare(const struct peer *peer, void *self, unsigned int n,
		   uint64_t run)
{
	if (peer->anyway)
		return turns(peer, self, n, MS, run, false, false, true);
	return turns(peer, self, n, MS, run, false, false, false);
}

/*
 * The least of a few, as others may run on this machine; so short that there is one
 * without a tick of the kernel's, which costs all peers the same
 */
static double bare_turns(const struct peer *peer, void *self, unsigned int n)
{
	double least = 1e9, took;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		took = steady_bare(peer, self, n, 2 * MS);
		if (least > took)
			least = took;
	}
	return least;
}

static void run_steady(struct histogram *result, const struct peer *peer,
		       unsigned int n, unsigned int percent, uint64_t timeout)
{
	uint64_t run = timeout > LEAST ? timeout : LEAST;
	void *self = peer_open(peer, n);
	double bare = bare_turns(peer, self, n), with;
	unsigned int i;

	/* Twice the timeout, until it is as it goes on */
	steady_turns(peer, self, n, timeout, 2 * timeout);
	for (i = 0; i < ROUNDS * percent / 100; i++) {
		with = steady_turns(peer, self, n, timeout, run);
		histogram_add(result, with > bare ? (with - bare) * BLOCK : 0);
	}
	peer->close(self);
}

static void run_1ms(struct histogram *result, const struct peer *peer,
		    unsigned int n, unsigned int percent)
{
	run_steady(result, peer, n, percent, MS);
}

static void run_10ms(struct histogram *result, const struct peer *peer,
		     unsigned int n, unsigned int percent)
{
	run_steady(result, peer, n, percent, 10 * MS);
}

static void run_100ms(struct histogram *result, const struct peer *peer,
		      unsigned int n, unsigned int percent)
{
	run_steady(result, peer, n, percent, 100 * MS);
}

static bool can_steady(const struct peer *peer)
{
	return peer->steady;
}

#define STEADY(timeout) {						\
	.name	 = "steady-" #timeout,					\
	.what	 = "arm each of so many for " #timeout " and cancel it, all in", \
	.timers	 = true,						\
	.numbers = numbers,						\
	.scale	 = BLOCK,						\
	.can	 = can_steady,						\
	.run	 = run_##timeout,					\
}

const struct scenario scenario_steady[3] = {
	STEADY(1ms), STEADY(10ms), STEADY(100ms),
};
