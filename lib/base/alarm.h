/* SPDX-License-Identifier: MIT */
/*
 * Alarms: descriptors of the library's own that become readable at a time, or when
 * another thread rings them. They are timerfds. Unlike the timeout of poll(2) a
 * timerfd is not late by the thread's timer slack; and unlike an eventfd it is never
 * written to, so that nothing happens to a file of the program's if that has closed
 * the descriptor and its number now means the file.
 */
#ifndef DEADLINE_ALARM_H
#define DEADLINE_ALARM_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* The descriptor, not set, or -errno. To be closed by own_close() */
int alarm_open(void);
/*
 * Not readable, and so from @when on; DEADLINE_NEVER: from when it is rung. False and
 * if it is no alarm any more.
 */
bool alarm_set(int fd, uint64_t when);
/* Readable now, whatever it was set to. Keeps errno. */
void alarm_ring(int fd);

/*
 * The calling thread's, which becomes readable at @when or before: whoever finds it
 * readable too early calls alarm_rang() and then this again. -EMFILE, -ENFILE;
 * -ENOMEM, also if there is no thread-specific key left. With preemption off.
 */
int alarm_of_thread(uint64_t when);
void alarm_rang(void);
/*
 * poll(2) of @fds[0..n-1] and, if it is not negative, of the thread's alarm, for which
 * there is room behind them. How many are ready, without the alarm; -errno. A
 * cancellation point.
 */
int alarm_poll(struct pollfd *fds, nfds_t n, int alarm);

#endif
