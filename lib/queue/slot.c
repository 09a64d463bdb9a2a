// SPDX-License-Identifier: MIT
/* Slots: the exported forms, the rare paths, allocation. */
/* Emit what the two headers have inline. */
#define DEADLINE_LOADS
#define DEADLINE_INLINE
#include <errno.h>
#include "queue/queue.h"

/* Not armed: over, except where no queue serves it. */
int deadline_slot_over_(const deadline_slot *slot)
{
	return slot->owner ? 0 : -ECHILD;
}

/* The rest of deadline_slot_arm() when its short way did not work out. */
static int arm_word(deadline_slot *slot, uint32_t flags, uint64_t when)
{
	uint64_t top = deadline_top_(when);
	__u64 old = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);

	if (!slot->owner)
		return -ECHILD;
	if (flags)
		return -EINVAL;
	do {
		if (old & DEADLINE_WORD_ARMED)
			return -EBUSY;
	} while (!deadline_swap_(&slot->word, &old,
				 top - DEADLINE_WORD_STATE +
				 DEADLINE_WORD_ARMED));
	if (slot->slack > DEADLINE_NEVER - top)
		top = DEADLINE_NEVER;
	else
		top += slot->slack;
	/* [arm]: see deadline_swap_(). */
	return __atomic_load_n(&slot->queued, __ATOMIC_SEQ_CST) > top;
}

int deadline_slot_arm_slow_(deadline_slot *slot, uint32_t flags, uint64_t when)
{
	int ret = arm_word(slot, flags, when);

	return ret > 0 ? deadline_slot_hand_in_(slot, 0) : ret;
}

/*
 * Put the slot on the stack of those at which a look is to be planned, unless it is
 * there, and tell whether the doorbell must be rung: because the next look would be
 * too late, or because there are many.
 *
 *	here				who serves the queue
 *	----				--------------------
 *	swap word			swap link
 *	full barrier			full barrier [pop]
 *	swap link [push]		load word
 *
 *	swap inbox			store wake
 *	full barrier [push]		full barrier [wake]
 *	load wake			load inbox
 *
 * Both times one of the two sees what the other wrote. Only if this call pushed the
 * slot is it known to be there; then it goes by the word as it is by now: a signal
 * handler of this thread may have found it pushed already, moved it, and rung
 * before it was there (selftests/models/inbox.pml).
 */
static inline __attribute__((always_inline))
bool hand_in(struct deadline_queue *queue, deadline_slot *slot)
{
	__u32 *inbox = &queue->header->inbox, top, pushed = DEADLINE_INBOX_ONE;
	uint64_t latest;

	/* [push]: all of these are sequentially consistent. */
	if (!(__atomic_fetch_or(&slot->link, DEADLINE_LINK_PUSHED,
				__ATOMIC_SEQ_CST) & DEADLINE_LINK_PUSHED)) {
		top = __atomic_load_n(inbox, __ATOMIC_RELAXED);
		do {
			__atomic_store_n(&slot->link, DEADLINE_LINK_PUSHED |
					 (top & DEADLINE_INBOX_SLOT),
					 __ATOMIC_RELAXED);
			pushed = ((top & ~DEADLINE_INBOX_SLOT) +
				  DEADLINE_INBOX_ONE) |
				 (slot_index(queue, slot) + 1);
		} while (!__atomic_compare_exchange_n(inbox, &top, pushed, 0,
						      __ATOMIC_SEQ_CST,
						      __ATOMIC_RELAXED));
	}
	latest = __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST) |
		 DEADLINE_WORD_STATE;
	if (__builtin_add_overflow(latest, slot->slack, &latest))
		latest = DEADLINE_NEVER;
	if (__atomic_load_n(&queue->status->wake, __ATOMIC_SEQ_CST) > latest)
		return true;
	return !(pushed / DEADLINE_INBOX_ONE % DEADLINE_INBOX_MANY);
}

/* The same, for the rest of the library */
bool slot_hand_in(struct deadline_queue *queue, deadline_slot *slot)
{
	return hand_in(queue, slot);
}

int deadline_slot_arm_silent_(deadline_slot *slot, uint64_t when)
{
	int ret = arm_word(slot, 0, when);

	return ret > 0 ? hand_in(slot_queue(slot), slot) : ret;
}

/* Ring for a slot that is on the stack: @armed, or the error. */
static __attribute__((noinline)) int ring_for(deadline_slot *slot, int armed)
{
	struct deadline_queue *queue = slot_queue(slot);
	int ret = queue->backend->doorbell(queue);

	if (!ret)
		return armed;
	/* The look would come too late: better not armed. */
	deadline_slot_cancel(slot);
	return ret;
}

/* Hand in a slot just armed (@armed 0) or moved (1), and tell that. */
int deadline_slot_hand_in_(deadline_slot *slot, int armed)
{
	if (__builtin_expect(hand_in(slot_queue(slot), slot), 0))
		return ring_for(slot, armed);
	return armed;
}

int deadline_queue_doorbell_(deadline_queue *queue)
{
	struct deadline_queue *part;
	int ret = 0;

	for (part = queue; part && !ret; part = queue_more(part))
		ret = part->backend->doorbell(part);
	return ret;
}

