// SPDX-License-Identifier: MIT
/* Threads that compute, as the task does. */
#include <pthread.h>
#include <stdlib.h>
#include "beside.h"

static pthread_t *threads;
static unsigned int count;
static bool stop;	/* atomic */

void work(void)
{
	uint64_t x = 1;
	int i;

	for (i = 0; i < 64; i++) {
		x = x * 6364136223846793005ull + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

static void *hog(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		work();
	return unused;
}

void hogs_start(unsigned int n)
{
	threads = calloc(n + 1, sizeof(*threads));
	must(!!threads, "calloc");
	stop = false;
	for (count = 0; count < n; count++)
		must(!pthread_create(&threads[count], NULL, hog, NULL),
		     "pthread_create");
}

void hogs_stop(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	while (count)
		pthread_join(threads[--count], NULL);
	free(threads);
}
