/* SPDX-License-Identifier: MIT */
/* The binary heap of the peers that keep their timers in one. */
#ifndef PEER_HEAP_H
#define PEER_HEAP_H

#include <stdint.h>
#include <stdlib.h>

/**
 * struct node - what lies in a heap, in a timer
 * @when: ns
 * @at: its place, from 1; 0: it is not there
 */
struct node {
	uint64_t when;
	unsigned int at;
};

/**
 * struct heap - nodes in their order
 * @count: how many
 * @nodes: [1] is the first to be due
 */
struct heap {
	unsigned int count;
	struct node **nodes;
};

static inline void heap_put(struct heap *heap, struct node *node,
			    unsigned int at)
{
	heap->nodes[at] = node;
	node->at = at;
}

/* Where @node may go to from the hole at @at. */
static inline void heap_sift(struct heap *heap, struct node *node,
			     unsigned int at)
{
	struct node **nodes = heap->nodes;
	unsigned int next;

	for (; at > 1 && node->when < nodes[at / 2]->when; at /= 2)
		heap_put(heap, nodes[at / 2], at);
	for (; (next = 2 * at) <= heap->count; at = next) {
		if (next < heap->count &&
		    nodes[next + 1]->when < nodes[next]->when)
			next++;
		if (node->when <= nodes[next]->when)
			break;
		heap_put(heap, nodes[next], at);
	}
	heap_put(heap, node, at);
}

static inline void heap_insert(struct heap *heap, struct node *node)
{
	heap->count++;
	heap_sift(heap, node, heap->count);
}

static inline void heap_take_out(struct heap *heap, struct node *node)
{
	struct node *last = heap->nodes[heap->count--];

	if (last != node)
		heap_sift(heap, last, node->at);
	node->at = 0;
}

#endif
