/* SPDX-License-Identifier: MIT */
/*
 * A lazy heap, for one thread: to move a timer later, or to cancel it, only stores
 * that; it stays where it lies in the heap, and is put right when it comes to the top
 * and somebody looks. Of the cancelled ones at the top all are taken out then, due or
 * not, as Python's asyncio does: nobody need wake up for them.
 */
#ifndef PEER_LAZY_H
#define PEER_LAZY_H

#include <deadline.h>
#include "heap.h"

#define LAZY_OVER 1ull

/**
 * struct lazy - a timer
 * @node: by which time it lies in the heap, no later than @when; not there: NEVER
 * @when: for when it is armed; NEVER: it is not; LAZY_OVER: it has expired
 */
struct lazy {
	struct node node;
	uint64_t when;
};

static inline void lazy_init(struct lazy *timer)
{
	timer->node.when = DEADLINE_NEVER;
	timer->when = DEADLINE_NEVER;
}

/*
 * Arm or move it. Returns whether lazy_put() has to follow. A signal handler of this
 * thread may look through the heap at any point in here.
 */
static inline bool lazy_set(struct lazy *timer, uint64_t when)
{
	__atomic_store_n(&timer->when, when, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return when < __atomic_load_n(&timer->node.when, __ATOMIC_RELAXED);
}

static inline void lazy_cancel(struct lazy *timer)
{
	__atomic_store_n(&timer->when, DEADLINE_NEVER, __ATOMIC_RELAXED);
}

static inline void lazy_put(struct heap *heap, struct lazy *timer)
{
	timer->node.when = timer->when;
	if (timer->node.at)
		heap_sift(heap, &timer->node, timer->node.at);
	else
		heap_insert(heap, &timer->node);
}

/* When to look again. NEVER: nothing is in the heap. */
static inline uint64_t lazy_first(const struct heap *heap)
{
	return heap->count ? heap->nodes[1]->when : DEADLINE_NEVER;
}

/* Put the top right until it is a timer that is armed for then; how many expired */
static inline unsigned int lazy_look(struct heap *heap, uint64_t now)
{
	unsigned int expired = 0;
	struct lazy *timer;

	while (heap->count) {
		timer = (struct lazy *)heap->nodes[1];
		if (timer->when > now && timer->when == timer->node.when)
			break;
		if (timer->when > now && timer->when != DEADLINE_NEVER) {
			timer->node.when = timer->when;
			heap_sift(heap, &timer->node, 1);
			continue;
		}
		if (timer->when != DEADLINE_NEVER) {
			__atomic_store_n(&timer->when, LAZY_OVER,
					 __ATOMIC_RELEASE);
			expired++;
		}
		heap_take_out(heap, &timer->node);
		timer->node.when = DEADLINE_NEVER;
	}
	return expired;
}

#endif
