/* SPDX-License-Identifier: MIT */
/*
 * The inside of contexts: what context.c, complete.c, crowd.c, pool.c, hook.c and
 * wait.c share. What is known of free nodes is in pool.h too.
 *
 * A context with a deadline or a cancel is a *node*: it has a slot of its own, whose
 * word says whether it is over. Value contexts share the word of the nearest node
 * above them; above nodes there is the background, whose word is a constant.
 */
#ifndef DEADLINE_CONTEXT_H
#define DEADLINE_CONTEXT_H

#include "queue/queue.h"

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
 * @pool: of a node: the number of its pool; never changes
 * @child: of a node: its first child that is a node
 * @next: next sibling, under the parent node's @lock; or next in a list of those
 *	being completed; or next free
 * @back: where the sibling before it, or the parent node, points to it; NULL if
 *	it is in no list of children. Under that lock too; while it is in one, it
 *	is not freed
 * @hooks: of a node: what is to be run or woken when it is over
 * @when: of a node: the effective deadline, ns; changed by its owner, under @lock
 * @timeout_cause: of a node: given with its own deadline; never changes, but see
 *	born_like(). If it has the parent's deadline, the parent's is told
 * @cancel_cause: given to the first cancel, plus one; 0 = none yet. By one swap.
 * @key: of a value context; NULL in others
 * @value: of a value context
 * @crowd: of a node: see crowd.c
 * @creator: where it was made, for the report of leaks; NULL of a stand-in
 * @done_fd: of a node: an alarm plus one, 0 = none; under @lock
 * @slack: of a node: as it was made with; the slot has what of it is before the
 *	parent's deadline
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
	uint16_t class;
	uint16_t pool;
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
	uint32_t slack;
};

/**
 * struct deadline_hook - what is to happen when a node is over
 * @node: which; NULL if that is never
 * @next: in the node's list, or in one of those to be run
 * @back: where the one before points to it; NULL if it is in no node's list.
 *	Under the node's lock
 * @alarm: to be rung, if there is no @fn to be called
 * @fn: to be called
 * @arg: with this
 * @refs: whoever may still stop it, and whoever runs it
 * @state: HOOK_*; a futex
 * @runner: the thread that runs @fn
 * @awaits: the hook whose end @fn waits for, on a thread of the library's; under a
 *	lock of hook.c's
 * @pool: the node's, held; NULL if there is no @fn
 */
struct deadline_hook {
	struct deadline_context *node;
	struct deadline_hook *next;
	struct deadline_hook **back;
	int alarm;
	void (*fn)(void *arg);
	void *arg;
	uint32_t refs;
	uint32_t state;
	pthread_t runner;
	struct deadline_hook *awaits;
	struct pool *pool;
};

/**
 * struct list - free nodes
 * @top: the last one freed
 * @count: how many; of a magazine's list also KEEP while @looks
 * @looks: of a magazine's: so many that are freed are looked at one by one
 * @gave: and one of those went back to its pool
 */
struct list {
	struct deadline_context *top;
	uint32_t count;
	uint16_t looks;
	bool gave;
};

/* What a thread has of this layer, in self.upper */
enum {
	/* Its free nodes: an array of lists, one for each class; NULL at first */
	THREAD_LISTS,
	/* The same, for the fast paths: NULL if a signal may stop this thread */
	THREAD_MAGAZINE,
	/* Which of a crowd's stand-ins is its, counted from 1; 0 = not known yet */
	THREAD_NUMBER,
	/* How many of its next reads sleep first and try then: see io.c */
	THREAD_PATIENCE,
};

static inline struct list *thread_magazine(void)
{
	return self.upper[THREAD_MAGAZINE];
}

/* By powers of two of the timeout; those with slack have lists of their own. */
#define CLASS_SLACK	64
#define CLASSES		65
/* How many of a class a thread keeps */
#define KEEP		64

/* magazine.c */
int pool_alloc_slow(uint32_t class, struct deadline_context **ret_context);
void pool_free_slow(struct deadline_context *context);
/* May a signal stop this thread from now on? */
void pool_preempt(bool on);
/* For fork.c; the last one in a child */
void pool_lock(void);
void pool_unlock(void);
void pool_begin(void);

/* pool.c: contexts of the node's pool have hooks, so have its expiries seen. */
int pool_dispatch(const struct deadline_context *node);
/* The node's memory is to stay when nobody has a reference to it any more. */
struct pool *pool_hold(const struct deadline_context *node);
void pool_let_go(struct pool *pool);
/* For who sees its expiries: was it to be closed? Then it is. */
bool pool_closes(struct pool *pool);

/* leaks.c: for contexts that are no nodes, if leaks are to be told */
void leaks_enter(struct deadline_context *context);
void leaks_leave(struct deadline_context *context);

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
/* Both under the node's lock; the second, if the first is false, after a move */
bool crowd_has_children(const struct deadline_context *node);
void crowd_follow(struct deadline_context *node);
/* Does the node hold its stand-ins, rather than they it? */
bool crowd_is_held(const struct deadline_context *node);

/* hook.c */
bool hook_link(struct deadline_hook *hook);
/* Under the node's lock */
void hooks_take(struct deadline_context *node, struct deadline_hook **ready);
void hooks_look_again(const struct deadline_context *node);
bool hook_unlink(struct deadline_hook *hook);
int dispatch_start(struct pool *pool);
void hook_run(void *hook);
void hooks_begin(void);

/*
 * executor.c: around what may take functions to be run and has more to do then. They
 * are submitted when the outermost of these sections ends, which therefore must be the
 * last that a call does: an exception may come out of it. Preemption is off meanwhile.
 */
void submit_hold(void);
/* All of a list, within such a section */
void submit_later(struct deadline_hook *ready);
void submit_held(void);
/* The thread was cancelled in such sections (pthread_cancel(3)): it leaves them. */
void submit_cancelled(void);
void executor_begin(void);

/* runners.c */
int start_detached(void *(*fn)(void *arg), void *arg);
int runners_start(void);
bool runners_started(void);
void runners_take(struct deadline_hook *hook);
/* What this thread runs, if it is one of those */
struct deadline_hook *runner_current(void);
void runners_begin(void);

static inline struct deadline_slot *
context_slot(const struct deadline_context *node)
{
	return (struct deadline_slot *)(uintptr_t)node->word;
}

static inline void list_push(struct list *list, struct deadline_context *context)
{
	context->next = list->top;
	list->top = context;
	list->count++;
}

static inline struct deadline_context *list_pop(struct list *list)
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
		list_push(&mine[context->class], context);
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
