// SPDX-License-Identifier: MIT
/*
 * The look of the thread backend: kmod/look.c and __dln_post() line by line,
 * over a binary heap in place of the tree. There stand the diagrams too.
 */
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

	for (;;) {
		word = __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST);
		due = word & ~DEADLINE_WORD_STATE;
		if (!(word & DEADLINE_WORD_ARMED) ||
		    due == DEADLINE_TIME_NEVER) {
			count(&queue->status->dropped);
			return;
		}
		if (due > now) {
			look_enqueue(server, node, due);
			count(&queue->status->moved);
			return;
		}
		/* Before the swap: who sees EXPIRED sees its time. */
		__atomic_store_n(&slot->expired_at, now, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->overruns, 0, __ATOMIC_RELAXED);
		if (__atomic_compare_exchange_n(&slot->word, &word,
						due | DEADLINE_WORD_EXPIRED, 0,
						__ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			break;
		if (!--tries) {
			look_enqueue(server, node, now + LOOK_AGAIN);
			count(&queue->status->contended);
			return;
		}
	}
	count(&queue->status->expired);
	post(server, index);
}
