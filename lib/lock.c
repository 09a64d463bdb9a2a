// SPDX-License-Identifier: MIT
/*
 * A lock of four bytes. LOCK_AWAITED, somebody may sleep, is set by whoever goes to
 * sleep, and by whoever wakes: he cannot know if he was the last.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "context.h"

void lock_slow(uint32_t *lock)
{
	const uint32_t held = LOCK_HELD | LOCK_AWAITED;
	int saved = errno;

	while (__atomic_exchange_n(lock, held, __ATOMIC_ACQUIRE) & LOCK_HELD)
		syscall(SYS_futex, lock, FUTEX_WAIT_PRIVATE, held, NULL);
	errno = saved;
}

/* Whoever was quicker than we has LOCK_AWAITED from us, and will wake too. */
void unlock_slow(uint32_t *lock)
{
	uint32_t awaited = LOCK_AWAITED;
	int saved = errno;

	__atomic_compare_exchange_n(lock, &awaited, 0, 0, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	syscall(SYS_futex, lock, FUTEX_WAKE_PRIVATE, 1);
	errno = saved;
}
