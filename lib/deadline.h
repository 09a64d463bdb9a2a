/* SPDX-License-Identifier: MIT */
/*
 * libdeadline: deadlines that are over on time, whoever is running
 *
 * All times are absolute nanoseconds of CLOCK_MONOTONIC, but those of a queue that has
 * another clock; DEADLINE_NEVER is never, and so is a sum that would be more. A deadline
 * is rounded up to a multiple of 16 ns. Functions return 0 or a positive answer, or
 * -errno; what a function would return through a ret_ pointer is untouched when it fails.
 * errno is never changed. Everything is thread-safe unless its text says otherwise.
 *
 * A call that sleeps until a time is woken at that time, without the thread's timer
 * slack (PR_SET_TIMERSLACK), which stays what the program has set. A signal handler that
 * comes in the sleep of deadline_wait() or deadline_sleep() finds it to be 1 ns.
 *
 * Where the library has threads, a process goes on while any is left: end it by exit(3),
 * not by pthread_exit(3) of the last other one.
 *
 * After fork(2) the child has the objects but no queue serves them: every word
 * reads over and the calls return -ECHILD. It may close, free and release them, and
 * need not. Their descriptors are closed in the child, also those that the program has
 * borrowed: so nothing goes on for a parent that is gone, however long its children
 * live. The child begins anew: it makes queues, contexts and workers of its own at
 * once, and has no executor until it sets one.
 *
 * The same holds where no handlers run, by _Fork(3) or clone(2), once the child has
 * called something that makes an object, deadline_set_executor() or fork(2); before,
 * its copies of the descriptors are open, and where the kernel serves, its parent's
 * words must not be touched. Between vfork(2) and exec, call nothing of this. A program
 * that is executed or spawned (posix_spawn(3)) inherits nothing.
 *
 * The library has descriptors of its own. A program that closes what it does not know,
 * as with closefrom(3), makes calls fail with -EBADF or -ENOTTY that need a queue's or
 * worker's, and functions of deadline_after() up to a millisecond late. Words are over
 * on time all the same, and calls that block end at their limits: what a thread sleeps
 * with is made anew. Whatever file has such a number next, nothing happens to it: the
 * library looks whether it is its own before it sleeps for it, closes or changes it. What
 * sleeps already when they are closed may sleep on to its limit.
 *
 * To use a queue after its close, a slot after its free, or a context or hook without
 * a reference to it, is undefined, and so is to give one back twice, or to point to
 * memory that is not there. As with free(3), the library does not notice. A slot belongs
 * to one thread at a time, its owner: that one alone makes the calls marked "owner only".
 * The library does not check it.
 */
#ifndef DEADLINE_H
#define DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
typedef uint64_t deadline_word;
#else
typedef _Atomic uint64_t deadline_word;
#endif

#define DEADLINE_NEVER UINT64_MAX

typedef struct deadline_queue deadline_queue;
typedef struct deadline_shards deadline_shards;
typedef struct deadline_slot deadline_slot;
typedef struct deadline_context deadline_context;
typedef struct deadline_hook deadline_hook;
typedef struct deadline_worker deadline_worker;

struct msghdr;
struct pollfd;
struct sockaddr;

/* Who serves a queue */
enum {
	DEADLINE_BACKEND_AUTO,		/* the kernel, else a thread */
	DEADLINE_BACKEND_KERNEL,	/* /dev/deadline */
	DEADLINE_BACKEND_THREAD,	/* a thread of this process */
};

/* The clock of a queue: see clock_gettime(2) */
enum {
	DEADLINE_CLOCK_MONOTONIC,
	DEADLINE_CLOCK_BOOTTIME,	/* goes on in a suspend */
	DEADLINE_CLOCK_REALTIME,	/* can be set */
	DEADLINE_CLOCK_TAI,		/* is set with that */
};

/**
 * struct deadline_options - what a queue is opened with; NULL means all zero
 * @size: sizeof(struct deadline_options), or 0 for the same. A larger
 *	one is refused with -E2BIG unless what is unknown of it is zero.
 * @slots: How many slots it shall have at least; 0 = 4096, at most 1 << 20.
 * @slots_max: How many it may grow to, when deadline_slot_alloc() finds all taken: then
 *	it gets as many again as it has, or fewer at a limit. The last ones fill a page
 *	of memory, so there may be some more. At least @slots;
 *	DEADLINE_NEVER = as many as are needed; 0, or no more than it has = it does not
 *	grow. Of one that may grow the descriptor is an epoll(7) instance, which is not
 *	to be read; and of one that has grown deadline_queue_pending() is true always.
 * @backend: DEADLINE_BACKEND_*. AUTO takes the kernel, and the thread only if
 *	there is no device (ENOENT, ENODEV, ENXIO) or none for this user (EACCES,
 *	EPERM); every other failure of the kernel's, as a limit, is an error.
 *	deadline_queue_backend() tells which it is. AUTO is overridden by the
 *	variable DEADLINE_BACKEND, "kernel" or "thread" (not in set-user-ID
 *	programs; empty, it overrides nothing). The thread is SCHED_FIFO, priority 1,
 *	where that is permitted and the process has no seccomp filter.
 * @clock: DEADLINE_CLOCK_*, that of the deadlines of its slots; every @until is one of
 *	CLOCK_MONOTONIC all the same. If it is set, deadlines are due by the new time,
 *	poll(2) of the descriptor says POLLPRI, and @clock_sets of the statistics
 *	grows. Only the kernel serves any but MONOTONIC: a thread refuses with
 *	-EOPNOTSUPP.
 * @slack: What each of its slots has when it is allocated, in ns: see
 *	deadline_slot_set_slack().
 */
