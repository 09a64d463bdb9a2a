/* SPDX-License-Identifier: MIT */
/*
 * Events of this machine as they happen, from an instance of tracefs of our own: no
 * other tracer's buffer, filters or events are touched. The instance is gone when it is
 * closed; one that a killed deadline left behind, when the next one opens its own.
 */
#ifndef DEADLINE_LIVE_H
#define DEADLINE_LIVE_H

#include <sys/types.h>
#include "events.h"

struct live;

/*
 * Begin to trace; expiries later than @late have their stack told. Returns NULL, and
 * has told why on stderr.
 */
struct live *live_open(uint64_t late);
void live_close(struct live *live);

/* Have the library's probes in this file, or in what this process has mapped, traced */
void live_probe_file(struct live *live, const char *path);
void live_probe_process(struct live *live, pid_t pid);

/*
 * Wait a moment, then give what happened before that to @take, in the order of time.
 * Returns false if the trace cannot be read.
 */
bool live_read(struct live *live, void (*take)(const struct event *, void *), void *arg);

#endif
