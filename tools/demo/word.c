// SPDX-License-Identifier: MIT
/*
 * The product: the kernel, or the library's thread, changes the word, and the
 * task loads it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <deadline_inline.h>
#include "demo.h"

static deadline_word const *word;
static deadline_queue *queue;
static deadline_slot *slot;

static int open_backend(int backend)
{
	struct deadline_options options = { .slots = 64, .backend = backend };
	int ret = deadline_queue_open(&queue, &options);

	if (ret)
		return ret;
	must(!deadline_slot_alloc(queue, 0, &slot), "deadline_slot_alloc");
	word = deadline_slot_word(slot);
	return 0;
}

static int open_kernel(void)
{
	return open_backend(DEADLINE_BACKEND_KERNEL);
}

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

static int open_thread(void)
{
	int ret = open_backend(DEADLINE_BACKEND_THREAD);

	if (!ret && real_time())
		word_by_thread.name = "word: thread, FIFO";
	return ret;
}

static void word_arm(uint64_t when)
{
	must(!deadline_slot_arm(slot, 0, when), "deadline_slot_arm");
}

static bool word_over(void)
{
	return deadline_over(word);
}

static uint64_t word_expired_at(void)
{
	struct deadline_record record;

	/* On another CPU, the word turns over before the ring tells of it. */
	must(!deadline_queue_wait(queue, deadline_in(S)),
	     "deadline_queue_wait");
	must(deadline_queue_reap(queue, &record, 1) == 1,
	     "deadline_queue_reap");
	return record.expired_at;
}

static void word_cancel(void)
{
	deadline_slot_cancel(slot);
}

static void word_close(void)
{
	deadline_slot_free(slot);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

struct peer word_by_kernel = {
	.name		= "word: kernel",
	.open		= open_kernel,
	.arm		= word_arm,
	.over		= word_over,
	.expired_at	= word_expired_at,
	.cancel		= word_cancel,
	.close		= word_close,
};

struct peer word_by_thread = {
	.name		= "word: thread, OTHER",
	.open		= open_thread,
	.arm		= word_arm,
	.over		= word_over,
	.expired_at	= word_expired_at,
	.cancel		= word_cancel,
	.close		= word_close,
};

static inline void pair_inline(void *arg, uint64_t base, const uint64_t *more)
{
	deadline_slot_arm(arg, 0, base + *more);
	deadline_slot_cancel(arg);
}

double cost_word_inline(int backend)
{
	double cost;

	if (open_backend(backend))
		return 0;
	cost = cost_of(pair_inline, slot, 1u << 20, 1);
	word_close();
	return cost;
}