struct deadline_options {
	size_t size;
	uint32_t slots;
	int backend;
	uint64_t slots_max;
	int clock;
	uint32_t slack;
};

/**
 * struct deadline_record - one expiry
 * @slot: The slot that expired.
 * @user_data: As given to deadline_slot_alloc() or deadline_slot_set_user_data().
 * @when: The deadline that expired, ns, rounded up to 16; of a periodic slot the
 *	last that had passed, exactly. It stays so if the slot is moved or cancelled
 *	later.
 * @expired_at: When it was seen to be due, ns; never before @when.
 * @overruns: Periods that passed before it without an expiry that was reaped, at
 *	most INT_MAX (0 for one-shot slots).
 */
struct deadline_record {
	deadline_slot *slot;
	uint64_t user_data;
	uint64_t when;
	uint64_t expired_at;
	uint32_t overruns;
};

/**
 * struct deadline_stats - counters of a queue since it was opened
 * @interrupts: Times that the timer fired (thread backend: wake-ups).
 * @expired: Slots expired.
 * @moved: Looks that found a later deadline, and planned another look for that. A look is
 *	what the kernel, or the library's thread, does when the time has come for which it
 *	had planned that: it expires the slot if its deadline has passed by then.
 * @dropped: Looks that found the slot no longer armed.
 * @contended: Looks put off because the program kept changing the word.
 * @full: Interrupts that ended at their limit while slots were due (thread backend: 0).
 * @doorbells: System calls by which the library had looks planned.
 * @handed_in: Slots for which it had a look planned, by a system call or without.
 * @longest_ns: The longest interrupt of those that looked at 16 slots or more (thread
 *	backend: 0).
 * @slots: Slots of the queue.
 * @allocated: Slots allocated now.
 * @memory: Bytes of its mappings; what the kernel, or the thread, has for itself is more.
 * @clock_sets: Times that its clock was set; sets in quick succession may count as one.
 */
struct deadline_stats {
	uint64_t interrupts;
	uint64_t expired;
	uint64_t moved;
	uint64_t dropped;
	uint64_t contended;
	uint64_t full;
	uint64_t doorbells;
	uint64_t handed_in;
	uint64_t longest_ns;
	uint64_t slots;
	uint64_t allocated;
	uint64_t memory;
	uint64_t clock_sets;
};

/** deadline_version() - "MAJOR.MINOR.PATCH" of the library linked */
const char *deadline_version(void);

/**
 * deadline_strerror() - what a function of the library returned, in words
 * @ret: that, -errno
 *
 * So that who reads it can tell the deadline of a context (-ETIME) from the limit of a
 * call (-ETIMEDOUT). Not translated. Return: a text that stays, never NULL.
 */
const char *deadline_strerror(int ret);

/** deadline_now() - CLOCK_MONOTONIC in ns. Async-signal-safe. */
uint64_t deadline_now(void);

/** deadline_in() - now + @ns, at most DEADLINE_NEVER. Async-signal-safe. */
uint64_t deadline_in(uint64_t ns);

/**
 * deadline_cpus() - how many CPUs' worth of time this process can have
 *
 * A program that wants to be busy on all of them opens as many workers or queues. It is
 * the least of what the caller's affinity (sched_setaffinity(2)) allows and of the CPU
 * quotas of its cgroup and of each one above it (cpu.max, or cpu.cfs_quota_us of version
 * 1), as far as they are mounted where it can see them. Part of a CPU counts as one.
 * Both may change: each call reads them anew, from files. Return: at least 1.
 */
unsigned int deadline_cpus(void);

/**
 * deadline_queue_open() - open a queue
 * @ret_queue: where the queue goes
 * @options: or NULL
 *
 * Return: 0; -EINVAL (backend, slots or slots_max out of range, DEADLINE_BACKEND set to
 * something else), -E2BIG (see deadline_options), -ENOMEM, or what open(2),
 * ioctl(2) and mmap(2) of /dev/deadline say: -EMFILE, -EAGAIN ..., and without AUTO
 * also -ENOENT, -EACCES ...
 */
int deadline_queue_open(deadline_queue **ret_queue,
			const struct deadline_options *options);

/**
 * deadline_queue_close() - close a queue, free its memory
 *
 * No other thread may be using the queue. Return: 0; -EBUSY while slots are
 * allocated (not in a child after fork); NULL is fine.
 */
int deadline_queue_close(deadline_queue *queue);

/**
 * deadline_queue_destroy() - close a queue and free all its slots
 *
 * As deadline_queue_close(), for a program that has no list of the slots. None of them
 * may be used any more, nor a word that deadline_slot_word() returned. NULL is fine.
 */
void deadline_queue_destroy(deadline_queue *queue);

/**
 * deadline_queue_fd() - a descriptor that polls readable while expiries wait
 *
 * Borrowed: do not close it; in a child of fork(2) it is closed. Readiness is a hint:
 * the expiry may have been taken since. It ends when the last one is reaped. With
 * EPOLLET each new entry is an edge, also while others wait: reap until there is none
 * left, and then wait. Where the kernel serves, read(2) of it takes expiries too, as
 * deadline(4) has it, and a thread that does nothing else is woken soonest by that;
 * where a thread serves, do not read it. Return: it; -ECHILD; -EBADF if the program has
 * closed it, or what it watches of a queue that has grown.
 */
int deadline_queue_fd(deadline_queue *queue);

/** deadline_queue_backend() - Return: DEADLINE_BACKEND_KERNEL or _THREAD. */
int deadline_queue_backend(const deadline_queue *queue);

/**
 * deadline_queue_reap() - take expiries, each exactly once
 * @records: room for @n
 *
 * Any number of threads may reap one queue. An expiry that its owner claimed by
 * arming the slot again is not delivered. Async-signal-safe.
 * Return: how many, 0 if none, -ECHILD.
 */
