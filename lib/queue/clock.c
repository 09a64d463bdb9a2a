// SPDX-License-Identifier: MIT
/* The clock of a queue. */
#define _GNU_SOURCE
#include <time.h>
#include "queue/queue.h"

/* As the kernel names it */
clockid_t queue_clock(const struct deadline_queue *queue)
{
	static const clockid_t clocks[] = {
		[DEADLINE_CLOCK_MONOTONIC]	= CLOCK_MONOTONIC,
		[DEADLINE_CLOCK_BOOTTIME]	= CLOCK_BOOTTIME,
		[DEADLINE_CLOCK_REALTIME]	= CLOCK_REALTIME,
		[DEADLINE_CLOCK_TAI]		= CLOCK_TAI,
	};

	return clocks[queue->clock];
}

uint64_t queue_now(const struct deadline_queue *queue)
{
	struct timespec now;

	clock_gettime(queue_clock(queue), &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}
