/* SPDX-License-Identifier: MIT */
/*
 * Timeouts for coroutines of State Threads, kept in a queue of deadlines instead of
 * the library's heap. See README.md.
 *
 * Between timeout_begin() and timeout_end() a coroutine may call anything of the
 * library that waits, with ST_UTIME_NO_TIMEOUT: the deadline ends it with EINTR.
 */
#ifndef TIMEOUTS_H
#define TIMEOUTS_H

#include <deadline.h>
#include <st.h>

/**
 * struct timeout - of one coroutine; it may stay open for all it waits for
 * @slot: its deadline
 * @thread: the coroutine, between begin and end; else NULL
 */
struct timeout {
	deadline_slot *slot;
	st_thread_t thread;
};

/* Once, after st_init(), for at most so many. Return: 0 or -errno. */
int timeouts_start(unsigned int most);

/* Return: 0 or what deadline_slot_alloc() says. */
int timeout_open(struct timeout *timeout);
void timeout_close(struct timeout *timeout);

/* Return: 0 or what deadline_slot_arm() says. */
int timeout_begin(struct timeout *timeout, uint64_t until);

/* Return: whether its time has come. */
bool timeout_end(struct timeout *timeout);

/* Return: 0; -EINTR if another coroutine ended it; what timeout_begin() says. */
int timeout_sleep(struct timeout *timeout, uint64_t until);

#endif
