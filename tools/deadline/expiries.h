/* SPDX-License-Identifier: MIT */
/*
 * Expiries, and when each was observed. That is, of an expiry that
 *
 *	- the library delivered or told of (deadline_queue_reap(), deadline_err() and what
 *	  uses them; a worker that answers to its word): when it did, in the thread that
 *	  called it. The library's probes say so;
 *	- nothing said so within a second: when the thread first ran that the expiry woke;
 *	  if it woke none, the one that the last expiry of the queue woke or that took it;
 *	  and if there is none, the first thread of the process that opened the queue.
 *	  A thread that runs at the expiry observes it at once.
 *
 * So what only loads words is known as far as its thread got a CPU. Of a queue from
 * which the library has taken expiries, those that nobody takes within ten seconds
 * are not observed at all.
 */
#ifndef DEADLINE_EXPIRIES_H
#define DEADLINE_EXPIRIES_H

#include "history.h"

enum observed {
	OBSERVED_NEVER,
	OBSERVED_RAN,		/* its thread ran */
	OBSERVED_REAPED,
	OBSERVED_NOTICED,
};

/**
 * struct expiry - one expiry
 * @due: the deadline in CLOCK_MONOTONIC, ns
 * @at: when the word said so
 * @seen: when it was observed; not before @at
 * @deadline, @data: as the slot had them
 * @slack: so much later than @due it may be, ns
 * @queue, @slot: where
 * @owner: the process that opened the queue
 * @cpu: on which it expired
 * @irq: in an interrupt of it
 * @burst: since then the interrupt had others of the queue to expire first
 * @throttled: since then the queue paused; 0 = it did not
 * @thread: who observed it
 * @woken: it was woken for that
 * @how: OBSERVED_*
 * @stack: see EVENT_STACK; empty if it is not known
 */
struct expiry {
	uint64_t due;
	uint64_t at;
	uint64_t seen;
	uint64_t deadline;
	uint64_t data;
	uint64_t slack;
	uint32_t queue;
	uint32_t slot;
	uint32_t owner;
	uint32_t cpu;
	bool irq;
	uint64_t burst;
	uint64_t throttled;
	uint32_t thread;
	bool woken;
	enum observed how;
	char stack[EVENT_TEXT];
	/* Of expiries.c */
	struct expiry *next, **back, *same;
};

/**
 * struct wanted - which expiries are
 * @queue: of this queue only, if @by_queue
 * @data: with this data only, if @by_data
 * @user: of queues to the limits of this user only, if @by_user
 * @root: of queues of this process and its children only; 0 = of all
 */
struct wanted {
	uint32_t queue;
	uint32_t user;
	uint64_t data;
	bool by_queue;
	bool by_data;
	bool by_user;
	uint32_t root;
};

struct expiries;

/* @take gets each expiry that is wanted, observed or not, some time after that. */
struct expiries *expiries_new(const struct wanted *wanted, struct history *history,
			      void (*take)(const struct expiry *, void *), void *arg);
void expiries_free(struct expiries *expiries);

/* The next event; @history gets it as well. */
void expiries_add(struct expiries *expiries, const struct event *event);
/* There are no more. */
void expiries_end(struct expiries *expiries);

/* How many events the kernel told to be lost */
uint64_t expiries_lost(const struct expiries *expiries);

#endif
