// SPDX-License-Identifier: MIT
/*
 * The look of the thread backend: kmod/expire.c and __dln_post() line by line,
 * over a binary heap in place of the tree. There stand the diagrams too. A look that
 * loses every swap is put off here: nothing bounds how long this thread goes on.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "thread.h"

static void put(struct server *server, uint32_t place, uint32_t index)
{
	server->heap[place] = index;
	server->nodes[index].place = place;
}

static uint64_t key_at(const struct server *server, uint32_t place)
{
	return server->nodes[server->heap[place]].key;
}

/* The slot at @place has a new key: bring it to where that belongs. */
static void settle(struct server *server, uint32_t place)
{
	uint32_t index = server->heap[place], below;
	uint64_t key = server->nodes[index].key;

	while (place > 1 && key < key_at(server, place / 2)) {
		put(server, place, server->heap[place / 2]);
		place /= 2;
	}
	for (;;) {
		below = 2 * place;
		if (below < server->heaped &&
		    key_at(server, below + 1) < key_at(server, below))
			below++;
		if (below > server->heaped || key <= key_at(server, below))
			break;
		put(server, place, server->heap[below]);
		place = below;
	}
	put(server, place, index);
}

static void dequeue(struct server *server, struct node *node)
{
	uint32_t place = node->place;
	uint32_t last = server->heap[server->heaped--];

	node->place = 0;
	if (place > server->heaped)
		return;
	put(server, place, last);
	settle(server, place);
}

struct node *look_first(const struct server *server)
{
	return server->heaped ? &server->nodes[server->heap[1]] : NULL;
}

uint64_t look_key(const struct deadline_slot *slot, uint64_t due)
{
	uint64_t key = due + (__atomic_load_n(&slot->slack, __ATOMIC_RELAXED) &
			      ~DEADLINE_WORD_STATE);

	return key < due ? due : key;
}

bool look_due(const struct server *server, const struct node *node,
	      uint64_t now)
{
	const struct deadline_slot *slot =
		&server->queue->slots[node - server->nodes];
	__u64 word;

	if (node->key <= now)
		return true;
	/* It may have slack left, but since we are here ... */
	word = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);
	return word & DEADLINE_WORD_ARMED &&
	       (word & ~DEADLINE_WORD_STATE) <= now;
}

void look_enqueue(struct server *server, struct node *node, uint64_t key)
{
	uint32_t index = node - server->nodes;

	node->key = key;
	if (!node->place)
		put(server, ++server->heaped, index);
	settle(server, node->place);
	__atomic_store_n(&server->queue->slots[index].queued, key,
			 __ATOMIC_SEQ_CST);
}

/* Called right after the swap to EXPIRED, a full barrier: [post]. */
static void post(struct server *server, uint32_t index)
{
	struct deadline_queue *queue = server->queue;
	struct node *node = &server->nodes[index];
	uint64_t tail = server->tail;
	uint64_t head;

	head = __atomic_load_n(&queue->header->head, __ATOMIC_SEQ_CST);
	if (node->position - head < tail - head)
		return;
	__atomic_store_n(&queue->ring[tail & (queue->ring_size - 1)].slot,
			 index, __ATOMIC_RELAXED);
	node->position = tail;
	server->tail = tail + 1;
	/* Pairs with the consumers' acquire: who sees tail sees the entry. */
	__atomic_store_n(&queue->status->tail, tail + 1, __ATOMIC_SEQ_CST);
}

