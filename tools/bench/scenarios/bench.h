/* SPDX-License-Identifier: MIT */
/*
 * What is measured, of whom. A peer is a way to have deadlines; a scenario asks
 * the same of each. deadline-bench runs one of each, the demo shows a few.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <deadline.h>

#define US 1000ull
#define MS 1000000ull
#define S 1000000000ull

#define HAVE_LIBEV __has_include("ev.h")
#define HAVE_LIBEVENT __has_include("event2/event.h")
#define HAVE_LIBUV __has_include("uv.h")

struct histogram;
struct scenario;

/**
 * struct peer - a way to have deadlines, used as a good user of it would
 *
 * Times are ns of CLOCK_MONOTONIC. What is in loops of the peer's own is so that
 * the compiler can do there what it can do in a user's. An operation that it does
 * not have is NULL.
 * @name: one word
 * @use: how it is used
 * @version: of the library that it is in; NULL: the kernel's or the program's
 * @most: how many timers it can have, within reason
 * @tells: take() tells when one was found due
 * @steady: @arm_cancel and @turn are all that its timers cost, so that they can be
 *	measured with what follows from them
 * @open: get ready for @timers of them, none of which is armed, to be used by the
 *	calling thread; NULL and errno if that cannot be
 * @close: undo it, armed or not
 * @start: arm the first @n, each for its time; none of them is armed
 * @arm_cancel: @n times, arm that @at there, which is not armed, and cancel it
 * @update: @n times, move an armed one
 * @turn: at @now, look for what is due, as its loop does in each turn; NULL: whoever
 *	keeps the time does that by himself
 * @anyway: what of @arm_cancel and @turn a loop does without timers, too: a system call
 *	that asks for events; NULL: nothing
 * @over: ask @n times whether the first one is over; what the last answer was.
 *	No system call.
 * @take: sleep until one expired, if none did since the start, and take it and those
 *	that come with it; how many, and by @ret_expired, if it tells, when the last
 *	was found due; NULL: nobody can sleep until then
 * @measure: run the whole scenario, of those that @measures names, between blanks;
 *	false if the peer is not here
 */
struct peer {
	const char *name;
	const char *use;
	const char *(*version)(void);
	unsigned int most;
	bool tells;
	bool steady;
	void *(*open)(unsigned int timers);
	void (*close)(void *self);
	void (*start)(void *self, const uint64_t *when, unsigned int n);
	void (*arm_cancel)(void *self, unsigned int at, const uint64_t *when,
			   unsigned int n);
	void (*update)(void *self, const uint32_t *which, const uint64_t *when,
		       unsigned int n);
	void (*turn)(void *self, uint64_t now);
	void (*anyway)(void *self);
	bool (*over)(void *self, unsigned int n);
	unsigned int (*take)(void *self, uint64_t *ret_expired);
	const char *measures;
	bool (*measure)(struct histogram *result,
			const struct scenario *scenario, unsigned int n,
			unsigned int percent);
};

extern const struct peer peer_floor;			/* peer_floor.c */
extern const struct peer peer_floor_thread;
extern const struct peer peer_deadline, peer_deadline_thread;
extern const struct peer peer_calls;			/* peer_calls.c */
extern const struct peer peer_timerfd, peer_aio;
extern const struct peer peer_posix, peer_posix_wait;	/* peer_posix.c */
extern const struct peer peer_posix_lazy, peer_lazy;
extern const struct peer peer_wheel, peer_wheel_locked;	/* peer_wheel.c */
#if HAVE_URING
extern const struct peer peer_uring, peer_uring_defer, peer_uring_batch;
extern const struct peer peer_uring_link;
#endif
extern const struct peer peer_thread, peer_thread_fifo;	/* peer_thread.c */
extern const struct peer peer_clock, peer_tsc;		/* peer_clock.c */
#if HAVE_LIBEV
extern const struct peer peer_libev;			/* peer_libev.c */
#endif
#if HAVE_LIBEVENT
extern const struct peer peer_libevent;			/* peer_libevent.c */
extern const struct peer peer_libevent_common;
#endif
#if HAVE_LIBUV
extern const struct peer peer_libuv;			/* peer_libuv.c */
#endif
#if HAVE_BPF
extern const struct peer peer_bpf;			/* peer_bpf.c */
#endif
extern const struct peer peer_context;			/* peer_context.c */
extern const struct peer peer_go;			/* peer_go.c */
/* peer_worker.c, peer_interval.c */
extern const struct peer peer_worker, peer_worker_asked, peer_worker_thread;
extern const struct peer peer_interval;

static inline bool peer_can_arm_cancel(const struct peer *peer)
{
	return peer->arm_cancel;
}

/* The floor only looks: nobody changes its word. */
static inline bool peer_can_notice(const struct peer *peer)
{
	return peer->over && peer->start && peer != &peer_floor;
}

static inline bool peer_can_stamp(const struct peer *peer)
{
	return peer_can_notice(peer) && peer->tells;
}

/**
 * struct histogram - of measured values, each to one part in 1024
 *
 * Zeroed, it is empty; 256 kB.
 */
