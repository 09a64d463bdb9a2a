// SPDX-License-Identifier: MIT
/*
 * Children of fork(2): what their parent had is not theirs, and they begin anew. Each
 * layer has its part in that, from the base upwards.
 *
 * The memory that counts is wiped when the process is copied (MADV_WIPEONFORK), however
 * that is done. fork(3) runs our handlers besides. A child made without them, by
 * _Fork(3) or clone(2), is noticed by a word of such memory: whatever takes a lock that
 * the parent may have held asks fork_check() before.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/base.h"

enum {
	LIFE_NEW,	/* a child, and nothing was done yet */
	LIFE_BEGINS,	/* a thread is at it */
	LIFE_GOES_ON,
};

/* What wiped_alloc() gets from the kernel at once */
#define WIPED		65536

static const struct fork_part *parts[FORK_LAYERS];
/* If there is no memory for it, only children of fork(3) begin anew. */
static uint32_t no_word = LIFE_GOES_ON;
static uint32_t *life = &no_word;
/* Of what wiped_alloc() got last, this is to be had. */
static char *wiped;
static size_t wiped_left;

void *wiped_pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	madvise(at, size, MADV_WIPEONFORK);
	return at;
}

/* A piece begins at a cache line. */
void *wiped_alloc(size_t size)
{
	void *at;

	size = (size + 63) & ~(size_t)63;
	if (size > wiped_left) {
		at = wiped_pages(WIPED);
		if (!at)
			return NULL;
		wiped = at;
		wiped_left = WIPED;
	}
	at = wiped;
	wiped += size;
	wiped_left -= size;
	return at;
}

static void begin(void)
{
	unsigned int i;

	for (i = 0; i < FORK_LAYERS; i++) {
		if (parts[i])
			parts[i]->child();
	}
	__atomic_store_n(life, LIFE_GOES_ON, __ATOMIC_RELEASE);
}

void fork_begin(void)
{
	uint32_t new = LIFE_NEW;

	preempt_off();
	if (__atomic_compare_exchange_n(life, &new, LIFE_BEGINS, 0,
					__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		begin();
	while (__atomic_load_n(life, __ATOMIC_ACQUIRE) != LIFE_GOES_ON)
		sched_yield();
	preempt_on();
}

bool fork_new(void)
{
	return __atomic_load_n(life, __ATOMIC_ACQUIRE) != LIFE_GOES_ON;
}

/* The locks of a layer are taken before those of the layers below. */
static void before(void)
{
	unsigned int i;

	fork_check();
	preempt_off();
	for (i = FORK_LAYERS; i--;) {
		if (parts[i] && parts[i]->lock)
			parts[i]->lock();
	}
}

static void unlock(void)
{
	unsigned int i;

	for (i = 0; i < FORK_LAYERS; i++) {
		if (parts[i] && parts[i]->unlock)
			parts[i]->unlock();
	}
}

static void in_parent(void)
{
	unlock();
	preempt_on();
}

static void in_child(void)
{
	unlock();
	begin();
	preempt_on();
}

/*
 * Called when the library is loaded, by whichever layer comes first: so these run
 * outside the program's own handlers.
 */
void fork_take_part(unsigned int layer, const struct fork_part *part)
{
	uint32_t *known;

	if (life == &no_word) {
		pthread_atfork(before, in_parent, in_child);
		known = wiped_alloc(sizeof(*known));
		if (known) {
			*known = LIFE_GOES_ON;
			life = known;
		}
	}
	parts[layer] = part;
}
