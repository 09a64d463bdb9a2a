// SPDX-License-Identifier: MIT
/*
 * Contexts: a tree of deadlines, cancellations and values, as Go has them. Whether
 * one is over is a function of its word alone; how it comes to be is in complete.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "context.h"

/* What the word of those says that are never over */
static const uint64_t never = DEADLINE_TIME_NEVER | DEADLINE_WORD_ARMED;

static struct deadline_context background = {
	.word = (const deadline_word *)&never,
	.refs = 1,
	.when = DEADLINE_NEVER,
};

deadline_context *deadline_background(void)
{
	return &background;
}

deadline_context *deadline_ref(deadline_context *context)
{
	if (context != &background)
		__atomic_fetch_add(&context->refs, 1, __ATOMIC_RELAXED);
	return context;
}

/*
 * The free list for a deadline at @when. How far away that is need not be exact,
 * so the time is the one that this thread read last. What has passed is with never.
 */
static inline uint64_t class_of(uint64_t when)
{
	return 63 ^ __builtin_clzll((when - self.now) | 1);
}

/* The parent node is over: so is what is made below it. */
static __attribute__((noinline))
void refuse_child(struct deadline_context *child,
		  struct deadline_context *parent)
{
	unlock(&parent->lock);
	child->back = NULL;
	context_end_like(child, parent);
}

/* The parent node's lock is held, and let go; it may be over. */
static inline __attribute__((always_inline))
void link_locked(struct deadline_context *child,
		 struct deadline_context *parent, bool open)
{
	struct deadline_context *next;

	if (__builtin_expect(!open, 0)) {
		refuse_child(child, parent);
		return;
	}
	next = parent->child;
	child->next = next;
	if (next)
		next->back = &child->next;
	child->back = &parent->child;
	parent->child = child;
	unlock(&parent->lock);
}

static __attribute__((noinline))
void link_contended(struct deadline_context *child,
		    struct deadline_context *parent)
{
	lock_slow(&parent->lock);
	link_locked(child, parent, context_opens(parent));
	crowd_form(parent);
}

/* Below a parent that is not just OPEN */
static __attribute__((noinline))
void link_rare(struct deadline_context *child, struct deadline_context *parent)
{
	struct deadline_context *node = parent->node, *up = node;

	if (parent == node && context_state(node) == CONTEXT_CROWDED) {
		parent = crowd_stand_in(node);
		child->parent = parent;
		up = parent;
	}
	deadline_ref(parent);
	lock(&up->lock);
	link_locked(child, up, context_opens(up));
	/* The stand-in may not know yet. */
	if (up != node && !context_armed(node))
		context_complete(node);
}

/*
 * Link a node that is armed below its parent, which may be over. If the parent is
 * OPEN it was before, and context_opens() has nothing to do.
 */
static inline __attribute__((always_inline))
void link_child(struct deadline_context *child,
		struct deadline_context *parent)
{
	struct deadline_context *node = parent->node;

	if (!node) {
		deadline_ref(parent);
		return;
	}
	if (__builtin_expect(context_state(node) != CONTEXT_OPEN, 0)) {
		link_rare(child, parent);
		return;
	}
	deadline_ref(parent);
	if (__builtin_expect(!trylock(&node->lock), 0))
		link_contended(child, node);
	else
		link_locked(child, node, context_armed(node));
}

/*
 * Start a deadline in a slot that is nobody else's. An exchange serves as the swap:
 * of a word that is not ARMED, whatever it is has no meaning any more.
 */
static inline bool arm(struct deadline_slot *slot, uint64_t when)
{
	uint64_t top = deadline_top_(when);

	__atomic_exchange_n(&slot->word, top - DEADLINE_WORD_STATE +
			    DEADLINE_WORD_ARMED, __ATOMIC_SEQ_CST);
	/* [arm]: see deadline_swap_(). */
	return __atomic_load_n(&slot->queued, __ATOMIC_SEQ_CST) <= top;
}

/* Have it queued; if that cannot be, nobody has seen the node yet. */
static __attribute__((noinline)) int ring(struct deadline_context *node)
{
	int ret = deadline_slot_ring_(context_slot(node), 0);

	if (ret)
		pool_free(node, self.magazine);
	return ret;
}

/* A node below @parent, from what was free; a cause goes with the deadline. */
static inline __attribute__((always_inline))
int make_node(struct deadline_context *node, struct deadline_context *parent,
	      uint64_t when, uintptr_t cause, void *creator,
	      struct deadline_context **ret_context)
{
	int ret;

	node->parent = parent;
	node->when = when;
	node->timeout_cause = cause;
	node->cancel_cause = 0;
	node->creator = creator;
	if (__builtin_expect(!arm(context_slot(node), when), 0)) {
		ret = ring(node);
		if (ret)
			return ret;
	}
	/* Release: a reaper that gets a reference gets all of the above. */
	__atomic_store_n(&node->refs, 1, __ATOMIC_RELEASE);
	*ret_context = node;
	if (parent != &background)
		link_child(node, parent);
	return 0;
}

static __attribute__((noinline))
int make_node_slow(struct deadline_context *parent, uint32_t class,
		   uint64_t when, uintptr_t cause, void *creator,
		   struct deadline_context **ret_context)
{
	struct deadline_context *node;
	int ret;

	preempt_off();
	ret = pool_alloc_slow(class, &node);
	if (!ret) {
		node->class = class;
		ret = make_node(node, parent, when, cause, creator,
				ret_context);
	}
	preempt_on();
	return ret;
}

