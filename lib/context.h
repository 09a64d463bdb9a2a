/* SPDX-License-Identifier: MIT */
/*
 * The inside of contexts: what context.c, complete.c, crowd.c, pool.c, hook.c and
 * wait.c share.
 *
 * A context with a deadline or a cancel is a *node*: it has a slot of its own, whose
 * word says whether it is over. Value contexts share the word of the nearest node
 * above them; above nodes there is the background, whose word is a constant.
 */
#ifndef DEADLINE_CONTEXT_H
#define DEADLINE_CONTEXT_H

#include <time.h>
#include "internal.h"

/* What is below a node, and has it been made over too? */
enum {
	CONTEXT_BARE,		/* nothing ever was below it */
	CONTEXT_OPEN,		/* not yet */
	CONTEXT_CROWDED,	/* nor that, and it has stand-ins: see crowd.c */
	CONTEXT_COMPLETING,	/* somebody is at it */
	CONTEXT_AWAITED,	/* and others sleep until he is done */
	CONTEXT_COMPLETE = 8,	/* a bit, so that one test does for BARE too */
};

/**
 * struct deadline_context - one context
 * @word: the node's, or the constant
 * @node: itself, or the nearest node above, or NULL; never changes
 * @parent: referenced; NULL for the background
 * @refs: 0 while it is free
 * @lock: of a node, for @child, the siblings' links, @hooks, @state
 * @state: CONTEXT_*; a futex
 * @class: of a node: which free list it goes to
 * @child: of a node: its first child that is a node
 * @next: next sibling, under the parent node's @lock; or next in a list of those
 *	being completed; or next free
 * @back: where the sibling before it, or the parent node, points to it; NULL if
 *	it is in no list of children. Under that lock too; while it is in one, it
 *	is not freed
 * @hooks: of a node: what is to be run or woken when it is over
 * @when: the effective deadline, ns
 * @timeout_cause: given with the effective deadline; never changes
 * @cancel_cause: given to the first cancel, plus one; 0 = none yet. By one swap.
 * @key: of a value context; NULL in others
 * @value: of a value context
 * @crowd: of a node: see crowd.c
 * @creator: where it was made, for the report of leaks; NULL of a stand-in
 * @done_fd: of a node: an eventfd plus one, 0 = none; under @lock
 *
 * What a free node has: no child, no hook, no back, no crowd, no done_fd, and it is
 * BARE.
 */
struct deadline_context {
	const deadline_word *word;
	struct deadline_context *node;
	struct deadline_context *parent;
	uint32_t refs;
	uint32_t lock;
	uint32_t state;
	uint32_t class;
	struct deadline_context *child;
	struct deadline_context *next;
	struct deadline_context **back;
	struct deadline_hook *hooks;
	uint64_t when;
	uintptr_t timeout_cause;
	uintptr_t cancel_cause;
	const void *key;
	union {
		void *value;
		struct crowd *crowd;
	};
	void *creator;
	int done_fd;
};

/**
 * struct deadline_hook - what is to happen when a node is over
 * @node: which; NULL if that is never
 * @next: in the node's list, or in one of those to be run
 * @back: where the one before points to it; NULL if it is in no node's list.
 *	Under the node's lock
 * @eventfd: to be written, if not @fn to be called
 * @fn: to be called
 * @arg: with this
 * @refs: whoever may still stop it, and whoever runs it
 * @state: HOOK_*; a futex
 * @runner: the thread that runs @fn
 */
struct deadline_hook {
	struct deadline_context *node;
	struct deadline_hook *next;
	struct deadline_hook **back;
	int eventfd;
	void (*fn)(void *arg);
	void *arg;
	uint32_t refs;
	uint32_t state;
	pthread_t runner;
};

/* pool.c: a list of free nodes */
struct list {
	struct deadline_context *top;
	uint32_t count;
};

#define CLASSES		64
/* How many of a class a thread keeps */
#define KEEP		64

int pool_alloc_slow(uint32_t class, struct deadline_context **ret_context);
void pool_free_slow(struct deadline_context *context);
int pool_dispatch(const struct deadline_context *context);

/* complete.c */
void context_wake(const __u64 *word);
void context_end_like(struct deadline_context *child,
		      const struct deadline_context *node);
void context_complete_slow(struct deadline_context *node);
bool context_help(struct deadline_context *node, uint64_t now);
void context_expired(struct deadline_context *node);

/* crowd.c */
void crowd_form(struct deadline_context *node);
struct deadline_context *crowd_stand_in(const struct deadline_context *node);
bool crowd_dissolve(struct deadline_context *node);

/* hook.c */
bool hook_link(struct deadline_hook *hook);
/* Under the node's lock */
void hooks_take(struct deadline_context *node, struct deadline_hook **ready);
void hooks_run(struct deadline_hook *ready);
bool hook_unlink(struct deadline_hook *hook);
int dispatch_start(struct deadline_queue *queue);

/* lock.c: a lock of four bytes */
#define LOCK_HELD	1
#define LOCK_AWAITED	2

void lock_slow(uint32_t *lock);
void unlock_slow(uint32_t *lock);

