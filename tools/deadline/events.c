// SPDX-License-Identifier: MIT
/* Events as text: see events.h. */
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "events.h"
#include "tool.h"

enum field {
	QUEUE, SLOT, DEADLINE, LATE, SLACK, DATA, OWNER, USER, IRQ, THREAD, STATE, ON, GROUP,
	NS,
	FIELDS,
};

/* @most: what is larger is no such value */
static const struct {
	const char *name;
	size_t offset;
	bool wide;
	uint64_t most;
} fields[FIELDS] = {
	[QUEUE] = { "queue", offsetof(struct event, queue), false, UINT32_MAX },
	[SLOT] = { "slot", offsetof(struct event, slot), false, UINT32_MAX },
	[DEADLINE] = { "deadline", offsetof(struct event, deadline), true, UINT64_MAX },
	[LATE] = { "late", offsetof(struct event, late), true, INT64_MAX },
	[SLACK] = { "slack", offsetof(struct event, slack), true, UINT32_MAX },
	[DATA] = { "data", offsetof(struct event, data), true, UINT64_MAX },
	[OWNER] = { "owner", offsetof(struct event, owner), false, EVENT_PIDS - 1 },
	[USER] = { "user", offsetof(struct event, user), false, UINT32_MAX },
	[IRQ] = { "irq", offsetof(struct event, irq), false, 1 },
	[THREAD] = { "thread", offsetof(struct event, thread), false, EVENT_PIDS - 1 },
	[STATE] = { "state", offsetof(struct event, state), false, UINT32_MAX },
	[ON] = { "on", offsetof(struct event, on), false, EVENT_CPUS - 1 },
	[GROUP] = { "group", offsetof(struct event, group), true, UINT64_MAX },
	[NS] = { "ns", offsetof(struct event, ns), true, INT64_MAX },
};

/* @has: the fields of each kind, as many as @n, in their order */
static const struct {
	const char *name;
	unsigned int n;
	enum field has[9];
	bool text;
} kinds[EVENT_KINDS] = {
	[EVENT_EXPIRE] = { "expire", 9,
		{ QUEUE, SLOT, DEADLINE, LATE, SLACK, DATA, OWNER, USER, IRQ }, false },
	[EVENT_STACK] = { "stack", 0, { }, true },
	[EVENT_THROTTLE] = { "throttle", 1, { QUEUE }, false },
	[EVENT_TURN] = { "turn", 2, { QUEUE, NS }, false },
	[EVENT_WAKE] = { "wake", 1, { QUEUE }, false },
	[EVENT_REAPED] = { "reaped", 2, { DEADLINE, DATA }, false },
	[EVENT_NOTICED] = { "noticed", 2, { DEADLINE, DATA }, false },
	[EVENT_SWITCH] = { "switch", 2, { THREAD, STATE }, false },
	[EVENT_WAKING] = { "waking", 1, { THREAD }, false },
	[EVENT_RUNNABLE] = { "runnable", 2, { THREAD, ON }, false },
	[EVENT_IRQ] = { "irq", 0, { }, true },
	[EVENT_IRQ_END] = { "irq-end", 0, { }, true },
	[EVENT_SOFT] = { "soft", 0, { }, true },
	[EVENT_SOFT_END] = { "soft-end", 0, { }, true },
	[EVENT_IDLE] = { "idle", 1, { STATE }, false },
	[EVENT_IDLE_END] = { "idle-end", 1, { STATE }, false },
	[EVENT_STOP] = { "stop", 2, { GROUP, THREAD }, false },
	[EVENT_GO] = { "go", 1, { GROUP }, false },
	[EVENT_FORK] = { "fork", 1, { THREAD }, false },
	[EVENT_NAME] = { "name", 1, { THREAD }, true },
	[EVENT_QUOTA] = { "quota", 1, { THREAD }, true },
	[EVENT_STOLEN] = { "stolen", 1, { NS }, false },
	[EVENT_LOST] = { "lost", 1, { NS }, false },
};

void event_set_text(struct event *event, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i < EVENT_TEXT - 1; i++)
		event->text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	event->text[i] = 0;
}

static uint64_t get(const struct event *event, enum field field)
{
	const char *at = (const char *)event + fields[field].offset;

	return fields[field].wide ? *(const uint64_t *)at : *(const uint32_t *)at;
}

static void set(struct event *event, enum field field, uint64_t value)
{
	char *at = (char *)event + fields[field].offset;

	if (fields[field].wide)
		*(uint64_t *)at = value;
	else
		*(uint32_t *)at = value;
}

