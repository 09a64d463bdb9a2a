/* SPDX-License-Identifier: MIT */
/* What the files of the library share. */
#ifndef DEADLINE_INTERNAL_H
#define DEADLINE_INTERNAL_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/deadline.h>
#include "deadline.h"
#include "deadline_inline.h"

/**
 * struct backend - who serves a queue
 * @id: DEADLINE_BACKEND_*
 * @open: fill in @fd and the memory of a zeroed queue, for @count slots
 * @close: undo it; the child of a fork closes only what it inherited
 * @ring: look at these slots now; how many were served, or -errno. Keeps errno.
 * @watch: from now on @fd is readable while the ring is not empty; may be NULL
 * @drained: somebody found the ring empty; may be NULL
 * @signal: slots flagged SIGNAL send SIGURG to this thread; 0 or -errno
 */
struct backend {
	int id;
	int (*open)(struct deadline_queue *queue, uint32_t count);
	void (*close)(struct deadline_queue *queue);
	int (*ring)(struct deadline_queue *queue, const uint32_t *slots,
		    unsigned int n);
	void (*watch)(struct deadline_queue *queue);
	void (*drained)(struct deadline_queue *queue);
	int (*signal)(struct deadline_queue *queue, pid_t thread);
};

extern const struct backend backend_kernel;
extern const struct backend backend_thread;

/**
 * struct deadline_queue - the same for both backends above the doorbell
 * @ends: for the inline deadline_queue_pending(); first
 * @header: what we write: the header, the slots
 * @status: what the backend writes: the status, the ring
 * @slots: in @header's mapping
 * @ring: in @status' mapping
 * @count: slots
 * @ring_size: entries of @ring, a power of two
 * @period_min: the smallest period, ns
 * @features: DEADLINE_FEATURE_* of the device; the thread backend's: 0
 * @shared_size: bytes mapped at @header
 * @status_size: bytes mapped at @status
 * @backend: who serves it
 * @server: the thread backend's own
 * @fd: the device, or the thread backend's eventfd
 * @contexts: its slots are contexts, whose expiries nobody must be told
 * @orphan: we are the child of a fork: nobody serves it here
 * @lock: for the members below
 * @unused: slots from here on were never allocated
 * @free: the last slot freed, which knows the one before it, or NULL
 * @allocated: slots in use
 * @next: all queues of the process, for fork
 */
struct deadline_queue {
	struct deadline_queue_ends ends;
	struct deadline_header *header;
	struct deadline_status *status;
	struct deadline_slot *slots;
	struct deadline_entry *ring;
	uint32_t count;
	uint32_t ring_size;
	uint64_t period_min;
	uint64_t features;
	size_t shared_size;
	size_t status_size;
	const struct backend *backend;
	struct server *server;
	int fd;
	bool contexts;
	bool orphan;
	pthread_mutex_t lock;
	uint32_t unused;
	struct deadline_slot *free;
	uint32_t allocated;
	struct deadline_queue *next;
};

/* queue.c */
int take_options(void *to, size_t known, const void *from, size_t size);
int queue_sleep(struct deadline_queue *queue, struct pollfd *fds, nfds_t n,
		uint64_t until);

/* Too busy to be closed? */
static inline bool queue_is_busy(const struct deadline_queue *queue)
{
	return queue->allocated && !queue->orphan;
}

#define HIDDEN_TLS	\
	__attribute__((tls_model("initial-exec"), visibility("hidden")))

/**
 * struct self - what each thread has
 * @lists: its free contexts, one for each class; NULL before the first
 * @magazine: the same for the short ways, which hold no signal off; NULL if a
 *	signal may stop this thread
 * @now: what it last read from the clock
 * @number: which of a crowd's stand-ins is its; 0 = not known yet
 * @off: while this is not 0, no signal stops it; 1 at first
 * @worker: whose callback stops it; NULL for most threads
 */
struct self {
	struct list *lists;
	struct list *magazine;
	uint64_t now;
	uint32_t number;
	unsigned int off;
	const struct deadline_worker *worker;
};

/* worker.c */
extern __thread struct self self HIDDEN_TLS;
void preempt_late(void);

/*
 * Around what a task must not be stopped in, or another task of its thread could
 * wait for it for ever: locks held, what belongs to the thread. The handler of this
 * thread looks at it; whatever is between stays there.
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

/* start.c; 0 or -errno */
int start_thread(pthread_t *thread, const pthread_attr_t *attr,
		 void *(*fn)(void *arg), void *arg);

/* fork.c */
void fork_enter(struct deadline_queue *queue);
void fork_leave(struct deadline_queue *queue);

/* pool.c: around a fork */
void pool_fork(void);
void pool_forked(bool child);
/* and for a worker */
void pool_preempt(bool on);

static inline struct deadline_queue *slot_queue(const deadline_slot *slot)
{
	return (struct deadline_queue *)(uintptr_t)slot->owner;
}

#endif