/* To be held with signals off, if this thread has a worker */
static inline bool trylock(uint32_t *lock)
{
	return !(__atomic_fetch_or(lock, LOCK_HELD, __ATOMIC_ACQUIRE) &
		 LOCK_HELD);
}

static inline void lock(uint32_t *lock)
{
	if (!trylock(lock))
		lock_slow(lock);
}

static inline void unlock(uint32_t *lock)
{
	if (__atomic_sub_fetch(lock, LOCK_HELD, __ATOMIC_RELEASE))
		unlock_slow(lock);
}

/* clock.c: also what deadline_now() is made of */
static inline uint64_t clock_read(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	self.now = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	return self.now;
}

static inline uint64_t clock_in(uint64_t ns)
{
	uint64_t when = clock_read() + ns;

	return when < ns ? DEADLINE_NEVER : when;
}

static inline struct deadline_slot *
context_slot(const struct deadline_context *node)
{
	return (struct deadline_slot *)(uintptr_t)node->word;
}

static inline void push(struct list *list, struct deadline_context *context)
{
	context->next = list->top;
	list->top = context;
	list->count++;
}

static inline struct deadline_context *pop(struct list *list)
{
	struct deadline_context *context = list->top;

	if (context) {
		list->top = context->next;
		list->count--;
	}
	return context;
}

/* @mine: the magazine */
static inline void pool_free(struct deadline_context *context,
			     struct list *mine)
{
	if (mine && mine[context->class].count < KEEP)
		push(&mine[context->class], context);
	else
		pool_free_slow(context);
}

/* After a fork nothing serves it, and its locks are whoever's. */
static inline bool context_orphan(const struct deadline_context *node)
{
	return !context_slot(node)->owner;
}

/* The half of a word that has the state: a futex */
static inline uint32_t *state_half(__u64 *word)
{
	return (uint32_t *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

static inline uint64_t context_word(const struct deadline_context *context)
{
	return __atomic_load_n((const uint64_t *)context->word,
			       __ATOMIC_ACQUIRE);
}

static inline uint32_t context_state(const struct deadline_context *node)
{
	return __atomic_load_n(&node->state, __ATOMIC_SEQ_CST);
}

static inline void context_set_state(struct deadline_context *node,
				     uint32_t state)
{
	__atomic_store_n(&node->state, state, __ATOMIC_RELAXED);
}

/* In the order of all that is SEQ_CST */
static inline bool context_armed(const struct deadline_context *node)
{
	return __atomic_load_n((const uint64_t *)node->word,
			       __ATOMIC_SEQ_CST) & DEADLINE_WORD_ARMED;
}

static inline bool context_over(const struct deadline_context *context)
{
	return !(context_word(context) & DEADLINE_WORD_ARMED);
}

/*
 * Make the node that has @word, which was @old, over, for @state: EXPIRED|TAKEN, or
 * 0 for canceled. False if it was already. Whoever sleeps on the word is woken.
 */
static inline bool end_from(__u64 *word, __u64 old, uint64_t state)
{
	do {
		if (!(old & DEADLINE_WORD_ARMED))
			return false;
	} while (!deadline_swap_(word, &old,
				 (old & ~DEADLINE_WORD_STATE) | state));
	if (__builtin_expect(old & DEADLINE_WORD_WAKE, 0))
		context_wake((__u64 *)state_half(word));
	return true;
}

static inline bool end(struct deadline_context *node, uint64_t state)
{
	__u64 *word = &context_slot(node)->word;

	return end_from(word, __atomic_load_n(word, __ATOMIC_ACQUIRE), state);
}

/* The first cause that is given stays. */
static inline void give_cause(struct deadline_context *node, uintptr_t cause)
{
	uintptr_t none = 0;

	__atomic_compare_exchange_n(&node->cancel_cause, &none, cause + 1, 0,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* The parent node's lock is held. */
static inline void take_out(struct deadline_context *child)
{
	*child->back = child->next;
	if (child->next)
		child->next->back = child->back;
}

/*
 * The node's lock is held, and something is to be linked below it. False if that
 * would be too late, for it is over.
 *
 *	ender				linker of a child or hook
 *	-----				-------------------------
 *					lock
 *					state = OPEN, if it was BARE
 *	swap word: over			full barrier
 *	full barrier			load word
 *	load state: if not BARE,	running: link
 *	lock and take what is linked	unlock
 *
 * Either the ender finds that the node is not BARE, and then what was linked, or the
 * linker finds it over. So a BARE node is complete as it is.
 */
static inline bool context_opens(struct deadline_context *node)
{
	if (__atomic_load_n(&node->state, __ATOMIC_RELAXED) == CONTEXT_BARE)
		__atomic_exchange_n(&node->state, CONTEXT_OPEN,
				    __ATOMIC_SEQ_CST);
	return context_armed(node);
}

/*
 * See context_opens() for why a BARE node needs nothing. Nor does a COMPLETE one:
 * however many read it, they write nothing.
 */
static inline void context_complete(struct deadline_context *node)
{
	uint32_t state = context_state(node);

	if (__builtin_expect(state != CONTEXT_BARE, 0) &&
	    state != CONTEXT_COMPLETE)
		context_complete_slow(node);
}

#endif
