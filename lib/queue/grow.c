// SPDX-License-Identifier: MIT
/*
 * Queues that grow. What the kernel has of a queue is as big as it was set up, so one
 * that grows is a chain of parts, each a queue of its own, and a descriptor of epoll(7)
 * that watches those of all parts. The first part stands for all of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include "base/debug.h"
#include "queue/queue.h"

/* As few slots as there can be; the device has no fewer */
#define LEAST	64u

static int watch(struct deadline_queue *queue, struct deadline_queue *part)
{
	struct epoll_event event = { .events = EPOLLIN };

	/* The program may have closed it, and have one of its own by that number. */
	if (!is_own(queue->parts_fd))
		return -EBADF;
	if (part->backend->watch)
		part->backend->watch(part);
	return epoll_ctl(queue->parts_fd, EPOLL_CTL_ADD, part->fd, &event) ?
	       -errno : 0;
}

int grow_begin(struct deadline_queue *queue, uint64_t slots_max)
{
	int ret;

	own_begin();
	ret = epoll_create1(EPOLL_CLOEXEC);
	queue->parts_fd = own_end(ret < 0 ? -errno : ret);
	if (queue->parts_fd < 0)
		return queue->parts_fd;
	ret = watch(queue, queue);
	if (ret) {
		own_close(queue->parts_fd);
		return ret;
	}
	pthread_mutex_init(&queue->growing, NULL);
	queue->slots_max = slots_max;
	return 0;
}

void grow_end(struct deadline_queue *queue)
{
	struct deadline_queue *part, *next = queue->more;

	while ((part = next)) {
		next = part->more;
		deadline_queue_destroy(part);
	}
	queue->more = NULL;
	if (queue->parts_fd >= 0)
		own_close(queue->parts_fd);
	pthread_mutex_destroy(&queue->growing);
}

/* As many as there are; at a limit fewer may be had. */
static int open_part(struct deadline_queue *queue, uint64_t slots,
		     struct deadline_queue **ret_part)
{
	struct deadline_options options = {
		.slots = slots < DEADLINE_SLOTS_MAX ? slots : DEADLINE_SLOTS_MAX,
		.backend = queue->backend->id,
		.clock = queue->clock,
	};
	int ret;

	for (;;) {
		ret = deadline_queue_open(ret_part, &options);
		if ((ret != -ENOSPC && ret != -ENOMEM) ||
		    options.slots <= LEAST)
			return ret;
		options.slots /= 2;
	}
}

/* With @growing held */
static int add_part(struct deadline_queue *queue, struct deadline_queue *last,
		    uint64_t slots)
{
	/* Of a queue with parts the inline hint cannot know: there may be some. */
	static const uint64_t some[2] = { 0, 1 };
	struct deadline_queue *part;
	int ret;

	if (slots >= queue->slots_max)
		return -ENOSPC;
	if (slots > queue->slots_max - slots)
		slots = queue->slots_max - slots;
	ret = open_part(queue, slots, &part);
	if (ret)
		return ret;
	ret = watch(queue, part);
	if (ret) {
		deadline_queue_destroy(part);
		return ret;
	}
	__atomic_store_n(&queue->ends.head, (const deadline_word *)&some[0],
			 __ATOMIC_RELAXED);
	__atomic_store_n(&queue->ends.tail, (const deadline_word *)&some[1],
			 __ATOMIC_RELAXED);
	/* Release: who finds it finds all of it. */
	__atomic_store_n(&last->more, part, __ATOMIC_RELEASE);
	return 0;
}

int grow(struct deadline_queue *queue)
{
	struct deadline_queue *part, *last = NULL;
	int ret = 0, state, saved = errno;
	uint64_t slots = 0;
	bool full = true;

	if (!queue->slots_max)
		return -ENOSPC;
	state = cancel_off();
	mutex_lock(&queue->growing);
	for (part = queue; part; part = part->more) {
		slots += part->count;
		full &= __atomic_load_n(&part->allocated, __ATOMIC_RELAXED) ==
			part->count;
		last = part;
	}
	/* Another thread may have been quicker. */
	if (full) {
		ret = add_part(queue, last, slots);
		debug_log("a queue of %llu slots grows: %s",
			  (unsigned long long)slots, deadline_strerror(ret));
	}
	mutex_unlock(&queue->growing);
	cancel_restore(state);
	errno = saved;
	return ret;
}
