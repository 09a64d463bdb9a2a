// SPDX-License-Identifier: MIT
/*
 * Contexts: a tree of deadlines, cancellations and values, as Go has them. Whether
 * one is over is a function of its word alone; how it comes to be is in complete.c.
 */
#include <errno.h>
#include <stdlib.h>
#include "base/alarm.h"
#include "base/probe.h"
#include "context/context.h"

/* What the word of those says that are never over */
static const uint64_t never = DEADLINE_TIME_NEVER | DEADLINE_WORD_ARMED;

static struct deadline_context background = {
	.word = (const deadline_word *)&never,
	.refs = 1,
};

deadline_context *deadline_background(void)
{
	return &background;
}

int deadline_prepare(void)
{
	deadline_context *context;
	int ret, saved = errno;

	ret = deadline_with_cancel(&background, &context);
	if (ret)
		return ret;
	deadline_release(context);
	preempt_off();
	ret = alarm_of_thread(DEADLINE_NEVER);
	preempt_on();
	errno = saved;
	return ret < 0 ? ret : 0;
}

deadline_context *deadline_ref(deadline_context *context)
{
	if (context != &background)
		__atomic_fetch_add(&context->refs, 1, __ATOMIC_RELAXED);
	return context;
}

/* The free list for a deadline at @when. What has passed is with never. */
static inline uint64_t class_of(uint64_t when, uint64_t now)
{
	return 63 ^ __builtin_clzll((when - now) | 1);
}

/*
 * The child is being made below a parent that is over: it is over for the same
 * reason and by the same cause, also where the kernel found it due meanwhile. Nobody
 * else has seen the child, so its word may be exchanged.
 */
static void born_like(struct deadline_context *child,
		      const struct deadline_context *parent)
{
	__u64 *word = &context_slot(child)->word;
	uint64_t due = __atomic_load_n(word, __ATOMIC_RELAXED) &
		       ~DEADLINE_WORD_STATE;
	uint64_t state = 0;

	if (context_word(parent) & DEADLINE_WORD_EXPIRED) {
		child->timeout_cause = deadline_cause(parent);
		state = DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN;
	} else {
		give_cause(child, deadline_cause(parent));
	}
	__atomic_exchange_n(word, due | state, __ATOMIC_SEQ_CST);
}

/* The parent is that of the parent process: nothing is made below it. */
static int disown(struct deadline_context *child)
{
	child->parent = &background;
	child->back = NULL;
	deadline_release(child);
	return -ECHILD;
}

/* The parent node's lock is held, and let go. It is over, for whatever reason. */
static __attribute__((noinline))
int refuse_child(struct deadline_context *child,
		 struct deadline_context *parent)
{
	futex_unlock(&parent->lock);
	if (context_orphan(parent)) {
		__atomic_fetch_sub(&child->parent->refs, 1, __ATOMIC_RELAXED);
		return disown(child);
	}
	child->back = NULL;
	born_like(child, parent);
	return 0;
}

/* The parent node's lock is held, and let go; it may be over. */
static inline __attribute__((always_inline))
int link_locked(struct deadline_context *child,
		struct deadline_context *parent, bool open)
{
	struct deadline_context *next;

	if (__builtin_expect(!open, 0))
		return refuse_child(child, parent);
	next = parent->child;
	child->next = next;
	if (next)
		next->back = &child->next;
	child->back = &parent->child;
	parent->child = child;
	futex_unlock(&parent->lock);
	return 0;
}

static __attribute__((noinline))
int link_contended(struct deadline_context *child,
		   struct deadline_context *parent,
		   struct deadline_context **ret_context)
{
	int ret;

	/* It may have been held when the process forked. */
	if (context_orphan(parent)) {
		__atomic_fetch_sub(&child->parent->refs, 1, __ATOMIC_RELAXED);
		return disown(child);
	}
	futex_lock_slow(&parent->lock);
	ret = link_locked(child, parent, context_opens(parent));
	if (!ret)
		*ret_context = child;
	crowd_form(parent);
	return ret;
}

/* Below a parent that may be in any state */
static __attribute__((noinline))
int link_rare(struct deadline_context *child, struct deadline_context *parent,
	      struct deadline_context **ret_context)
{
	struct deadline_context *node = parent->node, *up = node;
	int ret;

	if (!context_armed(node)) {
		if (context_orphan(node))
			return disown(child);
		deadline_ref(parent);
		child->back = NULL;
		born_like(child, node);
		return 0;
	}
	if (parent == node && context_state(node) == CONTEXT_CROWDED) {
		parent = crowd_stand_in(node);
		child->parent = parent;
		up = parent;
	}
	deadline_ref(parent);
	futex_lock(&up->lock);
	ret = link_locked(child, up, context_opens(up));
	if (ret)
		return ret;
	*ret_context = child;
	/* The stand-in may not know yet. */
	if (up != node && !context_armed(node))
		context_complete(node);
	return 0;
}

