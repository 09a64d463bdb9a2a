/* SPDX-License-Identifier: MIT */
/* A queue, who serves it, and what the layers above may do with both. */
#ifndef DEADLINE_QUEUE_H
#define DEADLINE_QUEUE_H

#include <poll.h>
#include <sys/types.h>
#include <linux/deadline.h>
#include "base/base.h"
#include "deadline_inline.h"

/**
 * struct backend - who serves a queue
 * @id: DEADLINE_BACKEND_*
 * @open: fill in @fd, which is -1, and the memory of a queue, for @count slots
 * @close: undo it; in the child of a fork what was inherited, and @fd is -1
 * @orphan: in the child of a fork: have the memory read zero; may be NULL
 * @doorbell: take the inbox now; 0 or -errno. Keeps errno.
 * @watch: from now on @fd is readable while the ring is not empty; may be NULL
 * @drained: somebody found the ring empty; may be NULL
 * @sleep: until the ring is not empty, or for no reason, without @fd; by one thread
 *	at a time; may be NULL
 * @signal: slots flagged SIGNAL send this signal to this thread; 0 or -errno
 */
struct backend {
	int id;
	int (*open)(struct deadline_queue *queue, uint32_t count);
	void (*close)(struct deadline_queue *queue);
	void (*orphan)(struct deadline_queue *queue);
	int (*doorbell)(struct deadline_queue *queue);
	void (*watch)(struct deadline_queue *queue);
	void (*drained)(struct deadline_queue *queue);
	void (*sleep)(struct deadline_queue *queue);
	int (*signal)(struct deadline_queue *queue, pid_t thread, int signal);
};

extern const struct backend backend_kernel;
extern const struct backend backend_thread;

/**
 * struct deadline_queue - the same for both backends above the doorbell
 * @ends: for the inline deadline_queue_pending(); first
 * @header: what we write: the header, the periods, the slots
 * @status: what the backend writes: the status, the ring
 * @slots: in @header's mapping; see slot_at()
 * @periods: in @header's mapping, one per slot
 * @ring: in @status' mapping; see entry_at()
 * @slot_shift: slots are 1 << @slot_shift bytes apart
 * @entry_shift: and entries of @ring 1 << @entry_shift
 * @count: slots
 * @ring_size: entries of @ring, a power of two
 * @period_min: the smallest period, ns
 * @features: DEADLINE_FEATURE_* of the device; the thread backend's: 0
 * @shared_size: bytes mapped at @header
 * @status_size: bytes mapped at @status
 * @backend: who serves it
 * @server: the thread backend's own
 * @fd: the device, or the thread backend's alarm; -1 in the child of a fork. The
 *	device's is opened and closed under fork.c's lock
 * @clock: DEADLINE_CLOCK_*
 * @slack: what a slot has when it is allocated, ns
 * @signals: and its expiry signals
 * @parts_fd: of one that grows: watches @fd of all parts; -1 in the child of a fork
 * @slots_max: and so many slots it may have; 0 = it does not grow
 * @growing: and by one thread at a time
 * @more: its next part; see grow.c
 * @lock: for the members below
 * @unused: slots from here on were never allocated
 * @free: the last slot freed, which knows the one before it, or NULL
 * @allocated: slots in use; grow() reads it without the lock
 * @next: all queues of the process, for fork
 */
struct deadline_queue {
	struct deadline_queue_ends ends;
	struct deadline_header *header;
	struct deadline_status *status;
	struct deadline_slot *slots;
	uint64_t *periods;
	struct deadline_entry *ring;
	uint32_t slot_shift;
	uint32_t entry_shift;
	uint32_t count;
	uint32_t ring_size;
	uint64_t period_min;
	uint64_t features;
	size_t shared_size;
	size_t status_size;
	const struct backend *backend;
	struct server *server;
	int fd;
	int clock;
	uint32_t slack;
	bool signals;
	int parts_fd;
	uint64_t slots_max;
	pthread_mutex_t growing;
	struct deadline_queue *more;
	pthread_mutex_t lock;
	uint32_t unused;
	struct deadline_slot *free;
	uint32_t allocated;
	struct deadline_queue *next;
};