#define HISTOGRAM_BITS 10
#define HISTOGRAM_SUB 1024u
struct histogram {
	uint64_t count, max;
	uint32_t buckets[(64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB];
};

void histogram_add(struct histogram *histogram, uint64_t value);
/* The value that @percent of all lie below, and 100 the largest; 0 if empty */
uint64_t histogram_at(const struct histogram *histogram, double percent);

/*
 * Costs are measured by blocks of so many operations; a value is what one block
 * took.
 */
#define BLOCK 256u

#define NUMBERS_END (~0u)

/**
 * struct scenario - what is asked of the peers
 * @name: one word
 * @what: for the table's head
 * @unit: of the values; NULL: of time
 * @timers: its number is how many of them the peer must have
 * @numbers: which to ask it with, up to NUMBERS_END
 * @scale: how many operations one value in the histogram is for
 * @spread: it is the values' distribution that is of interest
 * @can: whether the peer has what it takes; NULL: only those that measure it
 * @run: measure, in this thread; @percent of the usual rounds
 */
struct scenario {
	const char *name;
	const char *what;
	const char *unit;
	bool timers;
	const unsigned int *numbers;
	unsigned int scale;
	bool spread;
	bool (*can)(const struct peer *peer);
	void (*run)(struct histogram *result, const struct peer *peer,
		    unsigned int n, unsigned int percent);
};

/* costs.c */
extern const struct scenario scenario_arm_cancel, scenario_over;
extern const struct scenario scenario_later, scenario_earlier;
extern const struct scenario scenario_start;
/* steady.c: for timeouts of 1, 10 and 100 ms */
extern const struct scenario scenario_steady[3];
/*
 * How long a turn of a loop takes with @n timers that are armed in turn, on average, for
 * as long as @run ns
 */
double steady_turns(const struct peer *peer, void *self, unsigned int n,
		    uint64_t timeout, uint64_t run);
/* And with none */
double steady_bare(const struct peer *peer, void *self, unsigned int n,
		   uint64_t run);
/* expiry.c */
extern const struct scenario scenario_burst, scenario_concurrent;
extern const struct scenario scenario_wake;
extern const struct scenario scenario_noticed, scenario_stamp;
/* busy.c */
extern const struct scenario scenario_overrun, scenario_late;
extern const struct scenario scenario_threads, scenario_memory;
/* quota.c */
extern const struct scenario scenario_quota_expired, scenario_quota_seen;
extern const struct scenario scenario_quota_throttled, scenario_quota_rest;
/* Puts the process into a cgroup with the quota; returns its cpu.stat. */
int quota_enter(void);
void quota_leave(int stat);
/* contexts.c */
extern const struct scenario scenario_context, scenario_nested, scenario_tree;
/* parent.c */
extern const struct scenario scenario_parent;
void parent_measure(struct histogram *result, unsigned int n,
		    unsigned int percent);
/* quantum.c: for 1, 2, 4 and 8 threads */
extern const struct scenario scenario_quantum[4], scenario_jitter[4];

/* Opens it, or ends the program. */
void *peer_open(const struct peer *peer, unsigned int timers);

/* The i-th timeout of a block: 1 to 50 ms, in some order, as those of calls are */
static inline uint64_t ahead(unsigned int i)
{
	return MS + 49 * MS / BLOCK * (i * 97 % BLOCK);
}

/* So many at once are due within 99 ms: the i-th so long after the first, in no order */
#define CONCURRENT 10000u
#define APART 9900ull
static inline uint64_t spread_out(unsigned int i)
{
	return i * 7919 % CONCURRENT * APART;
}

/* peer_floor.c: no longer than it takes */
void floor_sleep(uint64_t when);

/* costs.c: so far from now; what a loop over them takes that does nothing */
void block_ahead(uint64_t when[BLOCK]);
uint64_t block_loop(void);

/* meminfo.c: kB of the kernel's and of all programs' that timers can take */
long memory_used(void);

/* beside_path.c: of file @name. Returns whether it is there. */
bool beside_path(const char *name, char path[]);

static inline uint32_t random32(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 32;
}

/**
 * struct lateness - what the rounds with one peer came to
 * @overrun: CPU time that the task was charged past the deadline
 * @noticed: wall clock from the deadline
 * @expired: from the deadline to when it was found due, if the peer tells
 * @worked: the most that the task had past the deadline in any round, less what
 *	a switch may have cost
 * @missed: rounds given up
 * @early: rounds in which it was over before the deadline
 */
struct lateness {
	struct histogram overrun, noticed, expired;
	uint64_t worked;
	unsigned int missed, early;
};

/* late.c: once, on an idle machine; then once for each peer, open as @self */
void lateness_calibrate(void);
void lateness_measure(struct lateness *late, const struct peer *peer,
		      void *self, unsigned int rounds, uint64_t length);

/* hogs.c: threads that compute for ever */
void hogs_start(unsigned int n);
void hogs_stop(void);

/* Each program has its own. Ends it: @what it rests on does not work. */
__attribute__((__noreturn__)) void die(const char *what);

/* Ends it too: @what is not on this machine. */
__attribute__((__noreturn__)) void not_here(const char *what);

static inline void must(bool ok, const char *what)
{
	if (!ok)
		die(what);
}

#endif
