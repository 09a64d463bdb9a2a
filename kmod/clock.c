// SPDX-License-Identifier: GPL-2.0
/*
 * The clocks: which one a queue is on, and the time namespace of its opener.
 * What happens when somebody sets a clock is in clock_was_set.c.
 */
#include <linux/time_namespace.h>
#include "dln.h"

u64 dln_now_other(const struct dln_queue *q)
{
	switch (q->clock) {
	case CLOCK_REALTIME:
		return ktime_get_real_ns();
	case CLOCK_TAI:
		return ktime_get_clocktai_ns();
	default:
		return ktime_get_boottime_ns() + q->offset;
	}
}

/* The opener's time namespace, whoever does SETUP later */
void dln_clock_open(struct dln_queue *q)
{
	struct timespec64 monotonic = {}, boottime = {};

	timens_add_monotonic(&monotonic);
	timens_add_boottime(&boottime);
	q->offsets[0] = timespec64_to_ns(&monotonic);
	q->offsets[1] = timespec64_to_ns(&boottime);
}

int dln_clock_setup(struct dln_queue *q, clockid_t clock)
{
	switch (clock) {
	case CLOCK_MONOTONIC:
		q->offset = q->offsets[0];
		break;
	case CLOCK_BOOTTIME:
		q->offset = q->offsets[1];
		break;
	case CLOCK_REALTIME:
	case CLOCK_TAI:
		q->offset = 0;
		break;
	default:
		return -EINVAL;
	}
	q->clock = clock;
	return 0;
}