int deadline_queue_reap(deadline_queue *queue, struct deadline_record *records,
			unsigned int n);

/**
 * deadline_queue_wait() - sleep until an expiry waits to be reaped
 * @until: give up at this time
 *
 * Return: 0 (also at once if one waits already), -ETIME, -EINTR, -ECHILD; -EBADF if the
 * program has closed the queue's descriptor, as far as that can be noticed; with
 * @until, what a thread's first sleep may say, as the calls below that block have it.
 */
int deadline_queue_wait(deadline_queue *queue, uint64_t until);

/**
 * deadline_queue_set_signal() - have its expiries signal a thread
 * @thread: of this process, as gettid(2) has it
 * @signal: 1 to SIGRTMAX
 *
 * For one that is in the midst of other code, as an interpreter. It is sent for each
 * expiry of a slot that is allocated after the call, at once where the kernel serves;
 * a signal that is pending already may stand for several, and at RLIMIT_SIGPENDING one of
 * SIGRTMIN or above may be lost. The expiries are reaped as ever, or claimed by the next
 * arm. Set another thread before this one ends: where a thread serves, its number may
 * mean another by then.
 * Return: 0; -EINVAL for such a signal or for a queue that may grow; -ESRCH; -EBADF if
 * the program has closed the queue's descriptor; -ECHILD.
 */
int deadline_queue_set_signal(deadline_queue *queue, pid_t thread, int signal);

/** deadline_queue_stats() - fill @ret_stats. Return: 0 or -ECHILD. */
int deadline_queue_stats(deadline_queue *queue,
			 struct deadline_stats *ret_stats);

/*
 * Shards: a queue for each worker thread. Workers then share no lock, ring or timer,
 * and yet each can take the expiries of another one that is stuck.
 */

/**
 * deadline_shards_open() - open a queue for each of @n workers
 * @options: of each queue; or NULL
 * @n: at most 8192; 0 = deadline_cpus() as it is now, where part of a CPU counts as
 *	one
 *
 * Return: 0; -EINVAL for more; -ENOMEM; what deadline_queue_open() says.
 */
int deadline_shards_open(deadline_shards **ret_shards,
			 const struct deadline_options *options,
			 unsigned int n);

/**
 * deadline_shards_close() - close all of them
 *
 * As deadline_queue_close(). Return: 0; -EBUSY while slots of any are allocated,
 * and then all stay open; NULL is fine.
 */
int deadline_shards_close(deadline_shards *shards);

/** deadline_shards_count() - Return: for how many workers. */
unsigned int deadline_shards_count(const deadline_shards *shards);

/**
 * deadline_shards_queue() - the queue of one worker
 * @worker: from 0
 *
 * Borrowed, not to be closed. Any thread may use it, at the cost of sharing it.
 * Return: it, or NULL if there is no such worker.
 */
deadline_queue *deadline_shards_queue(const deadline_shards *shards,
				      unsigned int worker);

/**
 * deadline_shards_reap() - take expiries of a worker's own queue, then of others
 * @records: room for @n; what its own does not fill is filled from the others, the
 *	next one first
 *
 * As deadline_queue_reap(), which leaves the others alone. Async-signal-safe.
 * A worker that sleeps waits for its own queue alone. If all but one that is stuck
 * sleep, nobody takes that one's expiries: let a worker wake from time to time.
 * Return: how many, 0 if none, -EINVAL if there is no such worker, -ECHILD.
 */
int deadline_shards_reap(deadline_shards *shards, unsigned int worker,
			 struct deadline_record *records, unsigned int n);

/**
 * deadline_slot_alloc() - take a slot of the queue, not armed, for one expiry, with
 * the queue's slack
 * @user_data: comes back with each of its expiries
 *
 * Return: 0; -ENOSPC if all are taken, and the queue may not grow, or a limit does not
 * let it; where it grows, what deadline_queue_open() says; -ECHILD.
 */
int deadline_slot_alloc(deadline_queue *queue, uint64_t user_data,
			deadline_slot **ret_slot);

/**
 * deadline_slot_free() - cancel a slot and give it back; NULL is fine
 *
 * No thread may use the slot any more. An expiry not yet reaped is lost.
 */
void deadline_slot_free(deadline_slot *slot);

/**
 * deadline_slot_set_slack() - let it expire up to @ns late, from the next arm on
 *
 * Deadlines with slack share interrupts: one that comes for another deadline also
 * expires those that have passed and have slack left, but none before it has passed.
 * Owner only.
 * Return: 0; -EBUSY while it is armed; -ECHILD.
 */
int deadline_slot_set_slack(deadline_slot *slot, uint32_t ns);

/**
 * deadline_slot_set_user_data() - what comes with its expiries from now on
 *
 * With one that was not reaped yet, too. Owner only.
 * Return: 0; -EBUSY while it is armed; -ECHILD.
 */
int deadline_slot_set_user_data(deadline_slot *slot, uint64_t user_data);

/**
 * deadline_slot_set_period() - have it expire every @ns, from the next arm on
 * @ns: 0 = once; at least what the backend allows, the module's period_min (10 us)
 *
 * An armed periodic slot is running until it is cancelled: it expires at the time
 * that it was armed for, rounded up to 16 ns, and then at each period from there,
 * exactly. Owner only.
 * Return: 0; -EINVAL for a period too small, or beyond INT64_MAX; -EBUSY while it
 * is armed; -ECHILD.
 */
int deadline_slot_set_period(deadline_slot *slot, uint64_t ns);

