// SPDX-License-Identifier: MIT
/*
 * The lines "deadline-NAME:\tNUMBER" of a queue's fdinfo, and what is told of them. A
 * line that is misshapen or not known counts as not there.
 */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "queues.h"

#define FIELD(name)	{ #name, offsetof(struct queue, name) }

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	FIELD(queue), FIELD(pid), FIELD(user), FIELD(clock), FIELD(slots),
	FIELD(planned), FIELD(pending), FIELD(interrupts), FIELD(expired),
	FIELD(moved), FIELD(dropped), FIELD(contended), FIELD(full),
	FIELD(doorbells), FIELD(longest), FIELD(throttled), FIELD(clock_sets),
	FIELD(handed_in), FIELD(refused),
};

/* A number at @text, of which @end is behind it; false if there is none */
static bool number(const char *text, char **end, uint64_t *value)
{
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return !errno;
}

/* Numbers with a space between, no more than there is room for */
static void parse_late(const char *text, struct queue *queue)
{
	uint64_t value;
	unsigned int i;
	char *end;

	for (i = 0; i < LATE && number(text, &end, &value); i++) {
		queue->late[i] = value;
		if (*end != ' ')
			break;
		text = end + 1;
	}
}

static void parse_line(const char *name, const char *text, struct queue *queue)
{
	uint64_t value;
	unsigned int i;
	char *end;

	if (!strcmp(name, "late")) {
		parse_late(text, queue);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(name, fields[i].name))
			continue;
		if (number(text, &end, &value) && !*end)
			*(uint64_t *)((char *)queue + fields[i].offset) = value;
		return;
	}
}

bool fdinfo_parse(char *text, struct queue *queue)
{
	static const char prefix[] = "deadline-";
	char *line, *save, *value;

	memset(queue, 0, sizeof(*queue));
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		value = strstr(line, ":\t");
		if (!value || strncmp(line, prefix, strlen(prefix)))
			continue;
		*value = 0;
		parse_line(line + strlen(prefix), value + strlen(":\t"), queue);
	}
	/* A queue's number is never 0. */
	return queue->queue;
}

const char *clock_name(uint64_t clock)
{
	switch (clock) {
	case CLOCK_MONOTONIC: return "monotonic";
	case CLOCK_BOOTTIME: return "boottime";
	case CLOCK_REALTIME: return "realtime";
	case CLOCK_TAI: return "tai";
	}
	return "?";
}

const char *user_name(uint64_t user)
{
	static char name[33];
	static uint64_t last;
	const struct passwd *entry;

	/* Most ask for the same one again and again. */
	if (name[0] && user == last)
		return name;
	last = user;
	entry = user <= UINT32_MAX ? getpwuid(user) : NULL;
	if (entry)
		snprintf(name, sizeof(name), "%s", entry->pw_name);
	else
		snprintf(name, sizeof(name), "%llu", (unsigned long long)user);
	return name;
}
