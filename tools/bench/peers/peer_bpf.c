// SPDX-License-Identifier: MIT
/*
 * bpf_timer: its callback sets a word of a map that is mapped here. To arm and to
 * cancel is to run a BPF program, bpf/timer.c, by a system call. It wakes nobody.
 */
#include "../scenarios/bench.h"

#if HAVE_BPF
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "bpf/timer.h"

/**
 * struct timers - the loaded programs and maps
 * @arm: file descriptor of a program
 * @move: the same
 * @cancel: the same
 * @words: atomic; the kernel sets one that is over
 */
struct timers {
	struct bpf_object *object;
	int arm, move, cancel;
	unsigned int count;
	uint64_t *words;
};

static inline bool runs(int program, unsigned int at, uint64_t when)
{
	struct timer_request request = { .when = when, .at = at };
	struct bpf_test_run_opts options = {
		.sz = sizeof(options),
		.ctx_in = &request,
		.ctx_size_in = sizeof(request),
	};

	return !bpf_prog_test_run_opts(program, &options) && !options.retval;
}

static inline void run(int program, unsigned int at, uint64_t when)
{
	must(runs(program, at, when), "running a BPF program");
}

static int program(const struct timers *timers, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(timers->object,
								name));
}

static struct bpf_map *map(const struct timers *timers, const char *name)
{
	return bpf_object__find_map_by_name(timers->object, name);
}

/* With as many of each; not without privileges, nor on every kernel */
static bool load(struct timers *timers)
{
	char path[PATH_MAX];

	libbpf_set_print(NULL);
	if (!beside_path("bpf-timer.o", path))
		return false;
	timers->object = bpf_object__open_file(path, NULL);
	if (!timers->object)
		return false;
	bpf_map__set_max_entries(map(timers, "timers"), timers->count);
	bpf_map__set_max_entries(map(timers, "words"), timers->count);
	if (!bpf_object__load(timers->object))
		return true;
	bpf_object__close(timers->object);
	return false;
}

static void bpf_close(void *self)
{
	struct timers *timers = self;

	munmap(timers->words, timers->count * sizeof(*timers->words));
	bpf_object__close(timers->object);
	free(timers);
}

static void *bpf_open(unsigned int count)
{
	struct timers *timers = malloc(sizeof(*timers));
	unsigned int i;
	int init;

	if (!timers)
		return NULL;
	timers->count = count;
	if (!load(timers)) {
		free(timers);
		return NULL;
	}
	timers->arm = program(timers, "arm");
	timers->move = program(timers, "move");
	timers->cancel = program(timers, "cancel");
	timers->words = mmap(NULL, count * sizeof(*timers->words),
			     PROT_READ | PROT_WRITE, MAP_SHARED,
			     bpf_map__fd(map(timers, "words")), 0);
	must(timers->words != MAP_FAILED, "mmap of a map");
	init = program(timers, "init");
	for (i = 0; i < count; i++) {
		/* Linux 6.18 has memory for some hundred at once only. */
		if (!runs(init, i, 0)) {
			bpf_close(timers);
			errno = ENOMEM;
			return NULL;
		}
	}
	return timers;
}

static inline void arm(struct timers *timers, unsigned int at, uint64_t when)
{
	__atomic_store_n(&timers->words[at], 0, __ATOMIC_RELAXED);
	run(timers->arm, at, when);
}

static void bpf_start(void *self, const uint64_t *when, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		arm(self, i, when[i]);
}

static void bpf_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			   unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++) {
		arm(timers, at, when[i]);
		run(timers->cancel, at, 0);
	}
}

static void bpf_update(void *self, const uint32_t *which, const uint64_t *when,
		       unsigned int n)
{
	struct timers *timers = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		run(timers->move, which[i], when[i]);
}

static bool bpf_over(void *self, unsigned int n)
{
	struct timers *timers = self;
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = __atomic_load_n(timers->words, __ATOMIC_RELAXED);
	return over;
}

static const char *bpf_version(void)
{
	return libbpf_version_string() + 1;	/* after "v" */
}

const struct peer peer_bpf = {
	.name		= "bpf_timer",
	.use		= "sets a word of a map; programs of type syscall arm; libbpf",
	.version	= bpf_version,
	.most		= 100000,
	.open		= bpf_open,
	.close		= bpf_close,
	.start		= bpf_start,
	.arm_cancel	= bpf_arm_cancel,
	.update		= bpf_update,
	.over		= bpf_over,
};
#endif
