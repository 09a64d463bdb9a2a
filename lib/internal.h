/* SPDX-License-Identifier: MIT */
/* What the files of the library share. */
#ifndef DEADLINE_INTERNAL_H
#define DEADLINE_INTERNAL_H

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
 */
struct backend {
	int id;
	int (*open)(struct deadline_queue *queue, uint32_t count);
	void (*close)(struct deadline_queue *queue);
	int (*ring)(struct deadline_queue *queue, const uint32_t *slots,
		    unsigned int n);
	void (*watch)(struct deadline_queue *queue);
	void (*drained)(struct deadline_queue *queue);
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

/* fork.c */
void fork_enter(struct deadline_queue *queue);
void fork_leave(struct deadline_queue *queue);

/* pool.c: around a fork */
void pool_fork(void);
void pool_forked(bool child);

static inline struct deadline_queue *slot_queue(const deadline_slot *slot)
{
	return (struct deadline_queue *)(uintptr_t)slot->owner;
}

#endif
