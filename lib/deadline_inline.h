/* SPDX-License-Identifier: MIT */
/*
 * deadline_slot_arm(), _move(), _cancel() and _expire() inline, for programs that
 * include this file; the library exports the same functions from the same text.
 * It is the program's side of the slot protocol (uapi/deadline.rst) as
 * DEADLINE_FEATURE_WORD has it: a program that includes it works with kernels that
 * have this feature, and with the library's thread.
 */
#ifndef DEADLINE_INLINE_H
#define DEADLINE_INLINE_H

#include <linux/deadline.h>
#include <deadline.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEADLINE_ALWAYS_ \
	extern inline __attribute__((__gnu_inline__, __always_inline__))
#ifndef DEADLINE_INLINE
#define DEADLINE_INLINE DEADLINE_ALWAYS_
#endif

/* Out of line: what is rare. Same results as the callers'. */
int deadline_slot_arm_slow_(deadline_slot *slot, uint32_t flags, uint64_t when);
int deadline_slot_over_(const deadline_slot *slot);
int deadline_slot_hand_in_(deadline_slot *slot, int armed);

/* For <deadline_uring.h>. Arm without a doorbell: 1 if one is needed */
int deadline_slot_arm_silent_(deadline_slot *slot, uint64_t when);
/* Ring it: 0 or -errno. */
int deadline_queue_doorbell_(deadline_queue *queue);
/* DEADLINE_FEATURE_* of the device; 0 where a thread serves */
uint64_t deadline_queue_features_(const deadline_queue *queue);

DEADLINE_ALWAYS_
bool deadline_swap_(__u64 *word, __u64 *old, __u64 to)
{
	/*
	 * [arm] The swap and the load of queued after it are both sequentially
	 * consistent: between them that is the full barrier that pairs with the
	 * look's. A failed swap orders nothing and is tried again.
	 */
	return __atomic_compare_exchange_n(word, old, to, 0, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/*
 * A deadline with its low bits all ones: so it compares with queued as it is,
 * and the word is a subtraction away.
 */
DEADLINE_ALWAYS_ uint64_t deadline_top_(uint64_t when)
{
	uint64_t top = when + (DEADLINE_GRAIN - 1);

	return (top < when ? DEADLINE_NEVER : top) | DEADLINE_WORD_STATE;
}

/* Slack and flags, which lie side by side: zero for most slots */
DEADLINE_ALWAYS_ __u64 deadline_special_(const deadline_slot *slot)
{
	__u64 special;

	__builtin_memcpy(&special, (const char *)slot +
			 offsetof(struct deadline_slot, slack),
			 sizeof(special));
	return special;
}

DEADLINE_INLINE
int deadline_slot_arm(deadline_slot *slot, uint32_t flags, uint64_t when)
{
	__u64 old = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);
	uint64_t top = deadline_top_(when);

	if ((old & DEADLINE_WORD_ARMED) || !slot->owner ||
	    (flags | deadline_special_(slot)) ||
	    !deadline_swap_(&slot->word, &old,
			    top - DEADLINE_WORD_STATE + DEADLINE_WORD_ARMED))
		return deadline_slot_arm_slow_(slot, flags, when);
	if (__atomic_load_n(&slot->queued, __ATOMIC_SEQ_CST) > top)
		return deadline_slot_hand_in_(slot, 0);
	return 0;
}

DEADLINE_INLINE int deadline_slot_move(deadline_slot *slot, uint64_t when)
{
	__u64 old = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);
	uint64_t top = deadline_top_(when);

	do {
		if (!(old & DEADLINE_WORD_ARMED))
			return deadline_slot_over_(slot);
	} while (!deadline_swap_(&slot->word, &old,
				 top - DEADLINE_WORD_STATE +
				 (old & DEADLINE_WORD_STATE)));
	if (top < old &&
	    __atomic_load_n(&slot->queued, __ATOMIC_SEQ_CST) > top)
		return deadline_slot_hand_in_(slot, 1);
	return 1;
}

/* Swap ARMED for @state; an expiry of a periodic slot from before stays. */
DEADLINE_ALWAYS_ int deadline_end_(deadline_slot *slot, __u64 state)
{
	__u64 old = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);

	do {
		if (!(old & DEADLINE_WORD_ARMED))
			return deadline_slot_over_(slot);
	} while (!deadline_swap_(&slot->word, &old,
				 (old & ~(DEADLINE_WORD_ARMED |
					  DEADLINE_WORD_WAKE)) | state));
	return 1;
}

DEADLINE_INLINE int deadline_slot_cancel(deadline_slot *slot)
{
	return deadline_end_(slot, 0);
}

DEADLINE_INLINE int deadline_slot_expire(deadline_slot *slot)
{
	return deadline_end_(slot, DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN);
}

#ifdef __cplusplus
}
#endif

#endif
