// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "base/debug.h"

/* Above all that can be asked for: the environment has been read. */
#define KNOWN	4

static int read_environment(void)
{
	const char *word = secure_getenv("DEADLINE_DEBUG");
	int wanted = KNOWN;
	size_t size;

	while (word && *word) {
		size = strcspn(word, ",");
		if (size == 5 && !memcmp(word, "leaks", size))
			wanted |= DEBUG_LEAKS;
		else if (size == 3 && !memcmp(word, "log", size))
			wanted |= DEBUG_LOG;
		word += size + (word[size] == ',');
	}
	return wanted;
}

bool debug_wants(int what)
{
	static int known;
	int wanted = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (!wanted) {
		wanted = read_environment();
		__atomic_store_n(&known, wanted, __ATOMIC_RELAXED);
	}
	return wanted & what;
}

void debug_log(const char *format, ...)
{
	int state, saved = errno;
	va_list args;

	if (!debug_wants(DEBUG_LOG))
		return;
	/* All of the line at once, also where several threads write */
	state = cancel_off();
	flockfile(stderr);
	fputs("deadline: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	funlockfile(stderr);
	cancel_restore(state);
	errno = saved;
}
