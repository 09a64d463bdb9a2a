/* SPDX-License-Identifier: MIT */
/*
 * Probes for tracers (USDT): each is a nop and a note in the file, which bpftrace,
 * perf, systemtap and deadline(1) read. Arming, moving and cancelling a slot, and the
 * loads of words, have none. Without the header of systemtap there are none at all.
 *
 *	context_made	context, when, creator
 *	context_over	context, when, creator: its deadline came, as the library saw by
 *			itself: a thread that reads the clock, or the one for functions
 *	context_canceled	context, when, creator
 *	context_noticed	context, when, creator: a call says that it is over. The first
 *			one of a context is when the program learns that
 *	after_queued	hook, function: it goes to the executor
 *	after_started	hook, function: it is called
 *	worker_yield	worker, when: its thread answers to its word, which was over;
 *			when its quantum ended, or would have (0: the first time)
 *	slot_reaped	slot, when, user_data: an expiry is delivered
 *
 * @when is a deadline, ns; @creator where the function was called that made the context.
 */
#ifndef DEADLINE_PROBE_H
#define DEADLINE_PROBE_H

#if __has_include("sys/sdt.h")
#include <sys/sdt.h>
#define PROBE2(name, a, b)	DTRACE_PROBE2(deadline, name, a, b)
#define PROBE3(name, a, b, c)	DTRACE_PROBE3(deadline, name, a, b, c)
#else
#define PROBE2(name, a, b)	((void)0)
#define PROBE3(name, a, b, c)	((void)0)
#endif

#endif