static bool swap(struct deadline_slot *slot, __u64 *word, __u64 to)
{
	return __atomic_compare_exchange_n(&slot->word, word, to, 0,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void stamp(struct deadline_slot *slot, uint64_t now, uint64_t overruns)
{
	__atomic_store_n(&slot->expired_at, now, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->overruns,
			 overruns < INT_MAX ? overruns : INT_MAX,
			 __ATOMIC_RELAXED);
}

static bool repeat(struct server *server, uint32_t index, __u64 word,
		   uint64_t now)
{
	struct deadline_slot *slot = &server->queue->slots[index];
	struct node *node = &server->nodes[index];
	bool pending = (word & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) ==
		       DEADLINE_WORD_EXPIRED;
	uint64_t exact = word & ~DEADLINE_WORD_STATE;
	uint32_t rounded = exact - slot->phase;
	uint64_t period = __atomic_load_n(&slot->period, __ATOMIC_RELAXED);
	uint64_t expired_at = slot->expired_at, before = slot->overruns;
	uint64_t passed, next, due;

	/* Else the phase is of a deadline before the slot was armed or moved. */
	if (exact && rounded < DEADLINE_GRAIN)
		exact -= rounded;

	if (pending) {
		if (!swap(slot, &word, word | DEADLINE_WORD_TAKEN))
			return false;
		word |= DEADLINE_WORD_TAKEN;
	}

	/* The owner may have cancelled it and be about to change this. */
	if (period < server->queue->period_min)
		period = server->queue->period_min;
	passed = (now - exact) / period;
	next = exact + (passed + 1) * period;
	due = (next + DEADLINE_GRAIN - 1) & ~DEADLINE_WORD_STATE;
	if (next > INT64_MAX || next < exact)
		due = DEADLINE_TIME_NEVER;
	stamp(slot, now, pending ? passed + before + 1 : passed);
	if (swap(slot, &word, due | DEADLINE_WORD_ARMED |
			      DEADLINE_WORD_EXPIRED |
			      (word & DEADLINE_WORD_WAKE))) {
		if (due != DEADLINE_TIME_NEVER) {
			look_enqueue(server, node, look_key(slot, due));
			__atomic_store_n(&slot->phase, next, __ATOMIC_RELAXED);
		}
		return true;
	}

	if (pending && (word & DEADLINE_WORD_TAKEN)) {
		stamp(slot, expired_at, before);
		if (swap(slot, &word, word & ~DEADLINE_WORD_TAKEN))
			post(server, index);
	}
	return false;
}

static bool expire(struct server *server, uint32_t index, __u64 word,
		   uint64_t now)
{
	struct deadline_slot *slot = &server->queue->slots[index];

	if (__atomic_load_n(&slot->flags, __ATOMIC_RELAXED) &
	    DEADLINE_SLOT_PERIODIC)
		return repeat(server, index, word, now);
	/* Before the swap: who sees EXPIRED sees its time. */
	stamp(slot, now, 0);
	return swap(slot, &word, (word & ~DEADLINE_WORD_STATE) |
				 DEADLINE_WORD_EXPIRED);
}

void look_at(struct server *server, uint32_t index, uint64_t now)
{
	struct deadline_queue *queue = server->queue;
	struct deadline_slot *slot = &queue->slots[index];
	struct node *node = &server->nodes[index];
	int tries = LOOK_TRIES;
	__u64 word, due;

	if (node->place)
		dequeue(server, node);
	/* [look]: this store and the load below are sequentially consistent */
	__atomic_store_n(&slot->queued, DEADLINE_QUEUED_NEVER,
			 __ATOMIC_SEQ_CST);

	do {
		word = __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST);
		due = word & ~DEADLINE_WORD_STATE;
		if (!(word & DEADLINE_WORD_ARMED) ||
		    due == DEADLINE_TIME_NEVER) {
			count(&queue->status->dropped);
			return;
		}
		if (due > now) {
			look_enqueue(server, node, look_key(slot, due));
			count(&queue->status->moved);
			return;
		}
		if (expire(server, index, word, now)) {
			post(server, index);
			/* Who sees the count finds it in the ring. */
			count(&queue->status->expired);
			if (__atomic_load_n(&slot->flags, __ATOMIC_RELAXED) &
			    DEADLINE_SLOT_SIGNAL)
				syscall(SYS_tgkill, getpid(),
					server->signalled, SIGURG);
			return;
		}
	} while (--tries);

	look_enqueue(server, node, now + LOOK_AGAIN);
	count(&queue->status->contended);
}
