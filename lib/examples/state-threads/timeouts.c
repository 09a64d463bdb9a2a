// SPDX-License-Identifier: MIT
/*
 * One queue for all coroutines. What has expired is looked for whenever a coroutine
 * leaves the CPU, which is two loads: so also while some coroutine is always ready,
 * when the library does not come to look at its own timers. While all of them wait,
 * one waits for the queue's descriptor.
 */
#include <errno.h>
#include "timeouts.h"

static struct deadline_queue *queue;

/* In the switch: whom it interrupts, be it the one that leaves, is ready then. */
static void end_waits(void)
{
	struct deadline_record records[16];
	const struct timeout *timeout;
	int i, n;

	while (deadline_queue_pending(queue)) {
		n = deadline_queue_reap(queue, records, 16);
		for (i = 0; i < n; i++) {
			timeout = (void *)(uintptr_t)records[i].user_data;
			if (timeout->thread)
				st_thread_interrupt(timeout->thread);
		}
	}
}

/* Each turn is a switch. */
static void *watch(void *fd)
{
	for (;;)
		st_netfd_poll(fd, POLLIN, ST_UTIME_NO_TIMEOUT);
	return NULL;
}

int timeouts_start(unsigned int most)
{
	struct deadline_options options = { .slots = most };
	st_netfd_t fd;
	int ret;

	ret = deadline_queue_open(&queue, &options);
	if (ret)
		return ret;
	fd = st_netfd_open(deadline_queue_fd(queue));
	if (!fd || !st_thread_create(watch, fd, 0, 0)) {
		ret = -errno;
		deadline_queue_close(queue);
		return ret;
	}
	st_set_switch_out_cb(end_waits);
	return 0;
}

int timeout_open(struct timeout *timeout)
{
	timeout->thread = NULL;
	return deadline_slot_alloc(queue, (uintptr_t)timeout, &timeout->slot);
}

void timeout_close(struct timeout *timeout)
{
	deadline_slot_free(timeout->slot);
}

int timeout_begin(struct timeout *timeout, uint64_t until)
{
	timeout->thread = st_thread_self();
	return deadline_slot_arm(timeout->slot, 0, until);
}

/* It may be over and nobody has looked yet: then nobody is to be interrupted. */
bool timeout_end(struct timeout *timeout)
{
	timeout->thread = NULL;
	return !deadline_slot_cancel(timeout->slot);
}

int timeout_sleep(struct timeout *timeout, uint64_t until)
{
	int ret = timeout_begin(timeout, until);

	if (ret)
		return ret;
	st_usleep(ST_UTIME_NO_TIMEOUT);
	return timeout_end(timeout) ? 0 : -EINTR;
}
