// SPDX-License-Identifier: MIT
/*
 * Contexts, made with a timeout and cancelled, alone or below another; a tree of
 * them ended. The peers that have any measure it themselves.
 */
#include "bench.h"

static const unsigned int one[] = { 1, NUMBERS_END };
static const unsigned int children[] = { 10, 10000, NUMBERS_END };

const struct scenario scenario_context = {
	.name	 = "context",
	.what	 = "make a context with a timeout, cancel and release it",
	.numbers = one,
	.scale	 = BLOCK,
};

const struct scenario scenario_nested = {
	.name	 = "nested",
	.what	 = "the same below a parent that can be cancelled",
	.numbers = one,
	.scale	 = BLOCK,
};

const struct scenario scenario_tree = {
	.name	 = "tree",
	.what	 = "one cancel of so many children, each",
	.timers	 = true,
	.numbers = children,
	.scale	 = BLOCK,
};
