/* SPDX-License-Identifier: MIT */
/* What the demo's files share: who can notice a deadline, what a pair costs. */
#ifndef DEMO_H
#define DEMO_H

#include <stdbool.h>
#include <stdint.h>
#include <deadline.h>

#define US 1000ull
#define MS 1000000ull
#define S 1000000000ull

#if __has_include("liburing.h")
#define HAVE_URING 1
#else
#define HAVE_URING 0
#endif

/**
 * struct peer - a way to have a deadline noticed by a task that computes
 * @name: a row of the table; open() may change it
 * @open: get ready to be used by this thread; 0 or -errno
 * @arm: start a deadline, ns of CLOCK_MONOTONIC; the one before is over or
 *	cancelled
 * @over: is it over? Loads of memory only, no system call.
 * @expired_at: when over, the time at which it expired; NULL: is not told
 * @cancel: it will not be over
 * @close: undo open()
 */
struct peer {
	const char *name;
	int (*open)(void);
	void (*arm)(uint64_t when);
	bool (*over)(void);
	uint64_t (*expired_at)(void);
	void (*cancel)(void);
	void (*close)(void);
};

extern struct peer word_by_kernel, word_by_thread;	/* word.c */
extern struct peer flag_by_thread;			/* flag.c */
extern struct peer posix_timer;				/* posix.c */
#if HAVE_URING
extern struct peer io_uring_timeout;			/* uring.c */
#endif

/* ns for an arm and a cancel by each, or instructions; 0: not possible here */
double cost_word_inline(int backend);			/* word.c */
double cost_word_exported(int backend);			/* exported.c */
double cost_flag(void);
double cost_posix(void);
double cost_timerfd(void);				/* timerfd.c */
#if HAVE_URING
double cost_uring_single(void);
double cost_uring_batched(void);
#endif

/* costs.c */
#define BLOCK 256u
extern uint64_t ahead[BLOCK];

/* Arm for @base + @more[0], cancel; or the same for several of @more. */
typedef void pair_t(void *arg, uint64_t base, const uint64_t *more);

/*
 * One loop for all: each block of deadlines is 1 to 50 ms ahead of a clock read
 * before it, as the timeouts of calls would be. @step pairs at a time.
 */
static inline __attribute__((__always_inline__))
double cost_once(pair_t *pair, void *arg, unsigned int n, unsigned int step)
{
	uint64_t start = deadline_now(), base;
	unsigned int done, i;

	for (done = 0; done < n; done += BLOCK) {
		base = deadline_now();
		#pragma GCC unroll 4
		for (i = 0; i < BLOCK; i += step)
			pair(arg, base, &ahead[i]);
	}
	return (double)(deadline_now() - start) / done;
}

/*
 * After a warm-up, the least of a few runs: under icount they hardly differ;
 * on a machine with neighbours, what is above the least, they cost.
 */
static inline __attribute__((__always_inline__))
double cost_of(pair_t *pair, void *arg, unsigned int n, unsigned int step)
{
	double least = cost_once(pair, arg, n, step), next;
	int tries;

	for (tries = 0; tries < 5; tries++) {
		next = cost_once(pair, arg, n, step);
		if (next < least)
			least = next;
	}
	return least;
}

/* Prints the table of costs. */
void costs_table(bool kernel, bool exact);

/**
 * struct spread - of some measured ns
 */
struct spread {
	uint64_t p50, p99, max;
};

/**
 * struct lateness - what the rounds with one peer came to
 * @overrun: CPU time that the task was charged past the deadline
 * @worked: the most of that in any round, less what a switch may have cost
 * @noticed: wall clock from the deadline
 * @expired: expired_at minus the deadline, if the peer has that
 * @missed: rounds given up
 * @early: rounds in which it was over before the deadline
 */
struct lateness {
	struct spread overrun, noticed, expired;
	uint64_t worked;
	unsigned int missed, early;
};

/* late.c: once, on an idle machine; then once for each peer, open */
void lateness_calibrate(void);
void lateness_measure(struct lateness *late, const struct peer *peer,
		      unsigned int rounds, uint64_t length);

/* hogs.c: threads that compute for ever */
void hogs_start(unsigned int n);
void hogs_stop(void);

/* Ends the demo: @what it rests on does not work. */
__attribute__((__noreturn__)) void die(const char *what);

static inline void must(bool ok, const char *what)
{
	if (!ok)
		die(what);
}

#endif
