// SPDX-License-Identifier: MIT
/*
 * Each thread has free nodes of its own: a magazine, a list for each class. From where
 * one thread creates and another releases, they go round by way of the pools.
 *
 * What goes back is of the newest pools first, or a thread that sleeps for long would
 * keep a whole pool for the sake of a few.
 */
#include <errno.h>
#include <string.h>
#include "context/pool.h"

/* What goes to or comes from the pools at once */
#define MOVE		32

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int no_key;
/* Lists of threads that have ended: empty, but the first's top is the next of these. */
static struct list *spare;

/* Both with the pools locked. Wiped: nodes of its parent are none for a child to use. */
static struct list *get_lists(void)
{
	struct list *lists = spare;

	if (!lists)
		return wiped_alloc(CLASSES * sizeof(*lists));
	spare = (struct list *)lists->top;
	return memset(lists, 0, CLASSES * sizeof(*lists));
}

static void put_lists(struct list *lists)
{
	lists->top = (struct deadline_context *)spare;
	spare = lists;
}

static void thread_ends(void *arg)
{
	struct deadline_context *context;
	struct list *mine = arg;
	unsigned int class;

	fork_check();
	pools_lock();
	for (class = 0; class < CLASSES; class++) {
		while ((context = list_pop(&mine[class])))
			pools_put(context);
	}
	put_lists(mine);
	pools_unlock();
	self.upper[THREAD_LISTS] = NULL;
	self.upper[THREAD_MAGAZINE] = NULL;
	pools_trim();
}

static void make_key(void)
{
	no_key = pthread_key_create(&key, thread_ends);
}

static int new_lists(struct list **ret_lists)
{
	struct list *lists;

	pthread_once(&once, make_key);
	if (no_key)
		return -ENOMEM;
	pools_lock();
	lists = get_lists();
	if (lists && pthread_setspecific(key, lists)) {
		put_lists(lists);
		lists = NULL;
	}
	pools_unlock();
	if (!lists)
		return -ENOMEM;
	self.upper[THREAD_LISTS] = lists;
	pool_preempt(self.preemptor);
	*ret_lists = lists;
	return 0;
}

void pool_preempt(bool on)
{
	self.upper[THREAD_MAGAZINE] = on ? NULL : self.upper[THREAD_LISTS];
}

/* The pools': its own class first, then whatever can be had; else of any class */
static int refill(struct list *mine, uint32_t class,
		  struct deadline_context **ret_context)
{
	unsigned int other;
	int ret = 0;

	*ret_context = list_pop(&mine[class]);
	if (*ret_context)
		return 0;
	pools_lock();
	pools_take(&mine[class], class, MOVE);
	*ret_context = list_pop(&mine[class]);
	if (!*ret_context)
		ret = pools_more(&mine[class], class, ret_context);
	pools_unlock();
	for (other = 0; ret && other < CLASSES; other++) {
		*ret_context = list_pop(&mine[other]);
		if (*ret_context)
			ret = 0;
	}
	return ret;
}

int pool_alloc_slow(uint32_t class, struct deadline_context **ret_context)
{
	struct list *mine = self.upper[THREAD_LISTS];
	int ret = 0, saved = errno;

	fork_check();
	if (!mine)
		ret = new_lists(&mine);
	if (!ret)
		ret = refill(mine, class, ret_context);
	errno = saved;
	return ret;
}

/* The newest pool in the list that is older than number @below, or @below */
static uint32_t newest(const struct list *list, uint32_t below)
{
	const struct deadline_context *context;
	uint32_t found = below;

	for (context = list->top; context; context = context->next) {
		if (context->pool < below &&
		    (found == below || context->pool > found))
			found = context->pool;
	}
	return found;
}

/* Of the pool with this number, or, if that is NO_POOL, of all that are unwanted */
#define NO_POOL		UINT32_MAX

/* Give back up to @n of them; the pools are locked. How many are left in the list? */
static uint32_t give_back(struct list *list, uint32_t number, uint32_t *n)
{
	struct deadline_context **at = &list->top, *context;
	uint32_t left = 0;

	while ((context = *at)) {
		if (*n && (number == NO_POOL ? pools_unwanted(context) :
					       context->pool == number)) {
			*at = context->next;
			pools_put(context);
			--*n;
		} else {
			at = &context->next;
			left++;
		}
	}
	return left;
}

/*
 * The list is full. While contexts go back to pools that the process could do without,
 * the thread looks at each that is freed for a time: else the last ones would stay in
 * the list, and their pools with them, if nothing was made or freed from then on.
 */
static void settle(struct list *list, struct deadline_context *context)
{
	uint32_t n = NO_POOL, left, number = NO_POOL;

	if (pools_unwanted(context)) {
		pools_put(context);
		list->gave = true;
	} else {
		list_push(list, context);
	}
	if (list->looks) {
		list->looks--;
		list->count = KEEP;
		return;
	}
	left = give_back(list, NO_POOL, &n);
	if (n != NO_POOL || list->gave)
		list->looks = KEEP;
	list->gave = false;
	if (left > KEEP) {
		n = left - KEEP / 2;
		while (n) {
			number = newest(list, number);
			left = give_back(list, number, &n);
		}
	}
	list->count = list->looks ? KEEP : left;
}

/*
 * Once a pool is closed, the process may be able to do without another one: what this
 * thread has of that goes back too, as it may do nothing more for long.
 */
static void trim(struct list *mine)
{
	uint32_t class, left, n;

	while (pools_trim() && mine) {
		pools_lock();
		for (class = 0; class < CLASSES; class++) {
			n = NO_POOL;
			left = give_back(&mine[class], NO_POOL, &n);
			if (!mine[class].looks)
				mine[class].count = left;
		}
		pools_unlock();
	}
}

void pool_free_slow(struct deadline_context *context)
{
	struct list *mine = self.upper[THREAD_LISTS];
	uint32_t class = context->class;
	int saved;

	if (mine && mine[class].count < KEEP) {
		list_push(&mine[class], context);
		return;
	}
	saved = errno;
	pools_lock();
	if (mine)
		settle(&mine[class], context);
	else
		pools_put(context);
	pools_unlock();
	trim(mine);
	errno = saved;
}
