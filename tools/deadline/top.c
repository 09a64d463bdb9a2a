// SPDX-License-Identifier: MIT
/* deadline top: the table of queues again and again, sorted */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "top.h"

static double by_expired(const struct row *row)
{
	return row->expired;
}

static double by_rung(const struct row *row)
{
	return row->doorbells;
}

static double by_late(const struct row *row)
{
	return late_below(row->queue->late, 99);
}

static double by_slots(const struct row *row)
{
	return row->queue->slots;
}

static double by_planned(const struct row *row)
{
	return row->queue->planned;
}

static double by_pending(const struct row *row)
{
	return row->queue->pending;
}

static double by_throttled(const struct row *row)
{
	return row->queue->throttled;
}

/* What is largest comes first; among equals the smallest number. */
static const struct {
	const char *name;
	double (*value)(const struct row *row);
} orders[] = {
	{ "expired", by_expired },
	{ "rung", by_rung },
	{ "late", by_late },
	{ "slots", by_slots },
	{ "planned", by_planned },
	{ "pending", by_pending },
	{ "throttled", by_throttled },
};

const char *top_order(unsigned int sort)
{
	return sort < ARRAY_SIZE(orders) ? orders[sort].name : NULL;
}

static int compare_rows(const void *left, const void *right, void *arg)
{
	const struct row *a = left, *b = right;
	const struct top *top = arg;
	double x = orders[top->sort].value(a), y = orders[top->sort].value(b);

	if (x != y)
		return x > y ? -1 : 1;
	return a->queue->queue < b->queue->queue ? -1 :
	       a->queue->queue > b->queue->queue;
}

void top_sort(struct top *top)
{
	if (top->now.n)
		qsort_r(top->rows, top->now.n, sizeof(*top->rows), compare_rows, top);
}

int top_read(struct top *top)
{
	struct row *rows;
	int status;
	size_t i;

	queues_free(&top->before);
	top->before = top->now;
	status = queues_read(&top->now, &top->common);
	if (status)
		return status;
	rows = realloc(top->rows, (top->now.n + 1) * sizeof(*rows));
	if (!rows) {
		complain("no memory");
		return STATUS_UNAVAILABLE;
	}
	top->rows = rows;
	for (i = 0; i < top->now.n; i++)
		rows[i] = row_of(&top->now, &top->before, i);
	top_sort(top);
	return STATUS_OK;
}

static unsigned int order_option(const char *text)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++)
		if (!strcmp(text, orders[i].name))
			return i;
	usage_error("--sort '%s': there is no such order", text);
}

static void print(const struct top *top)
{
	static char text[65536];
	size_t i;

	row_header(text, sizeof(text));
	puts(text);
	for (i = 0; i < top->now.n; i++) {
		row_text(&top->rows[i], text, sizeof(text));
		puts(text);
	}
	putchar('\n');
	fflush(stdout);
}

/* So many tables; 0 = for ever, or until nobody reads them */
static int batch(struct top *top, unsigned int count)
{
	const struct timespec delay = {
		.tv_sec = top->delay / NS_PER_SECOND,
		.tv_nsec = top->delay % NS_PER_SECOND,
	};
	unsigned int i;
	int status = top_read(top);

	for (i = 0; !status && (!count || i < count); i++) {
		nanosleep(&delay, NULL);
		status = top_read(top);
		if (!status)
			print(top);
	}
	return status;
}

static int top_run(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_HELP, COMMON_PID, COMMON_USER, COMMON_PROC,
		{ "batch", no_argument, NULL, 'b' },
		{ "count", required_argument, NULL, 'n' },
		{ "delay", required_argument, NULL, 'd' },
		{ "sort", required_argument, NULL, 's' },
		{ }
	};
	struct top top = { .delay = NS_PER_SECOND };
	bool in_batch = false;
	unsigned int count = 0;
	int c, status;

	common_init(&top.common);
	while ((c = getopt_long(argc, argv, COMMON_SHORT "bn:d:s:", options, NULL)) != -1) {
		switch (c) {
		case 'b':
			in_batch = true;
			break;
		case 'n':
			count = number_option("--count", optarg, 1, UINT32_MAX);
			break;
		case 'd':
			top.delay = time_option("--delay", optarg);
			break;
		case 's':
			top.sort = order_option(optarg);
			break;
		default:
			common_option(&top_command, &top.common, c);
		}
	}
	no_words(argc, argv);
	if (!in_batch && !isatty(STDOUT_FILENO))
		usage_error("stdout is no terminal: --batch is for that");
	status = in_batch ? batch(&top, count) : top_screen(&top);
	queues_free(&top.now);
	queues_free(&top.before);
	free(top.rows);
	return status;
}

const struct command top_command = {
	.name = "top",
	.summary = "the same live, with a histogram of lateness",
	.help =
"Usage: deadline top [OPTION...]\n"
"\n"
"Show the queues again and again, those first that do most.\n"
"\n"
"  -d, --delay TIME    between two readings (1s)\n"
"  -s, --sort ORDER    expired, rung, late, slots, planned, pending, throttled\n"
"  -b, --batch         print tables, for a pipe or a file\n"
"  -n, --count N       so many of them, then end\n"
"  -p, --pid PID       only queues that this process has open\n"
"  -u, --user USER     only queues of this user\n"
"      --proc DIR      where procfs is mounted (/proc)\n"
"\n"
"Keys: up and down, page up and down: the queue whose histogram is shown;\n"
"s the next order; q the end.\n"
"\n"
"Example: deadline top --batch --count 60 | grep nginx\n",
	.run = top_run,
};
