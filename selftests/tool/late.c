// SPDX-License-Identifier: GPL-2.0
/*
 * late CAUSE FILE: a program whose reaper is kept from the CPU in one way, for deadline why
 * to say in which. On one CPU:
 *
 *	hog		another runs that is of higher priority
 *	quota		its cgroup's CPU quota is used up by another thread of it
 *	irqs-off	"culprit" has irqsoff.ko keep interrupts off
 *	throttled	its user's interrupts have had their share
 *	contexts	it is not, and makes contexts, of which it cancels some; then it
 *			stays, as symbols are read of programs that run
 *
 * It writes into the file how many expiries it observed later than a millisecond, and
 * how late in ns all of those were.
 */
#define _GNU_SOURCE
#include <deadline.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS	1000000ull
#define CGROUP	"/sys/fs/cgroup/late"

static uint64_t count, ns;

static void fail(const char *what)
{
	fprintf(stderr, "late: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

static void stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("affinity");
}

/* Take what there is, and count it. */
static void reap(deadline_queue *queue)
{
	struct deadline_record records[64];
	uint64_t late;
	int i, n;

	do {
		n = deadline_queue_reap(queue, records, 64);
		for (i = 0; i < n; i++) {
			late = deadline_now() - records[i].when;
			if (late <= MS)
				continue;
			count++;
			ns += late;
		}
	} while (n == 64);
}

/* A deadline of every 10 ms, one after the other, each reaped as soon as one can */
static void observe(unsigned int rounds, void (*before)(void))
{
	deadline_queue *queue;
	deadline_slot *slot;
	unsigned int i;

	if (deadline_queue_open(&queue, NULL) || deadline_slot_alloc(queue, 77, &slot))
		fail("queue");
	for (i = 0; i < rounds; i++) {
		if (deadline_slot_arm(slot, 0, deadline_in(10 * MS)))
			fail("arm");
		if (before)
			before();
		while (deadline_queue_wait(queue, DEADLINE_NEVER))
			;
		reap(queue);
	}
	deadline_slot_free(slot);
	deadline_queue_close(queue);
}

/* Runs for 5 of each 8 ms, so at half of the deadlines, before all that is not real-time */
static pid_t hog(void)
{
	struct sched_param first = { .sched_priority = 1 };
	uint64_t end;
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_NAME, "hog");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		fail("priority");
	for (;;) {
		end = deadline_in(5 * MS);
		while (deadline_now() < end)
			;
		usleep(3000);
	}
}

static void beside_hog(void)
{
	pid_t pid = hog();

	observe(20, NULL);
	kill(pid, SIGKILL);
}

static void *burn(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "burner");
	for (;;)
		;
	return NULL;
}

static void quota(void)
{
	char text[16];
	pthread_t thread;

	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		fail(CGROUP);
	write_text(CGROUP "/cpu.max", "20000 100000");
	snprintf(text, sizeof(text), "%d", getpid());
	write_text(CGROUP "/cgroup.procs", text);
	if (pthread_create(&thread, NULL, burn, NULL))
		fail("thread");
	observe(8, NULL);
	write_text("/sys/fs/cgroup/cgroup.procs", text);
}

static int orders[2];

/* Have interrupts off over the deadline, which is in 10 ms. */
static void order(void)
{
	if (write(orders[1], "", 1) != 1)
		fail("pipe");
}

static void culprit(void)
{
	char c;

	prctl(PR_SET_NAME, "culprit");
	while (read(orders[0], &c, 1) == 1) {
		usleep(6000);
		write_text("/sys/module/irqsoff/parameters/us", "8000");
	}
	_exit(0);
}

static void irqs_off(void)
{
	pid_t pid;

	if (pipe(orders))
		fail("pipe");
	pid = fork();
	if (!pid) {
		close(orders[1]);
		culprit();
	}
	close(orders[0]);
	observe(8, order);
	close(orders[1]);
	waitpid(pid, NULL, 0);
}

/* As a user whose share is one percent, as the test has set it: more than that. */
static void throttled(void)
{
	deadline_queue *queue;
	deadline_slot *slot[64];
	uint64_t end, now;
	unsigned int i;

	if (setuid(1000))
		fail("setuid");
	if (deadline_queue_open(&queue, NULL))
		fail("queue");
	for (i = 0; i < 64; i++)
		if (deadline_slot_alloc(queue, i, &slot[i]))
			fail("slot");
	end = deadline_in(150 * MS);
	while ((now = deadline_now()) < end) {
		for (i = 0; i < 64; i++)
			deadline_slot_arm(slot[i], 0, now + 100000);
		deadline_queue_wait(queue, DEADLINE_NEVER);
		reap(queue);
	}
	for (i = 0; i < 64; i++)
		deadline_slot_free(slot[i]);
	deadline_queue_close(queue);
}

static void count_call(void *unused)
{
	(void)unused;
	__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
}

/* 20 of them, 5 canceled; each has a function. */
static void contexts(void)
{
	deadline_context *context;
	deadline_hook *hook;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		if (deadline_with_timeout(deadline_background(), 0, &context,
					  i % 4 ? 2 * MS : 1000 * MS) ||
		    deadline_after(context, count_call, NULL, &hook))
			fail("context");
		if (i % 4)
			deadline_wait(context, DEADLINE_NEVER);
		else
			deadline_cancel(context, 0);
		if (!deadline_err(context))
			fail("err");
		deadline_hook_stop_wait(hook);
		deadline_hook_free(hook);
		deadline_release(context);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = {
		{ "hog", beside_hog },
		{ "quota", quota },
		{ "irqs-off", irqs_off },
		{ "throttled", throttled },
		{ "contexts", contexts },
	};
	unsigned int i;
	FILE *to;

	for (i = 0; argc == 3 && i < 5; i++) {
		if (strcmp(argv[1], ways[i].name))
			continue;
		to = fopen(argv[2], "w");
		if (!to)
			fail(argv[2]);
		stay_on_one_cpu();
		ways[i].run();
		fprintf(to, "%llu %llu\n", (unsigned long long)count,
			(unsigned long long)ns);
		if (fclose(to))
			fail(argv[2]);
		if (ways[i].run == contexts)
			pause();
		return 0;
	}
	fprintf(stderr, "usage: late hog|quota|irqs-off|throttled|contexts FILE\n");
	return 2;
}
