/* SPDX-License-Identifier: MIT */
/*
 * libdeadline: deadlines that are over on time, whoever is running
 *
 * All times are absolute nanoseconds of CLOCK_MONOTONIC, saturating;
 * DEADLINE_NEVER is never. A deadline is rounded up to a multiple of 16 ns.
 * Functions return 0 or a positive answer, or -errno; what a function would
 * return through a ret_ pointer is untouched when it fails. errno is never
 * changed. Everything is thread-safe unless its text says otherwise.
 *
 * After fork(2) the child has the objects but no queue serves them: every word
 * reads over and the calls return -ECHILD.
 *
 * As with free(3), nobody can tell an object that is gone from one that took its
 * place: to use a queue after its close, a slot after its free, a context or hook
 * without a reference, or to give one back twice, is undefined. A slot belongs to one
 * thread at a time (owner only); that is not checked.
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

/**
 * struct deadline_options - what a queue is opened with; NULL means all zero
 * @size: sizeof(struct deadline_options), or 0 for the same. A larger
 *	one is refused with -E2BIG unless what is unknown of it is zero.
 * @slots: How many slots it shall have at least; 0 = 4096, at most 1 << 20.
 * @backend: DEADLINE_BACKEND_*. AUTO takes the kernel, and the thread only if
 *	there is no such device (ENOENT, ENODEV, ENXIO); every other failure of
 *	the kernel's is an error. AUTO is overridden by the variable
 *	DEADLINE_BACKEND, "kernel" or "thread" (not in set-user-ID programs).
 */
struct deadline_options {
	size_t size;
	uint32_t slots;
	int backend;
};

/**
 * struct deadline_record - one expiry
 * @slot: The slot that expired.
 * @user_data: As given to deadline_slot_alloc().
 * @when: The deadline, ns, rounded up to 16; of a periodic slot the one that
 *	passed last.
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
 * @moved: Looks that found a later deadline.
 * @dropped: Looks that found the slot no longer armed.
 * @contended: Looks put off because the program kept changing the word.
 * @full: Interrupts that ended with their budget spent (thread backend: 0).
 * @doorbells: Slots named in doorbells.
 * @longest_ns: The longest interrupt (thread backend: 0).
 * @slots: Slots there are.
 * @allocated: Slots allocated now.
 * @memory: Bytes that the program maps.
 */
struct deadline_stats {
	uint64_t interrupts;
	uint64_t expired;
	uint64_t moved;
	uint64_t dropped;
	uint64_t contended;
	uint64_t full;
	uint64_t doorbells;
	uint64_t longest_ns;
	uint64_t slots;
	uint64_t allocated;
	uint64_t memory;
};

/** deadline_version() - "MAJOR.MINOR.PATCH" of the library linked */
const char *deadline_version(void);

/** deadline_now() - CLOCK_MONOTONIC in ns. Async-signal-safe. */
uint64_t deadline_now(void);

/** deadline_in() - now + @ns, saturating. Async-signal-safe. */
uint64_t deadline_in(uint64_t ns);

/**
 * deadline_cpus() - how many CPUs' worth of time this process can have
 *
 * For how many workers or queues to open. The least of what the caller's affinity
 * (sched_setaffinity(2)) allows and of the CPU quotas of its cgroup and of each one
 * above it (cpu.max, or cpu.cfs_quota_us of version 1), as far as they are mounted
 * where it can see them. Part of a CPU counts as one. Both may change: it reads
 * them anew, from files, at each call. Return: at least 1.
 */
unsigned int deadline_cpus(void);

/**
 * deadline_queue_open() - open a queue
 * @ret_queue: where the queue goes
 * @options: or NULL
 *
 * Return: 0; -EINVAL (backend or slots out of range, DEADLINE_BACKEND set to
 * something else), -E2BIG (see deadline_options), -ENOMEM, or what open(2),
 * ioctl(2) and mmap(2) of /dev/deadline say: -EACCES, -EPERM, -EMFILE ...
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
 * deadline_queue_fd() - a descriptor that polls readable while expiries wait
 *
 * Borrowed: do not close it. Readiness is a hint: the expiry may have been taken
 * since. Where the kernel serves, read(2) of it takes expiries too, as deadline(4)
 * has it, and a thread that does nothing else is woken soonest by that; where a
 * thread serves, do not read it. Return: it, or -ECHILD.
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
 * Return: 0 (also at once if one waits already), -ETIME, -EINTR, -ECHILD.
 */
