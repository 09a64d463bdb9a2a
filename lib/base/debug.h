/* SPDX-License-Identifier: MIT */
/* What DEADLINE_DEBUG in the environment asks for: words with commas between them. */
#ifndef DEADLINE_DEBUG_H
#define DEADLINE_DEBUG_H

#include <stdbool.h>

enum {
	DEBUG_LEAKS = 1,
	DEBUG_LOG = 2,
};

/* Not in set-user-ID programs. Asked once */
bool debug_wants(int what);
/* One line on stderr, for DEBUG_LOG. Keeps errno. */
__attribute__((format(printf, 1, 2))) void debug_log(const char *format, ...);

#endif
