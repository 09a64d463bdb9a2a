// SPDX-License-Identifier: MIT
/* The clock of all deadlines, and the version. */
#include "base/base.h"

uint64_t deadline_now(void)
{
	return clock_read();
}

uint64_t deadline_in(uint64_t ns)
{
	return clock_in(ns);
}

const char *deadline_version(void)
{
	return DEADLINE_VERSION;
}
