// SPDX-License-Identifier: MIT
/* What an arm and a cancel cost, as nearly all timeouts are cancelled. */
#include <stdio.h>
#include "demo.h"

uint64_t ahead[BLOCK];

/* What the loop costs without the pair */
static inline void nothing(void *unused, uint64_t base, const uint64_t *more)
{
	(void)unused;
	__asm__ volatile("" : : "r"(base + *more));
}

static double loop;
static const char *unit;

static void row(const char *name, double cost)
{
	if (!cost)
		printf("%-28s     - not here\n", name);
	else
		printf("%-28s %5.0f %s\n", name, cost - loop, unit);
	fflush(stdout);
}

/* All the multiples of 1/256 of 49 ms, in some order */
static void set_ahead(void)
{
	unsigned int i;

	for (i = 0; i < BLOCK; i++)
		ahead[i] = MS + 49 * MS / BLOCK * (i * 97 % BLOCK);
}

void costs_table(bool kernel, bool exact)
{
	int backend = kernel ? DEADLINE_BACKEND_KERNEL :
			       DEADLINE_BACKEND_THREAD;

	unit = exact ? "instructions" : "ns";
	set_ahead();
	loop = cost_of(nothing, NULL, 1u << 20, 1);
	printf("\nTo arm a deadline 1 to 50 ms ahead and cancel it costs%s:\n",
	       exact ? " exactly" : "");
	row(kernel ? "word: kernel" : "word: thread",
	    cost_word_inline(backend));
	row("  the same, as library calls", cost_word_exported(backend));
	row("flag: timer thread", cost_flag());
	row("flag: POSIX signal", cost_posix());
	row("timerfd", cost_timerfd());
#if HAVE_URING
	row("CQE: io_uring", cost_uring_single());
	row("  the same, batched by 64", cost_uring_batched());
#endif
}
