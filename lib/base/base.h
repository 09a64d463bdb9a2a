/* SPDX-License-Identifier: MIT */
/*
 * What all layers of the library stand on: the clock, locks, threads, and what keeps
 * the library's own sections from being stopped by a signal. Each folder of lib/ is a
 * layer, base < queue < context < worker; none knows of those above it.
 */
#ifndef DEADLINE_BASE_H
#define DEADLINE_BASE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "deadline.h"

#define HIDDEN_TLS	\
	__attribute__((tls_model("initial-exec"), visibility("hidden")))

/**
 * struct preemptor - what stops the tasks of a thread by signals
 * @late: preemption is on again; a signal that came while it was off must be made up
 *	for
 * @declared: the program turns it on; may be NULL
 */
struct preemptor {
	void (*late)(struct preemptor *preemptor);
	void (*declared)(struct preemptor *preemptor);
};

/**
 * struct self - what the library keeps of each thread
 * @off: while this is not 0, no signal stops its task; 1 at first
 * @preemptor: NULL for most threads: no signal ever stops their tasks
 * @alarm: its alarm's descriptor plus one, see alarm.h; 0 = none yet
 * @rings: when that becomes readable, or before; 0 = it may be by now
 * @upper: for the layers above, which say what is where. It is here so that the
 *	address of one thread-local variable serves all of them.
 */
struct self {
	unsigned int off;
	struct preemptor *preemptor;
	int alarm;
	uint64_t rings;
	void *upper[4];
};

/* preempt.c */
extern __thread struct self self HIDDEN_TLS;
void preempt_late(void);

/*
 * Around what a task must not be stopped in, or another task of its thread could
 * wait for it for ever: locks held, what belongs to the thread. The signal handler of
 * the thread reads the count; the fences keep the compiler from moving what stands
 * between the two calls out of them.
 */
static inline void preempt_off(void)
{
	self.off++;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void preempt_on(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(!--self.off, 0))
		preempt_late();
}

/*
 * Around what is a cancellation point (pthread_cancel(3)) of the C library's and shall
 * be none of ours; hands over what is to be given back. The state is the thread's and
 * not the task's, so preemption is off meanwhile.
 */
static inline int cancel_off(void)
{
	int state;

	preempt_off();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static inline void cancel_restore(int state)
{
	pthread_setcancelstate(state, NULL);
	preempt_on();
}

/* A mutex of the library's */
static inline void mutex_lock(pthread_mutex_t *mutex)
{
	preempt_off();
	pthread_mutex_lock(mutex);
}

static inline void mutex_unlock(pthread_mutex_t *mutex)
{
	pthread_mutex_unlock(mutex);
	preempt_on();
}

/* lock.c: a lock of four bytes, which is a futex */
#define LOCK_HELD	1
#define LOCK_AWAITED	2

void futex_lock_slow(uint32_t *futex);
void futex_unlock_slow(uint32_t *futex);
int futex_sleep(uint32_t *futex, uint32_t value, uint64_t until);

/* To be held with preemption off, if this thread has a preemptor */
static inline bool futex_trylock(uint32_t *futex)
{
	return !(__atomic_fetch_or(futex, LOCK_HELD, __ATOMIC_ACQUIRE) &
		 LOCK_HELD);
}

static inline void futex_lock(uint32_t *futex)
{
	if (!futex_trylock(futex))
		futex_lock_slow(futex);
}

static inline void futex_unlock(uint32_t *futex)
{
	if (__atomic_sub_fetch(futex, LOCK_HELD, __ATOMIC_RELEASE))
		futex_unlock_slow(futex);
}

/* clock.c: also what deadline_now() is made of */
static inline uint64_t clock_read(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static inline uint64_t clock_in(uint64_t ns)
{
	uint64_t when = clock_read() + ns;

	return when < ns ? DEADLINE_NEVER : when;
}

/* Where time_t has 32 bits, it holds 68 years: what is further away is as far. */
static inline struct timespec timespec_of(uint64_t ns)
{
	const uint64_t most = sizeof(time_t) < 8 ? INT32_MAX : INT64_MAX;
	uint64_t seconds = ns / 1000000000;

	return (struct timespec) {
		.tv_sec = seconds < most ? seconds : most,
		.tv_nsec = ns % 1000000000,
	};
}

/* fork.c: in this order children begin anew */
enum {
	FORK_BASE,
	FORK_QUEUE,
	FORK_CONTEXT,
	FORK_WORKER,
	FORK_LAYERS,
};

/**
 * struct fork_part - what a layer does when the process forks
 * @lock: take the locks of what the child shall find whole; may be NULL
 * @unlock: let them go, in the parent and in the child; may be NULL
 * @child: begin anew. The only thread; but in one that was made without our handlers
 *	the locks may be held by a thread that it does not have, so they are made anew.
 */
struct fork_part {
	void (*lock)(void);
	void (*unlock)(void);
	void (*child)(void);
};

void fork_take_part(unsigned int layer, const struct fork_part *part);
/* Memory that reads zero, in a child anew; NULL if there is none */
void *wiped_pages(size_t size);
/* A small piece of such, for as long as the process lives; its callers take turns. */
void *wiped_alloc(size_t size);
/* Are we a child, made without the handlers of fork(3), that has not begun yet? */
bool fork_new(void);
void fork_begin(void);

/* Before anything that a thread of the parent may have been at */
static inline void fork_check(void)
{
	if (__builtin_expect(fork_new(), 0))
		fork_begin();
}

/*
 * descriptors.c: around the opening of a descriptor of our own, so that no child is made
 * that has it and does not know it. Handed in is what open(2) gave, or -errno; handed
 * over is that, perhaps by another number, or an -errno: -ENOMEM, -EMFILE. By syscall(2)
 * what could be a cancellation point.
 */
void own_begin(void);
int own_end(int fd);
/*
 * For whoever has opened it and not closed it: or has the program closed it, and perhaps
 * its number is another file's now?
 */
bool is_own(int fd);
/* For the same: the file sends @signal from here on. As fcntl(2) with F_SETSIG */
int own_signals(int fd, int signal);
/* For the same, once: closed if it is still ours. No cancellation point */
void own_close(int fd);

/* threads.c; 0 or -errno */
int start_thread(pthread_t *thread, const pthread_attr_t *attr,
		 void *(*fn)(void *arg), void *arg);
/*
 * For such a thread, first of all: it may run where the process might when the library
 * was loaded, whatever the thread is bound to that started it; not so under a filter of
 * system calls.
 */
void take_affinity(void);
/* Has it a CPU, or waits for one? False if the kernel does not tell */
bool thread_runs(pid_t thread);

/* catch.c: call @fn(@arg); an exception that comes out of it is dropped. */
void call_catching(void (*fn)(void *arg), void *arg);

#endif
