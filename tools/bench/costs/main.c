// SPDX-License-Identifier: MIT
/*
 * What each operation costs, as TAP: one figure a line, with its limit; what
 * stands beside io_uring, if so asked.
 *
 * In a guest under icount (tools/vm/run --icount -- costs) the kernel serves
 * and a ns is an instruction, so the figures are exact. Without the module the
 * thread backend serves, and only what needs no kernel is measured, in ns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "costs.h"

static const char help[] =
"Usage: costs [first|uring]\n"
"\n"
"Print what each operation costs, as TAP, each with its limit: in instructions\n"
"where the module serves in a guest under icount, else, of the library's thread,\n"
"in ns. With uring: moves and wake-ups beside io_uring's timeouts; with first: a\n"
"number only, of ns that this process' first context takes.\n"
"\n"
"Exits: 0; 1 a figure is above its limit; 2 usage\n";

static unsigned int figures, failures;

/* The limits are those of this kernel; on others everything may take a little longer. */
static const char *series = "6.1";

static double limit_here(double limit)
{
	const char *here = getenv("DEADLINE_ICOUNT");

	return here && strcmp(here, series) != 0 ? 1.25 * limit : limit;
}

void figure(const char *name, double value, double limit, const char *unit)
{
	bool ok;

	limit = limit_here(limit);
	ok = !limit || value <= limit;

	figures++;
	failures += !ok;
	printf("%sok %u - %s: %.*f %s", ok ? "" : "not ", figures, name,
	       value < 100 ? 1 : 0, value, unit);
	if (limit)
		printf(" (at most %.*f)", limit < 2 ? 2 : 0, limit);
	printf("\n");
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t percentile(uint64_t *values, unsigned int n, unsigned int p)
{
	unsigned int at = (uint64_t)n * p / 100;

	qsort(values, n, sizeof(*values), compare);
	return values[at < n ? at : n - 1];
}

void die(const char *what)
{
	fprintf(stderr, "costs: %s failed\n", what);
	exit(1);
}

void *peer_open(const struct peer *peer, unsigned int timers)
{
	void *self = peer->open(timers);

	must(self, peer->name);
	return self;
}

static void all_of_kernel(void)
{
	costs_first();
	costs_words_exact();
	costs_wakeups();
	costs_blocking();
	costs_contexts();
	costs_steady();
	costs_crowds();
	costs_storms();
	costs_relay();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	void (*costs)(void) = costs_words_in_ns;
	deadline_queue *queue;

	if (argc > 2 || (*what && strcmp(what, "first") && strcmp(what, "uring") &&
			 strcmp(what, "--help"))) {
		fprintf(stderr, "costs: '%s' is not measured; see --help\n",
			argv[argc - 1]);
		return 2;
	}
	if (!strcmp(what, "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(what, "first")) {
		costs_first_here();
		return 0;
	}
	queue = queue_of(0);
	if (deadline_queue_backend(queue) == DEADLINE_BACKEND_KERNEL)
		costs = all_of_kernel;
	deadline_queue_close(queue);
	if (!strcmp(what, "uring")) {
		costs = costs_uring;
		series = "6.12";
	}
	printf("TAP version 13\n");
	costs();
	printf("1..%u\n", figures);
	return failures ? 1 : 0;
}
