/* SPDX-License-Identifier: MIT */
/* The thread backend's inside: what kmod/dln.h is to the module. */
#ifndef DEADLINE_THREAD_H
#define DEADLINE_THREAD_H

#include "queue/queue.h"

/* Swaps that one look tries before it puts the slot off, and for how long */
#define LOOK_TRIES	4
#define LOOK_AGAIN	10000

/**
 * struct node - what the server keeps of a slot
 * @key: when the slot will be looked at, while it is in the heap
 * @position: where in the ring it was last posted; 0 = never
 * @place: its place in the heap, 0 while it is not there
 */
struct node {
	uint64_t key;
	uint64_t position;
	uint32_t place;
};

/**
 * struct server - one thread that serves one queue
 * @queue: which
 * @nodes: one per slot; the thread's alone
 * @heap: slot numbers by key, from place 1; the thread's alone
 * @heaped: how many
 * @tail: next position of the ring; the thread's alone
 * @inbox: number + 1 of the slot to be planned next, of those taken from the
 *	inbox, 0 = none; the thread's alone
 * @asleep: 1 while the thread sleeps or is about to; futex; both sides
 * @stop: the queue is being closed
 * @watched: somebody looks at the descriptor
 * @raised: the descriptor may be readable; swapped by all
 * @awaited: a thread sleeps on it until the ring is not empty, or is about to; futex;
 *	both sides
 * @signalled: the thread to which slots flagged SIGNAL send a signal
 * @signal: which
 * @thread: the thread
 */
struct server {
	struct deadline_queue *queue;
	struct node *nodes;
	uint32_t *heap;
	uint32_t heaped;
	uint64_t tail;
	uint32_t inbox;
	uint32_t asleep;
	bool stop;
	bool watched;
	bool raised;
	uint32_t awaited;
	pid_t signalled;
	int signal;
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
static inline void count_up(__u64 *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

#endif
