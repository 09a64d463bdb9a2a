// SPDX-License-Identifier: MIT
/*
 * Where nodes live: queues of the library's own, each with an array of contexts
 * beside its slots, entry for entry.
 *
 * A process takes what it needs: the first pool has a page of slots, each later one
 * three times as many as there are, up to MOST, or as many as the limits allow. What is
 * taken again goes to the oldest pools first, so that after a time of many contexts
 * the newest get free as a whole. Such a pool is closed, once the others have so many
 * free that it will not soon be missed: to need another one, the process must make a
 * quarter as many contexts as they have. Small ones are kept while there is a bigger
 * one: they can do for what is left when that gets free.
 *
 * Free ones wait in lists, last in first out, one for each power of two of the
 * timeout: so a slot meets the same kind of timeout again, and the look that is
 * still planned for it serves the new one.
 *
 * A context that is free may still be looked at: by the thread that sees the expiries
 * of its pool, which therefore closes the pool itself; and by who has a hook of it,
 * for which the pool is held.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "context/pool.h"

/* Slots of the first pool, and of the smallest; of the biggest */
#define FIRST		64u
#define MOST		65536u
/* There may be so many pools. */
#define POOLS		1024
/* What goes from one class to another at once */
#define MOVE		32
/* Smaller pools than this are kept while there is a bigger one. */
#define SMALL		4096u
/* A pool is closed only if the others have so many free. */
#define SPARE		128u

/*
 * What there is of them, in one structure: a process with few pools touches one page.
 * @mutex: for the members below
 * @places: entries of the table that are in use or were
 * @total: all slots
 * @taken: those whose contexts are in no list of a pool
 * @idle: pools of which all that were used are free
 * @most: slots of the biggest one
 * @fresh: the pool that has some which were never used
 * @pools: the table; also read by who has a context of the pool
 */
static struct {
	pthread_mutex_t mutex;
	uint32_t places;
	uint32_t total;
	uint32_t taken;
	uint32_t idle;
	uint32_t most;
	struct pool *fresh;
	struct pool *pools[POOLS];
} all = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
};

void pools_lock(void)
{
	mutex_lock(&all.mutex);
}

void pools_unlock(void)
{
	mutex_unlock(&all.mutex);
}

struct pool *pools_next(const struct pool *pool)
{
	uint32_t i;

	for (i = pool ? pool->number + 1 : 0; i < all.places; i++) {
		if (all.pools[i])
			return all.pools[i];
	}
	return NULL;
}

static struct pool *pool_of(const struct deadline_context *context)
{
	return all.pools[context->pool];
}

/*
 * LeakSanitizer, where a program has it, knows memory of malloc(3) alone: it is told to
 * look for pointers here, too, as contexts have hooks, parents and crowds.
 */
#pragma weak __lsan_register_root_region
#pragma weak __lsan_unregister_root_region
void __lsan_register_root_region(const void *at, size_t size);
void __lsan_unregister_root_region(const void *at, size_t size);

static size_t size_of(const struct pool *pool)
{
	return pool->queue->count * sizeof(*pool->contexts);
}

static void pool_free_parts(struct pool *pool)
{
	if (__lsan_unregister_root_region)
		__lsan_unregister_root_region(pool->contexts, size_of(pool));
	munmap(pool->contexts, size_of(pool));
	deadline_queue_destroy(pool->queue);
	free(pool);
}

/* At a limit a smaller one may be had. */
static int open_queue(struct pool *pool, uint32_t slots)
{
	struct deadline_options options = { .slots = slots };
	int ret;

	for (;;) {
		ret = deadline_queue_open(&pool->queue, &options);
		if ((ret != -ENOSPC && ret != -ENOMEM) ||
		    options.slots <= FIRST)
			return ret;
		options.slots /= 4;
	}
}