/*
 * Link a node that is armed below its parent, which may be over. If the parent is
 * OPEN it was before, and context_opens() has nothing to do. What runs functions does
 * so when the child is in @ret_context: an exception of theirs may end the call.
 */
static inline __attribute__((always_inline))
int link_child(struct deadline_context *child, struct deadline_context *parent,
	       struct deadline_context **ret_context)
{
	struct deadline_context *node = parent->node;

	if (!node) {
		deadline_ref(parent);
		return 0;
	}
	if (__builtin_expect(context_state(node) != CONTEXT_OPEN, 0))
		return link_rare(child, parent, ret_context);
	deadline_ref(parent);
	if (__builtin_expect(!futex_trylock(&node->lock), 0))
		return link_contended(child, node, ret_context);
	return link_locked(child, node, context_armed(node));
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

/*
 * Have it queued; if that cannot be, nobody has seen the node yet. If its deadline has
 * passed by now, it is over from its creation, not from when somebody looks at it.
 */
static __attribute__((noinline)) int ring_doorbell(struct deadline_context *node)
{
	int ret = deadline_slot_hand_in_(context_slot(node), 0);

	if (ret)
		pool_free(node, thread_magazine());
	else if (!context_over(node))
		context_help(node, clock_read());
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
		ret = ring_doorbell(node);
		if (ret)
			return ret;
	}
	/* Release: a reaper that gets a reference gets all of the above. */
	__atomic_store_n(&node->refs, 1, __ATOMIC_RELEASE);
	if (parent != &background) {
		ret = link_child(node, parent, ret_context);
		if (__builtin_expect(ret, 0))
			return ret;
	}
	PROBE3(context_made, node, node->when, node->creator);
	*ret_context = node;
	return 0;
}

/*
 * Of the slack of a node whose deadline is @when: what is before the parent's deadline,
 * at which the node shall be over by its own word.
 */
static uint32_t slack_within(uint32_t slack, uint64_t when, uint64_t limit)
{
	return limit - when < slack ? limit - when : slack;
}

static __attribute__((noinline))
int make_node_slow(struct deadline_context *parent, uint32_t class,
		   uint64_t when, uint32_t slack, uintptr_t cause,
		   void *creator, struct deadline_context **ret_context)
{
	uint64_t limit = deadline_when(parent);
	struct deadline_context *node = parent->node;
	int ret;

	/* A child made by _Fork(3) may have no memory to be had. */
	if (node && context_orphan(node))
		return -ECHILD;
	submit_hold();
	ret = pool_alloc_slow(class, &node);
	if (!ret) {
		node->class = class;
		node->slack = slack;
		/* Who takes the slot out of the inbox may read it now. */
		__atomic_store_n(&context_slot(node)->slack,
				 slack_within(slack, when, limit),
				 __ATOMIC_RELAXED);
		ret = make_node(node, parent, when, cause, creator,
				ret_context);
	}
	submit_held();
	return ret;
}

/*
 * The deadline has passed: the node is over from the start, and no slot is armed. It is
 * below its parent like any other; if that is over too, or is from now on because it is
 * its deadline that has passed, the node is over for the parent's reason.
 */
static __attribute__((noinline))
int make_passed(struct deadline_context *parent, uint32_t class, uint64_t when,
		uintptr_t cause, uint64_t now, void *creator,
		struct deadline_context **ret_context)
{
	struct deadline_context *node, *up = parent->node;
	int ret;

	if (up && context_orphan(up))
		return -ECHILD;
	submit_hold();
	ret = pool_alloc_slow(class, &node);
	if (ret)
		goto out;
	node->class = class;
	node->slack = 0;
	__atomic_store_n(&context_slot(node)->slack, 0, __ATOMIC_RELAXED);
	node->parent = parent;
	node->when = when;
	node->timeout_cause = cause;
	node->cancel_cause = 0;
	node->creator = creator;
	__atomic_exchange_n(&context_slot(node)->word,
			    (deadline_top_(when) - DEADLINE_WORD_STATE) |
			    DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN,
			    __ATOMIC_SEQ_CST);
	__atomic_store_n(&node->refs, 1, __ATOMIC_RELEASE);
	PROBE3(context_made, node, node->when, node->creator);
	if (up) {
		context_help(up, now);
		ret = link_rare(node, parent, ret_context);
	} else {
		deadline_ref(parent);
	}
	if (!ret)
		*ret_context = node;
out:
	submit_held();
	if (up && !context_armed(up))
		context_complete(up);
	return ret;
}

