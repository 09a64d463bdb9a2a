// SPDX-License-Identifier: MIT
/* What the CPUs and threads did lately: see history.h. */
#include <stdlib.h>
#include <string.h>
#include "history.h"

#define NAMES	32768	/* threads whose name is known, a power of two */
#define WORDS	1024
#define STOPS	1024
#define IN_KERNEL	100000	/* ns; longer than a thread takes back to user mode */

/* As little of an event as is needed here; @thread is a cpu of CPU_IDLES' state too. */
struct entry {
	uint64_t time;
	uint64_t ns;		/* that were stolen */
	uint32_t cpu;
	uint32_t pid;
	uint32_t thread;
	uint16_t on;
	uint16_t word;
	uint8_t kind;
	char state;
};

struct name {
	uint32_t thread;
	uint16_t quota;
	char text[16];
};

/* The CPU quota of @group was used up on @cpu, where @pid was, as @member was to run. */
struct stop {
	uint64_t time;
	uint64_t until;
	uint64_t group;
	uint32_t cpu;
	uint32_t pid;
	uint32_t member;
};

/*
 * @first, @n: in @entries, which is a ring; @gone: the time of the last one dropped
 * @n_stops: how many there ever were, of which @stops has the newest
 */
struct history {
	struct entry *entries;
	size_t first;
	size_t n;
	uint64_t gone;
	struct stop stops[STOPS];
	uint64_t n_stops;
	struct name names[NAMES];
	char *words[WORDS];
	uint16_t n_words;
};

struct history *history_new(void)
{
	struct history *h = calloc(1, sizeof(*h));

	if (h)
		h->entries = malloc(HISTORY_ROOM * sizeof(*h->entries));
	if (!h || !h->entries) {
		free(h);
		return NULL;
	}
	h->words[h->n_words++] = strdup("");
	return h;
}

void history_free(struct history *h)
{
	while (h->n_words)
		free(h->words[--h->n_words]);
	free(h->entries);
	free(h);
}

static const struct entry *at(const struct history *h, size_t i)
{
	return &h->entries[(h->first + i) % HISTORY_ROOM];
}

/* The number of a text. When there are too many of them, the last stands for others. */
static uint16_t word_of(struct history *h, const char *text)
{
	uint16_t i;

	for (i = 0; i < h->n_words; i++)
		if (!strcmp(h->words[i], text))
			return i;
	if (i == WORDS)
		return WORDS - 1;
	h->words[i] = strdup(i == WORDS - 1 ? "others" : text);
	if (!h->words[i])
		return 0;
	return h->n_words++;
}

const char *history_word(const struct history *h, uint16_t word)
{
	return h->words[word];
}

/* Another one's place may be taken: that one has no name then. */
static struct name *name_of(struct history *h, uint32_t thread)
{
	struct name *name = &h->names[thread % NAMES];

	if (name->thread != thread) {
		memset(name, 0, sizeof(*name));
		name->thread = thread;
	}
	return name;
}

const char *history_name(const struct history *h, uint32_t thread)
{
	const struct name *name = &h->names[thread % NAMES];

	return name->thread == thread ? name->text : "";
}

static uint16_t quota_of(const struct history *h, uint32_t thread)
{
	const struct name *name = &h->names[thread % NAMES];

	return name->thread == thread ? name->quota : 0;
}

const char *history_quota(const struct history *h, uint32_t thread)
{
	return h->words[quota_of(h, thread)];
}

static void add_stop(struct history *h, const struct event *event)
{
	h->stops[h->n_stops++ % STOPS] = (struct stop){
		.time = event->time,
		.until = UINT64_MAX,
		.group = event->group,
		.cpu = event->cpu,
		.pid = event->pid,
		.member = event->thread,
	};
}

static void end_stops(struct history *h, const struct event *event)
{
	struct stop *stop;

	for (stop = h->stops; stop < h->stops + STOPS; stop++)
		if (stop->group == event->group && stop->until == UINT64_MAX)
			stop->until = event->time;
}

