// SPDX-License-Identifier: MIT
/*
 * Where nodes live: queues of the library's own, each with an array of contexts
 * beside its slots, entry for entry. Neither is ever given back, so a pointer to a
 * context that was freed points to a context, which may be another.
 *
 * Free ones wait in lists, last in first out, one for each power of two of the
 * timeout: so a slot meets the same kind of timeout again, and the look that is
 * still planned for it serves the new one. Each thread has such lists of its own
 * (a magazine); from where one creates and another releases, they go round by a
 * depot.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "context.h"

/* What goes to or comes from the depot */
#define MOVE		32
/* The first queue's slots; each later one is as big as all before it. */
#define FIRST		4096u

struct pool {
	struct deadline_queue *queue;
	struct deadline_context *contexts;
	uint32_t used;
	bool dispatched;
	struct pool *older;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Under @mutex */
static struct list depot[CLASSES];
static struct pool *pools;
static uint32_t total;
/* In the child of a fork: what is here is its parent's. */
static bool orphaned;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void move(struct list *to, struct list *from, uint32_t n)
{
	while (n-- && from->top)
		push(to, pop(from));
}

static void thread_ends(void *arg)
{
	struct list *mine = arg;
	unsigned int class;

	mutex_lock(&mutex);
	for (class = 0; class < CLASSES; class++)
		move(&depot[class], &mine[class], UINT32_MAX);
	mutex_unlock(&mutex);
	free(mine);
	self.lists = NULL;
	self.magazine = NULL;
}

static void make_key(void)
{
	if (pthread_key_create(&key, thread_ends))
		abort();
}

static struct list *new_lists(void)
{
	pthread_once(&once, make_key);
	self.lists = calloc(CLASSES, sizeof(*self.lists));
	if (self.lists)
		pthread_setspecific(key, self.lists);
	pool_preempt(self.worker);
	return self.lists;
}

/* May a signal stop this thread from now on? */
void pool_preempt(bool on)
{
	self.magazine = on ? NULL : self.lists;
}

/* Under @mutex */
static int open_pool(void)
{
	struct deadline_options options = {
		.slots = total ? total : FIRST,
	};
	struct pool *pool;
	int ret;

	if (options.slots > DEADLINE_SLOTS_MAX)
		options.slots = DEADLINE_SLOTS_MAX;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	ret = deadline_queue_open(&pool->queue, &options);
	if (ret)
		goto free_pool;
	pool->contexts = mmap(NULL, pool->queue->count *
			      sizeof(*pool->contexts), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			      -1, 0);
	if (pool->contexts == MAP_FAILED) {
		ret = -ENOMEM;
		goto close_queue;
	}
	pool->queue->contexts = true;
	total += pool->queue->count;
	pool->older = pools;
	pools = pool;
	return 0;

close_queue:
	deadline_queue_close(pool->queue);
free_pool:
	free(pool);
	return ret;
}

/* Under @mutex: one that was never used */
static int carve(struct deadline_context **ret_context)
{
	struct deadline_context *context;
	struct deadline_slot *slot;
	int ret;

	if (!pools || pools->used == pools->queue->count) {
		ret = open_pool();
		if (ret)
			return ret;
	}
	context = &pools->contexts[pools->used];
	ret = deadline_slot_alloc(pools->queue, (uintptr_t)context, &slot);
	if (ret)
		return ret;
	context->word = deadline_slot_word(slot);
	context->node = context;
	__atomic_store_n(&pools->used, pools->used + 1, __ATOMIC_RELAXED);
	*ret_context = context;
	return 0;
}

/* From the depot, its own class first; else a new one; else of any class */
static int refill(struct list *mine, uint32_t class,
		  struct deadline_context **ret_context)
{
	unsigned int other;
	int ret = 0;

	*ret_context = pop(&mine[class]);
	if (*ret_context)
		return 0;
	mutex_lock(&mutex);
	move(&mine[class], &depot[class], MOVE);
	*ret_context = pop(&mine[class]);
	if (!*ret_context) {
		ret = carve(ret_context);
		for (other = 0; ret && other < CLASSES; other++) {
			*ret_context = pop(&depot[other]);
			if (!*ret_context)
				*ret_context = pop(&mine[other]);
			if (*ret_context)
				ret = 0;
		}
	}
	mutex_unlock(&mutex);
	return ret;
}

int pool_alloc_slow(uint32_t class, struct deadline_context **ret_context)
{
	struct list *mine = self.lists;
	int ret, saved = errno;

	if (orphaned)
		return -ECHILD;
	if (!mine)
		mine = new_lists();
	ret = mine ? refill(mine, class, ret_context) : -ENOMEM;
	errno = saved;
	return ret;
}

void pool_free_slow(struct deadline_context *context)
{
	struct list *mine = self.lists;
	uint32_t class = context->class;

	if (mine && mine[class].count < KEEP) {
		push(&mine[class], context);
		return;
	}
	mutex_lock(&mutex);
	push(&depot[class], context);
	if (mine)
		move(&depot[class], &mine[class], MOVE);
	mutex_unlock(&mutex);
}

void pool_fork(void)
{
	mutex_lock(&mutex);
}

void pool_forked(bool child)
{
	if (child && pools) {
		orphaned = true;
		/* Nothing is made from what it holds. */
		self.lists = NULL;
		self.magazine = NULL;
	}
	mutex_unlock(&mutex);
}

/* Contexts of this queue have hooks: have its expiries seen. */
int pool_dispatch(const struct deadline_context *context)
{
	struct pool *pool;
	int ret = 0;

	mutex_lock(&mutex);
	for (pool = pools; pool; pool = pool->older) {
		if (context >= pool->contexts &&
		    context < pool->contexts + pool->used)
			break;
	}
	if (pool && !pool->dispatched) {
		ret = dispatch_start(pool->queue);
		pool->dispatched = !ret;
	}
	mutex_unlock(&mutex);
	return ret;
}

/*
 * With DEADLINE_DEBUG=leaks (not in set-user-ID programs): what was never released,
 * and where it was made; addr2line(1) knows what stands there.
 */
static __attribute__((destructor)) void report_leaks(void)
{
	const char *wanted = secure_getenv("DEADLINE_DEBUG");
	struct pool *pool;
	uint32_t i;

	if (!wanted || strcmp(wanted, "leaks") != 0 || orphaned)
		return;
	mutex_lock(&mutex);
	for (pool = pools; pool; pool = pool->older) {
		for (i = 0; i < pool->used; i++) {
			if (__atomic_load_n(&pool->contexts[i].refs,
					    __ATOMIC_RELAXED) &&
			    pool->contexts[i].creator)
				fprintf(stderr, "deadline: never released: a context made at %p\n",
					pool->contexts[i].creator);
		}
	}
	mutex_unlock(&mutex);
}
