// SPDX-License-Identifier: MIT
/*
 * deadline metrics: OpenMetrics of all queues that one may see. For node_exporter's
 * textfile collector, which reads the older text format, the counters' families have
 * other names; else the two are one.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "http.h"
#include "metrics.h"
#include "queues.h"

/* Bounds of the histogram's buckets: late[FIRST] ends at 256 ns, late[LAST] at 1.07 s */
#define FIRST	7
#define LAST	29

/**
 * struct metric - a number that each queue has
 * @name: without "deadline_queue_", and without "_total" if it is a counter
 * @help: what it counts
 * @offset: in struct queue
 * @counter: it only grows
 */
struct metric {
	const char *name;
	const char *help;
	size_t offset;
	bool counter;
};

#define GAUGE(name, help)	{ #name, help, offsetof(struct queue, name), false }
#define COUNTER(name, help)	{ #name, help, offsetof(struct queue, name), true }

static const struct metric metrics[] = {
	GAUGE(slots, "Slots there are."),
	GAUGE(planned, "Slots that wait for a look."),
	GAUGE(pending, "Entries of the ring that nobody has consumed."),
	COUNTER(interrupts, "Timer interrupts taken."),
	COUNTER(expired, "Slots expired."),
	COUNTER(moved, "Looks that found a later deadline."),
	COUNTER(dropped, "Looks that found the slot no longer armed."),
	COUNTER(contended, "Looks that were put off because the word kept changing."),
	COUNTER(full, "Interrupts that ended with their budget spent."),
	COUNTER(doorbells, "Doorbells rung."),
	COUNTER(throttled, "Pauses because the user had his share of the CPU."),
	COUNTER(clock_sets, "Times that the clock was set."),
	COUNTER(handed_in, "Slots taken from the inbox."),
	COUNTER(refused, "Slots with flags that no feature allows."),
};

/* The lines before a family's samples */
static void family(FILE *out, bool textfile, const char *name, const char *type,
		   const char *help)
{
	const char *total = textfile && !strcmp(type, "counter") ? "_total" : "";

	fprintf(out, "# TYPE deadline_%s%s %s\n", name, total, type);
	if (strstr(name, "_seconds") && !textfile)
		fprintf(out, "# UNIT deadline_%s seconds\n", name);
	fprintf(out, "# HELP deadline_%s%s %s\n", name, total, help);
}

/* Between quotes, as both formats have it */
static void label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('"', out);
}

/* Who opened the queue, if he has it open still, else whoever has */
static const struct holder *first_holder(const struct queue *queue)
{
	unsigned int i;

	for (i = 0; i < queue->n_holders; i++)
		if ((uint64_t)queue->holders[i].pid == queue->pid)
			return &queue->holders[i];
	return &queue->holders[0];
}

/* A sample's name and labels, as far as the bracket that closes them */
static void sample(FILE *out, const char *name, const char *suffix,
		   const struct queue *queue)
{
	const struct holder *holder = first_holder(queue);

	fprintf(out, "deadline_%s%s{queue=\"%llu\",pid=\"%d\",", name, suffix,
		(unsigned long long)queue->queue, holder->pid);
	label(out, "process", holder->name);
	fputc(',', out);
	label(out, "user", user_name(queue->user));
	fputc(',', out);
	label(out, "clock", clock_name(queue->clock));
}

/* The rest of a sample's line */
static void value(FILE *out, uint64_t value)
{
	fprintf(out, "} %llu\n", (unsigned long long)value);
}

static void of_queues(FILE *out, bool textfile, const struct queues *queues,
		      const struct metric *metric)
{
	char name[64];
	size_t i;

	snprintf(name, sizeof(name), "queue_%s", metric->name);
	family(out, textfile, name, metric->counter ? "counter" : "gauge",
	       metric->help);
	for (i = 0; i < queues->n; i++) {
		sample(out, name, metric->counter ? "_total" : "",
		       &queues->all[i]);
		value(out, *(const uint64_t *)((const char *)&queues->all[i] +
					       metric->offset));
	}
}

static void longest(FILE *out, bool textfile, const struct queues *queues)
{
	static const char name[] = "queue_longest_interrupt_seconds";
	size_t i;

	family(out, textfile, name, "gauge", "The longest interrupt so far.");
	for (i = 0; i < queues->n; i++) {
		sample(out, name, "", &queues->all[i]);
		fprintf(out, "} %.9f\n", queues->all[i].longest / 1e9);
	}
}

static void lateness_of(FILE *out, const char *name, const struct queue *queue)
{
	uint64_t count = 0;
	double sum = 0;
	unsigned int i;

	for (i = 0; i < LATE; i++) {
		count += queue->late[i];
		/* The middle of what the bucket has */
		sum += queue->late[i] * 1.5 * (1ull << i);
		if (i < FIRST || i > LAST)
			continue;
		sample(out, name, "_bucket", queue);
		fprintf(out, ",le=\"%.9f\"", late_bound(i) / 1e9);
		value(out, count);
	}
	sample(out, name, "_bucket", queue);
	fprintf(out, ",le=\"+Inf\"");
	value(out, count);
	sample(out, name, "_sum", queue);
	fprintf(out, "} %.9f\n", sum / 1e9);
	sample(out, name, "_count", queue);
	value(out, count);
}

