// SPDX-License-Identifier: MIT
/* The library's contexts, on queues that the kernel serves where it can. */
#include <stdlib.h>
#include <string.h>
#include "../scenarios/bench.h"

#define BLOCKS 16u
#define WARM_UP 2u

static void pairs(struct histogram *result, deadline_context *parent,
		  unsigned int percent)
{
	unsigned int i, done;
	deadline_context *context;
	uint64_t start;

	for (done = 0; done < WARM_UP + BLOCKS * percent / 100; done++) {
		start = deadline_now();
		for (i = 0; i < BLOCK; i++) {
			must(!deadline_with_timeout(parent, 0, &context,
						    ahead(i)),
			     "deadline_with_timeout");
			deadline_cancel(context, 0);
			deadline_release(context);
		}
		if (done >= WARM_UP)
			histogram_add(result, deadline_now() - start);
	}
}

static void nested(struct histogram *result, unsigned int percent)
{
	deadline_context *parent;

	must(!deadline_with_cancel(deadline_background(), &parent),
	     "deadline_with_cancel");
	pairs(result, parent, percent);
	deadline_release(parent);
}

static void over(struct histogram *result, unsigned int percent)
{
	deadline_context *context;
	unsigned int i, done;
	uint64_t start;

	must(!deadline_with_timeout(deadline_background(), 0, &context,
				    1000 * S), "deadline_with_timeout");
	for (done = 0; done < WARM_UP + BLOCKS * percent / 100; done++) {
		start = deadline_now();
		for (i = 0; i < BLOCK; i++)
			must(!deadline_err(context), "a context far away");
		if (done >= WARM_UP)
			histogram_add(result, deadline_now() - start);
	}
	deadline_release(context);
}

/* Returns what the cancel took. */
static uint64_t cancel_tree(deadline_context **children, unsigned int n)
{
	deadline_context *root;
	uint64_t took;
	unsigned int i;

	must(!deadline_with_cancel(deadline_background(), &root),
	     "deadline_with_cancel");
	for (i = 0; i < n; i++)
		must(!deadline_with_cancel(root, &children[i]),
		     "deadline_with_cancel");
	took = deadline_now();
	deadline_cancel(root, 0);
	took = deadline_now() - took;
	for (i = 0; i < n; i++) {
		must(deadline_err(children[i]), "being over");
		deadline_release(children[i]);
	}
	deadline_release(root);
	return took;
}

static void tree(struct histogram *result, unsigned int n, unsigned int percent)
{
	deadline_context **children = calloc(n, sizeof(deadline_context *));
	unsigned int i;
	uint64_t took;

	must(children, "calloc");
	for (i = 0; i < 1 + BLOCKS * percent / 100; i++) {
		took = cancel_tree(children, n);
		if (i)
			histogram_add(result, took * BLOCK / n);
	}
	free(children);
}

static bool measure(struct histogram *result, const struct scenario *scenario,
		    unsigned int n, unsigned int percent)
{
	if (scenario == &scenario_context)
		pairs(result, deadline_background(), percent);
	else if (scenario == &scenario_nested)
		nested(result, percent);
	else if (scenario == &scenario_over)
		over(result, percent);
	else if (scenario == &scenario_parent)
		parent_measure(result, n, percent);
	else
		tree(result, n, percent);
	return true;
}

const struct peer peer_context = {
	.name		= "deadline-context",
	.use		= "contexts, asked by deadline_err()",
	.version	= deadline_version,
	.most		= 1000000,
	.measure	= measure,
	.measures	= " over context nested tree parent ",
};