/* queue.c */
int take_options(void *to, size_t known, const void *from, size_t size);
int queue_watch(struct deadline_queue *queue);
int queue_sleep(struct deadline_queue *queue, struct pollfd *fds, nfds_t n,
		uint64_t until);

/*
 * Are we the child of a fork, and it is the parent's? Positions in the ring begin at 1,
 * and the memory of an orphan reads zero.
 */
static inline bool queue_is_orphan(const struct deadline_queue *queue)
{
	return !__atomic_load_n(&queue->header->head, __ATOMIC_RELAXED);
}

/* clock.c */
clockid_t queue_clock(const struct deadline_queue *queue);
uint64_t queue_now(const struct deadline_queue *queue);

/* For a thread of the library's: until the ring is not empty, or for no reason */
void queue_await(struct deadline_queue *queue);

/* The next part of one that grows, which may have come this instant */
static inline struct deadline_queue *
queue_more(const struct deadline_queue *queue)
{
	return __atomic_load_n(&queue->more, __ATOMIC_ACQUIRE);
}

/* Too busy to be closed? */
static inline bool queue_is_busy(const struct deadline_queue *queue)
{
	for (; queue; queue = queue_more(queue)) {
		if (queue->allocated && !queue_is_orphan(queue))
			return true;
	}
	return false;
}

/* Head first: if they are the same, there was nothing when the tail was loaded. */
static inline bool ring_pending(const struct deadline_queue *queue)
{
	uint64_t head = __atomic_load_n(&queue->header->head, __ATOMIC_SEQ_CST);

	return head != __atomic_load_n(&queue->status->tail, __ATOMIC_SEQ_CST);
}

/* deadline_queue_pending() of all parts */
static inline bool queue_pending(const struct deadline_queue *queue)
{
	for (; queue; queue = queue_more(queue)) {
		if (ring_pending(queue))
			return true;
	}
	return false;
}

/* The ring was found empty: no part's descriptor need be readable for what was in it. */
static inline void queue_drained(struct deadline_queue *queue)
{
	for (; queue; queue = queue_more(queue)) {
		if (queue->backend->drained)
			queue->backend->drained(queue);
	}
}

/* grow.c; 0 or -errno */
int grow_begin(struct deadline_queue *queue, uint64_t slots_max);
void grow_end(struct deadline_queue *queue);
/* There may be slots then. -ENOSPC if it is not to grow */
int grow(struct deadline_queue *queue);

/* Or has the program closed a descriptor of it? */
static inline bool queue_is_whole(const struct deadline_queue *queue)
{
	if (queue->slots_max && !is_own(queue->parts_fd))
		return false;
	do {
		if (!is_own(queue->fd))
			return false;
	} while ((queue = queue_more(queue)));
	return true;
}

/* fork.c: a queue is entered before it is opened, and leaves when it is closed */
void fork_enter(struct deadline_queue *queue);
void fork_leave(struct deadline_queue *queue);
void fork_lock(void);
void fork_unlock(void);

static inline struct deadline_queue *slot_queue(const deadline_slot *slot)
{
	return (struct deadline_queue *)(uintptr_t)slot->owner;
}

/* A newer kernel's slots and entries may be larger than the ones we know. */
static inline deadline_slot *slot_at(const struct deadline_queue *queue,
				     uint32_t index)
{
	return (void *)queue->slots + ((size_t)index << queue->slot_shift);
}

static inline uint32_t slot_index(const struct deadline_queue *queue,
				  const deadline_slot *slot)
{
	return ((uintptr_t)slot - (uintptr_t)queue->slots) >> queue->slot_shift;
}

static inline struct deadline_entry *
entry_at(const struct deadline_queue *queue, uint64_t position)
{
	return (void *)queue->ring + ((position & (queue->ring_size - 1)) <<
				      queue->entry_shift);
}

/*
 * Put the slot into the inbox; returns whether the doorbell is to be rung for it.
 * slot.c
 */
bool slot_hand_in(struct deadline_queue *queue, deadline_slot *slot);

#endif
