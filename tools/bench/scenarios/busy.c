// SPDX-License-Identifier: MIT
/* A task that works, beside threads that compute for ever: see late.c. */
#include <stdlib.h>
#include "bench.h"

#define ROUNDS	32u
#define AHEAD	(2 * MS)

static const unsigned int hogs[] = { 0, 2, 8, NUMBERS_END };

static struct lateness *measure(const struct peer *peer, unsigned int n,
				unsigned int percent)
{
	struct lateness *late = malloc(sizeof(*late));
	void *self;

	must(late, "malloc");
	lateness_calibrate();
	self = peer_open(peer, 1);
	hogs_start(n);
	lateness_measure(late, peer, self, ROUNDS * percent / 100, AHEAD);
	hogs_stop();
	peer->close(self);
	return late;
}

static void run_overrun(struct histogram *result, const struct peer *peer,
			unsigned int n, unsigned int percent)
{
	struct lateness *late = measure(peer, n, percent);

	*result = late->overrun;
	free(late);
}

static void run_late(struct histogram *result, const struct peer *peer,
		     unsigned int n, unsigned int percent)
{
	struct lateness *late = measure(peer, n, percent);

	*result = late->noticed;
	free(late);
}

const struct scenario scenario_overrun = {
	.name	 = "overrun",
	.what	 = "CPU time that a task has after its deadline",
	.numbers = hogs,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_notice,
	.run	 = run_overrun,
};

const struct scenario scenario_late = {
	.name	 = "late",
	.what	 = "a task that works notices, by the wall clock",
	.numbers = hogs,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_notice,
	.run	 = run_late,
};
