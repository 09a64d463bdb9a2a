// SPDX-License-Identifier: MIT
/* The kernel serves the queue: /dev/deadline. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "queue/queue.h"

/* 0 or -errno */
static int open_device(struct deadline_queue *queue)
{
	int ret;

	fork_lock();
	own_begin();
	ret = open("/dev/deadline", O_RDWR | O_CLOEXEC);
	queue->fd = own_end(ret < 0 ? -errno : ret);
	ret = queue->fd < 0 ? queue->fd : 0;
	fork_unlock();
	return ret;
}

static void close_device(struct deadline_queue *queue)
{
	fork_lock();
	if (queue->fd >= 0)
		own_close(queue->fd);
	queue->fd = -1;
	fork_unlock();
}

static int kernel_open(struct deadline_queue *queue, uint32_t slots)
{
	struct deadline_setup setup = {
		.slots = slots,
		.clock = queue_clock(queue),
		.features = DEADLINE_FEATURE_WORD | DEADLINE_FEATURE_SLACK |
			    DEADLINE_FEATURE_PERIODIC | DEADLINE_FEATURE_SIGNAL,
	};
	void *shared, *status;
	int ret = open_device(queue);

	if (ret)
		return ret;
	if (queue->clock)
		setup.features |= DEADLINE_FEATURE_CLOCKS;
	if (ioctl(queue->fd, DEADLINE_IOC_SETUP, &setup)) {
		ret = -errno;
		goto close_fd;
	}
	shared = mmap(NULL, setup.shared_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, queue->fd, 0);
	if (shared == MAP_FAILED) {
		ret = -errno;
		goto close_fd;
	}
	status = mmap(NULL, setup.status_size, PROT_READ, MAP_SHARED,
		      queue->fd, setup.status_offset);
	if (status == MAP_FAILED) {
		ret = -errno;
		goto unmap_shared;
	}

	/* Both together, for a child that is made meanwhile */
	fork_lock();
	queue->header = shared;
	queue->status = status;
	queue->shared_size = setup.shared_size;
	queue->status_size = setup.status_size;
	fork_unlock();
	queue->slots = shared + setup.slots_offset;
	queue->slot_shift = __builtin_ctz(setup.slot_stride);
	queue->periods = shared + setup.periods_offset;
	queue->ring = status + (setup.ring_offset - setup.status_offset);
	queue->entry_shift = __builtin_ctz(setup.entry_stride);
	queue->count = setup.slots;
	queue->ring_size = setup.ring_size;
	queue->period_min = setup.period_min;
	queue->features = setup.features;
	return 0;

unmap_shared:
	munmap(shared, setup.shared_size);
close_fd:
	close_device(queue);
	return ret;
}

static void kernel_close(struct deadline_queue *queue)
{
	/* First, for a child that is made meanwhile: it takes no memory for ours. */
	close_device(queue);
	munmap(queue->header, queue->shared_size);
	munmap(queue->status, queue->status_size);
}

static void zero(void *at, size_t size)
{
	/* A child that would take its parent's words for its own must not be. */
	if (mmap(at, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		 -1, 0) == MAP_FAILED)
		abort();
}

/* The mappings are not inherited. */
static void kernel_orphan(struct deadline_queue *queue)
{
	if (queue->header) {
		zero(queue->header, queue->shared_size);
		zero(queue->status, queue->status_size);
	}
}

static int kernel_doorbell(struct deadline_queue *queue)
{
	int ret, saved = errno;

	do {
		ret = ioctl(queue->fd, DEADLINE_IOC_DOORBELL, 0);
	} while (ret < 0 && errno == EINTR);
	ret = ret < 0 ? -errno : 0;
	errno = saved;
	return ret;
}

static int kernel_signal(struct deadline_queue *queue, pid_t thread, int signal)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = thread };

	if (fcntl(queue->fd, F_SETOWN_EX, &owner) ||
	    own_signals(queue->fd, signal) ||
	    fcntl(queue->fd, F_SETFL, O_ASYNC))
		return -errno;
	return 0;
}

const struct backend backend_kernel = {
	.id		= DEADLINE_BACKEND_KERNEL,
	.open		= kernel_open,
	.close		= kernel_close,
	.orphan		= kernel_orphan,
	.doorbell	= kernel_doorbell,
	.signal		= kernel_signal,
};
