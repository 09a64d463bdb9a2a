/* SPDX-License-Identifier: MIT */
/* The thread backend's inside: what kmod/dln.h is to the module. */
#ifndef DEADLINE_THREAD_H
#define DEADLINE_THREAD_H

#include "internal.h"

/* Swaps that one look tries before it puts the slot off, and for how long */
#define LOOK_TRIES	4
#define LOOK_AGAIN	10000

/**
 * struct node - what the server keeps of a slot
 * @key: when the slot will be looked at, while it is in the heap
 * @position: where in the ring it was last posted; 0 = never
 * @place: its place in the heap, 0 while it is not there
 * @pushed: it is on the stack of doorbells; swapped by both sides
 * @below: number + 1 of the slot pushed before it
 */
struct node {
	uint64_t key;
	uint64_t position;
	uint32_t place;
	uint32_t pushed;
	uint32_t below;
};

/**
 * struct server - one thread that serves one queue
 * @queue: which
 * @nodes: one per slot; the thread's alone but for @pushed and @below
 * @heap: slot numbers by key, from place 1; the thread's alone
 * @heaped: how many
 * @tail: next position of the ring; the thread's alone
 * @pushed: number + 1 of the slot pushed last, 0 = none; both sides
 * @popped: the same of those taken off that stack; the thread's alone
 * @rung: how many were pushed; all who push
 * @asleep: 1 while the thread sleeps or is about to; futex; both sides
 * @until: when that will end at the latest, 0 while it does not; the thread writes it
 * @stop: the queue is being closed
 * @watched: somebody looks at the eventfd
 * @raised: the eventfd may be readable; swapped by all
 * @signalled: the thread to which slots flagged SIGNAL send SIGURG
 * @thread: the thread
 */
struct server {
	struct deadline_queue *queue;
	struct node *nodes;
	uint32_t *heap;
	uint32_t heaped;
	uint64_t tail;
	uint32_t pushed;
	uint32_t popped;
	uint32_t rung;
	uint32_t asleep;
	uint64_t until;
	bool stop;
	bool watched;
	bool raised;
	pid_t signalled;
	pthread_t thread;
};

/* look.c; all in the server's thread */
struct node *look_first(const struct server *server);
bool look_due(const struct server *server, const struct node *node,
	      uint64_t now);
uint64_t look_key(const struct deadline_slot *slot, uint64_t due);
void look_enqueue(struct server *server, struct node *node, uint64_t key);
void look_at(struct server *server, uint32_t index, uint64_t now);

/* For the status page: one writer, and no torn reads */
static inline void count(__u64 *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

#endif
