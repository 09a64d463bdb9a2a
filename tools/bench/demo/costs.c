// SPDX-License-Identifier: MIT
/* What an arm and a cancel cost, as nearly all timeouts are cancelled. */
#include <stdio.h>
#include "demo.h"

static const struct {
	const char *name;
	const struct peer *peer;
} rows[] = {
	{ "word: kernel", &peer_deadline },
	{ "word: thread", &peer_deadline_thread },
	{ "  the same, as library calls", &peer_calls },
	{ "flag: timer thread", &peer_thread },
	{ "flag: POSIX signal", &peer_posix },
	{ "timerfd", &peer_timerfd },
#if HAVE_URING
	{ "CQE: io_uring", &peer_uring_defer },
	{ "  the same, batched by 64", &peer_uring_batch },
#endif
};

static void print(const char *name, const struct peer *peer, const char *unit)
{
	struct histogram result = { };
	void *self = peer->open(1);

	printf("%-28s ", name);
	if (!self) {
		printf("    - not here\n");
		return;
	}
	peer->close(self);
	scenario_arm_cancel.run(&result, peer, 1, 100);
	printf("%5.0f %s\n",
	       (double)histogram_at(&result, 50) / scenario_arm_cancel.scale,
	       unit);
	fflush(stdout);
}

void costs_table(bool kernel, bool exact)
{
	const struct peer *other = kernel ? &peer_deadline_thread :
					    &peer_deadline;
	unsigned int i;

	printf("\nTo arm a deadline 1 to 50 ms ahead and cancel it costs%s:\n",
	       exact ? " exactly" : "");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].peer != other)
			print(rows[i].name, rows[i].peer,
			      exact ? "instructions" : "ns");
	}
}
