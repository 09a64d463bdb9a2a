// SPDX-License-Identifier: MIT
/*
 * An echo server that keeps two deadlines for each connection, in three ways and
 * not at all: are they kept, and how many requests per second are left? As TAP.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "echo.h"

static const char help[] =
"Usage: echo-server [CONNECTIONS [REQUESTS [ROUNDS]]]\n"
"\n"
"Print, as TAP, how many requests per second of its CPU time an echo server answers\n"
"with two deadlines for each of CONNECTIONS (1000), kept in each of three ways, and\n"
"with none; of REQUESTS (20000), in the median of ROUNDS (1).\n"
"\n"
"Exits: 0; 1 a deadline was not kept, or it costs more than it may; 2 usage\n";

static const struct timing *const ways[] = {
	&timing_none, &timing_deadline, &timing_link, &timing_heap,
};

enum { NONE, DEADLINE, LINK, HEAP, WAYS };

#define ROUNDS_MAX	101u

static unsigned int connections = 1000, rounds = 1;
static unsigned long requests = 20000;
static uint16_t port;
static uint64_t idle_took;
static struct spent spent;
static clockid_t server;
static pthread_barrier_t barrier;
static unsigned int tests;

static void ready(void)
{
	pthread_barrier_wait(&barrier);
}

static void *run_client(void *unused)
{
	spent = client_run(port, connections, requests, server, ready);
	return unused;
}

static void *idle_client(void *unused)
{
	idle_took = client_idle(port, ready);
	return unused;
}

static int listen_on_any(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && !bind(fd, (struct sockaddr *)&addr, size) &&
	     !listen(fd, 4096) &&
	     !getsockname(fd, (struct sockaddr *)&addr, &size), "listen");
	port = ntohs(addr.sin_port);
	return fd;
}

static void serve(const struct timing *way, unsigned int n,
		  void *(*client)(void *))
{
	int listener = listen_on_any();
	pthread_t thread;

	must(!pthread_create(&thread, NULL, client, NULL), "pthread_create");
	server_run(way, listener, n, ready);
	pthread_join(thread, NULL);
	close(listener);
}

static bool report(bool ok, const char *format, const char *name, double value,
		   const char *other, double least)
{
	printf("%sok %u - ", ok ? "" : "not ", ++tests);
	printf(format, name, value, other, least);
	fflush(stdout);
	return ok;
}

static bool kept(const struct timing *way)
{
	idle_ns = 20 * MS;
	serve(way, 1, idle_client);
	return report(idle_took >= idle_ns,
		      "%s: an idle connection ends after %.1f ms%s (at least %.0f)\n",
		      way->name, (double)idle_took / MS, "", (double)idle_ns / MS);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of what was paired, the median; it is to be @least. */
static bool beside(double (*speed)[WAYS], unsigned int way, unsigned int other,
		   double least)
{
	double ratio[ROUNDS_MAX];
	unsigned int i;

	for (i = 0; i < rounds; i++)
		ratio[i] = speed[i][way] / speed[i][other];
	qsort(ratio, rounds, sizeof(*ratio), compare);
	return report(ratio[rounds / 2] >= least,
		      "%s: %.3f of the requests of %s (at least %.2f)\n",
		      ways[way]->name, ratio[rounds / 2], ways[other]->name,
		      least);
}

/* A number from 1 to @max */
static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || !n || n > max) {
		fprintf(stderr, "echo-server: '%s' is no number from 1 to %lu; see --help\n",
			text, max);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	static double speed[ROUNDS_MAX][WAYS];
	struct rlimit files;
	unsigned int i, way;
	bool ok = true;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (argc > 1)
		connections = number(argv[1], 20000);
	if (argc > 2)
		requests = number(argv[2], 1000000000);
	if (argc > 3)
		rounds = number(argv[3], ROUNDS_MAX);
	if (requests < connections)
		requests = connections;
	files.rlim_cur = 2 * connections + 64;
	files.rlim_max = files.rlim_cur;
	must(!setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	pthread_barrier_init(&barrier, NULL, 2);
	must(!pthread_getcpuclockid(pthread_self(), &server),
	     "pthread_getcpuclockid");

	printf("TAP version 13\n1..%u\n", WAYS - 1 + 2);
	/* Once for nothing: so soon after a boot the kernel is still busy. */
	serve(&timing_none, connections, run_client);
	for (way = DEADLINE; way < WAYS; way++)
		ok &= kept(ways[way]);
	idle_ns = 60000 * MS;
	for (i = 0; i < rounds; i++) {
		for (way = 0; way < WAYS; way++) {
			serve(ways[way], connections, run_client);
			speed[i][way] = 1e9 * requests / spent.cpu;
			printf("# %s: %.0f requests/s of the server's CPU, %.0f/s\n",
			       ways[way]->name, speed[i][way],
			       1e9 * requests / spent.time);
		}
	}
	ok &= beside(speed, DEADLINE, NONE, 0.98);
	ok &= beside(speed, DEADLINE, LINK, 1.15);
	return !ok;
}