/**
 * deadline_slot_arm() - start a deadline
 * @flags: 0
 * @when: ns; a time that has passed expires at once, or within its slack from there
 *
 * Owner only: one thread arms and moves a slot at a time. An expiry of the slot
 * that nobody has reaped is claimed, and not delivered.
 * Async-signal-safe. It makes a system call, the doorbell, only if no look is planned
 * that comes early enough. Return: 0; -EBUSY while it is armed; -EINVAL for unknown
 * flags; -ECHILD; what the doorbell says. On failure the slot is not armed, but after
 * -EBUSY it is as it was.
 */
int deadline_slot_arm(deadline_slot *slot, uint32_t flags, uint64_t when);

/**
 * deadline_slot_arm_many() - arm @n slots, which may be of several queues
 * @when: the deadline of each
 *
 * As deadline_slot_arm() for each in order, but with one doorbell for up to 128 that
 * follow each other in @slots and are of one queue.
 * Return: 0; or the error of the first that failed, and then those that this
 * call armed are cancelled again.
 */
int deadline_slot_arm_many(deadline_slot *const *slots, const uint64_t *when,
			   unsigned int n);

/**
 * deadline_slot_move() - change the deadline of an armed slot
 *
 * Owner only. Async-signal-safe. No system call when @when is later.
 * Return: 1 moved, 0 already over, -ECHILD, what the doorbell says (then the
 * slot is cancelled).
 */
int deadline_slot_move(deadline_slot *slot, uint64_t when);

/**
 * deadline_slot_cancel() - it will not expire any more
 *
 * An expiry that a periodic slot had before, and that nobody has reaped, is still
 * delivered. Any thread that knows that the slot is not freed may cancel it.
 * Async-signal-safe. Never a system call.
 * Return: 1 if this call ended it, 0 if it was over already, -ECHILD.
 */
int deadline_slot_cancel(deadline_slot *slot);

/**
 * deadline_slot_expire() - make it over now
 *
 * As if it had expired and been reaped: nothing is delivered. Any thread that knows that
 * the slot is not freed may do so. Async-signal-safe. Never a system call.
 * Return: 1 if this call ended it, 0 if it was over already, -ECHILD.
 */
int deadline_slot_expire(deadline_slot *slot);

/**
 * deadline_slot_drop() - an expiry that nobody has reaped is not to be delivered
 *
 * A slot that is armed stays so: deadline_slot_cancel() leaves such an expiry, and after
 * both nothing comes. Anyone who knows that the slot is not freed. Async-signal-safe.
 * Never a system call. Return: 1 dropped, 0 there was none, -ECHILD.
 */
int deadline_slot_drop(deadline_slot *slot);

/** deadline_slot_when() - its deadline; DEADLINE_NEVER; 0 if it is not armed */
uint64_t deadline_slot_when(const deadline_slot *slot);

/**
 * deadline_slot_remaining() - ns until then, on the queue's clock
 *
 * 0 if it has passed or the slot is not armed, DEADLINE_NEVER if never.
 */
uint64_t deadline_slot_remaining(const deadline_slot *slot);

/**
 * deadline_slot_word() - the slot's word, for deadline_over()
 *
 * Valid until the slot is freed. Call it once, before a loop that looks at the word.
 */
const deadline_word *deadline_slot_word(const deadline_slot *slot);

/**
 * deadline_over() - has it expired, been cancelled, never been armed?
 *
 * One load and one bit test; acquire. Async-signal-safe.
 */
bool deadline_over(const deadline_word *word);

/**
 * deadline_queue_pending() - does the ring hold anything to be reaped?
 *
 * Loads only; a hint. Async-signal-safe.
 */
bool deadline_queue_pending(const deadline_queue *queue);

/*
 * Contexts: a tree of deadlines, cancellations and values, with the rules of Go's
 * package context. A context is over once and for good, and then everything below
 * it is. A constructor returns one reference; it takes one of its own on the parent.
 * A cause is an opaque number, never dereferenced, that says why; 0 = none.
 *
 * A process takes slots for its contexts as it needs them: 64, then three times as many
 * as it has, up to 65536 at once, or as many as a limit allows. Those that were taken
 * together are given back together, once all their contexts are released and of the
 * others a quarter is free, and 128 at least. Of the contexts that a thread
 * has released it keeps some 64 for each power of two of their timeouts, until it ends,
 * the oldest ones by preference; and the handle of a function (deadline_hook_free())
 * keeps the slots of its context. So now and then a call that makes or releases a context
 * also takes or gives back slots, and lasts as long as to open or close a queue.
 *
 * With "leaks" in DEADLINE_DEBUG in its environment, a program tells on stderr when it
 * ends which contexts it never released: the file where each was made, and the offset
 * in it, as addr2line(1) has it. What it released and only children keep is not told.
 *
 * In a hot loop, ask the word: deadline_over(word). It is true on time for the
 * deadlines of all ancestors too, each for itself: one that has its deadline of its
 * parent may be over an instant before that is, or the parent's slack before. A cancel
 * of an ancestor reaches it before that call returns.
 */

/** deadline_background() - the root: never over, never released */
deadline_context *deadline_background(void);

/**
 * deadline_prepare() - have ready what the calling thread's first context needs
 *
 * The first context of a process opens a queue, the first of a thread takes memory,
 * and a thread's first call that sleeps opens a descriptor; a timeout runs meanwhile.
 * With the kernel the first context takes some 20 us, where a thread of the library's
 * serves 100 us. After this call the thread's first context costs what others do, and
 * the sleep too. Return: 0; as deadline_with_cancel(); -EMFILE, -ENFILE.
 */
int deadline_prepare(void);

