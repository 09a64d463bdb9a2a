// SPDX-License-Identifier: MIT
/*
 * The measure: one scenario with one peer, as a row of a table or a record. All
 * of them, on all machines there are, is "make bench".
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "../scenarios/bench.h"

static const struct peer *const peers[] = {
	&peer_floor,
	&peer_floor_thread,
	&peer_deadline,
	&peer_calls,
	&peer_deadline_thread,
	&peer_timerfd,
	&peer_aio,
	&peer_posix,
	&peer_posix_wait,
	&peer_posix_lazy,
	&peer_lazy,
	&peer_wheel,
	&peer_wheel_locked,
#if HAVE_URING
	&peer_uring,
	&peer_uring_defer,
	&peer_uring_batch,
	&peer_uring_link,
#endif
#if HAVE_BPF
	&peer_bpf,
#endif
	&peer_thread,
	&peer_thread_fifo,
#if HAVE_LIBEV
	&peer_libev,
#endif
#if HAVE_LIBEVENT
	&peer_libevent,
	&peer_libevent_common,
#endif
#if HAVE_LIBUV
	&peer_libuv,
#endif
	&peer_clock,
#ifdef __x86_64__
	&peer_tsc,
#endif
	&peer_context,
	&peer_go,
	&peer_worker,
	&peer_worker_asked,
	&peer_worker_thread,
	&peer_interval,
};

static const struct scenario *const scenarios[] = {
	&scenario_arm_cancel,
	&scenario_later,
	&scenario_earlier,
	&scenario_over,
	&scenario_start,
	&scenario_steady[0],
	&scenario_steady[1],
	&scenario_steady[2],
	&scenario_burst,
	&scenario_concurrent,
	&scenario_wake,
	&scenario_noticed,
	&scenario_stamp,
	&scenario_overrun,
	&scenario_late,
	&scenario_context,
	&scenario_nested,
	&scenario_tree,
	&scenario_parent,
	&scenario_threads,
	&scenario_memory,
	&scenario_quota_expired,
	&scenario_quota_seen,
	&scenario_quota_throttled,
	&scenario_quota_rest,
	&scenario_quantum[0],
	&scenario_quantum[1],
	&scenario_quantum[2],
	&scenario_quantum[3],
	&scenario_jitter[0],
	&scenario_jitter[1],
	&scenario_jitter[2],
	&scenario_jitter[3],
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char help[] =
"Usage: deadline-bench [OPTION...] SCENARIO PEER [NUMBER]\n"
"       deadline-bench --list\n"
"\n"
"Measure one scenario with one peer: p50, p99 and maximum, in ns; under icount,\n"
"where an instruction takes 1 ns, in instructions.\n"
"\n"
"	--list		all scenarios and peers with what they are, then each\n"
"			SCENARIO PEER NUMBER that there is\n"
"	--json		a record instead of a row\n"
"	--where NAME	of this machine, for the record (here)\n"
"	--percent N	of the usual rounds (100)\n"
"\n"
"Exits: 0; 1 something failed; 2 usage; 4 the peer is not here\n";

/**
 * struct options - the command line
 */
struct options {
	bool json;
	const char *where;
	unsigned int percent;
};

/* What is measured, for whoever reads that it failed */
static const struct scenario *scenario;
static const struct peer *peer;

void die(const char *what)
{
	fprintf(stderr, "deadline-bench: %s %s: %s failed: %s\n",
		scenario->name, peer->name, what, strerror(errno));
	exit(1);
}

void not_here(const char *what)
{
	fprintf(stderr, "deadline-bench: %s: %s\n", what, strerror(errno));
	exit(4);
}

void *peer_open(const struct peer *opened, unsigned int timers)
{
	void *self = opened->open(timers);

	if (!self)
		not_here(opened->name);
	return self;
}

static __attribute__((__noreturn__)) void usage(const char *what,
						const char *value)
{
	fprintf(stderr, "deadline-bench: %s '%s'; see --help\n", what, value);
	exit(2);
}

static unsigned int to_number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n >= NUMBERS_END)
		usage("no number", text);
	return n;
}

static bool has(const struct scenario *in, unsigned int n)
{
	unsigned int i;

	for (i = 0; in->numbers[i] != NUMBERS_END; i++) {
		if (in->numbers[i] == n)
			return true;
	}
	return false;
}

static bool measures(const struct peer *by, const struct scenario *what)
{
	char name[32];

	snprintf(name, sizeof(name), " %s ", what->name);
	return by->measures && strstr(by->measures, name);
}

