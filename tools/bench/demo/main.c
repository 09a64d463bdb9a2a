// SPDX-License-Identifier: MIT
/*
 * The demo: who notices a deadline in time when every CPU is busy, and what a
 * deadline costs that is cancelled. One screen. In a guest under icount
 * (tools/bench/demo/run) the kernel's row is there and all figures are exact.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "demo.h"

/* What is on time, for a task that notices in turns of half a microsecond */
#define LIMIT	(5 * US)

static const struct {
	const char *name;
	const struct peer *peer;
} peers[] = {
	{ "word: kernel", &peer_deadline },
	{ "word: thread, FIFO", &peer_deadline_thread },
	{ "flag: thread, OTHER", &peer_thread },
	{ "flag: POSIX signal", &peer_posix },
#if HAVE_URING
	{ "CQE: io_uring", &peer_uring },
#endif
};

static const char help[] =
"Usage: demo [OPTION...]\n"
"\n"
"Show how late a task that computes notices its deadline, by whom it is told,\n"
"and what it costs to arm and cancel one.\n"
"\n"
"	--rounds N	deadlines for each row (200)\n"
"	--ms N	how far ahead they are (5)\n"
"	--hogs N	threads that keep the CPUs busy, beside runs with none\n"
"			and with one for each CPU (4 for each CPU)\n"
"\n"
"Exits: 0; 1 the kernel's word was missed or early, or, under icount, is not\n"
"there or was more than 5 us late; 2 usage\n";

/**
 * struct options - the command line
 */
struct options {
	unsigned int rounds, ms, hogs;
};

void die(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "\ndemo: %s failed: %s\n", what, strerror(errno));
	exit(1);
}

void *peer_open(const struct peer *peer, unsigned int timers)
{
	void *self = peer->open(timers);

	must(self, peer->name);
	return self;
}

static unsigned int to_number(const char *text, const char *what,
			      unsigned int least, unsigned int most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < least || n > most) {
		fprintf(stderr, "demo: --%s %s: wants a number from %u to %u\n",
			what, text, least, most);
		exit(2);
	}
	return n;
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "ms", required_argument, NULL, 'm' },
		{ "hogs", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			options->rounds = to_number(optarg, "rounds", 1, 100000);
			break;
		case 'm':
			options->ms = to_number(optarg, "ms", 1, 10000);
			break;
		case 'g':
			options->hogs = to_number(optarg, "hogs", 0, 1000);
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			fputs("demo: see --help\n", stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "demo: %s: no arguments wanted; see --help\n",
			argv[optind]);
		exit(2);
	}
}

/* At most five characters, with two or three digits that matter */
static const char *scaled(char text[16], uint64_t ns)
{
	static const char *const units[] = { "us", "ms", "s" };
	double value = ns;
	int i;

	snprintf(text, 16, "%uns", (unsigned int)ns);
	for (i = 0; i < 3 && value >= 999.5; i++) {
		value /= 1000;
		snprintf(text, 16, "%.*f%s", value < 9.95, value, units[i]);
	}
	return text;
}

static void print_spread(const struct histogram *spread)
{
	char p50[16], p99[16], max[16];

	if (!spread->count)
		printf(" %5s %5s %5s ", "-", "-", "-");
	else
		printf(" %5s %5s %5s ", scaled(p50, histogram_at(spread, 50)),
		       scaled(p99, histogram_at(spread, 99)),
		       scaled(max, spread->max));
}

static void print_lateness(const struct lateness *late)
{
	print_spread(&late->overrun);
	print_spread(&late->noticed);
	print_spread(&late->expired);
	printf("%3u\n", late->missed);
}

/* First of all, or somebody without the module takes the rows below for its work. */
static void say_who_serves(void)
{
	void *self = peer_deadline.open(1);

	if (self) {
		peer_deadline.close(self);
		return;
	}
	printf("/dev/deadline: %s.\n"
	       "This shows the fallback only: a thread of the library's, which is as late as\n"
	       "other threads. \"make demo\" shows the module, in a virtual machine.\n\n",
	       strerror(errno));
}

static void head(const struct options *options)
{
	int i;

	printf("A task works without a break, but shall stop after %u ms, its deadline.\n",
	       options->ms);
	printf("How late does it see that it is over, told by whom? %u rounds in each row.\n\n",
	       options->rounds);
	printf("%-20s %-19s%-19s%-17s%s\n", "", " overrun", " noticed",
	       " expired_at", "mis-");
	printf("%-20s", "");
	for (i = 0; i < 3; i++)
		printf(" %5s %5s %5s ", "p50", "p99", "max");
	printf("sed\n");
}