/**
 * deadline_with_cancel() - a context that deadline_cancel() ends
 *
 * A parent below which threads make contexts at once takes eight slots more, until it
 * ends and all below it are released.
 *
 * Return: 0; -ENOSPC if the limit of slots is reached, -ENOMEM, -ECHILD, or what
 * deadline_queue_open() and deadline_slot_arm() say.
 */
int deadline_with_cancel(deadline_context *parent,
			 deadline_context **ret_context);

/**
 * deadline_with_deadline() - one that is over at @when at the latest
 * @cause: for deadline_cause(), if it is this deadline that ends it
 *
 * If the parent's deadline is earlier, that one holds, with its cause. A deadline that
 * has passed makes a context that is over from the start. So does a parent that is
 * over, and then for the parent's reason and with its cause, even if @when has passed
 * too. Return: as deadline_with_cancel().
 */
int deadline_with_deadline(deadline_context *parent, uintptr_t cause,
			   deadline_context **ret_context, uint64_t when);

/**
 * deadline_with_timeout() - the same, @ns from now
 * @ns: 0 to INT64_MAX, or DEADLINE_NEVER. A timeout counts from this call.
 *
 * Return: likewise; -EINVAL for any other @ns, as what is left until a time that has
 * passed: where that may be, use deadline_with_deadline().
 */
int deadline_with_timeout(deadline_context *parent, uintptr_t cause,
			  deadline_context **ret_context, uint64_t ns);

/**
 * deadline_with_slack() - as deadline_with_deadline(), over up to @slack ns late
 * @slack: 0 to UINT32_MAX ns
 *
 * Contexts with slack share timer interrupts: one that comes anyway ends them early
 * in their slack, never before @when. A call of the library that reads the clock and
 * finds @when passed ends it at once. There is no slack beyond the parent's deadline:
 * at that it is over in any case. Return: as deadline_with_cancel().
 */
int deadline_with_slack(deadline_context *parent, uintptr_t cause,
			deadline_context **ret_context, uint64_t when,
			uint32_t slack);

/**
 * deadline_move() - change the deadline of a context, to an earlier or a later one
 * @when: ns; a time that has passed ends it at once. The parent's deadline stays its
 *	limit: a later @when moves it there. DEADLINE_NEVER = no deadline of its own.
 *
 * For what lives long and has one limit after another, as a connection that is kept
 * or an interpreter. It costs as much as to move a slot and to read the clock. The
 * cause of its own deadline stays the one that it was made with, and its slack too;
 * where the parent's is its deadline, it is over for the parent's cause. Owner only:
 * one thread moves a context at a time, and none makes contexts below it meanwhile.
 * Threads that sleep under it, in deadline_wait() or a blocking call, go by the new
 * deadline.
 * Return: 1 moved; 0 already over; -EBUSY while there are contexts with a deadline
 * or a cancel below it, over or not, that are not released; -EINVAL for a context
 * that has no cancel of its own (background, without_cancel, with_value); -ECHILD;
 * what the doorbell says, and then it is canceled.
 */
int deadline_move(deadline_context *context, uint64_t when);

/**
 * deadline_with_value() - one that carries a value, and is over with its parent
 * @key: not NULL; keys are compared as addresses
 *
 * Return: 0, -EINVAL, -ENOMEM, -ECHILD.
 */
int deadline_with_value(deadline_context *parent, const void *key, void *value,
			deadline_context **ret_context);

/**
 * deadline_without_cancel() - the parent's values, but never over
 *
 * Return: 0, -ENOMEM, -ECHILD.
 */
int deadline_without_cancel(deadline_context *parent,
			    deadline_context **ret_context);

/**
 * deadline_cancel() - make it over now, and all below it before this returns
 * @cause: for deadline_cause(), if this is what ends it
 *
 * Return: 1 if this call ended it, 0 if it was over already; -EINVAL for a context that
 * has no cancel of its own (background, without_cancel, with_value), or for the cause
 * UINTPTR_MAX; -ECHILD.
 */
int deadline_cancel(deadline_context *context, uintptr_t cause);

/** deadline_ref() - one more reference. Return: the context. */
deadline_context *deadline_ref(deadline_context *context);

/**
 * deadline_release() - give a reference back; NULL is fine
 *
 * The last one cancels; children keep their parents, so any order will do.
 */
void deadline_release(deadline_context *context);

/** deadline_context_word() - for deadline_over(); valid while referenced */
const deadline_word *deadline_context_word(const deadline_context *context);

/**
 * deadline_err() - why is it over?
 *
 * Return: 0 while it runs; -ETIME, its deadline came; -ECANCELED. Stable. Only in a
 * child after fork(2): -ECHILD.
 */
int deadline_err(const deadline_context *context);

/** deadline_cause() - the cause that was given for its end; 0 if none was, or it runs */
uintptr_t deadline_cause(const deadline_context *context);

/** deadline_when() - its deadline or an ancestor's, the earlier; DEADLINE_NEVER */
uint64_t deadline_when(const deadline_context *context);

/** deadline_remaining() - ns until then; 0 if over, DEADLINE_NEVER if never */
uint64_t deadline_remaining(const deadline_context *context);

/** deadline_value() - the value of the nearest @key on the way up, or NULL */
void *deadline_value(const deadline_context *context, const void *key);

/**
 * deadline_wait() - sleep until the context is over
 * @until: give up at this time
 *
 * Return: 0 it is over, -ETIME @until came first, -EINTR, -ECHILD.
 */
int deadline_wait(deadline_context *context, uint64_t until);

/**
 * deadline_done_fd() - a descriptor that polls readable once the context is over
 *
 * Borrowed, closed with the context; do not read it. Has the program closed it, there is
 * another one. It comes as late as a thread of the library that makes it readable, unlike
 * the word.
 * Return: it; -EINVAL for a context that is never over; -ECHILD, -EMFILE ...
 */
