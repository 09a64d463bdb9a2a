// SPDX-License-Identifier: MIT
/*
 * fork(2): the child has its parent's contexts, which are over, and makes its own from
 * queues of its own. Of executors it has none.
 */
#include "context/context.h"

static void begin(void)
{
	pool_begin();
	hooks_begin();
	executor_begin();
	runners_begin();
}

static __attribute__((constructor)) void take_part(void)
{
	static const struct fork_part part = {
		.lock = pool_lock,
		.unlock = pool_unlock,
		.child = begin,
	};

	fork_take_part(FORK_CONTEXT, &part);
}
