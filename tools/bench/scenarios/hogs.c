// SPDX-License-Identifier: MIT
/* Threads that compute for ever, as the task does: nobody is more urgent. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "bench.h"

static pthread_t *threads;
static unsigned int count;
static bool stop;	/* atomic */

/* Registers only: what is the least work for an emulated CPU. */
static void *hog(void *unused)
{
	uint64_t x = 1;
	int i;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		#pragma GCC unroll 256
		for (i = 0; i < 256; i++) {
			x += i;
			__asm__ volatile("" : "+r"(x));
		}
	}
	return unused;
}

void hogs_start(unsigned int n)
{
	sigset_t all, old;

	threads = calloc(n + 1, sizeof(*threads));
	must(!!threads, "calloc");
	stop = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (count = 0; count < n; count++)
		must(!pthread_create(&threads[count], NULL, hog, NULL),
		     "pthread_create");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void hogs_stop(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	while (count)
		pthread_join(threads[--count], NULL);
	free(threads);
}