void event_print(const struct event *event, FILE *to)
{
	unsigned int i;

	fprintf(to, "%llu %u %u %s", (unsigned long long)event->time, event->cpu,
		event->pid, kinds[event->kind].name);
	for (i = 0; i < kinds[event->kind].n; i++) {
		enum field field = kinds[event->kind].has[i];

		if (field == STATE && event->kind == EVENT_SWITCH)
			fprintf(to, " state=%c", (char)event->state);
		else
			fprintf(to, " %s=%llu", fields[field].name,
				(unsigned long long)get(event, field));
	}
	if (kinds[event->kind].text)
		fprintf(to, " text=%s", event->text);
	fputc('\n', to);
}

/* Take @word and the end of it, which is a space or the line's: false if it differs. */
static bool take_word(const char **at, const char *word)
{
	size_t size = strlen(word);

	if (strncmp(*at, word, size) ||
	    ((*at)[size] && (*at)[size] != ' '))
		return false;
	*at += size;
	if (**at == ' ')
		++*at;
	return true;
}

static bool take_number(const char **at, uint64_t most, uint64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	errno = 0;
	*value = strtoull(*at, &end, 10);
	if (errno || *value > most || (*end && *end != ' '))
		return false;
	*at = *end ? end + 1 : end;
	return true;
}

static bool take_field(const char **at, struct event *event, enum field field)
{
	size_t size = strlen(fields[field].name);
	uint64_t value;

	if (strncmp(*at, fields[field].name, size) || (*at)[size] != '=')
		return false;
	*at += size + 1;
	if (field == STATE && event->kind == EVENT_SWITCH) {
		event->state = (unsigned char)**at;
		if (!isalpha(event->state) || ((*at)[1] && (*at)[1] != ' '))
			return false;
		*at += (*at)[1] ? 2 : 1;
		return true;
	}
	if (!take_number(at, fields[field].most, &value))
		return false;
	set(event, field, value);
	return true;
}

const char *event_parse(struct event *event, const char *line)
{
	uint64_t cpu, pid;
	unsigned int i;

	memset(event, 0, sizeof(*event));
	if (!take_number(&line, INT64_MAX, &event->time))
		return "no time";
	if (!take_number(&line, EVENT_CPUS - 1, &cpu))
		return "no CPU";
	if (!take_number(&line, EVENT_PIDS - 1, &pid))
		return "no thread";
	event->cpu = cpu;
	event->pid = pid;
	while (event->kind < EVENT_KINDS && !take_word(&line, kinds[event->kind].name))
		event->kind++;
	if (event->kind == EVENT_KINDS)
		return "no such event";
	for (i = 0; i < kinds[event->kind].n; i++)
		if (!take_field(&line, event, kinds[event->kind].has[i]))
			return "a key is missing, or its value is out of range";
	if (kinds[event->kind].text) {
		if (strncmp(line, "text=", 5))
			return "text= is missing";
		event_set_text(event, line + 5);
		return NULL;
	}
	return *line ? "there is more than the event has" : NULL;
}

/* Returns what is wrong, or NULL. */
static const char *take_line(char *line, size_t number, uint64_t *last,
			     void (*take)(const struct event *, void *), void *arg)
{
	struct event event;
	const char *wrong;

	line[strcspn(line, "\n")] = 0;
	if (number == 1)
		return take_word(&(const char *){ line }, EVENT_HEADER) ? NULL :
		       "is no trace of deadline's";
	if (!line[0] || line[0] == '#')
		return NULL;
	wrong = event_parse(&event, line);
	if (!wrong && event.time < *last)
		wrong = "time goes back";
	if (wrong)
		return wrong;
	*last = event.time;
	take(&event, arg);
	return NULL;
}

bool events_read(const char *path, void (*take)(const struct event *event, void *arg),
		 void *arg)
{
	FILE *from = fopen(path, "re");
	size_t room = 0, number = 0;
	const char *wrong = NULL;
	uint64_t last = 0;
	char *line = NULL;

	if (!from) {
		complain("%s: %s", path, strerror(errno));
		return false;
	}
	while (!wrong && getline(&line, &room, from) >= 0)
		wrong = take_line(line, ++number, &last, take, arg);
	if (!wrong && ferror(from))
		complain("%s: %s", path, strerror(errno));
	else if (!wrong && !number)
		wrong = "is empty";
	if (wrong)
		complain("%s:%zu: %s", path, number, wrong);
	wrong = ferror(from) ? "" : wrong;
	free(line);
	fclose(from);
	return !wrong;
}