void history_add(struct history *h, const struct event *event)
{
	struct entry entry = {
		.time = event->time,
		.cpu = event->cpu,
		.pid = event->pid,
		.thread = event->thread,
		.on = event->on,
		.kind = event->kind,
		.state = event->state,
	};

	switch (event->kind) {
	case EVENT_NAME:
		snprintf(name_of(h, event->thread)->text, 16, "%.15s", event->text);
		return;
	case EVENT_QUOTA:
		name_of(h, event->thread)->quota = word_of(h, event->text);
		return;
	case EVENT_IRQ:
	case EVENT_IRQ_END:
	case EVENT_SOFT:
	case EVENT_SOFT_END:
		entry.word = word_of(h, event->text);
		break;
	case EVENT_IDLE:
	case EVENT_IDLE_END:
		entry.thread = event->state;
		break;
	case EVENT_STOP:
		add_stop(h, event);
		return;
	case EVENT_GO:
		end_stops(h, event);
		return;
	case EVENT_STOLEN:
		entry.ns = event->ns;
		break;
	case EVENT_SWITCH:
	case EVENT_WAKING:
	case EVENT_RUNNABLE:
		break;
	default:
		return;
	}
	if (h->n == HISTORY_ROOM) {
		h->gone = at(h, 0)->time;
		h->first = (h->first + 1) % HISTORY_ROOM;
		h->n--;
	}
	h->n++;
	h->entries[(h->first + h->n - 1) % HISTORY_ROOM] = entry;
}

uint64_t history_begins(const struct history *h)
{
	return h->gone;
}

