/* SPDX-License-Identifier: MIT */
/* What the program's files share. */
#ifndef TESTS_H
#define TESTS_H

#include "timeouts.h"

/* costs.c: of so many coroutines at most; a test where they are @exact */
#define COSTS_MOST 10000u
bool test_costs(bool exact);

st_thread_t start(void *(*fn)(void *arg), void *arg);

/* Ends it: @what it rests on does not work; errno says why. */
__attribute__((__noreturn__)) void die(const char *what);

static inline void must(bool ok, const char *what)
{
	if (!ok)
		die(what);
}

#endif