static void lateness(FILE *out, bool textfile, const struct queues *queues)
{
	static const char name[] = "queue_lateness_seconds";
	size_t i;

	family(out, textfile, name, "histogram",
	       "Lateness of expiries in interrupts; the sum is estimated from the buckets.");
	for (i = 0; i < queues->n; i++)
		lateness_of(out, name, &queues->all[i]);
}

/* Has an earlier queue the same user? */
static bool user_seen(const struct queues *queues, size_t i)
{
	size_t before;

	for (before = 0; before < i; before++)
		if (queues->all[before].user == queues->all[i].user)
			return true;
	return false;
}

/* Of each user the sum over his queues, of @slots or of one each */
static void of_users(FILE *out, bool textfile, const struct queues *queues,
		     const char *name, const char *help, bool slots)
{
	uint64_t sum;
	size_t i, j;

	family(out, textfile, name, "gauge", help);
	for (i = 0; i < queues->n; i++) {
		if (user_seen(queues, i))
			continue;
		for (sum = 0, j = i; j < queues->n; j++)
			if (queues->all[j].user == queues->all[i].user)
				sum += slots ? queues->all[j].slots : 1;
		fprintf(out, "deadline_%s{", name);
		label(out, "user", user_name(queues->all[i].user));
		value(out, sum);
	}
}

/* A parameter of the module, where there is one */
static void limit(FILE *out, bool textfile, const char *parameter,
		  const char *name, const char *help)
{
	unsigned long long value;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/deadline/parameters/%s",
		 parameter);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "%llu", &value) == 1) {
		family(out, textfile, name, "gauge", help);
		fprintf(out, "deadline_%s %llu\n", name, value);
	}
	fclose(file);
}

void metrics_write(FILE *out, bool textfile, const struct queues *queues)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(metrics); i++)
		of_queues(out, textfile, queues, &metrics[i]);
	longest(out, textfile, queues);
	lateness(out, textfile, queues);
	of_users(out, textfile, queues, "user_slots",
		 "Slots of all queues of the user that were seen.", true);
	of_users(out, textfile, queues, "user_queues",
		 "Queues of the user that were seen.", false);
	limit(out, textfile, "user_slots", "user_slots_limit",
	      "Slots that a user may have.");
	limit(out, textfile, "user_queues", "user_queues_limit",
	      "Queues that a user may have.");
	fprintf(out, "# EOF\n");
}

/* A file that others find whole, the old one or the new. A status */
static int write_file(const char *path, const struct queues *queues)
{
	char beside[4096];
	FILE *out;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >=
	    (int)sizeof(beside))
		usage_error("--output '%s': too long", path);
	out = fopen(beside, "we");
	if (!out) {
		complain("%s: %s", beside, strerror(errno));
		return STATUS_UNAVAILABLE;
	}
	metrics_write(out, true, queues);
	if (ferror(out) | fclose(out) || rename(beside, path)) {
		complain("%s: %s", path, strerror(errno));
		unlink(beside);
		return STATUS_UNAVAILABLE;
	}
	return STATUS_OK;
}

static int write_stdout(const struct queues *queues)
{
	metrics_write(stdout, false, queues);
	if (!fflush(stdout))
		return STATUS_OK;
	complain("cannot write: %s", strerror(errno));
	return STATUS_UNAVAILABLE;
}

static int metrics_run(int argc, char **argv)
{
	enum { OPTION_HTTP = OPTION_OWN };
	static const struct option options[] = {
		COMMON_HELP, COMMON_PID, COMMON_USER, COMMON_PROC,
		{ "output", required_argument, NULL, 'o' },
		{ "http", no_argument, NULL, OPTION_HTTP },
		{ }
	};
	const char *output = NULL;
	struct queues queues;
	struct common common;
	bool http = false;
	int c, status;

	common_init(&common);
	while ((c = getopt_long(argc, argv, COMMON_SHORT "o:", options, NULL)) != -1) {
		if (c == 'o')
			output = optarg;
		else if (c == OPTION_HTTP)
			http = true;
		else
			common_option(&metrics_command, &common, c);
	}
	no_words(argc, argv);
	if (http && output)
		usage_error("--http and --output exclude each other");
	if (http)
		return http_serve(&common);
	status = queues_read(&queues, &common);
	if (status)
		return status;
	status = output ? write_file(output, &queues) : write_stdout(&queues);
	queues_free(&queues);
	return status;
}

const struct command metrics_command = {
	.name = "metrics",
	.summary = "the same for Prometheus, as OpenMetrics",
	.help =
"Usage: deadline metrics [OPTION...]\n"
"\n"
"Print counters, gauges and lateness histograms of all queues as OpenMetrics.\n"
"\n"
"  -o, --output FILE   replace FILE at once, in the text format that the textfile\n"
"                      collector of node_exporter reads\n"
"      --http          answer one request for /metrics, on stdin and stdout: what\n"
"                      deadline-metrics.socket of systemd has this run for\n"
"  -p, --pid PID       only queues that this process has open\n"
"  -u, --user USER     only queues of this user\n"
"      --proc DIR      where procfs is mounted (/proc)\n"
"\n"
"Example: deadline metrics -o /var/lib/prometheus/node-exporter/deadline.prom\n",
	.run = metrics_run,
};