/* The first event that is not before @time */
static size_t find(const struct history *h, uint64_t time)
{
	size_t low = 0, high = h->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (at(h, mid)->time < time)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* What a CPU does: a thread, and which interrupts are upon it */
struct cpu_now {
	uint32_t pid;
	bool known;
	uint32_t idle_state;
	bool soft, irq;
	uint16_t soft_word, irq_word;
};

static void cpu_follow(struct cpu_now *now, const struct entry *entry)
{
	now->known = true;
	now->pid = entry->pid;
	switch (entry->kind) {
	case EVENT_SWITCH:
		now->pid = entry->thread;
		break;
	case EVENT_IRQ:
	case EVENT_IRQ_END:
		now->irq = entry->kind == EVENT_IRQ;
		now->irq_word = entry->word;
		break;
	case EVENT_SOFT:
	case EVENT_SOFT_END:
		now->soft = entry->kind == EVENT_SOFT;
		now->soft_word = entry->word;
		break;
	case EVENT_IDLE:
	case EVENT_IDLE_END:
		now->idle_state = entry->thread;
		break;
	}
}

/* Was it so before the events from @i to @end? The first of each kind tells. */
static struct cpu_now cpu_before(const struct history *h, uint32_t cpu, size_t i,
				 size_t end)
{
	bool irq = false, soft = false, idle = false;
	struct cpu_now now = { 0 };
	size_t first = i;

	for (; i < end && !(now.known && irq && soft && idle); i++) {
		const struct entry *entry = at(h, i);

		if (entry->cpu != cpu || entry->kind >= EVENT_STOLEN)
			continue;
		if (!now.known) {
			now.known = true;
			now.pid = entry->pid;
		}
		if (entry->kind == EVENT_SWITCH)
			break;
		if (!irq && (entry->kind == EVENT_IRQ || entry->kind == EVENT_IRQ_END)) {
			irq = true;
			now.irq = entry->kind == EVENT_IRQ_END;
			now.irq_word = entry->word;
		}
		if (!soft && (entry->kind == EVENT_SOFT ||
			      entry->kind == EVENT_SOFT_END)) {
			soft = true;
			now.soft = entry->kind == EVENT_SOFT_END;
			now.soft_word = entry->word;
		}
		if (!idle && (entry->kind == EVENT_IDLE ||
			      entry->kind == EVENT_IDLE_END)) {
			idle = true;
			now.idle_state = entry->thread;
		}
	}
	while (!now.known && first--)
		if (at(h, first)->cpu == cpu && at(h, first)->kind < EVENT_STOLEN)
			cpu_follow(&now, at(h, first));
	for (; !now.known && i < h->n; i++) {
		if (at(h, i)->cpu == cpu && at(h, i)->kind < EVENT_STOLEN) {
			now.known = true;
			now.pid = at(h, i)->pid;
		}
	}
	return now;
}

static struct stretch cpu_stretch(const struct cpu_now *now)
{
	if (now->irq)
		return (struct stretch){ .activity = CPU_INTERRUPT,
					 .word = now->irq_word };
	if (now->soft)
		return (struct stretch){ .activity = CPU_SOFT, .word = now->soft_word };
	if (!now->known)
		return (struct stretch){ .activity = CPU_UNKNOWN };
	if (!now->pid)
		return (struct stretch){ .activity = CPU_IDLES, .who = now->idle_state };
	return (struct stretch){ .activity = CPU_RUNS, .who = now->pid };
}

void history_cpu(const struct history *h, uint32_t cpu, uint64_t from, uint64_t to,
		 void (*take)(const struct stretch *, void *), void *arg)
{
	size_t i = find(h, from), end = find(h, to);
	struct cpu_now now = cpu_before(h, cpu, i, end);
	struct stretch stretch = cpu_stretch(&now);

	for (stretch.from = from; i < end; i++) {
		const struct entry *entry = at(h, i);

		if (entry->cpu != cpu || entry->kind >= EVENT_STOLEN)
			continue;
		stretch.to = entry->time;
		if (stretch.to > stretch.from)
			take(&stretch, arg);
		cpu_follow(&now, entry);
		stretch = cpu_stretch(&now);
		stretch.from = entry->time;
	}
	stretch.to = to;
	if (stretch.to > stretch.from)
		take(&stretch, arg);
}

/* Does the event say something of the thread? Then what it did before and does since. */
static bool thread_follow(const struct entry *entry, uint32_t thread,
			  struct stretch *before, struct stretch *since)
{
	switch (entry->kind) {
	case EVENT_SWITCH:
		if (entry->pid == thread) {
			*before = (struct stretch){ .activity = THREAD_RUNS,
						    .who = entry->cpu };
			*since = (struct stretch){ .activity = THREAD_CAN_RUN,
						   .who = entry->cpu };
			if (entry->state != 'R')
				*since = (struct stretch){ .activity = THREAD_SLEEPS,
							   .state = entry->state };
			return true;
		}
		if (entry->thread != thread)
			return false;
		*before = (struct stretch){ .activity = THREAD_CAN_RUN,
					    .who = entry->cpu };
		*since = (struct stretch){ .activity = THREAD_RUNS, .who = entry->cpu };
		return true;
	case EVENT_WAKING:
		/* Of itself: it was about to sleep, and has not. */
		if (entry->thread != thread || entry->pid == thread)
			return false;
		*before = (struct stretch){ .activity = THREAD_SLEEPS, .state = 'S',
					    .who = entry->pid };
		*since = (struct stretch){ .activity = THREAD_CAN_RUN,
					   .who = entry->cpu };
		return true;
	case EVENT_RUNNABLE:
		if (entry->thread != thread || entry->pid == thread)
			return false;
		*before = (struct stretch){ .activity = THREAD_CAN_RUN,
					    .who = entry->on };
		*since = *before;
		return true;
	}
	return false;
}

/* Who wakes a thread does not say in which state it slept. */
static char sleep_state(const struct history *h, uint32_t thread, size_t i)
{
	while (i--)
		if (at(h, i)->kind == EVENT_SWITCH && at(h, i)->pid == thread)
			return at(h, i)->state;
	return 'S';
}

static struct stretch thread_before(const struct history *h, uint32_t thread, size_t i,
				    size_t end)
{
	struct stretch before, since;
	size_t first = i;

	for (; i < end; i++)
		if (thread_follow(at(h, i), thread, &before, &since))
			goto found;
	while (first--)
		if (thread_follow(at(h, first), thread, &before, &since))
			return since;
	for (first = 0; i < h->n; i++)
		if (thread_follow(at(h, i), thread, &before, &since))
			goto found;
	return (struct stretch){ .activity = THREAD_UNKNOWN };

found:
	if (before.activity == THREAD_SLEEPS)
		before.state = sleep_state(h, thread, first);
	return before;
}

void history_thread(const struct history *h, uint32_t thread, uint64_t from, uint64_t to,
		    void (*take)(const struct stretch *, void *), void *arg)
{
	size_t i = find(h, from), end = find(h, to);
	struct stretch stretch = thread_before(h, thread, i, end), before, since;

	for (stretch.from = from; i < end; i++) {
		if (!thread_follow(at(h, i), thread, &before, &since))
			continue;
		/* Who was on a CPU is not woken: the event is of its last sleep. */
		if (stretch.activity == THREAD_RUNS &&
		    before.activity != THREAD_RUNS && at(h, i)->kind != EVENT_SWITCH)
			continue;
		stretch.to = at(h, i)->time;
		if (stretch.activity == THREAD_SLEEPS)
			stretch.who = before.who;
		if (stretch.to > stretch.from)
			take(&stretch, arg);
		stretch = since;
		stretch.from = at(h, i)->time;
	}
	stretch.to = to;
	if (stretch.to > stretch.from)
		take(&stretch, arg);
}

uint64_t history_ran(const struct history *h, uint32_t thread, uint64_t from)
{
	size_t i = find(h, from);
	struct stretch before, since;

	if (thread_before(h, thread, i, h->n).activity == THREAD_RUNS)
		return from;
	for (; i < h->n; i++)
		if (thread_follow(at(h, i), thread, &before, &since) &&
		    since.activity == THREAD_RUNS)
			return at(h, i)->time;
	return UINT64_MAX;
}

/* Is @thread in the group of @member that has the quota, or below it? */
static bool in_group(const struct history *h, uint32_t thread, uint32_t member)
{
	const char *group = history_quota(h, member);
	const char *path = history_quota(h, thread);
	size_t size = strlen(group);

	if (thread == member)
		return true;
	return size && !strncmp(path, group, size) && (!path[size] || path[size] == '/');
}

/*
 * Did members of the group run on the CPU from the stop to @when? The kernel may find some
 * quota at the last moment, and then nothing was used up. But on Linux 7.2 each of them
 * runs until it would return to user mode, and only then is stopped.
 */
static bool goes_on(const struct history *h, const struct stop *stop, uint64_t when)
{
	size_t i = find(h, stop->time), end = find(h, when + 1);
	uint64_t since = stop->time, ran = 0;
	uint32_t runs = stop->pid;

	for (; i < end; i++) {
		if (at(h, i)->kind != EVENT_SWITCH || at(h, i)->cpu != stop->cpu)
			continue;
		if (runs && in_group(h, runs, stop->member))
			ran += at(h, i)->time - since;
		runs = at(h, i)->thread;
		since = at(h, i)->time;
	}
	if (runs && in_group(h, runs, stop->member))
		ran += when - since;
	return ran > IN_KERNEL;
}

bool history_stopped(const struct history *h, uint32_t thread, uint32_t cpu,
		     uint64_t when, uint64_t *until, uint32_t *member)
{
	const struct stop *stop;
	unsigned int i;

	for (i = 1; i <= STOPS && i <= h->n_stops; i++) {
		stop = &h->stops[(h->n_stops - i) % STOPS];
		if (stop->cpu != cpu || stop->time > when || stop->until <= when ||
		    !in_group(h, thread, stop->member) || goes_on(h, stop, when))
			continue;
		*until = stop->until;
		*member = stop->member;
		return true;
	}
	return false;
}

bool history_stolen(const struct history *h, uint32_t cpu, uint64_t from, uint64_t to)
{
	uint64_t stolen = 0;
	size_t i;

	/* They are told of at the end of a tenth of a second or less. */
	for (i = find(h, from); i < h->n && at(h, i)->time < to + 200000000; i++)
		if (at(h, i)->kind == EVENT_STOLEN && at(h, i)->cpu == cpu)
			stolen += at(h, i)->ns;
	return stolen >= (to - from) / 2 && stolen;
}
