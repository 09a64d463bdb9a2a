// SPDX-License-Identifier: MIT
/*
 * Linux AIO's ring as a flag, as Seastar has it: a poll of a timerfd lies with the
 * kernel, and the timer's interrupt puts its completion into a ring, at which the
 * task looks by loads. To arm and to cancel is the timerfd's; a poll that completed
 * is submitted again when its timer is armed.
 */
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "peer_timerfd.h"

#define BATCH 64

/* Where the context points to, in memory that is mapped */
struct aio_ring {
	unsigned int id, count;
	unsigned int head;	/* up to where it was taken */
	unsigned int tail;	/* atomic; the kernel's */
};

/**
 * struct poll - of a timerfd
 * @completed: it is not with the kernel
 */
struct poll {
	struct iocb iocb;
	bool completed;
};

struct polls {
	aio_context_t context;
	struct fds *fds;
	struct poll polls[];
};

/* Those of these @n whose polls have completed */
static void submit(struct polls *polls, unsigned int n)
{
	struct iocb *batch[BATCH];
	unsigned int i, count = 0;

	for (i = 0; i < n; i++) {
		if (polls->polls[i].completed) {
			polls->polls[i].completed = false;
			batch[count++] = &polls->polls[i].iocb;
		}
		if (!count || (count < BATCH && i < n - 1))
			continue;
		must(syscall(SYS_io_submit, polls->context, count, batch) ==
		     (int)count, "io_submit");
		count = 0;
	}
}

static void aio_close(void *self)
{
	struct polls *polls = self;

	syscall(SYS_io_destroy, polls->context);
	timerfd_close(polls->fds);
	free(polls);
}

static void *aio_open(unsigned int timers)
{
	struct polls *polls = calloc(1, sizeof(*polls) +
				     timers * sizeof(*polls->polls));
	unsigned int i;

	if (!polls)
		return NULL;
	polls->fds = timerfd_fds(timers);
	if (!polls->fds)
		goto free;
	if (syscall(SYS_io_setup, timers, &polls->context))
		goto close;
	for (i = 0; i < timers; i++) {
		polls->polls[i] = (struct poll){
			.iocb.aio_lio_opcode = IOCB_CMD_POLL,
			.iocb.aio_fildes = polls->fds->fds[i],
			.iocb.aio_buf = POLLIN,
			.iocb.aio_data = i,
			.completed = true,
		};
	}
	submit(polls, timers);
	return polls;
close:
	timerfd_close(polls->fds);
free:
	free(polls);
	return NULL;
}

/* A timer that is set is not ready any more. */
static void aio_start(void *self, const uint64_t *when, unsigned int n)
{
	struct polls *polls = self;

	timerfd_start(polls->fds, when, n);
	submit(polls, n);
}

static void aio_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			   unsigned int n)
{
	timerfd_arm_cancel(((struct polls *)self)->fds, at, when, n);
}

static void aio_update(void *self, const uint32_t *which, const uint64_t *when,
		       unsigned int n)
{
	timerfd_update(((struct polls *)self)->fds, which, when, n);
}

static bool aio_over(void *self, unsigned int n)
{
	struct aio_ring *ring = (void *)((struct polls *)self)->context;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) !=
		       ring->head;
	return over;
}

static unsigned int aio_take(void *self, uint64_t *unused)
{
	struct io_event events[BATCH];
	struct polls *polls = self;
	int i, got;

	(void)unused;
	got = syscall(SYS_io_getevents, polls->context, 1, BATCH, events, NULL);
	must(got > 0, "io_getevents");
	for (i = 0; i < got; i++)
		polls->polls[events[i].data].completed = true;
	return got;
}

const struct peer peer_aio = {
	.name		= "linux-aio",
	.use		= "IOCB_CMD_POLL of a timerfd each; over? looks at the ring",
	.most		= 10000,
	.open		= aio_open,
	.close		= aio_close,
	.start		= aio_start,
	.arm_cancel	= aio_arm_cancel,
	.update		= aio_update,
	.over		= aio_over,
	.take		= aio_take,
};