static int make_pool(uint32_t slots, struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int ret;

	if (!pool)
		return -ENOMEM;
	ret = open_queue(pool, slots);
	if (ret)
		goto free_pool;
	pool->contexts = mmap(NULL, size_of(pool), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			      -1, 0);
	if (pool->contexts == MAP_FAILED) {
		ret = -ENOMEM;
		goto close_queue;
	}
	if (__lsan_register_root_region)
		__lsan_register_root_region(pool->contexts, size_of(pool));
	*ret_pool = pool;
	return 0;

close_queue:
	deadline_queue_close(pool->queue);
free_pool:
	free(pool);
	return ret;
}

/* Under @mutex, but read without it, too */
static void count_idle(int n)
{
	__atomic_store_n(&all.idle, all.idle + n, __ATOMIC_RELAXED);
}

/* Under @mutex */
static int open_pool(void)
{
	uint32_t number = 0, slots = all.total ? 3 * all.total : FIRST;
	struct pool *pool;
	int ret;

	while (number < all.places && all.pools[number])
		number++;
	if (number == POOLS)
		return -ENOSPC;
	ret = make_pool(slots < MOST ? slots : MOST, &pool);
	if (ret)
		return ret;
	pool->number = number;
	all.pools[number] = pool;
	if (number == all.places)
		all.places++;
	all.total += pool->queue->count;
	if (all.most < pool->queue->count)
		all.most = pool->queue->count;
	count_idle(1);
	all.fresh = pool;
	return 0;
}

/* Under @mutex: it has one context fewer to give. */
static void count_taken(struct pool *pool, bool all_were_free)
{
	if (all_were_free)
		count_idle(-1);
	if (pool == all.fresh && pool->used == pool->queue->count)
		all.fresh = NULL;
	all.taken++;
}

/* Under @mutex: one that was never used */
static int carve(struct pool *pool, struct deadline_context **ret_context)
{
	struct deadline_context *context = &pool->contexts[pool->used];
	struct deadline_slot *slot;
	int ret;

	ret = deadline_slot_alloc(pool->queue, (uintptr_t)context, &slot);
	if (ret)
		return ret;
	context->word = deadline_slot_word(slot);
	context->node = context;
	context->pool = pool->number;
	count_taken(pool, pool->free == pool->used++);
	*ret_context = context;
	return 0;
}

/* Of one list of the pool, and those that come after it in @to are of class @class. */
static uint32_t take(struct pool *pool, uint32_t from, struct list *to,
		     uint32_t class, uint32_t n)
{
	struct deadline_context *context;
	uint32_t i;

	for (i = 0; i < n && pool->lists[from].top; i++) {
		count_taken(pool, pool->free-- == pool->used);
		context = list_pop(&pool->lists[from]);
		if (from != class) {
			context->class = class;
			context->slack = 0;
			__atomic_store_n(&context_slot(context)->slack, 0,
					 __ATOMIC_RELAXED);
		}
		list_push(to, context);
	}
	return i;
}

void pools_take(struct list *list, uint32_t class, uint32_t n)
{
	struct pool *pool = NULL;

	while (n && (pool = pools_next(pool))) {
		if (pool->free)
			n -= take(pool, class, list, class, n);
	}
}

/* Of any class: the oldest pool's */
static bool take_other(struct list *list, uint32_t class)
{
	struct pool *pool = NULL;
	uint32_t from;

	while ((pool = pools_next(pool))) {
		for (from = 0; pool->free && from < CLASSES; from++) {
			if (take(pool, from, list, class, MOVE))
				return true;
		}
	}
	return false;
}

int pools_more(struct list *list, uint32_t class,
	       struct deadline_context **ret_context)
{
	int ret = 0;

	if (!all.fresh && all.total - all.taken <= all.total / 4)
		ret = open_pool();
	if (all.fresh)
		return carve(all.fresh, ret_context);
	if (!take_other(list, class))
		return ret;
	*ret_context = list_pop(list);
	return 0;
}

void pools_put(struct deadline_context *context)
{
	struct pool *pool = pool_of(context);

	list_push(&pool->lists[context->class], context);
	if (++pool->free == pool->used)
		count_idle(1);
	all.taken--;
}

