// SPDX-License-Identifier: MIT
/* A lock of four bytes: 0 free, 1 held, 2 held and somebody may sleep. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "context.h"

void lock_slow(uint32_t *lock)
{
	int saved = errno;

	while (__atomic_exchange_n(lock, 2, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, lock, FUTEX_WAIT_PRIVATE, 2, NULL);
	errno = saved;
}

void unlock_slow(uint32_t *lock)
{
	int saved = errno;

	syscall(SYS_futex, lock, FUTEX_WAKE_PRIVATE, 1);
	errno = saved;
}
