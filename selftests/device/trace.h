/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of one queue, in an instance of tracefs of one's own: nobody
 * else's trace is disturbed, and nobody else's events are in it.
 */
#ifndef SELFTESTS_TRACE_H
#define SELFTESTS_TRACE_H

#include <sys/stat.h>
#include "module.h"
#include "queue.h"

#define TRACEFS "/sys/kernel/tracing"

/**
 * struct trace_event - one line of the trace
 * @time: when it was written, CLOCK_MONOTONIC, cut to us
 * @text: what, from behind "dln_" on
 */
struct trace_event {
	uint64_t time;
	char *text;
};

struct trace {
	char dir[64];
	char *text;
	struct trace_event *events;
	size_t n;
};

static inline bool trace_write(const struct trace *t, const char *name,
			       const char *text)
{
	char path[128];
	bool written;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return written;
}

/* Trace what happens to @q from now on. 0, or -1. */
static inline int trace_open(struct trace *t, const struct queue *q)
{
	char filter[32];

	memset(t, 0, sizeof(*t));
	snprintf(t->dir, sizeof(t->dir), TRACEFS "/instances/deadline-%d",
		 getpid());
	snprintf(filter, sizeof(filter), "queue == %lld",
		 queue_fdinfo(q->fd, "queue"));
	if (mkdir(t->dir, 0700))
		return -1;
	return trace_write(t, "trace_clock", "mono") &&
	       trace_write(t, "events/deadline/filter", filter) &&
	       trace_write(t, "events/deadline/enable", "1") ? 0 : -1;
}

static inline void trace_close(struct trace *t)
{
	trace_write(t, "events/deadline/enable", "0");
	rmdir(t->dir);
	free(t->events);
	free(t->text);
}

/* All of a file, to be freed */
static inline char *trace_text(const char *path)
{
	size_t size = 0, room = 0;
	char *text = NULL;
	ssize_t got = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && got > 0) {
		if (room - size < 4096)
			text = realloc(text, room += 65536);
		got = read(fd, text + size, room - size - 1);
		size += got > 0 ? got : 0;
		text[size] = 0;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

/* Read what was traced, in the order of its time; returns how many events. */
static inline size_t trace_read(struct trace *t)
{
	unsigned long long seconds, us;
	char path[128], *line, *at, *save;

	free(t->text);
	t->n = 0;
	snprintf(path, sizeof(path), "%s/trace", t->dir);
	t->text = trace_text(path);
	for (line = t->text ? strtok_r(t->text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		at = strstr(line, ": dln_");
		if (line[0] == '#' || !at)
			continue;
		t->events = realloc(t->events,
				    (t->n + 1) * sizeof(*t->events));
		t->events[t->n].text = at + strlen(": dln_");
		while (at > line && at[-1] != ' ')
			at--;
		if (sscanf(at, "%llu.%llu", &seconds, &us) != 2)
			continue;
		t->events[t->n++].time = seconds * SECOND + us * US;
	}
	return t->n;
}

#endif