int deadline_queue_wait(deadline_queue *queue, uint64_t until);

/** deadline_queue_stats() - fill @ret_stats. Return: 0 or -ECHILD. */
int deadline_queue_stats(deadline_queue *queue,
			 struct deadline_stats *ret_stats);

/*
 * Shards: a queue for each thread that works, which then shares no lock, ring or
 * timer with the others; and yet they see the expiries of one that is stuck.
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
 * Waiting is done on one queue: while all other workers sleep, nobody sees those
 * of one that is stuck, so let one of them wake from time to time.
 * Return: how many, 0 if none, -EINVAL if there is no such worker, -ECHILD.
 */
int deadline_shards_reap(deadline_shards *shards, unsigned int worker,
			 struct deadline_record *records, unsigned int n);

/**
 * deadline_slot_alloc() - take a slot of the queue, not armed, for one expiry,
 * without slack
 * @user_data: comes back with each of its expiries
 *
 * Return: 0; -ENOSPC if all are taken; -ECHILD.
 */
int deadline_slot_alloc(deadline_queue *queue, uint64_t user_data,
			deadline_slot **ret_slot);

/**
 * deadline_slot_free() - give it back, cancelled; NULL is fine
 *
 * Nobody may use the slot any more. An expiry not yet reaped is gone.
 */
void deadline_slot_free(deadline_slot *slot);

/**
 * deadline_slot_set_slack() - let it expire up to @ns late, from the next arm on
 *
 * Deadlines with slack share wake-ups: one that is taken anyway expires them early
 * in their slack, never before their deadline. Owner only.
 * Return: 0; -EBUSY while it is armed; -ECHILD.
 */
int deadline_slot_set_slack(deadline_slot *slot, uint32_t ns);

/**
 * deadline_slot_set_period() - have it expire every @ns, from the next arm on
 * @ns: 0 = once; at least what the backend allows, the module's period_min (10 us)
 *
 * An armed periodic slot is running until it is cancelled: it expires at the time
 * that it was armed for and then at each period from there, exactly. Owner only.
 * Return: 0; -EINVAL for a period too small, or beyond INT64_MAX; -EBUSY while it
 * is armed; -ECHILD.
 */
int deadline_slot_set_period(deadline_slot *slot, uint64_t ns);

/**
 * deadline_slot_arm() - start a deadline
 * @flags: 0
 * @when: ns; a time that has passed expires at once
 *
 * Owner only: one thread arms and moves a slot at a time. An expiry of the slot
 * that nobody has reaped is claimed, and not delivered.
 * Async-signal-safe. No system call, unless the queue would look too late.
 * Return: 0; -EBUSY while it is armed; -EINVAL for unknown flags; -ECHILD; what
 * the doorbell says. On failure it is not armed.
 */
int deadline_slot_arm(deadline_slot *slot, uint32_t flags, uint64_t when);

/**
 * deadline_slot_arm_many() - arm @n slots, which may be of several queues
 *
 * As deadline_slot_arm() for each in order, one doorbell for up to 128 of them.
 * Return: 0; or the error of the first that failed, and then those that this
 * call armed are cancelled again.
 */
int deadline_slot_arm_many(deadline_slot *const *slots, unsigned int n,
			   uint64_t when);

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
 * What a periodic slot expired before and nobody reaped is still delivered.
 * Anyone who knows that the slot is not freed. Async-signal-safe. Never a
 * system call. Return: 1 won, 0 already over, -ECHILD.
 */
int deadline_slot_cancel(deadline_slot *slot);

/**
 * deadline_slot_request() - make it over now
 *
 * As if it had expired and been reaped: nothing is delivered. Anyone who knows
 * that the slot is not freed. Async-signal-safe. Never a system call.
 * Return: 1 won, 0 already over, -ECHILD.
 */
