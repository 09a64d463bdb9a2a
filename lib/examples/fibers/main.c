// SPDX-License-Identifier: MIT
/*
 * Fibers that compute beside fibers that sleep: how late do the sleepers wake? As
 * TAP, one line per way. And malloc(3) by all, under a quantum of 100 us. Where the
 * clock is not exact (DEADLINE_ICOUNT), half of the rounds have to be on time, if
 * each timer on the way may be as late as one that waits for nobody. What hangs is
 * ended by an alarm.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "beside.h"

#define QUANTUM		MS
#define SLEEPERS	8
#define PARTS		(10ul * SLEEPERS)
#define STOP		(20 * MS)
/* Until the kernel gives one that was stopped the CPU again, beside two others */
#define SLICES		(10 * MS)
/* Nothing that does not hang takes so many seconds. */
#define PATIENCE	600

static const char help[] =
"Usage: fibers [ROUNDS [SECONDS]]\n"
"\n"
"Print, as TAP, how late fibers that sleep wake beside fibers that compute, in each of\n"
"8 ways, ROUNDS times (10000, a multiple of 80); then have all call malloc(3) for\n"
"SECONDS (1), under a quantum of 100 us.\n"
"\n"
"Exits: 0; 1 some were later than they may be; 2 usage\n";

/**
 * struct way - what the sleepers have beside them
 * @neighbour: what others do
 * @sleep: fiber_sleep(), or instead of it
 * @neighbours: how many they are
 * @workers: threads
 * @part: 1 of so many rounds is enough
 * @quanta: how late they are at most; 0: none has to be on time
 * @preempt: signals stop fibers
 * @stop: one worker is stopped again and again, for STOP
 */
struct way {
	const char *name;
	void (*neighbour)(void *arg);
	int (*sleep)(deadline_context *context, uint64_t until);
	unsigned int neighbours;
	unsigned int workers;
	unsigned int part;
	unsigned int quanta;
	bool preempt;
	bool stop;
};

static const struct way *way;
static struct stopper *stopper;
static unsigned long rounds;
static unsigned int sleepers_left;
static uint64_t *late;
static unsigned long lates;

static bool sleepers_run(void)
{
	return __atomic_load_n(&sleepers_left, __ATOMIC_RELAXED);
}

static void spin(void *arg)
{
	if (stopper && !arg)
		stopper_take(stopper);
	while (sleepers_run())
		;
}

static void spin_and_check(void *arg)
{
	(void)arg;
	while (sleepers_run())
		fiber_check();
}

/* Until the timeout of a context, which is the library's, as a hook is */
static int below_context(deadline_context *parent, uint64_t until,
			 int (*wait)(deadline_context *context))
{
	deadline_context *context;
	int ret;

	deadline_preempt_off();
	ret = deadline_with_deadline(parent, 0, &context, until);
	deadline_preempt_on();
	if (ret)
		return ret;
	ret = wait(context);
	deadline_preempt_off();
	deadline_release(context);
	deadline_preempt_on();
	return ret == -ETIME ? 0 : ret;
}

static int sleep_below(deadline_context *context)
{
	return fiber_sleep(context, DEADLINE_NEVER);
}

static int context_sleep(deadline_context *parent, uint64_t until)
{
	return below_context(parent, until, sleep_below);
}

static int spin_below(deadline_context *context)
{
	const deadline_word *word = deadline_context_word(context);

	while (!deadline_over(word))
		;
	return -ETIME;
}

static int context_spin(deadline_context *parent, uint64_t until)
{
	return below_context(parent, until, spin_below);
}

static const struct way ways[] = {
	{
		.name = "3 that never yield",
		.workers = 1, .neighbours = 3, .neighbour = spin,
		.preempt = true, .sleep = fiber_sleep, .part = 1,
		.quanta = 1,
	}, {
		.name = "3 that check the word, no signals",
		.workers = 1, .neighbours = 3, .neighbour = spin_and_check,
		.preempt = false, .sleep = fiber_sleep, .part = 1,
		.quanta = 1,
	}, {
		.name = "3 that never yield, timeouts of contexts",
		.workers = 1, .neighbours = 3, .neighbour = spin,
		.preempt = true, .sleep = context_sleep, .part = 1,
		.quanta = 1,
	}, {
		.name = "7 such, each computes until its timeout",
		.workers = 1, .neighbours = 0, .neighbour = spin,
		.preempt = true, .sleep = context_spin, .part = 10,
		.quanta = 7,
	}, {
		.name = "3 that never yield, a timer thread",
		.workers = 1, .neighbours = 3, .neighbour = spin,
		.preempt = true, .sleep = timers_sleep, .part = 10,
	}, {
		.name = "4 that never yield, 2 workers",
		.workers = 2, .neighbours = 4, .neighbour = spin,
		.preempt = true, .sleep = fiber_sleep, .part = 1,
		.quanta = 2,
	}, {
		.name = "4 that never yield, 2 workers, a timer thread",
		.workers = 2, .neighbours = 4, .neighbour = spin,
		.preempt = true, .sleep = timers_sleep, .part = 10,
	}, {
		.name = "4 that never yield, 2 workers, one stopped for 20 ms",
		.workers = 2, .neighbours = 4, .neighbour = spin,
		.preempt = true, .sleep = fiber_sleep, .part = 1,
		.quanta = 2,
		.stop = true,
	},
};

#define WAYS (sizeof(ways) / sizeof(*ways))

