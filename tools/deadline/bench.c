// SPDX-License-Identifier: MIT
/*
 * deadline bench: how late deadlines are on this machine as it is now. A thread sleeps
 * for a deadline of a queue, then for one of a timerfd, in turns, so that both meet the
 * same load. Of the first it also has the stamp: when the word turned over, which
 * whoever runs sees, while a sleeper must be woken first.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <deadline.h>
#include "json.h"
#include "late.h"
#include "tool.h"

#define STEP	1000000ull	/* ns from one deadline to the next */
#define KINDS	3		/* kinds of lateness */

enum { STAMP, NOTICED, TIMERFD };

static const char *const names[KINDS] = {
	[STAMP] = "the word turned over",
	[NOTICED] = "a sleeper noticed",
	[TIMERFD] = "a sleeper on a timerfd",
};

/**
 * struct bench - what is measured, and by what
 * @queue: with one slot
 * @slot: that one
 * @timer: the timerfd
 * @late: of each kind
 * @most: the greatest of each kind, ns
 */
struct bench {
	deadline_queue *queue;
	deadline_slot *slot;
	int timer;
	uint64_t late[KINDS][LATE];
	uint64_t most[KINDS];
};

static void count(struct bench *bench, unsigned int kind, uint64_t from, uint64_t to)
{
	uint64_t ns = to > from ? to - from : 0;

	late_add(bench->late[kind], ns);
	if (ns > bench->most[kind])
		bench->most[kind] = ns;
}

/* 0 or -errno */
static int by_queue(struct bench *bench)
{
	struct deadline_record record;
	uint64_t when = deadline_in(STEP), noticed;
	int ret = deadline_slot_arm(bench->slot, 0, when);

	while (ret >= 0 && (ret = deadline_queue_reap(bench->queue, &record, 1)) == 0) {
		ret = deadline_queue_wait(bench->queue, DEADLINE_NEVER);
		if (ret == -EINTR)
			ret = 0;
	}
	noticed = deadline_now();
	if (ret < 0)
		return ret;
	count(bench, STAMP, record.when, record.expired_at);
	count(bench, NOTICED, when, noticed);
	return 0;
}

static int by_timerfd(struct bench *bench)
{
	uint64_t when = deadline_in(STEP), times;
	struct itimerspec at = {
		.it_value.tv_sec = when / NS_PER_SECOND,
		.it_value.tv_nsec = when % NS_PER_SECOND,
	};

	if (timerfd_settime(bench->timer, TFD_TIMER_ABSTIME, &at, NULL))
		return -errno;
	while (read(bench->timer, &times, sizeof(times)) != sizeof(times))
		if (errno != EINTR)
			return -errno;
	count(bench, TIMERFD, when, deadline_now());
	return 0;
}

static int bench_open(struct bench *bench)
{
	int ret = deadline_queue_open(&bench->queue, NULL);

	if (ret)
		return ret;
	ret = deadline_slot_alloc(bench->queue, 0, &bench->slot);
	if (ret) {
		deadline_queue_destroy(bench->queue);
		return ret;
	}
	bench->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (bench->timer < 0) {
		ret = -errno;
		deadline_queue_destroy(bench->queue);
	}
	return ret;
}

static bool by_kernel(const struct bench *bench)
{
	return deadline_queue_backend(bench->queue) == DEADLINE_BACKEND_KERNEL;
}

static void histogram(const uint64_t *late)
{
	unsigned int i, first, last;
	char text[128];

	if (!late_range(late, &first, &last))
		return;
	for (i = first; i <= last; i++) {
		late_line(late, i, 50, text, sizeof(text));
		puts(text);
	}
}