/*
 * A node with the earlier one of two deadlines, its own and the parent's. @now is from
 * the clock, so that a deadline which has passed is noticed here: a look that is
 * planned already may be late.
 */
static inline __attribute__((always_inline))
int new_node(struct deadline_context *parent, uint64_t when, uintptr_t cause,
	     uint64_t now, void *creator, struct deadline_context **ret_context)
{
	struct deadline_context *node = parent->node;
	struct list *mine = thread_magazine();
	uint64_t class;

	if (node && node->when < when)
		when = node->when;
	class = class_of(when, now);
	if (__builtin_expect(when <= now, 0))
		return make_passed(parent, class, when, cause, now, creator,
				   ret_context);
	node = mine ? list_pop(&mine[class]) : NULL;
	if (__builtin_expect(!node, 0))
		return make_node_slow(parent, class, when, 0, cause, creator,
				      ret_context);
	return make_node(node, parent, when, cause, creator, ret_context);
}

int deadline_with_deadline(deadline_context *parent, uintptr_t cause,
			   deadline_context **ret_context, uint64_t when)
{
	return new_node(parent, when, cause, clock_read(),
			__builtin_return_address(0), ret_context);
}

int deadline_with_timeout(deadline_context *parent, uintptr_t cause,
			  deadline_context **ret_context, uint64_t ns)
{
	uint64_t now, when;

	/* A difference below zero, or a time that is taken for a timeout */
	if (__builtin_expect((int64_t)ns < 0, 0) && ns != DEADLINE_NEVER)
		return -EINVAL;
	now = clock_read();
	when = ns == DEADLINE_NEVER ? ns : now + ns;
	return new_node(parent, when, cause, now, __builtin_return_address(0),
			ret_context);
}

int deadline_with_slack(deadline_context *parent, uintptr_t cause,
			deadline_context **ret_context, uint64_t when,
			uint32_t slack)
{
	uint64_t now = clock_read(), limit = deadline_when(parent);
	void *creator = __builtin_return_address(0);

	if (when > limit)
		when = limit;
	if (when <= now || !slack)
		return new_node(parent, when, cause, now, creator, ret_context);
	return make_node_slow(parent, CLASS_SLACK, when, slack, cause, creator,
			      ret_context);
}

int deadline_with_cancel(deadline_context *parent,
			 deadline_context **ret_context)
{
	struct deadline_context *node = parent->node;
	bool never = !node || node->when == DEADLINE_NEVER;

	return new_node(parent, DEADLINE_NEVER, 0, never ? 0 : clock_read(),
			__builtin_return_address(0), ret_context);
}

/* One without a slot; over if @like is, which is @parent or the background */
static int new_light(deadline_context *parent, const deadline_context *like,
		     deadline_context **ret_context,
		     const void *key, void *value, void *creator)
{
	struct deadline_context *context;
	int saved = errno;

	if (parent->node && context_orphan(parent->node))
		return -ECHILD;
	preempt_off();
	context = calloc(1, sizeof(*context));
	preempt_on();
	errno = saved;
	if (!context)
		return -ENOMEM;
	context->word = like->word;
	context->node = like->node;
	context->parent = deadline_ref(parent);
	context->refs = 1;
	context->key = key;
	context->value = value;
	context->creator = creator;
	leaks_enter(context);
	*ret_context = context;
	return 0;
}

int deadline_with_value(deadline_context *parent, const void *key, void *value,
			deadline_context **ret_context)
{
	return key ? new_light(parent, parent, ret_context, key, value,
			       __builtin_return_address(0)) : -EINVAL;
}

int deadline_without_cancel(deadline_context *parent,
			    deadline_context **ret_context)
{
	return new_light(parent, &background, ret_context, NULL, NULL,
			 __builtin_return_address(0));
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
			PROBE3(context_canceled, context, context->when,
			       context->creator);
			context_complete(context);
			return 1;
		}
	}
	if (context_orphan(context))
		return -ECHILD;
	context_complete(context);
	return 0;
}

/*
 * The lock keeps @when and the children together: who completes the node takes it, and
 * a child is linked under it. The parent's deadline is at @limit.
 */