/* The first sleep makes what is used from then on, and does not count. */
static void sleeper(void *arg)
{
	unsigned long i, n = rounds / way->part / SLEEPERS;
	uint64_t until, now;

	for (i = 0; i <= n; i++) {
		until = deadline_in((i * 7919 + (uintptr_t)arg) % MS);
		if (way->sleep(deadline_background(), until))
			abort();
		now = deadline_now();
		if (i)
			late[__atomic_fetch_add(&lates, 1, __ATOMIC_RELAXED)] =
				now - until;
	}
	__atomic_sub_fetch(&sleepers_left, 1, __ATOMIC_RELAXED);
}

static void spawn(struct fiber_group *group, void (*fn)(void *), uintptr_t arg)
{
	int ret;

	deadline_preempt_off();
	ret = fiber_spawn(group, fn, (void *)arg);
	deadline_preempt_on();
	if (ret)
		abort();
}

static void sleep_beside(void *unused)
{
	struct fiber_group group = {};
	uintptr_t i;

	(void)unused;
	for (i = 0; i < way->neighbours; i++)
		spawn(&group, way->neighbour, i);
	for (i = 0; i < SLEEPERS; i++)
		spawn(&group, sleeper, i * 100003);
	fiber_wait(&group);
}

static uint64_t storm_end;
static unsigned long storm_rounds;

static void storm(void *arg)
{
	unsigned long i;
	char *p;

	for (i = 0; deadline_now() < storm_end; i++) {
		deadline_preempt_off();
		p = malloc(16 + (i * 13 + (uintptr_t)arg) % 5000);
		if (p)
			*(volatile char *)p = 0;	/* so it is not left out */
		free(p);
		deadline_preempt_on();
	}
	__atomic_add_fetch(&storm_rounds, i, __ATOMIC_RELAXED);
}

static void storms(void *arg)
{
	struct fiber_group group = {};
	uintptr_t i;

	(void)arg;
	for (i = 0; i < 8; i++)
		spawn(&group, storm, i);
	fiber_wait(&group);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t percentile(unsigned int percent)
{
	return late[(lates - 1) * percent / 100];
}

static unsigned long beyond(uint64_t bound)
{
	unsigned long n = 0;

	while (n < lates && late[lates - 1 - n] > bound)
		n++;
	return n;
}

static void run(unsigned int workers, uint64_t quantum, bool preempt,
		void (*fn)(void *arg), unsigned int seconds)
{
	int ret;

	alarm(seconds + PATIENCE);
	ret = fibers_run(workers, quantum, preempt, fn, NULL);
	alarm(0);
	if (ret) {
		fprintf(stderr, "fibers: %s\n", strerror(-ret));
		exit(1);
	}
}

static void run_way(void)
{
	sleepers_left = SLEEPERS;
	lates = 0;
	if (way->sleep == timers_sleep)
		timers_start();
	run(way->workers, QUANTUM, way->preempt, sleep_beside, 0);
	if (way->sleep == timers_sleep)
		timers_stop();
	qsort(late, lates, sizeof(*late), compare);
}

/* Returns how late a timer may be, by the machine's own fault. */
static uint64_t run_beside_witnesses(void)
{
	witnesses_start();
	run_way();
	return witnesses_stop();
}

static bool measure(unsigned int n)
{
	uint64_t bound = way->quanta * QUANTUM, limit = bound;
	const char *exact = getenv("DEADLINE_ICOUNT");
	bool ok;

	/* On other kernels than Linux 6.1 theirs take a little more of the CPU. */
	if (exact && strcmp(exact, "6.1") != 0)
		limit += bound / 10;
	if (way->stop)
		stopper = stopper_start(STOP);
	if (exact)
		run_way();
	else
		limit += (way->quanta + 1) * run_beside_witnesses();
	ok = lates == rounds / way->part && (!stopper || stopper_end(stopper));
	stopper = NULL;
	if (way->quanta)
		ok &= percentile(exact ? 99 : 50) <= limit;
	/* A thread that runs in between, the kernel's or the library's, holds up a few. */
	if (way->quanta && exact)
		ok &= percentile(100) <= limit + QUANTUM +
			(way->stop ? STOP + SLICES : 0);
	printf("%sok %u - %-51s %5.0f %5.0f %5.0f", ok ? "" : "not ", n,
	       way->name, percentile(50) / 1e3, percentile(99) / 1e3,
	       percentile(100) / 1e3);
	if (way->quanta)
		printf(" %7.0f %6lu", limit / 1e3, beyond(bound));
	putchar('\n');
	fflush(stdout);
	return ok;
}

static void hangs(int signal)
{
	static const char text[] = "not ok - it hangs\n";

	(void)signal;
	_exit(write(1, text, sizeof(text) - 1) ? 1 : 2);
}

static void weather_storm(unsigned int n, unsigned int seconds)
{
	storm_end = deadline_in(1000 * MS * seconds);
	run(2, MS / 10, true, storms, seconds);
	printf("ok %u - malloc and free under a quantum of 100 us, for %u s: %lu times\n",
	       n, seconds, storm_rounds);
}

int main(int argc, char **argv)
{
	unsigned int i, seconds = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	bool ok = true;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
	if (argc > 3 || !rounds || rounds % PARTS) {
		fprintf(stderr, "fibers: ROUNDS must be a multiple of %lu; see --help\n",
			PARTS);
		return 2;
	}
	late = calloc(rounds, sizeof(*late));
	if (!late)
		return 1;
	signal(SIGALRM, hangs);
	printf("TAP version 13\n1..%zu\n", WAYS + 1);
	printf("# us late, of %lu%*s p50   p99   max at most beyond\n", rounds,
	       (int)(53 - snprintf(NULL, 0, "%lu", rounds)), "");
	for (i = 0; i < WAYS; i++) {
		way = &ways[i];
		ok &= measure(i + 1);
	}
	weather_storm(i + 1, seconds);
	free(late);
	return !ok;
}