int deadline_done_fd(deadline_context *context);

/**
 * deadline_after() - call @fn(@arg) once the context is over, at once if it is
 *
 * On its own: on the executor or a thread of the library's, as late as that is, and
 * with no lock of the library's held. On the library's threads one that blocks holds up
 * no other: another thread goes on in place of its own. One that computes is passed after
 * a millisecond, or more where many do. Those threads have the CPUs that the
 * process had when the library was loaded (under a seccomp filter, those of the thread
 * that starts them), the signal mask of the thread that called this first, and all
 * signals blocked between functions; what one changes of its thread is its own affair.
 * It may end its thread by pthread_exit(3) or pthread_cancel(3). If it returns in a child
 * of fork(2) that it has made, its thread ends, and with its last thread the child. An
 * exception out of it is dropped; but on 32-bit Arm it ends the process.
 * What is not stopped runs once, at the latest when the context is released whose word
 * this one has (deadline_context_word()); if that is the background's, never.
 * Return: 0, -EINVAL, -ENOMEM, -EAGAIN (no thread), -ECHILD.
 */
int deadline_after(deadline_context *context, void (*fn)(void *arg), void *arg,
		   deadline_hook **ret_hook);

/**
 * deadline_hook_stop() - keep it from being called
 *
 * Does not wait. Return: 1 it will never start; 0 it has started, or was stopped
 * before; -ECHILD.
 */
int deadline_hook_stop(deadline_hook *hook);

/**
 * deadline_hook_stop_wait() - the same, and if it has started, until it ended
 *
 * Return: as deadline_hook_stop(); -EDEADLK from within it, and, on the threads of the
 * library, where it waits for the function that asks, perhaps by way of others.
 */
int deadline_hook_stop_wait(deadline_hook *hook);

/**
 * deadline_hook_free() - give the handle back, stopped or not; NULL is fine
 *
 * Once, and no other call with it after that. The function runs all the same.
 */
void deadline_hook_free(deadline_hook *hook);

/**
 * deadline_set_executor() - where functions of deadline_after() run
 * @submit: have fn(arg) called soon, not before it returns; 0, or non-zero if that
 *	cannot be: then a thread of the library's calls it
 *
 * Any thread may submit, also several at once, from within the call that ended the
 * context. Whatever @submit has taken must be called, once: else who waits for it in
 * deadline_hook_stop_wait() waits for ever. The thread cannot be cancelled meanwhile
 * (pthread_cancel(3)). If @submit ends its thread or throws, that counts as non-zero,
 * also for what was to be submitted next. The call that ended the context has done all
 * else by then, and what it makes is where its ret_ parameter says; an exception comes
 * out of it. At a timeout that is the call which first finds the context over, as
 * deadline_err() or deadline_wait(), or a thread of the library: that is replaced if it
 * ended, and an exception is dropped as one of deadline_after()'s.
 *
 * A child of fork(2) has none, but the library's threads, until it sets its own.
 *
 * Return: 0; -EBUSY after the first deadline_after() of a context that can end.
 */
int deadline_set_executor(int (*submit)(void (*fn)(void *arg), void *arg));

/*
 * Calls that block, under a context and a limit of their own, the earlier of which
 * ends them: -ETIME or -ECANCELED the context, -ETIMEDOUT @until. They end so on any
 * descriptor, O_NONBLOCK or not, whoever else uses it; only what a file system or a
 * disk is busy with is not cut short. If bytes were transferred, their number is
 * returned, even if the time has passed by then. Otherwise they return what the system
 * call does, or -errno. Signals do not interrupt them. Under a context that is over
 * already nothing is tried.
 *
 * A thread's first call that sleeps opens a descriptor, which is closed when the thread
 * ends: -EMFILE, -ENFILE; -ENOMEM, also if there is no thread-specific key left. A
 * blocking terminal, or before Linux 6.4 a pipe, takes another one for the time of the
 * call, and as much time as it is to open that: better make it O_NONBLOCK. Where
 * poll(2) says that a call can go on and it cannot (sendmsg(2) to a full socket that
 * only the call names, connect(2) to a full UNIX socket), it tries again after pauses
 * of up to 4 ms.
 *
 * What cannot be tried without a sleep in another way is made O_NONBLOCK, and stays so:
 * sockets that listen; eventfds that are written to; inotify, and timerfds and
 * signalfds before Linux 6.4; devices; files of procfs and its kind that one can wait for,
 * as /proc/kmsg; a pipe or terminal only if it cannot be opened anew below /proc/self/fd.
 * Who else uses the same description must expect EAGAIN.
 *
 * A thread that is cancelled (pthread_cancel(3)) ends in the sleep of a call, if it
 * sleeps, and before anything was moved; it leaves nothing behind. Such cancellation
 * points are these calls, deadline_wait(), deadline_queue_wait() and
 * deadline_worker_park(), and no others of the library. A thread that can be cancelled
 * anywhere (PTHREAD_CANCEL_ASYNCHRONOUS) must call nothing of the library.
 */

/**
 * deadline_read() - as read(2)
 *
 * But the VTIME of a terminal does not end it, only the limits do; what the terminal has
 * is returned, also if that is less than VMIN. And to read 0 bytes is no error where only
 * their number would be one. Return: what read(2) does, or -errno.
 */
ssize_t deadline_read(deadline_context *context, int fd, void *data,
		      size_t size, uint64_t until);
/**
 * deadline_write() - as write(2), but may move less
 *
 * SIGPIPE too; deadline_sendmsg() has MSG_NOSIGNAL. Return: what moved, or -errno.
 */
ssize_t deadline_write(deadline_context *context, int fd, const void *data,
		       size_t size, uint64_t until);
