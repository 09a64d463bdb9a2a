// SPDX-License-Identifier: MIT
/*
 * The look of the thread backend: kmod/look.c and __dln_post() line by line,
 * over a binary heap in place of the tree. There stand the diagrams too. A look that
 * loses every swap is put off here: nothing bounds how long this thread goes on.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "queue/thread.h"

static void heap_put(struct server *server, uint32_t place, uint32_t index)
{
	server->heap[place] = index;
	server->nodes[index].place = place;
}

static uint64_t key_at(const struct server *server, uint32_t place)
{
	return server->nodes[server->heap[place]].key;
}

/* The slot at @place has a new key: bring it to where that belongs. */
static void heap_settle(struct server *server, uint32_t place)
{
	uint32_t index = server->heap[place], below;
	uint64_t key = server->nodes[index].key;

	while (place > 1 && key < key_at(server, place / 2)) {
		heap_put(server, place, server->heap[place / 2]);
		place /= 2;
	}
	for (;;) {
		below = 2 * place;
		if (below < server->heaped &&
		    key_at(server, below + 1) < key_at(server, below))
			below++;
		if (below > server->heaped || key <= key_at(server, below))
			break;
		heap_put(server, place, server->heap[below]);
		place = below;
	}
	heap_put(server, place, index);
}

static void heap_remove(struct server *server, struct node *node)
{
	uint32_t place = node->place;
	uint32_t last = server->heap[server->heaped--];

	node->place = 0;
	if (place > server->heaped)
		return;
	heap_put(server, place, last);
	heap_settle(server, place);
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
		slot_at(server->queue, node - server->nodes);
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
		heap_put(server, ++server->heaped, index);
	heap_settle(server, node->place);
	__atomic_store_n(&slot_at(server->queue, index)->queued, key,
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
	__atomic_store_n(&entry_at(queue, tail)->slot, index, __ATOMIC_RELAXED);
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

static void stamp(struct deadline_slot *slot, uint64_t deadline, uint64_t now,
		  uint64_t overruns)
{
	__atomic_store_n(&slot->deadline, deadline, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->expired_at, now, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->overruns,
			 overruns < INT_MAX ? overruns : INT_MAX,
			 __ATOMIC_RELAXED);
}

/* dln_unread() */
static uint64_t unread(uint64_t overruns, uint64_t period)
{
	uint64_t most = 1000000000 / period, n = overruns / DEADLINE_UNREAD;

	return (n < most ? n : most) * period & ~DEADLINE_WORD_STATE;
}

/* __dln_give_back() */
static void give_back(struct server *server, uint32_t index, __u64 word)
{
	const __u64 ours = DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN;

	while ((word & ours) == ours) {
		if (!swap(slot_at(server->queue, index), &word,
			  word & ~DEADLINE_WORD_TAKEN))
			continue;
		post(server, index);
		break;
	}
}

static bool repeat(struct server *server, uint32_t index, __u64 word,
		   uint64_t now, uint32_t flags)
{
	struct deadline_slot *slot = slot_at(server->queue, index);
	struct node *node = &server->nodes[index];
	bool pending = (word & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) ==
		       DEADLINE_WORD_EXPIRED;
	uint64_t exact = word & ~DEADLINE_WORD_STATE;
	uint64_t period = __atomic_load_n(&server->queue->periods[index],
					  __ATOMIC_RELAXED);
	uint64_t expired_at = slot->expired_at, before = slot->overruns;
	uint64_t deadline = slot->deadline;
	uint64_t passed, last, next, due;

	if (pending) {
		if (!swap(slot, &word, word | DEADLINE_WORD_TAKEN))
			return false;
		word |= DEADLINE_WORD_TAKEN;
	}

	/* The owner may have cancelled it and be about to change this. */
	if (period < server->queue->period_min)
		period = server->queue->period_min;
	/* Not armed or moved since: it is due one period after the last time. */
	if (exact - (deadline + period) < DEADLINE_GRAIN)
		exact = deadline + period;
	passed = (now - exact) / period;
	last = exact + passed * period;
	next = last + period;
	due = (next + DEADLINE_GRAIN - 1) & ~DEADLINE_WORD_STATE;
	if (next > INT64_MAX || next < exact)
		due = DEADLINE_TIME_NEVER;
	stamp(slot, last, now, pending ? passed + before + 1 : passed);
	if (swap(slot, &word, due | DEADLINE_WORD_ARMED |
			      DEADLINE_WORD_EXPIRED |
			      (word & DEADLINE_WORD_WAKE))) {
		if (pending && !(flags & DEADLINE_SLOT_SIGNAL))
			next = due + unread(passed + before + 1, period);
		else
			next = due;
		if (due != DEADLINE_TIME_NEVER)
			look_enqueue(server, node, look_key(slot, next));
		return true;
	}

	/* Moved or cancelled: none has expired since the last one, and that one stays. */
	stamp(slot, deadline, expired_at, before);
	if (pending)
		give_back(server, index, word);
	return false;
}

static bool expire(struct server *server, uint32_t index, __u64 word,
		   uint64_t now)
{
	struct deadline_slot *slot = slot_at(server->queue, index);
	uint32_t flags = __atomic_load_n(&slot->flags, __ATOMIC_RELAXED);

	if (flags & DEADLINE_SLOT_PERIODIC)
		return repeat(server, index, word, now, flags);
	/* Before the swap: who sees EXPIRED sees its stamps. */
	stamp(slot, word & ~DEADLINE_WORD_STATE, now, 0);
	return swap(slot, &word, (word & ~DEADLINE_WORD_STATE) |
				 DEADLINE_WORD_EXPIRED);
}

void look_at(struct server *server, uint32_t index, uint64_t now)
{
	struct deadline_queue *queue = server->queue;
	struct deadline_slot *slot = slot_at(queue, index);
	struct node *node = &server->nodes[index];
	int tries = LOOK_TRIES;
	__u64 word, due;

	if (node->place)
		heap_remove(server, node);
	/* [look]: this store and the load below are sequentially consistent */
	__atomic_store_n(&slot->queued, DEADLINE_QUEUED_NEVER,
			 __ATOMIC_SEQ_CST);

	do {
		word = __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST);
		due = word & ~DEADLINE_WORD_STATE;
		if (!(word & DEADLINE_WORD_ARMED) ||
		    due == DEADLINE_TIME_NEVER) {
			count_up(&queue->status->dropped);
			return;
		}
		if (due > now) {
			look_enqueue(server, node, look_key(slot, due));
			count_up(&queue->status->moved);
			return;
		}
		if (expire(server, index, word, now)) {
			post(server, index);
			/* Who sees the count finds it in the ring. */
			count_up(&queue->status->expired);
			if (__atomic_load_n(&slot->flags, __ATOMIC_RELAXED) &
			    DEADLINE_SLOT_SIGNAL)
				syscall(SYS_tgkill, getpid(),
					server->signalled, server->signal);
			return;
		}
	} while (--tries);

	look_enqueue(server, node, now + LOOK_AGAIN);
	count_up(&queue->status->contended);
}