int deadline_slot_arm_many(deadline_slot *const *slots, const uint64_t *when,
			   unsigned int n)
{
	struct deadline_queue *queue = NULL;	/* whose doorbell is to be rung */
	unsigned int i, waiting = 0;
	int ret = 0;

	for (i = 0; i < n; i++) {
		if (queue && (waiting == DEADLINE_INBOX_MANY ||
			      slot_queue(slots[i]) != queue)) {
			ret = queue->backend->doorbell(queue);
			if (ret)
				break;
			queue = NULL;
			waiting = 0;
		}
		ret = deadline_slot_arm_silent_(slots[i], when[i]);
		if (ret < 0)
			break;
		waiting++;
		if (ret)
			queue = slot_queue(slots[i]);
	}
	if (ret >= 0 && queue)
		ret = queue->backend->doorbell(queue);
	if (ret >= 0)
		return 0;
	while (i--)
		deadline_slot_cancel(slots[i]);
	return ret;
}

/* May its owner change the slot now? */
static int check_idle(const deadline_slot *slot)
{
	if (!slot->owner)
		return -ECHILD;
	return __atomic_load_n(&slot->word, __ATOMIC_RELAXED) &
	       DEADLINE_WORD_ARMED ? -EBUSY : 0;
}

int deadline_slot_set_slack(deadline_slot *slot, uint32_t ns)
{
	int ret = check_idle(slot);

	if (!ret)
		__atomic_store_n(&slot->slack, ns, __ATOMIC_RELAXED);
	return ret;
}

int deadline_slot_set_user_data(deadline_slot *slot, uint64_t user_data)
{
	int ret = check_idle(slot);

	if (!ret)
		__atomic_store_n(&slot->user_data, user_data, __ATOMIC_RELAXED);
	return ret;
}

int deadline_slot_set_period(deadline_slot *slot, uint64_t ns)
{
	struct deadline_queue *queue = slot_queue(slot);
	int ret = check_idle(slot);

	if (ret)
		return ret;
	if (ns && (ns < queue->period_min || ns > INT64_MAX))
		return -EINVAL;
	__atomic_store_n(&queue->periods[slot_index(queue, slot)], ns,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&slot->flags, (slot->flags & DEADLINE_SLOT_SIGNAL) |
			 (ns ? DEADLINE_SLOT_PERIODIC : 0), __ATOMIC_RELAXED);
	return 0;
}

uint64_t deadline_slot_when(const deadline_slot *slot)
{
	__u64 word = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
	uint64_t when = word & ~DEADLINE_WORD_STATE;

	if (!(word & DEADLINE_WORD_ARMED))
		return 0;
	return when == DEADLINE_TIME_NEVER ? DEADLINE_NEVER : when;
}

uint64_t deadline_slot_remaining(const deadline_slot *slot)
{
	uint64_t when = deadline_slot_when(slot), now;

	if (!when || when == DEADLINE_NEVER)
		return when;
	now = queue_now(slot_queue(slot));
	return when > now ? when - now : 0;
}

/* As claim() of queue.c, but nobody wants to know of what. */
int deadline_slot_drop(deadline_slot *slot)
{
	__u64 old = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);

	do {
		if ((old & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) !=
		    DEADLINE_WORD_EXPIRED)
			return deadline_slot_over_(slot);
	} while (!deadline_swap_(&slot->word, &old, old | DEADLINE_WORD_TAKEN));
	return 1;
}

const deadline_word *deadline_slot_word(const deadline_slot *slot)
{
	return (const deadline_word *)&slot->word;
}

/* A free slot's user_data is the address of the one freed before it. */
static deadline_slot *take_free(struct deadline_queue *queue)
{
	deadline_slot *slot = NULL;

	mutex_lock(&queue->lock);
	if (queue->free) {
		slot = queue->free;
		queue->free = (deadline_slot *)(uintptr_t)slot->user_data;
	} else if (queue->unused < queue->count) {
		slot = slot_at(queue, queue->unused++);
	}
	if (slot)
		__atomic_store_n(&queue->allocated, queue->allocated + 1,
				 __ATOMIC_RELAXED);
	mutex_unlock(&queue->lock);
	if (slot)
		slot->owner = (uintptr_t)queue;
	return slot;
}

int deadline_slot_alloc(deadline_queue *queue, uint64_t user_data,
			deadline_slot **ret_slot)
{
	struct deadline_queue *part;
	deadline_slot *slot;
	int ret;

	if (queue_is_orphan(queue))
		return -ECHILD;
	slot = take_free(queue);
	while (!slot) {
		for (part = queue_more(queue); part && !slot;
		     part = queue_more(part))
			slot = take_free(part);
		ret = slot ? 0 : grow(queue);
		if (ret)
			return ret;
	}
	/* Relaxed: a stale hint may make a reaper read it. */
	__atomic_store_n(&slot->user_data, user_data, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->slack, queue->slack, __ATOMIC_RELAXED);
	if (queue->signals)
		__atomic_store_n(&slot->flags, DEADLINE_SLOT_SIGNAL,
				 __ATOMIC_RELAXED);
	*ret_slot = slot;
	return 0;
}

void deadline_slot_free(deadline_slot *slot)
{
	struct deadline_queue *queue;
	__u64 old;

	if (!slot || !slot->owner)
		return;
	queue = slot_queue(slot);
	/* Neither armed nor expired: a hint that still names it finds nothing. */
	old = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);
	while (!deadline_swap_(&slot->word, &old, old & ~DEADLINE_WORD_STATE))
		;
	slot->owner = 0;
	__atomic_store_n(&slot->slack, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->flags, 0, __ATOMIC_RELAXED);
	mutex_lock(&queue->lock);
	__atomic_store_n(&slot->user_data, (uintptr_t)queue->free,
			 __ATOMIC_RELAXED);
	queue->free = slot;
	__atomic_store_n(&queue->allocated, queue->allocated - 1,
			 __ATOMIC_RELAXED);
	mutex_unlock(&queue->lock);
}