/**
 * deadline_recvmsg() - as recvmsg(2)
 *
 * With MSG_ERRQUEUE it waits for an error, too; with MSG_DONTWAIT for nothing. What has
 * come is returned, also with MSG_WAITALL. Return: what recvmsg(2) does, or -errno.
 */
ssize_t deadline_recvmsg(deadline_context *context, int fd, struct msghdr *msg,
			 int flags, uint64_t until);
/**
 * deadline_sendmsg() - as sendmsg(2)
 *
 * With MSG_DONTWAIT it does not wait. Return: what that does, or -errno.
 */
ssize_t deadline_sendmsg(deadline_context *context, int fd,
			 const struct msghdr *msg, int flags, uint64_t until);
/**
 * deadline_accept() - as accept4(2)
 *
 * The listener is O_NONBLOCK from then on. Return: what that does, or -errno.
 */
int deadline_accept(deadline_context *context, int fd, struct sockaddr *addr,
		    unsigned int *addr_size, int flags, uint64_t until);
/**
 * deadline_connect() - as connect(2)
 *
 * The socket is O_NONBLOCK meanwhile. After a failure, close it.
 * Return: 0 or -errno.
 */
int deadline_connect(deadline_context *context, int fd,
		     const struct sockaddr *addr, unsigned int addr_size,
		     uint64_t until);
/** deadline_poll() - as poll(2). Return: how many are ready, or -errno; never 0. */
int deadline_poll(deadline_context *context, struct pollfd *fds, unsigned long n,
		  uint64_t until);
/**
 * deadline_read_all() - deadline_read() until @size bytes are there
 *
 * Return: how many: fewer at the end of the file, or if something ended it after some,
 * which the next call tells; -errno, of deadline_read(), if there are none.
 */
ssize_t deadline_read_all(deadline_context *context, int fd, void *data,
			  size_t size, uint64_t until);
/**
 * deadline_write_all() - deadline_write() until @size bytes are gone
 *
 * Return: how many: fewer if something ended it after some, which the next call tells;
 * -errno, of deadline_write(), if there are none.
 */
ssize_t deadline_write_all(deadline_context *context, int fd, const void *data,
			   size_t size, uint64_t until);
/**
 * deadline_queue_wait_under() - until an expiry waits to be reaped
 *
 * As deadline_queue_wait(), but it ends with @context too, and not at signals: so who
 * cancels that wakes it. Return: 0, or -errno.
 */
int deadline_queue_wait_under(deadline_context *context, deadline_queue *queue,
			      uint64_t until);
/** deadline_sleep() - until @until. Return: 0, or what ended it before. */
int deadline_sleep(deadline_context *context, uint64_t until);

/*
 * Workers: for a scheduler in user space, one for each thread that runs its tasks.
 * One word says when a task shall yield, because its quantum ended or because
 * another thread wants something. Timers are slots of a queue of the worker's; any
 * thread may reap that, so the expiries of a worker that is stuck need not wait.
 *
 * A worker's thread loops so: deadline_worker_switch(), then look for what there is
 * to do, and if there is nothing, deadline_worker_park().
 *
 * If the thread ends without closing its worker, the word is over from then on and
 * requests return 0, until some other thread closes it. After a close the thread may
 * open another. In a child of fork(2) the thread is no worker, and the parent's word
 * reads over; the worker may be closed there.
 */

/**
 * struct deadline_worker_options - what a worker is opened with
 * @size: sizeof(struct deadline_worker_options), or 0 for the same. A larger one is
 *	refused with -E2BIG unless what is unknown of it is zero.
 * @queue: its timers; borrowed, it must outlive the worker
 * @preempt: called in a handler of @signal, in the worker's thread, when the word is
 *	over in code that allows it (deadline_preempt_on()). It must see to a
 *	deadline_worker_switch(), and may switch to other stacks before it returns,
 *	in the same thread; preemption is off until the tasks there turn it on. When
 *	the task goes on, in this thread again, its worker may be closed by then: it
 *	goes on to its end, or until the worker that the thread has now stops it.
 *	NULL: no signals, tasks look at the word.
 * @arg: for @preempt
 * @signal: which signal, with @preempt; 0 = SIGURG. One of SIGRTMIN or above does not
 *	come, and so stops no task, while the user is at RLIMIT_SIGPENDING.
 */
struct deadline_worker_options {
	size_t size;
	deadline_queue *queue;
	void (*preempt)(void *arg);
	void *arg;
	int signal;
};

/**
 * deadline_worker_open() - make the calling thread a worker, with preemption off
 *
 * Its word is over until the first switch. With @preempt, its signal is unblocked in the
 * thread until the close; while the program has it blocked, no task is stopped. A
 * handler of another signal is never stopped, nor anything while a signal is blocked
 * that was not when the worker was opened, or has been unblocked since: the task is
 * stopped up to a millisecond after the handler has returned, or was left by longjmp(3)
 * and the signal is unblocked. One that was blocked when the worker was opened is to be
 * unblocked with preemption off. A handler that blocks no signal at all (SA_NODEFER) is
 * told only by the signal stack: without one it may be stopped.
 * Return: 0; -EINVAL without options or queue, or with @preempt for a signal that cannot be
 * caught; -E2BIG (see deadline_worker_options); -EBUSY if the thread is a worker already,
 * or if the program has a handler of its own for the signal and @preempt is given; -ENOMEM,
 * also if there is no thread-specific key left; -ECHILD, and what deadline_queue_open()
 * says.
 */
int deadline_worker_open(deadline_worker **ret_worker,
			 const struct deadline_worker_options *options);

