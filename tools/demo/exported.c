// SPDX-License-Identifier: MIT
/* As word.c's cost, through the functions that the library exports. */
#include "demo.h"

static inline void pair(void *slot, uint64_t base, const uint64_t *more)
{
	deadline_slot_arm(slot, 0, base + *more);
	deadline_slot_cancel(slot);
}

double cost_word_exported(int backend)
{
	struct deadline_options options = { .slots = 64, .backend = backend };
	deadline_queue *queue;
	deadline_slot *slot;
	double cost;

	if (deadline_queue_open(&queue, &options))
		return 0;
	must(!deadline_slot_alloc(queue, 0, &slot), "deadline_slot_alloc");
	cost = cost_of(pair, slot, 1u << 20, 1);
	deadline_slot_free(slot);
	must(!deadline_queue_close(queue), "deadline_queue_close");
	return cost;
}