static int move_locked(struct deadline_context *node, uint64_t when,
		       uint64_t limit)
{
	struct deadline_slot *slot = context_slot(node);
	uint64_t word, now = clock_read();
	int ret;

	/* The look may be late, as in new_node(), or have slack left. */
	context_help(node, now);
	if (node->child && crowd_has_children(node))
		return context_armed(node) ? -EBUSY : 0;
	/*
	 * Whoever sees the new deadline sees its slack. Together they are no earlier
	 * than before, unless the deadline is: so the look is planned in time.
	 */
	if (node->slack)
		__atomic_store_n(&slot->slack,
				 slack_within(node->slack, when, limit),
				 __ATOMIC_RELAXED);
	ret = deadline_slot_move(slot, when);
	if (ret == 1) {
		__atomic_store_n(&node->when, when, __ATOMIC_RELAXED);
		if (node->child)
			crowd_follow(node);
	}
	word = context_word(node);
	/*
	 * Somebody may sleep until the time before. WAKE stays set by a move, but not
	 * by an expiry, which may have come since and wakes nobody.
	 */
	if (word & DEADLINE_WORD_WAKE || !(word & DEADLINE_WORD_ARMED))
		context_wake((__u64 *)state_half(&slot->word));
	if (ret == 1) {
		hooks_look_again(node);
		context_help(node, now);
	}
	return ret;
}

int deadline_move(deadline_context *context, uint64_t when)
{
	uint64_t limit;
	int ret;

	if (context->node != context)
		return -EINVAL;
	if (context_orphan(context))
		return -ECHILD;
	limit = deadline_when(context->parent);
	if (when > limit)
		when = limit;
	preempt_off();
	futex_lock(&context->lock);
	ret = move_locked(context, when, limit);
	futex_unlock(&context->lock);
	preempt_on();
	/* Its time may have passed; or the doorbell failed, and it is cancelled. */
	if (!context_armed(context))
		context_complete(context);
	return ret;
}

/* Out of the parent node's children, who may be taking it out himself */
static inline void leave(struct deadline_context *node,
			 struct deadline_context *parent)
{
	futex_lock(&parent->lock);
	/* That is the end of it: it needs no NULL. */
	if (node->back)
		take_out(node);
	futex_unlock(&parent->lock);
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
		own_close(node->done_fd - 1);
		node->done_fd = 0;
		errno = saved;
	}
	node->crowd = NULL;
	context_set_state(node, CONTEXT_BARE);
	return true;
}

/* Give a reference back; was it the last? */
static inline bool drop_ref(struct deadline_context *context)
{
	return context != &background &&
	       __atomic_fetch_sub(&context->refs, 1, __ATOMIC_ACQ_REL) == 1;
}

/* A node that is over: out of its parent's children, and free */
static inline void free_node(struct deadline_context *node, struct list *mine)
{
	struct deadline_context *up = node->parent->node;

	if (up)
		leave(node, up);
	pool_free(node, mine);
}

/* Nobody has a reference any more to a node that is BARE. */
static inline void finish(struct deadline_context *context, struct list *mine)
{
	/* Our parent's: it has no slot here, so it is not free. */
	if (!end(context, 0) && context_orphan(context))
		return;
	free_node(context, mine);
}

/* The same for any other node. False if that is not so again. */
static bool finish_rare(struct deadline_context *context, struct list *mine)
{
	if (!end_rare(context))
		return false;
	if (!context_orphan(context))
		free_node(context, mine);
	return true;
}

static inline bool is_bare(const struct deadline_context *node)
{
	return context_state(node) == CONTEXT_BARE;
}

static void finish_light(struct deadline_context *context)
{
	leaks_leave(context);
	free(context);
}

/* The last reference to a node that is not BARE was given back: functions may run. */
static __attribute__((noinline))
void release_rare(struct deadline_context *context, struct list *mine)
{
	struct deadline_context *parent;

	submit_hold();
	do {
		parent = context->parent;
		if (context->node != context)
			finish_light(context);
		else if (is_bare(context))
			finish(context, mine);
		else if (!finish_rare(context, mine))
			break;
		context = parent;
	} while (drop_ref(context));
	submit_held();
}

static inline __attribute__((always_inline))
void release_chain(struct deadline_context *context, struct list *mine)
{
	struct deadline_context *parent;

	while (drop_ref(context)) {
		parent = context->parent;
		if (__builtin_expect(context->node != context, 0)) {
			finish_light(context);
		} else if (__builtin_expect(is_bare(context), 1)) {
			finish(context, mine);
		} else {
			release_rare(context, mine);
			return;
		}
		context = parent;
	}
}

static __attribute__((noinline))
void release_slow(struct deadline_context *context)
{
	submit_hold();
	release_chain(context, NULL);
	submit_held();
}

void deadline_release(deadline_context *context)
{
	struct list *mine = thread_magazine();

	if (!context)
		return;
	if (__builtin_expect(!mine, 0))
		release_slow(context);
	else
		release_chain(context, mine);
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
	const struct deadline_context *node = context->node;

	return node ? __atomic_load_n(&node->when, __ATOMIC_RELAXED) :
		      DEADLINE_NEVER;
}
