// SPDX-License-Identifier: MIT
/* The table of queues: the same columns and lines wherever it is shown. */
#include <stdio.h>
#include "json.h"
#include "row.h"

static double rate(uint64_t now, uint64_t before, uint64_t ns)
{
	return ns && now > before ? (now - before) * (double)NS_PER_SECOND / ns :
				    0;
}

struct row row_of(const struct queues *now, const struct queues *before, size_t i)
{
	struct row row = { .queue = &now->all[i] };
	const struct queue *was = queues_find(before, row.queue);
	uint64_t ns = now->time - before->time;

	if (was) {
		row.expired = rate(row.queue->expired, was->expired, ns);
		row.doorbells = rate(row.queue->doorbells, was->doorbells, ns);
	}
	return row;
}

int row_header(char *text, size_t size)
{
	return snprintf(text, size,
			"%10s %-8s %-9s %7s %7s %7s %9s %9s %6s %6s %6s %6s  %s",
			"QUEUE", "USER", "CLOCK", "SLOTS", "PLANNED", "PENDING",
			"EXPIRED/s", "RUNG/s", "THROTT", "P50", "P99", "MAX",
			"PROCESSES");
}

int row_text(const struct row *row, char *text, size_t size)
{
	const struct queue *queue = row->queue;
	char p50[8], p99[8], max[8];
	unsigned int i;
	int n;

	n = snprintf(text, size,
		     "%10llu %-8s %-9s %7llu %7llu %7llu %9.0f %9.0f %6llu %6s %6s %6s ",
		     (unsigned long long)queue->queue, user_name(queue->user),
		     queue->slots ? clock_name(queue->clock) : "-",
		     (unsigned long long)queue->slots,
		     (unsigned long long)queue->planned,
		     (unsigned long long)queue->pending, row->expired,
		     row->doorbells, (unsigned long long)queue->throttled,
		     short_time(late_below(queue->late, 50), p50),
		     short_time(late_below(queue->late, 99), p99),
		     short_time(late_below(queue->late, 100), max));
	for (i = 0; i < queue->n_holders && n < (int)size; i++)
		n += snprintf(text + n, size - n, "%c%s(%d)", i ? ',' : ' ',
			      queue->holders[i].name, queue->holders[i].pid);
	return n;
}

void rows_print(const struct queues *now, const struct queues *before)
{
	static char text[65536];
	struct row row;
	size_t i;

	row_header(text, sizeof(text));
	puts(text);
	for (i = 0; i < now->n; i++) {
		row = row_of(now, before, i);
		row_text(&row, text, sizeof(text));
		puts(text);
	}
}

static void row_json(const struct row *row)
{
	const struct queue *queue = row->queue;
	unsigned int i;

	json_open(NULL, '{');
	json_number("queue", queue->queue);
	json_number("opener", queue->pid);
	json_number("user", queue->user);
	json_string("user_name", user_name(queue->user));
	json_string("clock", queue->slots ? clock_name(queue->clock) : "-");
	json_number("slots", queue->slots);
	json_number("planned", queue->planned);
	json_number("pending", queue->pending);
	json_decimal("expired_per_second", row->expired);
	json_decimal("doorbells_per_second", row->doorbells);
	json_number("interrupts", queue->interrupts);
	json_number("expired", queue->expired);
	json_number("moved", queue->moved);
	json_number("dropped", queue->dropped);
	json_number("contended", queue->contended);
	json_number("full", queue->full);
	json_number("doorbells", queue->doorbells);
	json_number("longest_ns", queue->longest);
	json_number("throttled", queue->throttled);
	json_number("clock_sets", queue->clock_sets);
	json_number("handed_in", queue->handed_in);
	json_number("refused", queue->refused);
	json_open("late_ns", '{');
	json_number("p50", late_below(queue->late, 50));
	json_number("p99", late_below(queue->late, 99));
	json_number("max", late_below(queue->late, 100));
	json_close('}');
	json_open("late", '[');
	for (i = 0; i < LATE; i++)
		json_number(NULL, queue->late[i]);
	json_close(']');
	json_open("processes", '[');
	for (i = 0; i < queue->n_holders; i++) {
		json_open(NULL, '{');
		json_number("pid", queue->holders[i].pid);
		json_string("name", queue->holders[i].name);
		json_close('}');
	}
	json_close(']');
	json_close('}');
}

void rows_json(const struct queues *now, const struct queues *before)
{
	struct row row;
	size_t i;

	json_open(NULL, '{');
	json_open("queues", '[');
	for (i = 0; i < now->n; i++) {
		row = row_of(now, before, i);
		row_json(&row);
	}
	json_close(']');
	json_close('}');
	putchar('\n');
}
