/* SPDX-License-Identifier: MIT */
/* deadline top: what is shown, in batches or on a screen */
#ifndef DEADLINE_TOP_H
#define DEADLINE_TOP_H

#include "row.h"

/**
 * struct top - the last two readings, and how they are shown
 * @common: whose queues
 * @delay: between two readings, ns
 * @sort: number of the order
 * @now: the last reading
 * @before: the one before it
 * @rows: of @now, in the order
 */
struct top {
	struct common common;
	uint64_t delay;
	unsigned int sort;
	struct queues now, before;
	struct row *rows;
};

/* Read anew; a status */
int top_read(struct top *top);
void top_sort(struct top *top);
/* NULL behind the last */
const char *top_order(unsigned int sort);
/* Show it on the terminal until the user has seen enough; a status */
int top_screen(struct top *top);

#endif