/* Under @mutex: could the others do for what the process has? */
static bool is_unwanted(const struct pool *pool)
{
	uint32_t count = pool->queue->count, others = all.total - count;

	if (count < SMALL && count < all.most)
		return false;
	return others >= all.taken + SPARE &&
	       others >= all.taken + others / 4;
}

bool pools_unwanted(const struct deadline_context *context)
{
	return is_unwanted(pool_of(context));
}

/* Under @mutex: is it to be closed? */
static bool is_spare(const struct pool *pool)
{
	return pool->free == pool->used && pool->used &&
	       !__atomic_load_n(&pool->holds, __ATOMIC_ACQUIRE) &&
	       is_unwanted(pool);
}

/* Under @mutex */
static void leave_table(struct pool *pool)
{
	struct pool *other = NULL;

	all.pools[pool->number] = NULL;
	all.total -= pool->queue->count;
	count_idle(-1);
	if (all.fresh == pool)
		all.fresh = NULL;
	all.most = 0;
	while ((other = pools_next(other))) {
		if (all.most < other->queue->count)
			all.most = other->queue->count;
	}
}

/* The newest one that is spare, which is out of the table then, or NULL */
static struct pool *remove_spare(void)
{
	struct pool *pool = NULL;
	uint32_t i;

	pools_lock();
	for (i = all.places; all.idle && i--;) {
		pool = all.pools[i];
		if (pool && is_spare(pool))
			break;
		pool = NULL;
	}
	if (pool)
		leave_table(pool);
	pools_unlock();
	return pool;
}

/*
 * Where a thread sees the expiries of a pool, that closes it: it is told by an expiry,
 * which is nobody's. Should the doorbell fail, the pool stays what it is to the system.
 */
static void close_pool(struct pool *pool)
{
	struct deadline_slot *slot = context_slot(pool->contexts);

	if (!pool->dispatched) {
		pool_free_parts(pool);
		return;
	}
	__atomic_store_n(&pool->closing, true, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->slack, 0, __ATOMIC_RELAXED);
	deadline_slot_arm(slot, 0, 1);
	__atomic_store_n(&pool->told, true, __ATOMIC_RELEASE);
}

bool pools_trim(void)
{
	bool closed = false;
	struct pool *pool;

	while (__atomic_load_n(&all.idle, __ATOMIC_RELAXED) &&
	       (pool = remove_spare())) {
		close_pool(pool);
		closed = true;
	}
	return closed;
}

bool pool_closes(struct pool *pool)
{
	if (!__atomic_load_n(&pool->closing, __ATOMIC_ACQUIRE))
		return false;
	/* Whoever told us may be in the doorbell still. */
	while (!__atomic_load_n(&pool->told, __ATOMIC_ACQUIRE))
		sched_yield();
	pool_free_parts(pool);
	return true;
}

struct pool *pool_hold(const struct deadline_context *node)
{
	struct pool *pool = pool_of(node);

	__atomic_fetch_add(&pool->holds, 1, __ATOMIC_RELAXED);
	return pool;
}

void pool_let_go(struct pool *pool)
{
	if (__atomic_fetch_sub(&pool->holds, 1, __ATOMIC_RELEASE) == 1)
		pools_trim();
}

int pool_dispatch(const struct deadline_context *node)
{
	struct pool *pool = pool_of(node);
	int ret = 0;

	pools_lock();
	if (!pool->dispatched) {
		ret = dispatch_start(pool);
		pool->dispatched = !ret;
	}
	pools_unlock();
	return ret;
}

/* For fork.c, which takes the lock of leaks.c first and then ours */
void pool_lock(void)
{
	leaks_fork_lock();
	pthread_mutex_lock(&all.mutex);
}

void pool_unlock(void)
{
	pthread_mutex_unlock(&all.mutex);
	leaks_fork_unlock();
}

/* What the parent had stays where it is, for whoever has a context of it. */
void pool_begin(void)
{
	pthread_mutex_init(&all.mutex, NULL);
	memset(all.pools, 0, sizeof(all.pools));
	all.places = 0;
	all.total = 0;
	all.taken = 0;
	all.idle = 0;
	all.most = 0;
	all.fresh = NULL;
	leaks_begin();
}