/**
 * deadline_worker_close() - the calling thread, whose worker it is, stops being one
 *
 * No thread may call deadline_worker_request() of it any more. Its tasks that are stopped
 * may go on.
 * NULL is fine. Return: 0; -EPERM in another thread while the worker's has not ended,
 * and then nothing is changed.
 */
int deadline_worker_close(deadline_worker *worker);

/**
 * deadline_worker_word() - for deadline_over(): shall the task yield?
 *
 * Valid until the worker is closed. Call it once before a loop, and again after a switch
 * that may continue the task on another worker.
 */
const deadline_word *deadline_worker_word(const deadline_worker *worker);

/**
 * deadline_worker_switch() - the word runs again, until @quantum_end
 * @quantum_end: ns; DEADLINE_NEVER before a park
 *
 * In the worker's thread, with preemption off. Look for what there is to do after this
 * call: all requests that were made before it are found then. Needed only when the word
 * is over: otherwise the next task may have the rest of the quantum, and the clock need
 * not be read. It makes a system call only if no look is planned that comes early enough.
 * Async-signal-safe.
 * Return: 0; -EBUSY: since it was opened with @preempt, the program has given the signal
 * a handler of its own, so no task is stopped any more (the word runs all the same; told
 * at one in 64 of the calls that find the word over); -ECHILD; what the doorbell says
 * (then the word stays over).
 */
int deadline_worker_switch(deadline_worker *worker, uint64_t quantum_end);

/**
 * deadline_worker_request() - have the worker yield or end its park
 *
 * First store what the worker shall find. From any thread; async-signal-safe. It makes a
 * system call only if the worker is parked, or in a task with preemption on.
 * Return: 1; 0 if the word was over already, as when its thread has ended; -ECHILD.
 */
int deadline_worker_request(deadline_worker *worker);

/**
 * deadline_worker_park() - sleep until a request or an expiry in the worker's queue
 * @until: give up at this time
 *
 * In the worker's thread. If a request or an expiry came since the last switch, it
 * returns at once. Return: 0; -ETIME, -EINTR, -ECHILD; as deadline_queue_wait(), and
 * -EBADF too if the program has closed a descriptor of the worker's.
 */
int deadline_worker_park(deadline_worker *worker, uint64_t until);

/**
 * deadline_worker_fd() - for a worker that sleeps in a loop of its own
 *
 * It polls readable from a request on that found the worker in such a sleep. Watch it
 * there, beside deadline_queue_fd() of the worker's timers, in place of
 * deadline_worker_park(). Borrowed; do not read it. Return: it, or -ECHILD.
 */
int deadline_worker_fd(const deadline_worker *worker);

/**
 * deadline_worker_before_sleep() - from here on a request makes the descriptor readable
 *
 * In the worker's thread, with preemption off, after the last look for what there is to
 * do. Return: 0, sleep now, and deadline_worker_after_sleep() is next, whatever ended
 * it; 1, there was a request or an expiry since the last switch: do not sleep; -ECHILD.
 */
int deadline_worker_before_sleep(deadline_worker *worker);

/**
 * deadline_worker_after_sleep() - the descriptor is not readable any more
 *
 * One system call. deadline_worker_switch() comes next, as after a park.
 * Return: 0; -EBADF if the program has closed the descriptor; -ECHILD.
 */
int deadline_worker_after_sleep(deadline_worker *worker);

/**
 * deadline_preempt_off() - from here on no signal stops the task
 *
 * Each call needs one of deadline_preempt_on(), in the thread that the task is in then. A
 * task needs this around functions that take locks or use what belongs to the thread:
 * most of libc, malloc(3) above all. The library's own calls do it themselves: no task
 * is stopped where they take locks or memory, wake somebody, or call the executor; those
 * that block keep the whole worker. The count is the thread's: see
 * deadline_preempt_swap(). Async-signal-safe.
 */
void deadline_preempt_off(void);

/**
 * deadline_preempt_on() - undo one deadline_preempt_off()
 *
 * A task starts with preemption off: a call of this declares what follows
 * preemptible. If the word is over by now, the task is stopped at once.
 * Async-signal-safe.
 */
void deadline_preempt_on(void);

/**
 * deadline_preempt_swap() - how often preemption is off, for another task
 * @count: of the task that the thread goes on with: 1 for one that begins, or what this
 *	returned when that was left; 0 = it is on
 *
 * For a scheduler whose tasks yield within deadline_preempt_off(), or change threads:
 * it calls this with preemption off where it switches from one task to another, and
 * keeps what is returned with the task that is left. Async-signal-safe.
 * Return: the count before.
 */
unsigned int deadline_preempt_swap(unsigned int count);

/* For a variable: what it points to is released when it goes out of scope. */
#define DEADLINE_AUTO __attribute__((__cleanup__(deadline_release_at)))

/** deadline_release_at() - deadline_release(*@context), for DEADLINE_AUTO */
void deadline_release_at(deadline_context **context);

/* What deadline_queue_pending() looks at; first in every queue. */
struct deadline_queue_ends {
	const deadline_word *head;
	const deadline_word *tail;
};

#ifndef DEADLINE_LOADS
#define DEADLINE_LOADS extern inline __attribute__((__gnu_inline__))
#endif

DEADLINE_LOADS bool deadline_over(const deadline_word *word)
{
	return !(__atomic_load_n((const uint64_t *)word, __ATOMIC_ACQUIRE) & 1);
}

DEADLINE_LOADS bool deadline_queue_pending(const deadline_queue *queue)
{
	const struct deadline_queue_ends *ends =
		(const struct deadline_queue_ends *)queue;

	return __atomic_load_n((const uint64_t *)ends->head, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n((const uint64_t *)ends->tail, __ATOMIC_ACQUIRE);
}

#ifdef __cplusplus
}
#endif

#endif
