// SPDX-License-Identifier: MIT
/* Contexts: made, cancelled and released, alone, below others, and as a tree. */
#include "costs.h"

#define ROUNDS	20000u
#define TREE	10000u
#define AHEAD	(1000 * MS)

static double clock_read(void)
{
	uint64_t start = deadline_now();
	unsigned int i;

	for (i = 0; i < ROUNDS; i++)
		deadline_now();
	return (double)(deadline_now() - start) / ROUNDS;
}

static int make_deadline(deadline_context *parent,
			 deadline_context **ret_context, uint64_t when)
{
	return deadline_with_deadline(parent, 0, ret_context, when);
}

static int make_timeout(deadline_context *parent,
			deadline_context **ret_context, uint64_t when)
{
	(void)when;
	return deadline_with_timeout(parent, 0, ret_context, AHEAD);
}

typedef int make_fn(deadline_context *up, deadline_context **to, uint64_t when);

static inline __attribute__((always_inline))
double rounds(deadline_context *parent, make_fn *make)
{
	uint64_t start = deadline_now();
	deadline_context *context;
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < ROUNDS; i++) {
		if (make(parent, &context, start + AHEAD + i))
			break;
		deadline_cancel(context, 0);
		deadline_release(context);
	}
	must(i == ROUNDS, "making");
	return (double)(deadline_now() - start) / ROUNDS;
}

/* The least of several runs: the kernel's own threads may come into one. */
static double least(deadline_context *parent, make_fn *make)
{
	double best = rounds(parent, make), next;
	int tries;

	for (tries = 0; tries < 5; tries++) {
		next = rounds(parent, make);
		if (next < best)
			best = next;
	}
	return best;
}

/* One cancel that ends them all: @depth below each other, or side by side */
static double tree(bool deep)
{
	static deadline_context *contexts[TREE];
	deadline_context *root, *parent;
	uint64_t start;
	unsigned int i;
	double cost;

	must(!deadline_with_cancel(deadline_background(), &root), "making");
	parent = root;
	for (i = 0; i < TREE; i++) {
		must(!deadline_with_cancel(parent, &contexts[i]), "making");
		if (deep)
			parent = contexts[i];
	}
	start = deadline_now();
	deadline_cancel(root, 0);
	cost = (double)(deadline_now() - start) / TREE;
	for (i = 0; i < TREE; i++) {
		must(deadline_err(contexts[i]) != 0, "being over");
		deadline_release(contexts[i]);
	}
	deadline_release(root);
	return cost;
}

void costs_contexts(void)
{
	deadline_context *parent;
	double bare, clock = clock_read();

	figure("a read of the clock", clock, 0, "instructions");
	bare = least(deadline_background(), make_deadline);
	/* Each reads the clock once, has the deadline passed?, and has two probes: nops. */
	figure("with_deadline + cancel + release", bare, 159 + clock,
	       "instructions");
	figure("with_timeout + cancel + release",
	       least(deadline_background(), make_timeout), 159 + clock,
	       "instructions");
	must(!deadline_with_cancel(deadline_background(), &parent), "making");
	figure("the same below a parent with cancel, in addition",
	       least(parent, make_deadline) - bare, 46, "instructions");
	deadline_release(parent);
	figure("cancel of a flat tree of 10000, each", tree(false), 60,
	       "instructions");
	figure("cancel of a chain of 10000, each", tree(true), 0,
	       "instructions");
}
