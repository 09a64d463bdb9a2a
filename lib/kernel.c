// SPDX-License-Identifier: MIT
/* The kernel serves the queue: /dev/deadline. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

static int kernel_open(struct deadline_queue *queue, uint32_t slots)
{
	struct deadline_setup setup = {
		.slots = slots,
		.clock = CLOCK_MONOTONIC,
		.features = DEADLINE_FEATURE_WORD | DEADLINE_FEATURE_SLACK |
			    DEADLINE_FEATURE_PERIODIC | DEADLINE_FEATURE_SIGNAL,
	};
	void *shared, *status;
	int fd, ret;

	fd = open("/dev/deadline", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, DEADLINE_IOC_SETUP, &setup)) {
		ret = -errno;
		goto close_fd;
	}
	shared = mmap(NULL, setup.shared_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) {
		ret = -errno;
		goto close_fd;
	}
	status = mmap(NULL, setup.status_size, PROT_READ, MAP_SHARED, fd,
		      setup.status_offset);
	if (status == MAP_FAILED) {
		ret = -errno;
		goto unmap_shared;
	}

	queue->fd = fd;
	queue->header = shared;
	queue->status = status;
	queue->slots = shared + setup.slots_offset;
	queue->ring = status + (setup.ring_offset - setup.status_offset);
	queue->count = setup.slots;
	queue->ring_size = setup.ring_size;
	queue->period_min = setup.period_min;
	queue->features = setup.features;
	queue->shared_size = setup.shared_size;
	queue->status_size = setup.status_size;
	return 0;

unmap_shared:
	munmap(shared, setup.shared_size);
close_fd:
	close(fd);
	return ret;
}

static void kernel_close(struct deadline_queue *queue)
{
	munmap(queue->header, queue->shared_size);
	munmap(queue->status, queue->status_size);
	close(queue->fd);
}

static int kernel_ring(struct deadline_queue *queue, const uint32_t *slots,
		       unsigned int n)
{
	struct deadline_doorbell bell = {
		.slots = (uintptr_t)slots,
		.count = n,
	};
	int ret, saved = errno;

	do {
		if (n == 1)
			ret = ioctl(queue->fd, DEADLINE_IOC_RING, *slots);
		else
			ret = ioctl(queue->fd, DEADLINE_IOC_DOORBELL, &bell);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		ret = -errno;
	errno = saved;
	return ret;
}

static int kernel_signal(struct deadline_queue *queue, pid_t thread)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = thread };

	if (fcntl(queue->fd, F_SETOWN_EX, &owner) ||
	    fcntl(queue->fd, F_SETSIG, SIGURG) ||
	    fcntl(queue->fd, F_SETFL, O_ASYNC))
		return -errno;
	return 0;
}

const struct backend backend_kernel = {
	.id	= DEADLINE_BACKEND_KERNEL,
	.open	= kernel_open,
	.close	= kernel_close,
	.ring	= kernel_ring,
	.signal	= kernel_signal,
};
