// SPDX-License-Identifier: MIT
/*
 * fork(2): nobody serves the child's copies of its parent's queues, so all their words
 * must read over. Their memory reads zero there: a zero word is over, a slot without
 * an owner tells the library why, and so does a ring without a head. The descriptors
 * are closed, or the kernel would serve the queues until the last child has ended.
 */
#include <stdlib.h>
#include "queue/queue.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Under @mutex: all of the process, and those that it has from its parents */
static struct deadline_queue *queues;

static void lock_queues(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock_queues(void)
{
	pthread_mutex_unlock(&mutex);
}

static void orphan_queues(void)
{
	struct deadline_queue *queue;

	for (queue = queues; queue; queue = queue->next) {
		if (queue->fd >= 0 && queue->backend->orphan)
			queue->backend->orphan(queue);
		queue->fd = -1;
		queue->parts_fd = -1;
	}
	pthread_mutex_init(&mutex, NULL);
}

static __attribute__((constructor)) void take_part(void)
{
	static const struct fork_part part = {
		.lock = lock_queues,
		.unlock = unlock_queues,
		.child = orphan_queues,
	};

	fork_take_part(FORK_QUEUE, &part);
}

/*
 * Around the opening and the closing of a queue's descriptor, so that no child is made
 * that has it and does not know it.
 */
void fork_lock(void)
{
	fork_check();
	mutex_lock(&mutex);
}

void fork_unlock(void)
{
	mutex_unlock(&mutex);
}

/* In this order, so that a child which never had the lock finds the list whole */
void fork_enter(struct deadline_queue *queue)
{
	fork_lock();
	queue->next = queues;
	__atomic_store_n(&queues, queue, __ATOMIC_RELEASE);
	fork_unlock();
}

void fork_leave(struct deadline_queue *queue)
{
	struct deadline_queue **at = &queues;

	fork_lock();
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	fork_unlock();
}
