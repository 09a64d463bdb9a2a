// SPDX-License-Identifier: MIT
/* The clock of all deadlines, and the version. */
#include <time.h>
#include "context.h"

__thread uint64_t clock_last;

uint64_t deadline_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_last = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	return clock_last;
}

uint64_t deadline_in(uint64_t ns)
{
	uint64_t now = deadline_now();

	return ns > DEADLINE_NEVER - now ? DEADLINE_NEVER : now + ns;
}

const char *deadline_version(void)
{
	return DEADLINE_VERSION;
}
