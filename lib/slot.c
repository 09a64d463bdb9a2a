// SPDX-License-Identifier: MIT
/* Slots: the exported forms, the rare paths, allocation. */
/* Emit what the two headers have inline. */
#define DEADLINE_LOADS
#define DEADLINE_INLINE
#include <errno.h>
#include "internal.h"

/* Slots that one doorbell of deadline_slot_arm_many() names */
#define MANY_BATCH	128

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

	return ret > 0 ? deadline_slot_ring_(slot, 0) : ret;
}

int deadline_slot_arm_silent_(deadline_slot *slot, uint64_t when,
			      uint32_t *ret_slot)
{
	int ret = arm_word(slot, 0, when);

	if (ret > 0)
		*ret_slot = slot - slot_queue(slot)->slots;
	return ret;
}

/* A context whose deadline has passed is over at creation, not when looked at. */
static void help(deadline_slot *slot)
{
	__u64 word = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);

	if (word & DEADLINE_WORD_ARMED &&
	    (word & ~DEADLINE_WORD_STATE) <= deadline_now())
		deadline_slot_request(slot);
}

/* Ring for a slot just armed (@armed 0) or moved (1), and tell that. */
int deadline_slot_ring_(deadline_slot *slot, int armed)
{
	struct deadline_queue *queue = slot_queue(slot);
	uint32_t index = slot - queue->slots;
	int ret = queue->backend->ring(queue, &index, 1);

	if (ret > 0) {
		if (queue->contexts)
			help(slot);
		return armed;
	}
	/* Nobody would look: better not armed. */
	deadline_slot_cancel(slot);
	return ret;
}

int deadline_queue_ring_(deadline_queue *queue, const uint32_t *slots,
			 unsigned int n)
{
	unsigned int done = 0;
	int ret;

	while (done < n) {
		ret = queue->backend->ring(queue, slots + done, n - done);
		if (ret < 0)
			return ret;
		done += ret;
	}
	return 0;
}

int deadline_slot_arm_many(deadline_slot *const *slots, unsigned int n,
			   uint64_t when)
{
	struct deadline_queue *queue = NULL;
	uint32_t late[MANY_BATCH];
	unsigned int i, lates = 0;
	int ret = 0;

	for (i = 0; i < n; i++) {
		if (lates == MANY_BATCH ||
		    (lates && slot_queue(slots[i]) != queue)) {
			ret = deadline_queue_ring_(queue, late, lates);
			if (ret)
				break;
			lates = 0;
		}
		ret = arm_word(slots[i], 0, when);
		if (ret < 0)
			break;
		if (ret) {
			queue = slot_queue(slots[i]);
			late[lates++] = slots[i] - queue->slots;
		}
	}
	if (ret >= 0 && lates)
		ret = deadline_queue_ring_(queue, late, lates);
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

int deadline_slot_set_period(deadline_slot *slot, uint64_t ns)
{
	int ret = check_idle(slot);

	if (ret)
		return ret;
	if (ns && (ns < slot_queue(slot)->period_min || ns > INT64_MAX))
		return -EINVAL;
	__atomic_store_n(&slot->period, ns, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->flags, ns ? DEADLINE_SLOT_PERIODIC : 0,
			 __ATOMIC_RELAXED);
	return 0;
}

const deadline_word *deadline_slot_word(const deadline_slot *slot)
{
	return (const deadline_word *)&slot->word;
}

/* A free slot's user_data is the address of the one freed before it. */
int deadline_slot_alloc(deadline_queue *queue, uint64_t user_data,
			deadline_slot **ret_slot)
{
	deadline_slot *slot = NULL;

	if (queue->orphan)
		return -ECHILD;
	mutex_lock(&queue->lock);
	if (queue->free) {
		slot = queue->free;
		queue->free = (deadline_slot *)(uintptr_t)slot->user_data;
	} else if (queue->unused < queue->count) {
		slot = &queue->slots[queue->unused++];
	}
	if (slot)
		queue->allocated++;
	mutex_unlock(&queue->lock);
	if (!slot)
		return -ENOSPC;
	slot->owner = (uintptr_t)queue;
	/* Relaxed: a stale hint may make a reaper read it. */
	__atomic_store_n(&slot->user_data, user_data, __ATOMIC_RELAXED);
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
	queue->allocated--;
	mutex_unlock(&queue->lock);
}