static inline __attribute__((always_inline))
int new_node(struct deadline_context *parent, uint64_t when, uintptr_t cause,
	     void *creator, struct deadline_context **ret_context)
{
	struct deadline_context *node;
	struct list *mine = self.magazine;
	uint64_t class;

	if (parent->when <= when) {
		when = parent->when;
		cause = parent->timeout_cause;
	}
	class = class_of(when);
	node = mine ? pop(&mine[class]) : NULL;
	if (__builtin_expect(!node, 0))
		return make_node_slow(parent, class, when, cause, creator,
				      ret_context);
	return make_node(node, parent, when, cause, creator, ret_context);
}

int deadline_with_deadline(deadline_context *parent, uintptr_t cause,
			   deadline_context **ret_context, uint64_t when)
{
	return new_node(parent, when, cause, __builtin_return_address(0),
			ret_context);
}

int deadline_with_timeout(deadline_context *parent, uintptr_t cause,
			  deadline_context **ret_context, uint64_t ns)
{
	uint64_t when = clock_in(ns);

	return new_node(parent, when, cause, __builtin_return_address(0),
			ret_context);
}

int deadline_with_cancel(deadline_context *parent,
			 deadline_context **ret_context)
{
	return new_node(parent, DEADLINE_NEVER, 0, __builtin_return_address(0),
			ret_context);
}

/* One without a slot; over if @like is, which is @parent or the background */
static int new_light(deadline_context *parent, const deadline_context *like,
		     deadline_context **ret_context,
		     const void *key, void *value)
{
	struct deadline_context *context;
	int saved = errno;

	context = calloc(1, sizeof(*context));
	errno = saved;
	if (!context)
		return -ENOMEM;
	context->word = like->word;
	context->node = like->node;
	context->when = like->when;
	context->timeout_cause = like->timeout_cause;
	context->parent = deadline_ref(parent);
	context->refs = 1;
	context->key = key;
	context->value = value;
	*ret_context = context;
	return 0;
}

int deadline_with_value(deadline_context *parent, const void *key, void *value,
			deadline_context **ret_context)
{
	return key ? new_light(parent, parent, ret_context, key, value) :
		     -EINVAL;
}

int deadline_without_cancel(deadline_context *parent,
			    deadline_context **ret_context)
{
	return new_light(parent, &background, ret_context, NULL, NULL);
}

void *deadline_value(const deadline_context *context, const void *key)
{
	for (; context; context = context->parent) {
		if (context->key && context->key == key)
			return context->value;
	}
	return NULL;
}

int deadline_cancel(deadline_context *context, uintptr_t cause)
{
	uint64_t word;
	__u64 *at;

	if (context->node != context || cause == UINTPTR_MAX)
		return -EINVAL;
	at = &context_slot(context)->word;
	word = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	if (word & DEADLINE_WORD_ARMED) {
		give_cause(context, cause);
		if (end_from(at, word, 0)) {
			context_complete(context);
			return 1;
		}
	}
	if (context_orphan(context))
		return -ECHILD;
	context_complete(context);
	return 0;
}

/* Out of the parent node's children, who may be taking it out himself */
static inline void leave(struct deadline_context *node,
			 struct deadline_context *parent)
{
	lock(&parent->lock);
	/* That is the end of it: it needs no NULL. */
	if (node->back)
		take_out(node);
	unlock(&parent->lock);
}

/*
 * End a node that had something below it, which is gone or will never be. False if
 * there are stand-ins yet: the last of those will.
 */
static __attribute__((noinline))
bool end_rare(struct deadline_context *node)
{
	int saved = errno;

	if (crowd_dissolve(node))
		return false;
	end(node, 0);
	if (context_orphan(node))
		return true;
	context_complete(node);
	if (node->done_fd) {
		close(node->done_fd - 1);
		node->done_fd = 0;
		errno = saved;
	}
	node->crowd = NULL;
	context_set_state(node, CONTEXT_BARE);
	return true;
}

/* Give a reference back; was it the last? */
static inline bool put(struct deadline_context *context)
{
	return context != &background &&
	       __atomic_fetch_sub(&context->refs, 1, __ATOMIC_ACQ_REL) == 1;
}

/* Nobody has a reference any more. False if that is not so again. */
static inline bool finish(struct deadline_context *context, struct list *mine)
{
	struct deadline_context *up;

	if (__builtin_expect(context->node != context, 0)) {
		free(context);
		return true;
	}
	if (__builtin_expect(context_state(context) == CONTEXT_BARE, 1))
		end(context, 0);
	else if (!end_rare(context))
		return false;
	/* The locks of an orphan may have been held when the process forked. */
	up = context->parent->node;
	if (up && !context_orphan(context))
		leave(context, up);
	pool_free(context, mine);
	return true;
}

static inline __attribute__((always_inline))
void release(struct deadline_context *context, struct list *mine)
{
	struct deadline_context *parent;

	while (put(context)) {
		parent = context->parent;
		if (!finish(context, mine))
			break;
		context = parent;
	}
}

static __attribute__((noinline))
void release_slow(struct deadline_context *context)
{
	preempt_off();
	release(context, NULL);
	preempt_on();
}

void deadline_release(deadline_context *context)
{
	struct list *mine = self.magazine;

	if (!context)
		return;
	if (__builtin_expect(!mine, 0))
		release_slow(context);
	else
		release(context, mine);
}

void deadline_release_at(deadline_context **context)
{
	deadline_release(*context);
}

const deadline_word *deadline_context_word(const deadline_context *context)
{
	return context->word;
}

uint64_t deadline_when(const deadline_context *context)
{
	return context->when;
}