/* As many timers as it counts, unless it counts something else */
static bool applies(const struct scenario *in, const struct peer *to,
		    unsigned int n)
{
	return (measures(to, in) || (in->can && in->can(to))) &&
	       n <= (in->timers ? to->most : NUMBERS_END);
}

static void list(void)
{
	unsigned int i, j, k;

	for (i = 0; i < COUNT(scenarios); i++)
		printf("# %-16s %s\n", scenarios[i]->name, scenarios[i]->what);
	printf("#\n");
	for (i = 0; i < COUNT(peers); i++)
		printf("# %-16s %s\n", peers[i]->name, peers[i]->use);
	for (i = 0; i < COUNT(scenarios); i++) {
		for (j = 0; scenarios[i]->numbers[j] != NUMBERS_END; j++) {
			for (k = 0; k < COUNT(peers); k++) {
				if (applies(scenarios[i], peers[k],
					    scenarios[i]->numbers[j]))
					printf("%s %s %u\n",
					       scenarios[i]->name,
					       peers[k]->name,
					       scenarios[i]->numbers[j]);
			}
		}
	}
}

static const char *unit(void)
{
	if (scenario->unit)
		return scenario->unit;
	return getenv("DEADLINE_ICOUNT") ? "instructions" : "ns";
}

static double at(const struct histogram *result, double percent)
{
	return (double)histogram_at(result, percent) / scenario->scale;
}

static void print_row(const struct histogram *result, unsigned int n)
{
	printf("%-15s %-16s %8u %12.1f %12.1f %12.1f %s\n", scenario->name,
	       peer->name, n, at(result, 50), at(result, 99), at(result, 100),
	       unit());
}

static void print_record(const struct histogram *result, unsigned int n,
			 const char *where)
{
	struct utsname kernel;
	unsigned int i;

	uname(&kernel);
	printf("{\"scenario\": \"%s\", \"peer\": \"%s\", \"n\": %u, ",
	       scenario->name, peer->name, n);
	printf("\"unit\": \"%s\", \"p50\": %.2f, \"p99\": %.2f, \"max\": %.2f, ",
	       unit(), at(result, 50), at(result, 99), at(result, 100));
	printf("\"kernel\": \"%s\", \"where\": \"%s\", \"version\": \"%s\"",
	       kernel.release, where, peer->version ? peer->version() : "");
	if (scenario->spread) {
		printf(", \"percentiles\": [");
		for (i = 0; i <= 100; i++)
			printf("%s%.0f", i ? ", " : "", at(result, i));
		printf("]");
	}
	printf("}\n");
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "where", required_argument, NULL, 'w' },
		{ "percent", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'l':
			list();
			exit(0);
		case 'j':
			options->json = true;
			break;
		case 'w':
			options->where = optarg;
			break;
		case 'p':
			options->percent = to_number(optarg);
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			fputs("deadline-bench: see --help\n", stderr);
			exit(2);
		}
	}
}

static void find(const char *scenario_name, const char *peer_name)
{
	unsigned int i;

	for (i = 0; i < COUNT(scenarios); i++) {
		if (!strcmp(scenarios[i]->name, scenario_name))
			scenario = scenarios[i];
	}
	for (i = 0; i < COUNT(peers); i++) {
		if (!strcmp(peers[i]->name, peer_name))
			peer = peers[i];
	}
	if (!scenario)
		usage("no scenario", scenario_name);
	if (!peer)
		usage("no peer", peer_name);
}

int main(int argc, char **argv)
{
	struct options options = { .where = "here", .percent = 100 };
	static struct histogram result;
	unsigned int n;

	parse(&options, argc, argv);
	argv += optind;
	argc -= optind;
	if (argc < 2 || argc > 3)
		usage("wants a scenario, a peer and perhaps a number, not",
		      argc ? argv[argc - 1] : "");
	find(argv[0], argv[1]);
	n = argc == 3 ? to_number(argv[2]) : scenario->numbers[0];
	if (!has(scenario, n) || !applies(scenario, peer, n))
		usage("--list has no such scenario, peer and number as with",
		      argv[argc - 1]);
	if (!measures(peer, scenario))
		scenario->run(&result, peer, n, options.percent);
	else if (!peer->measure(&result, scenario, n, options.percent))
		return 4;
	must(result.count, "measuring anything");
	if (options.json)
		print_record(&result, n, options.where);
	else
		print_row(&result, n);
	return 0;
}
