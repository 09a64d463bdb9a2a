/* SPDX-License-Identifier: MIT */
/* What is shown of one queue, by list and by top */
#ifndef DEADLINE_ROW_H
#define DEADLINE_ROW_H

#include "queues.h"

/**
 * struct row - a queue and what became of it since an earlier reading
 * @queue: the later reading
 * @expired: expiries a second, all of them
 * @doorbells: doorbells a second
 */
struct row {
	const struct queue *queue;
	double expired, doorbells;
};

struct row row_of(const struct queues *now, const struct queues *before, size_t i);
/* The table's first line, and a line; neither has an end of line */
int row_header(char *text, size_t size);
int row_text(const struct row *row, char *text, size_t size);

void rows_print(const struct queues *now, const struct queues *before);
void rows_json(const struct queues *now, const struct queues *before);

#endif