static void print(const struct bench *bench, unsigned int seconds)
{
	char p50[8], p99[8], p999[8], most[8], other[8], stamp[8];
	unsigned int i;

	printf("%-24s %7s %7s %7s %7s %8s\n", "LATE BY, BELOW", "P50", "P99", "P99.9",
	       "MAX", "COUNT");
	for (i = 0; i < KINDS; i++)
		printf("%-24s %7s %7s %7s %7s %8llu\n", names[i],
		       short_time(late_below(bench->late[i], 50), p50),
		       short_time(late_below(bench->late[i], 99), p99),
		       short_time(late_below(bench->late[i], 99.9), p999),
		       short_time(bench->most[i], most),
		       (unsigned long long)late_total(bench->late[i]));
	for (i = 0; i < KINDS; i++) {
		printf("\n%s:\n", names[i]);
		histogram(bench->late[i]);
	}
	printf("\nIn %u s, served by %s, the word was at most %s late, a sleeper noticed it\n"
	       "at most %s late, and one on a timerfd %s.\n",
	       seconds, by_kernel(bench) ? "the kernel" : "a thread (no /dev/deadline)",
	       short_time(bench->most[STAMP], stamp),
	       short_time(bench->most[NOTICED], most),
	       short_time(bench->most[TIMERFD], other));
}

static void print_json(const struct bench *bench, unsigned int seconds)
{
	static const char *const keys[KINDS] = { "stamp", "noticed", "timerfd" };
	unsigned int i, j;

	json_open(NULL, '{');
	json_string("backend", by_kernel(bench) ? "kernel" : "thread");
	json_number("seconds", seconds);
	for (i = 0; i < KINDS; i++) {
		json_open(keys[i], '{');
		json_number("count", late_total(bench->late[i]));
		json_number("p50_ns", late_below(bench->late[i], 50));
		json_number("p99_ns", late_below(bench->late[i], 99));
		json_number("max_ns", bench->most[i]);
		json_open("late", '[');
		for (j = 0; j < LATE; j++)
			json_number(NULL, bench->late[i][j]);
		json_close(']');
		json_close('}');
	}
	json_close('}');
	putchar('\n');
}

static int measure(struct bench *bench, unsigned int seconds)
{
	uint64_t end = deadline_in(seconds * NS_PER_SECOND);
	int ret = 0;

	while (!ret && deadline_now() < end) {
		ret = by_queue(bench);
		if (!ret)
			ret = by_timerfd(bench);
	}
	return ret;
}

static int bench_run(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_HELP, COMMON_JSON,
		{ "seconds", required_argument, NULL, 's' },
		{ }
	};
	unsigned int seconds = 60;
	struct bench bench = { };
	struct common common;
	int c, ret;

	common_init(&common);
	while ((c = getopt_long(argc, argv, "hs:", options, NULL)) != -1) {
		if (c == 's')
			seconds = number_option("--seconds", optarg, 1, INT_MAX);
		else
			common_option(&bench_command, &common, c);
	}
	no_words(argc, argv);
	ret = bench_open(&bench);
	if (ret) {
		complain("a queue cannot be opened: %s", strerror(-ret));
		return STATUS_UNAVAILABLE;
	}
	ret = measure(&bench, seconds);
	if (ret)
		complain("the measurement ended: %s", strerror(-ret));
	else if (common.json)
		print_json(&bench, seconds);
	else
		print(&bench, seconds);
	deadline_queue_destroy(bench.queue);
	close(bench.timer);
	return ret ? STATUS_UNAVAILABLE : STATUS_OK;
}

const struct command bench_command = {
	.name = "bench",
	.summary = "how late deadlines are on this machine, beside timerfd",
	.help =
"Usage: deadline bench [OPTION...]\n"
"\n"
"Sleep for a millisecond again and again, by a queue and by a timerfd in turns,\n"
"and show how late each was.  Run it beside the load that you care about.\n"
"\n"
"  -s, --seconds N   for so long (60)\n"
"      --json        print JSON\n"
"\n"
"\"The word turned over\" is when whoever computes can see it; a sleeper must be\n"
"woken first.  Without /dev/deadline a thread serves the queue.\n"
"\n"
"Example: deadline bench -s 10\n",
	.run = bench_run,
};
