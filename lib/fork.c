// SPDX-License-Identifier: MIT
/*
 * fork(2): nobody serves the child's queues, so all its words must read over.
 * The device's mappings are not inherited and the thread backend's must not be
 * shared, so zero pages take their place; a zero word is over, and a slot
 * without an owner tells the library why.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include "internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct deadline_queue *queues;

static void prepare(void)
{
	pool_fork();
	mutex_lock(&lock);
}

static void parent(void)
{
	mutex_unlock(&lock);
	pool_forked(false);
}

static void zero(void *at, size_t size)
{
	/* A child that would take its parent's words for its own must not be. */
	if (mmap(at, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		 -1, 0) == MAP_FAILED)
		abort();
}

static void child(void)
{
	struct deadline_queue *queue;

	for (queue = queues; queue; queue = queue->next) {
		queue->orphan = true;
		zero(queue->header, queue->shared_size);
		zero(queue->status, queue->status_size);
	}
	mutex_unlock(&lock);
	pool_forked(true);
}

static void install(void)
{
	pthread_atfork(prepare, parent, child);
}

void fork_enter(struct deadline_queue *queue)
{
	pthread_once(&once, install);
	mutex_lock(&lock);
	queue->next = queues;
	queues = queue;
	mutex_unlock(&lock);
}

void fork_leave(struct deadline_queue *queue)
{
	struct deadline_queue **at = &queues;

	mutex_lock(&lock);
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	mutex_unlock(&lock);
}
