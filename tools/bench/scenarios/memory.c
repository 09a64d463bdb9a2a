// SPDX-License-Identifier: MIT
/* What memory an armed timer takes, of the kernel's and of the program's. */
#include <stdlib.h>
#include "bench.h"

static const unsigned int many[] = { 100000, NUMBERS_END };

static void run_memory(struct histogram *result, const struct peer *peer,
		       unsigned int n, unsigned int percent)
{
	uint64_t *when = calloc(n, sizeof(*when));
	unsigned int i;
	long before;
	void *self;

	(void)percent;
	must(when, "calloc");
	for (i = 0; i < n; i++)
		when[i] = deadline_in(1000 * S);
	before = memory_used();
	self = peer_open(peer, n);
	peer->start(self, when, n);
	histogram_add(result, (memory_used() - before) * 1024 / n);
	peer->close(self);
	free(when);
}

static bool can_hold(const struct peer *peer)
{
	return peer->start && peer->update;
}

const struct scenario scenario_memory = {
	.name	 = "memory",
	.what	 = "an armed timer, one of so many",
	.unit	 = "bytes",
	.timers	 = true,
	.numbers = many,
	.scale	 = 1,
	.can	 = can_hold,
	.run	 = run_memory,
};
