// SPDX-License-Identifier: MIT
/*
 * A lock of four bytes. LOCK_AWAITED, somebody may sleep, is set by whoever goes to
 * sleep, and by whoever wakes: he cannot know if he was the last.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <linux/time_types.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/base.h"

/*
 * The call that takes a time of 64 bits: 32-bit machines have it beside an older one,
 * and which of those a libc's struct timespec fits is the program's choice.
 */
#ifdef SYS_futex_time64
#define FUTEX_CALL	SYS_futex_time64
#else
#define FUTEX_CALL	SYS_futex
#endif

/*
 * While *@futex is @value, sleep until somebody wakes or until the clock says @until:
 * 0 or -errno. Changes errno.
 */
int futex_sleep(uint32_t *futex, uint32_t value, uint64_t until)
{
	const struct __kernel_timespec at = {
		.tv_sec = until / 1000000000,
		.tv_nsec = until % 1000000000,
	};

	return syscall(FUTEX_CALL, futex, FUTEX_WAIT_BITSET_PRIVATE, value,
		       until == DEADLINE_NEVER ? NULL : &at, NULL,
		       FUTEX_BITSET_MATCH_ANY) ? -errno : 0;
}

void futex_lock_slow(uint32_t *futex)
{
	const uint32_t held = LOCK_HELD | LOCK_AWAITED;
	int saved = errno;

	while (__atomic_exchange_n(futex, held, __ATOMIC_ACQUIRE) & LOCK_HELD)
		syscall(SYS_futex, futex, FUTEX_WAIT_PRIVATE, held, NULL);
	errno = saved;
}

/* Whoever was quicker than we has LOCK_AWAITED from us, and will wake too. */
void futex_unlock_slow(uint32_t *futex)
{
	uint32_t awaited = LOCK_AWAITED;
	int saved = errno;

	__atomic_compare_exchange_n(futex, &awaited, 0, 0, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	syscall(SYS_futex, futex, FUTEX_WAKE_PRIVATE, 1);
	errno = saved;
}
