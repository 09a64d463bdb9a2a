// SPDX-License-Identifier: MIT
/*
 * A loop works under a timeout of 5 ms and asks in each turn whether its context
 * is over. How late does it see that, by the wall clock? The scenes are those in
 * which Go's timers are known to be late; tools/bench/go/scenes has the same.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include "beside.h"

#define ROUNDS	100
#define TIMEOUT	(5 * MS)
/* It may meet a tick and a switch to a thread of the kernel's and back. */
#define LIMIT	(20 * US)

static void sleep_zero(deadline_context *context)
{
	deadline_sleep(context, 0);
}

static void yield(deadline_context *unused)
{
	(void)unused;
	sched_yield();
}

/* For about 200 instructions */
static void work(void)
{
	uint64_t x = 1;
	int i;

	for (i = 0; i < 64; i++) {
		x = x * 6364136223846793005ull + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

static void compute(deadline_context *unused)
{
	(void)unused;
	work();
}

/**
 * struct scene - a row
 * @name: of it
 * @turn: what the loop does in a turn
 * @hogs: threads that share the loop's one CPU
 * @limit: ns late at most, where an instruction takes 1 ns; 0: no later than Go,
 *	as the scheduler decides when the loop runs
 */
static const struct scene {
	const char *name;
	void (*turn)(deadline_context *context);
	unsigned int hogs;
	double limit;
} all[] = {
	{ "a loop that sleeps 0", sleep_zero, 0, LIMIT },
	{ "a loop that yields", yield, 0, LIMIT },
	{ "a loop that computes", compute, 0, LIMIT },
	{ "the same, one CPU and a hog", compute, 1, 0 },
};

#define SCENES	(sizeof(all) / sizeof(*all))

static uint64_t once(const struct scene *scene)
{
	uint64_t start = deadline_now(), end;
	const deadline_word *word;
	deadline_context *context;

	must(!deadline_with_timeout(deadline_background(), 0, &context,
				    TIMEOUT), "deadline_with_timeout");
	word = deadline_context_word(context);
	while (!deadline_over(word))
		scene->turn(context);
	end = deadline_now();
	must(end >= start + TIMEOUT, "being not early");
	deadline_release(context);
	return end - start - TIMEOUT;
}

static void pin(cpu_set_t *old)
{
	cpu_set_t one;

	must(!sched_getaffinity(0, sizeof(*old), old), "sched_getaffinity");
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	must(!sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
}

static struct row measure(const struct scene *scene)
{
	uint64_t late[ROUNDS];
	cpu_set_t old;
	uint64_t i;

	if (scene->hogs)
		pin(&old);
	hogs_start(scene->hogs);
	for (i = 0; i < ROUNDS; i++) {
		/* Not just at the end of its share, nor always at one tick */
		deadline_sleep(deadline_background(),
			       deadline_in(16 * MS + i * 97 % 128 * 100 * US));
		late[i] = once(scene);
	}
	hogs_stop();
	if (scene->hogs)
		sched_setaffinity(0, sizeof(old), &old);
	return row_of(late, ROUNDS, 0);
}

static bool good(const struct scene *scene, const struct row *ours,
		 const struct row *go)
{
	if (!getenv("DEADLINE_ICOUNT"))
		return true;	/* the host may take the CPU from anyone */
	if (scene->limit)
		return ours->max <= scene->limit;
	return !go || (ours->p50 <= go->p50 && ours->max <= go->max);
}

static void print(const char *who, const struct row *row)
{
	char p50[16], max[16];

	printf(" %s %5s %5s", who, scaled(p50, row->p50),
	       scaled(max, row->max));
}

int scenes(void)
{
	struct row go[SCENES], ours;
	unsigned int i, failures = 0;
	bool there, ok;

	printf("# Seen how late after a timeout of 5 ms: p50 and max of %u\n",
	       ROUNDS);
	there = go_rows("go-scenes", go, SCENES);
	for (i = 0; i < SCENES; i++) {
		ours = measure(&all[i]);
		ok = good(&all[i], &ours, there ? &go[i] : NULL);
		failures += !ok;
		printf("%sok %u - %-28s", ok ? "" : "not ", i + 1, all[i].name);
		print("ours", &ours);
		if (there)
			print("  Go", &go[i]);
		printf("\n");
		fflush(stdout);
	}
	printf("1..%u\n", i);
	return failures;
}
