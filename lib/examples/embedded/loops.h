/* SPDX-License-Identifier: MIT */
/*
 * What 10,000 deadlines in a loop cost the CPU, and how late they come: a queue's
 * beside the loop's own timers. Each connection is as a server has it: its deadline is
 * set, requests move it on, and at last it comes.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include <deadline.h>
#include "tell.h"

#define CONNECTIONS 10000
#define REQUESTS 20
#define APART (MS / 10)

/**
 * struct timers - one way to have them
 * @set: set a deadline, or move it
 * @turn: a turn of the loop, which sleeps until there is something to do
 */
struct timers {
	const char *name;
	void (*set)(unsigned int connection, uint64_t when);
	void (*turn)(void);
};

static uint64_t loops_when[CONNECTIONS], loops_late[CONNECTIONS];
static unsigned int loops_came, loops_early;

/* The loop calls it: the deadline of a connection came. */
static void loops_on_expiry(unsigned int connection)
{
	uint64_t now = deadline_now(), when = loops_when[connection];

	loops_early += now < when;
	loops_late[loops_came++ % CONNECTIONS] = now < when ? 0 : now - when;
}

/* How long a guest's one CPU was idle so far, ns, without interrupts; 0 if not exact */
static uint64_t loops_idle(void)
{
	unsigned long long ns = 0;
	char line[128];
	FILE *file = getenv("DEADLINE_ICOUNT") ? fopen("/proc/timer_list", "r") : NULL;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " .idle_sleeptime : %llu", &ns) == 1)
			break;
	if (file)
		fclose(file);
	return ns;
}

/**
 * struct cost - what it took for each connection
 * @cpu: ns of the CPU, all in: 0 but in a guest under icount
 * @late: how late they came, ns, the median
 */
struct cost {
	double cpu;
	double late;
};

static struct cost loops_measure(const struct timers *timers)
{
	uint64_t begin = deadline_now(), idle = loops_idle(), set, came;
	uint64_t first = begin + 600 * MS;
	unsigned int i, request;
	double late;

	loops_came = 0;
	for (request = 0; request <= REQUESTS; request++) {
		for (i = 0; i < CONNECTIONS; i++) {
			loops_when[i] = first + i * APART + request * 10 * MS;
			timers->set(i, loops_when[i]);
		}
	}
	set = deadline_now() - begin - (loops_idle() - idle);
	while (loops_came < CONNECTIONS)
		timers->turn();
	came = deadline_now() - begin - (loops_idle() - idle) - set;
	late = tell_percentile(loops_late, CONNECTIONS, 50);
	if (idle) {
		printf("# %s: CPU %.0f ns to set and move it %d times, %.0f ns until it came,",
		       timers->name, (double)set / CONNECTIONS, REQUESTS,
		       (double)came / CONNECTIONS);
		printf(" late by %.0f ns p50, %.0f ns max\n", late,
		       (double)loops_late[CONNECTIONS - 1]);
	}
	return (struct cost) { idle ? (double)(set + came) / CONNECTIONS : 0, late };
}

#endif