int deadline_slot_request(deadline_slot *slot);

/**
 * deadline_slot_word() - the slot's word, for deadline_over()
 *
 * Valid until the slot is freed. Hoist it out of loops.
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
 * With DEADLINE_DEBUG=leaks in its environment, a program tells on stderr when it
 * ends which contexts it never released.
 *
 * In a hot loop, ask the word: deadline_over(word). It is true on time for the
 * deadlines of all ancestors too, each for itself: one that has its deadline of its
 * parent may be over an instant before that is. A cancel of an ancestor reaches it
 * before that call returns.
 */

/** deadline_background() - the root: never over, never released */
deadline_context *deadline_background(void);

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
 * If the parent's deadline is earlier, that holds, and its cause. A deadline that
 * has passed makes a context that is over.
 * Return: as deadline_with_cancel().
 */
int deadline_with_deadline(deadline_context *parent, uintptr_t cause,
			   deadline_context **ret_context, uint64_t when);

/** deadline_with_timeout() - the same, @ns from now. Return: likewise. */
int deadline_with_timeout(deadline_context *parent, uintptr_t cause,
			  deadline_context **ret_context, uint64_t ns);

/**
 * deadline_with_value() - one that carries a value, and is over with its parent
 * @key: not NULL; keys are compared as addresses
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int deadline_with_value(deadline_context *parent, const void *key, void *value,
			deadline_context **ret_context);

/**
 * deadline_without_cancel() - the parent's values, but never over
 *
 * Return: 0, -ENOMEM.
 */
int deadline_without_cancel(deadline_context *parent,
			    deadline_context **ret_context);

/**
 * deadline_cancel() - make it over now, and all below it before this returns
 * @cause: for deadline_cause(), if no cancel has given one before
 *
 * Return: 1 won, 0 already over; -EINVAL for a context that has no cancel of its own
 * (background, without_cancel, with_value), or for the cause UINTPTR_MAX; -ECHILD.
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

/** deadline_cause() - what was given for why it is over; 0 if nothing, or running */
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
 * Borrowed, closed with the context; do not read it. It comes as late as a thread
 * of the library that makes it readable, unlike the word.
 * Return: it; -EINVAL for a context that is never over; -ECHILD, -EMFILE ...
 */
int deadline_done_fd(deadline_context *context);

/**
 * deadline_after() - call @fn(@arg) once the context is over, at once if it is
 *
 * On its own: on the executor or a thread of the library's, as late as that is.
 * What is not stopped runs, at the latest when the context is released.
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
 * Return: as deadline_hook_stop(); -EDEADLK from within it.
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
 * deadline_hook_stop_wait() waits for ever.
 *
 * Return: 0; -EBUSY after the first deadline_after().
 */
int deadline_set_executor(int (*submit)(void (*fn)(void *arg), void *arg));

/*
 * Calls that block, under a context and a limit of their own, the earlier of which
 * ends them: -ETIME or -ECANCELED the context, -ETIMEDOUT @until. Bytes that were
 * moved are told, whatever came meanwhile. Else they return what the system call
 * does, or -errno; -EMFILE or -ENFILE, a thread's first one that sleeps needs an
 * eventfd. Signals do not interrupt them. A context that is over refuses before
 * anything is tried.
 *
 * Where several threads read or accept from one descriptor that is no socket, or
 * accept from one socket, it should be O_NONBLOCK: another may be quicker.
 */

/** deadline_read() - as read(2). Return: what that does, or -errno. */
ssize_t deadline_read(deadline_context *context, int fd, void *data,
		      size_t size, uint64_t until);
/**
 * deadline_write() - as write(2), but may move less
 *
 * SIGPIPE too; deadline_sendmsg() has MSG_NOSIGNAL. Return: what moved, or -errno.
 */
ssize_t deadline_write(deadline_context *context, int fd, const void *data,
		       size_t size, uint64_t until);
/** deadline_recvmsg() - as recvmsg(2). Return: what that does, or -errno. */
ssize_t deadline_recvmsg(deadline_context *context, int fd, struct msghdr *msg,
			 int flags, uint64_t until);
