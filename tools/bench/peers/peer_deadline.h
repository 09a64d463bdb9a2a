/* SPDX-License-Identifier: MIT */
/* What the peers that are this library share. */
#ifndef PEER_DEADLINE_H
#define PEER_DEADLINE_H

#include "../scenarios/bench.h"

/**
 * struct slots - a queue, and so many slots of it
 */
struct slots {
	deadline_queue *queue;
	unsigned int count;
	struct deadline_slot *slots[];
};

void *slots_open(int backend, unsigned int timers);
void slots_close(void *self);

/* Inline where deadline_inline.h is included */
static inline void slots_arm_cancel(void *self, unsigned int at,
				    const uint64_t *when, unsigned int n)
{
	deadline_slot *slot = ((struct slots *)self)->slots[at];
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < n; i++) {
		deadline_slot_arm(slot, 0, when[i]);
		deadline_slot_cancel(slot);
	}
}

#endif
