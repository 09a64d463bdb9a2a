/* SPDX-License-Identifier: MIT */
/*
 * What magazine.c and leaks.c know of pools: queues of the library's own, each with an
 * array of contexts beside its slots, entry for entry.
 */
#ifndef DEADLINE_POOL_H
#define DEADLINE_POOL_H

#include "context/context.h"

/**
 * struct pool - one queue and its contexts
 * @queue: the slots
 * @contexts: entry i has slot i, if i is less than @used
 * @used: how many were ever taken
 * @free: how many of those are in @lists
 * @number: its place in the table, by which its contexts know it
 * @holds: hooks that may look at a context of it to which nobody has a reference;
 *	changed without the mutex
 * @dispatched: a thread sees its expiries
 * @closing: that thread is to close it; read by it without the mutex
 * @told: and who told it so has left the pool's queue
 * @lists: what is free and in no thread's magazine
 */
struct pool {
	struct deadline_queue *queue;
	struct deadline_context *contexts;
	uint32_t used;
	uint32_t free;
	uint32_t number;
	uint32_t holds;
	bool dispatched;
	bool closing;
	bool told;
	struct list lists[CLASSES];
};

void pools_lock(void);
void pools_unlock(void);

/* All with the pools locked. Up to @n free ones of the class, of the oldest pools */
void pools_take(struct list *list, uint32_t class, uint32_t n);
/*
 * Where there is no free one of the class: one that was never used, or one of another
 * class, of which then more go to @list. 0 or -errno
 */
int pools_more(struct list *list, uint32_t class,
	       struct deadline_context **ret_context);
void pools_put(struct deadline_context *context);
/* Could the process do without the pool of this one? */
bool pools_unwanted(const struct deadline_context *context);
/* The next one in the table, the first for NULL; NULL if there is none */
struct pool *pools_next(const struct pool *pool);

/* Not locked: give back to the system what the process can do without. Was there any? */
bool pools_trim(void);

/* leaks.c: for a fork; the last one in the child */
void leaks_fork_lock(void);
void leaks_fork_unlock(void);
void leaks_begin(void);

#endif