static const char legend[] =
"The task checks one of these with a load: word, this library's; flag, a variable that\n"
"a timer thread or a signal handler sets; CQE, io_uring's completion queue.\n"
"FIFO, OTHER: the policy of the thread; not every user may have SCHED_FIFO.\n"
"overrun: CPU time that the task had past its deadline, with interrupts.\n"
"noticed: wall clock from the deadline; long if the task was off the CPU then.\n"
"expired_at: from the deadline to the clock read that found it due.\n"
"missed: never noticed.\n";

/* Was the library permitted to have a thread at real-time priority? */
static bool real_time(void)
{
	DIR *tasks = opendir("/proc/self/task");
	bool found = false;
	struct dirent *task;

	if (!tasks)
		return false;
	while ((task = readdir(tasks)))
		found |= atoi(task->d_name) &&
			 sched_getscheduler(atoi(task->d_name)) == SCHED_FIFO;
	closedir(tasks);
	return found;
}

/* Returns whether the peer was there. */
static bool row(const struct options *options, const char *name,
		const struct peer *peer, struct lateness *late)
{
	void *self = peer->open(1);

	if (peer == &peer_deadline_thread && !real_time())
		name = "word: thread, OTHER";
	printf("%-20s", name);
	fflush(stdout);		/* shows how far it got */
	if (self) {
		lateness_measure(late, peer, self, options->rounds,
				 options->ms * MS);
		peer->close(self);
		print_lateness(late);
	} else if (errno == ENOENT || errno == ENODEV || errno == ENXIO) {
		printf(" needs the module\n");
	} else {
		printf(" %s\n", strerror(errno));
	}
	return self;
}

/* Adds the kernel's to what is verdict's; returns whether it was there. */
static bool rows(const struct options *options, struct lateness *verdict)
{
	bool there, kernel = false;
	static struct lateness late;
	unsigned int i;

	for (i = 0; i < sizeof(peers) / sizeof(*peers); i++) {
		there = row(options, peers[i].name, peers[i].peer, &late);
		if (!there || peers[i].peer != &peer_deadline)
			continue;
		kernel = true;
		if (verdict->worked < late.worked)
			verdict->worked = late.worked;
		verdict->missed += late.missed;
		verdict->early += late.early;
	}
	return kernel;
}

static bool table(const struct options *options, struct lateness *verdict)
{
	unsigned int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int hogs[] = { 0, cpus, options->hogs };
	bool kernel = true;
	unsigned int i;

	head(options);
	lateness_calibrate();
	for (i = 0; i < 3; i++) {
		if (i && hogs[i] <= hogs[i - 1])
			continue;
		if (hogs[i])
			printf("With %u that compute%s for ever, on %u CPU%s:\n",
			       hogs[i], hogs[i] == 1 ? "s" : "",
			       cpus, cpus == 1 ? "" : "s");
		else
			printf("The task alone:\n");
		hogs_start(hogs[i]);
		kernel &= rows(options, verdict);
		hogs_stop();
	}
	fputs(legend, stdout);
	return kernel;
}

/*
 * Returns the exit status. Only under icount does a limit make sense: elsewhere
 * the host, or the machine's firmware, may take the CPU from all of us.
 */
static int judge(const struct lateness *late, bool exact)
{
	bool good = (!exact || late->worked <= LIMIT) && !late->missed &&
		    !late->early;
	char worked[16];

	printf("\nVerdict: %s. With the kernel's word, the task worked at most %s too long",
	       good ? exact ? "on time" : "never missed" : "LATE",
	       scaled(worked, late->worked));
	if (late->missed || late->early)
		printf(", %u missed, %u early", late->missed, late->early);
	printf("\n");
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options options = {
		.rounds	= 200,
		.ms	= 5,
		.hogs	= 4 * sysconf(_SC_NPROCESSORS_ONLN),
	};
	static struct lateness kernel;
	bool exact = getenv("DEADLINE_ICOUNT"), there;

	parse(&options, argc, argv);
	say_who_serves();
	there = table(&options, &kernel);
	costs_table(there, exact);
	if (there)
		return judge(&kernel, exact);
	printf("\nVerdict: none, as the module is not here. \"make demo\" has one.\n");
	return exact ? 1 : 0;
}
