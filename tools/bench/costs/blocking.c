// SPDX-License-Identifier: MIT
/*
 * A blocking read under a context and a limit, beside poll(2) with a timeout and
 * read(2), and beside a socket's SO_RCVTIMEO, which is set once: what each adds to the
 * round trip of a byte to a thread that sends it back. That thread has the lower
 * priority, so the reader always sleeps.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "costs.h"

#define ROUNDS	400u

/* Where the byte goes and comes back */
struct trip {
	int there[2];
	int back[2];
	deadline_context *context;
};

static void take_bare(const struct trip *trip)
{
	char byte;

	must(read(trip->back[0], &byte, 1) == 1, "read");
}

static void take_polled(const struct trip *trip)
{
	struct pollfd pollfd = { .fd = trip->back[0], .events = POLLIN };

	must(poll(&pollfd, 1, 1000) == 1, "poll");
	take_bare(trip);
}

static void take_limited(const struct trip *trip)
{
	char byte;

	must(deadline_read(trip->context, trip->back[0], &byte, 1,
			   deadline_in(1000 * MS)) == 1, "deadline_read");
}

static void *send_back(void *arg)
{
	const struct trip *trip = arg;
	char byte;

	while (read(trip->there[0], &byte, 1) == 1)
		must(write(trip->back[1], &byte, 1) == 1, "write");
	return NULL;
}

static uint64_t round_trip(struct trip *trip,
			   void (*take)(const struct trip *trip))
{
	uint64_t took[ROUNDS], start;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		start = deadline_now();
		must(write(trip->there[1], "a", 1) == 1, "write");
		take(trip);
		took[i] = deadline_now() - start;
	}
	return percentile(took, ROUNDS, 50);
}

/* Returns whether it has one: a socket. */
static bool set_limit(int fd, unsigned int s)
{
	const struct timeval limit = { .tv_sec = s };

	return !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void beside_poll(struct trip *trip, const char *what, double limit)
{
	const struct sched_param lower = { .sched_priority = 1 };
	const struct sched_param higher = { .sched_priority = 2 };
	const struct sched_param other = { .sched_priority = 0 };
	uint64_t bare, polled, limited;
	bool has_option;
	double option;
	pthread_t thread;
	char name[80];

	must(!pthread_create(&thread, NULL, send_back, trip),
	     "pthread_create");
	must(!pthread_setschedparam(thread, SCHED_FIFO, &lower) &&
	     !pthread_setschedparam(pthread_self(), SCHED_FIFO, &higher),
	     "SCHED_FIFO");
	bare = round_trip(trip, take_bare);
	polled = round_trip(trip, take_polled) - bare;
	limited = round_trip(trip, take_limited) - bare;
	has_option = set_limit(trip->back[0], 1);
	option = (double)round_trip(trip, take_bare) - bare;
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &other);
	close(trip->there[1]);
	pthread_join(thread, NULL);
	close(trip->there[0]);
	close(trip->back[0]);
	close(trip->back[1]);
	snprintf(name, sizeof(name), "poll and read of a %s, over a read", what);
	figure(name, polled, 0, "instructions");
	snprintf(name, sizeof(name), "deadline_read of a %s, over a read", what);
	figure(name, limited, limit * polled, "instructions");
	if (!has_option)
		return;
	snprintf(name, sizeof(name), "read of a %s with SO_RCVTIMEO, over a read",
		 what);
	figure(name, option, 0, "instructions");
}

static uint64_t late(deadline_queue *queue, deadline_context *context,
		     int (*sleeps)(deadline_queue *queue,
				   deadline_context *context, uint64_t until))
{
	uint64_t by[ROUNDS], until;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		until = deadline_in(MS);
		sleeps(queue, context, until);
		by[i] = deadline_now() - until;
	}
	return percentile(by, ROUNDS, 50);
}

static int sleep_bare(deadline_queue *queue, deadline_context *context,
		      uint64_t until)
{
	(void)queue;
	return deadline_sleep(context, until);
}

static int sleep_queue(deadline_queue *queue, deadline_context *context,
		       uint64_t until)
{
	(void)context;
	return deadline_queue_wait(queue, until);
}

static int sleep_call(deadline_queue *queue, deadline_context *context,
		      uint64_t until)
{
	struct pollfd pollfd = { .fd = -1 };

	(void)queue;
	return deadline_poll(context, &pollfd, 1, until);
}

/* The thread has the timer slack that all have, 50 us. */
static void sleeps_on_time(deadline_context *context)
{
	deadline_queue *queue = queue_of(0);

	figure("deadline_sleep ends after its time, median",
	       late(queue, context, sleep_bare), 6000, "instructions");
	figure("deadline_queue_wait ends after its time, median",
	       late(queue, context, sleep_queue), 6000, "instructions");
	figure("deadline_poll ends after its time, median",
	       late(queue, context, sleep_call), 6000, "instructions");
	deadline_queue_close(queue);
}

void costs_first_here(void)
{
	uint64_t start = deadline_now();
	deadline_context *context;

	must(!deadline_with_timeout(deadline_background(), 0, &context,
				    1000 * MS), "deadline_with_timeout");
	printf("%llu\n", (unsigned long long)(deadline_now() - start));
	deadline_release(context);
}

/* In a process of its own */
static uint64_t first_of_process(void)
{
	unsigned long long took;
	int fds[2];
	FILE *said;
	pid_t pid;

	must(!pipe(fds), "pipe");
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		execl("/proc/self/exe", "costs", "first", NULL);
		_exit(1);
	}
	close(fds[1]);
	said = fdopen(fds[0], "r");
	must(pid > 0 && said && fscanf(said, "%llu", &took) == 1 &&
	     waitpid(pid, NULL, 0) == pid, "costs first");
	fclose(said);
	return took;
}

/*
 * The median.  Most is what the kernel does for open(2), SETUP and three mmap(2), which
 * differs with the memory that it has at hand.
 */
void costs_first(void)
{
	uint64_t took[9];
	unsigned int i;

	for (i = 0; i < 9; i++)
		took[i] = first_of_process();
	figure("the first context of a process", percentile(took, 9, 50), 90000,
	       "instructions");
}

void costs_blocking(void)
{
	struct trip trip;

	must(!deadline_with_timeout(deadline_background(), 0, &trip.context,
				    100000 * MS), "deadline_with_timeout");
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, trip.there) &&
	     !socketpair(AF_UNIX, SOCK_STREAM, 0, trip.back), "socketpair");
	/* It is one system call more: is the alarm still ours? */
	beside_poll(&trip, "socket", 1.4);
	must(!pipe(trip.there) && !pipe(trip.back), "pipe");
	beside_poll(&trip, "pipe", 0);
	sleeps_on_time(trip.context);
	deadline_release(trip.context);
}