/** deadline_sendmsg() - as sendmsg(2). Return: what that does, or -errno. */
ssize_t deadline_sendmsg(deadline_context *context, int fd,
			 const struct msghdr *msg, int flags, uint64_t until);
/** deadline_accept() - as accept4(2). Return: what that does, or -errno. */
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
 */

/**
 * struct deadline_worker_options - what a worker is opened with
 * @size: sizeof(struct deadline_worker_options), or 0 for the same. A larger one is
 *	refused with -E2BIG unless what is unknown of it is zero.
 * @queue: its timers; borrowed, it must outlive the worker
 * @preempt: called in a handler of SIGURG, in the worker's thread, when the word is
 *	over in code that allows it (deadline_preempt_on()). It must see to a
 *	deadline_worker_switch(), and may switch to other stacks before it returns,
 *	in the same thread; preemption is off until the tasks there turn it on. NULL:
 *	no signals, tasks look at the word.
 * @arg: for @preempt
 */
struct deadline_worker_options {
	size_t size;
	deadline_queue *queue;
	void (*preempt)(void *arg);
	void *arg;
};

/**
 * deadline_worker_open() - make the calling thread a worker, with preemption off
 *
 * Its word is over until the first switch.
 * Return: 0; -EINVAL without options or queue; -E2BIG (see
 * deadline_worker_options); -EBUSY if the thread is a worker already, or if the
 * program has a handler of its own for SIGURG and @preempt is given; -ENOMEM,
 * -ECHILD, and what deadline_queue_open() says.
 */
int deadline_worker_open(deadline_worker **ret_worker,
			 const struct deadline_worker_options *options);

/**
 * deadline_worker_close() - the calling thread, whose worker it is, is none any more
 *
 * Nobody may request anything of it any more. NULL is fine.
 */
void deadline_worker_close(deadline_worker *worker);

/**
 * deadline_worker_word() - for deadline_over(): shall the task yield?
 *
 * Valid until the worker is closed. Hoist it out of loops, but not over a switch
 * that may continue a task on another worker.
 */
const deadline_word *deadline_worker_word(const deadline_worker *worker);

/**
 * deadline_worker_switch() - the word runs again, until @quantum_end
 * @quantum_end: ns; DEADLINE_NEVER before a park
 *
 * In the worker's thread, with preemption off. Look for what there is to do after
 * it: it answers all requests made before. Needed only when the word is over: the
 * next task may have the rest of the quantum, and then the clock is not read.
 * No system call, unless the queue would look too late. Async-signal-safe.
 * Return: 0; -ECHILD; what the doorbell says (then the word stays over).
 */
int deadline_worker_switch(deadline_worker *worker, uint64_t quantum_end);

/**
 * deadline_worker_request() - have the worker yield or end its park
 *
 * First store what it shall find. From any thread; async-signal-safe. A system call
 * only if it is parked, or to be stopped by a signal.
 * Return: 1; 0 if the word was over already; -ECHILD.
 */
int deadline_worker_request(deadline_worker *worker);

/**
 * deadline_worker_park() - sleep until a request or an expiry in the worker's queue
 * @until: give up at this time
 *
 * In the worker's thread. What came since the last switch is not missed: then it
 * returns at once. Return: 0, -ETIME, -EINTR, -ECHILD.
 */
int deadline_worker_park(deadline_worker *worker, uint64_t until);

/**
 * deadline_preempt_off() - from here on no signal stops the task
 *
 * Each needs one deadline_preempt_on(), in the thread that the task is in then. In
 * between, call what takes locks or has to do with the thread: most of libc is
 * such, malloc(3) above all. The library's own calls do it themselves, but those
 * that block keep the whole worker. Async-signal-safe.
 */
void deadline_preempt_off(void);

/**
 * deadline_preempt_on() - undo it
 *
 * A task starts with preemption off: a call of this declares what follows
 * preemptible. If the word is over by now, the task is stopped at once.
 * Async-signal-safe.
 */
void deadline_preempt_on(void);

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
