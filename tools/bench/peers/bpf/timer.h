/* SPDX-License-Identifier: MIT */
/* What the program of timer.c is asked for. */
#ifndef BPF_TIMER_H
#define BPF_TIMER_H

#include <linux/types.h>

struct timer_request {
	__u64 when;
	__u32 at;
};

#endif
