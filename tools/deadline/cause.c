// SPDX-License-Identifier: MIT
/* Why an expiry was observed late: see cause.h. */
#include <string.h>
#include "cause.h"

#define NO_CPU	UINT32_MAX

/* What the stretches of a CPU or a thread are made into parts with */
struct search {
	const struct history *history;
	const struct expiry *expiry;
	struct parts *parts;
	uint32_t cpu;
	bool came;		/* an interrupt of the timer has ended */
};

static bool same(const struct part *a, const struct part *b)
{
	return a->cause == b->cause && a->who == b->who && a->cpu == b->cpu &&
	       a->word == b->word && a->state == b->state && a->to == b->from;
}

static void add(struct search *s, struct part part)
{
	struct parts *parts = s->parts;
	struct part *last = parts->n ? &parts->part[parts->n - 1] : NULL;

	if (part.from >= part.to)
		return;
	if (last && same(last, &part)) {
		last->to = part.to;
	} else if (parts->n < PARTS) {
		parts->part[parts->n++] = part;
	} else {
		last->cause = CAUSE_UNKNOWN;
		last->to = part.to;
	}
}

/* The part of @part before @time goes to the parts, the rest is left. */
static void add_before(struct search *s, struct part *part, uint64_t time)
{
	struct part before = *part;

	if (before.to > time)
		before.to = time;
	add(s, before);
	if (part->from < time)
		part->from = time;
}

/* The timer's own interrupt, by the names that the kernels have for it */
static bool is_timer(const char *word)
{
	return strstr(word, "timer");
}

/* No interrupt while a CPU does this: why? */
static enum cause kept_away(const struct search *s, const struct stretch *stretch)
{
	if (s->came)
		return CAUSE_DEFERRED;
	switch (stretch->activity) {
	case CPU_INTERRUPT:
		return CAUSE_INTERRUPT;
	case CPU_IDLES:
		return CAUSE_IDLE;
	case CPU_RUNS:
	case CPU_SOFT:
		/* In user mode they are on. */
		return strcmp(s->expiry->stack, "user") ? CAUSE_IRQS_OFF : CAUSE_STOPPED;
	default:
		return CAUSE_UNKNOWN;
	}
}

/* Of the CPU whose interrupt comes late */
static void take_late(const struct stretch *stretch, void *arg)
{
	struct search *s = arg;
	struct part part = {
		.from = stretch->from,
		.to = stretch->to,
		.cause = kept_away(s, stretch),
		.who = stretch->who,
		.cpu = s->cpu,
		.word = stretch->word,
	};

	if ((part.cause == CAUSE_IRQS_OFF || part.cause == CAUSE_STOPPED ||
	     part.cause == CAUSE_IDLE) &&
	    history_stolen(s->history, s->cpu, part.from, part.to))
		part.cause = CAUSE_STOLEN;
	if (part.cause == CAUSE_DEFERRED) {
		part.who = 0;
		part.word = 0;
	}
	add(s, part);
	if (stretch->activity == CPU_INTERRUPT &&
	    is_timer(history_word(s->history, stretch->word)))
		s->came = true;
}

/* Of the CPU on which the thread waits, or runs if @cpu_of_thread */
static void take_cpu(const struct stretch *stretch, void *arg)
{
	static const enum cause causes[] = {
		[CPU_RUNS] = CAUSE_OTHERS,
		[CPU_IDLES] = CAUSE_IDLE,
		[CPU_INTERRUPT] = CAUSE_INTERRUPT,
		[CPU_SOFT] = CAUSE_SOFT,
		[CPU_UNKNOWN] = CAUSE_UNKNOWN,
	};
	struct search *s = arg;
	struct part part = {
		.from = stretch->from,
		.to = stretch->to,
		.cause = causes[stretch->activity],
		.who = stretch->who,
		.cpu = s->cpu,
		.word = stretch->word,
	};

	if (part.cause == CAUSE_OTHERS && part.who == s->expiry->thread)
		part.cause = CAUSE_ITSELF;
	add(s, part);
}

/* It could run on that CPU: while its group may not, that is why it does not. */
static void take_waiting(const struct stretch *stretch, void *arg)
{
	struct search *s = arg;
	struct stretch rest = *stretch;
	struct part part = {
		.from = stretch->from,
		.to = stretch->to,
		.cause = CAUSE_QUOTA,
		.cpu = s->cpu,
	};
	uint64_t until;

	if (history_stopped(s->history, s->expiry->thread, s->cpu, part.from, &until,
			    &part.who)) {
		add_before(s, &part, until);
		rest.from = part.from;
	}
	if (rest.from < rest.to)
		take_cpu(&rest, s);
}

static void take_thread(const struct stretch *stretch, void *arg)
{
	struct search *s = arg;
	struct part part = {
		.from = stretch->from,
		.to = stretch->to,
		.cause = CAUSE_UNKNOWN,
		.cpu = NO_CPU,
	};

	switch (stretch->activity) {
	case THREAD_RUNS:
		s->cpu = stretch->who;
		history_cpu(s->history, s->cpu, stretch->from, stretch->to, take_cpu, s);
		return;
	case THREAD_CAN_RUN:
		s->cpu = stretch->who;
		history_cpu(s->history, s->cpu, stretch->from, stretch->to, take_waiting, s);
		return;
	case THREAD_SLEEPS:
		part.cause = CAUSE_BLOCKED;
		part.who = stretch->who;
		part.state = stretch->state;
		if (s->expiry->woken && stretch->from == s->expiry->at) {
			part.cause = CAUSE_WAKING;
			part.who = s->expiry->thread;
			part.state = 0;
		}
		break;
	default:
		break;
	}
	add(s, part);
}

/* From the deadline to the expiry */
static void find_late(struct search *s)
{
	const struct expiry *x = s->expiry;
	struct part late = {
		.from = x->due,
		.to = x->at,
		.cause = CAUSE_SLACK,
		.cpu = NO_CPU,
		.who = x->owner,
	};
	uint64_t until = x->at;

	add_before(s, &late, x->slack < x->at - x->due ? x->due + x->slack : x->at);
	if (!x->irq && !x->throttled) {
		late.cause = CAUSE_PASSED;
		add(s, late);
		return;
	}
	/* Before it paused, or had others to expire, it was late as any is. */
	if (x->throttled && x->throttled < until)
		until = x->throttled;
	else if (!x->throttled && x->burst < until)
		until = x->burst;
	if (until > late.from) {
		s->cpu = x->cpu;
		history_cpu(s->history, x->cpu, late.from, until, take_late, s);
		late.from = until;
	}
	late.cause = x->throttled ? CAUSE_THROTTLED : CAUSE_BURST;
	add(s, late);
}

void cause_find(const struct history *history, const struct expiry *expiry,
		struct parts *parts)
{
	struct search s = { .history = history, .expiry = expiry, .parts = parts };
	struct part lost = {
		.from = expiry->due,
		.to = expiry->seen,
		.cause = CAUSE_UNKNOWN,
		.cpu = NO_CPU,
	};

	parts->n = 0;
	if (history_begins(history) >= expiry->due) {
		add(&s, lost);
		return;
	}
	find_late(&s);
	if (expiry->seen > expiry->at)
		history_thread(history, expiry->thread, expiry->at, expiry->seen,
			       take_thread, &s);
}

const char *cause_name(enum cause cause)
{
	static const char *const names[CAUSES] = {
		[CAUSE_SLACK] = "slack",
		[CAUSE_THROTTLED] = "throttled",
		[CAUSE_PASSED] = "passed",
		[CAUSE_BURST] = "burst",
		[CAUSE_DEFERRED] = "deferred",
		[CAUSE_IRQS_OFF] = "irqs-off",
		[CAUSE_STOPPED] = "stopped",
		[CAUSE_STOLEN] = "stolen",
		[CAUSE_IDLE] = "idle",
		[CAUSE_INTERRUPT] = "interrupt",
		[CAUSE_SOFT] = "soft-interrupt",
		[CAUSE_QUOTA] = "quota",
		[CAUSE_OTHERS] = "others",
		[CAUSE_BLOCKED] = "blocked",
		[CAUSE_WAKING] = "waking",
		[CAUSE_ITSELF] = "itself",
		[CAUSE_UNKNOWN] = "unknown",
	};

	return names[cause];
}

/* "hog (123)", "123" */
static const char *thread_text(const struct history *history, uint32_t thread,
			       char text[static 40])
{
	const char *name = history_name(history, thread);

	if (*name)
		snprintf(text, 40, "%s (%u)", name, thread);
	else
		snprintf(text, 40, "%u", thread);
	return text;
}

void cause_text(const struct history *history, const struct expiry *x,
		const struct part *part, char *text, size_t size)
{
	const char *word = history_word(history, part->word);
	const char *stack = x && *x->stack && strcmp(x->stack, "user") ? x->stack : "";
	char who[40];

	thread_text(history, part->who, who);
	switch (part->cause) {
	case CAUSE_SLACK:
		snprintf(text, size, "the slot has that slack");
		return;
	case CAUSE_THROTTLED:
		snprintf(text, size,
			 "the queue of %s was throttled: its user's interrupts had their share",
			 who);
		return;
	case CAUSE_PASSED:
		snprintf(text, size, "the deadline had passed when %s armed it", who);
		return;
	case CAUSE_BURST:
		snprintf(text, size, "others of the queue of %s expired first", who);
		return;
	case CAUSE_DEFERRED:
		snprintf(text, size,
			 "CPU %u took the interrupt, but not yet for this queue", part->cpu);
		return;
	case CAUSE_IRQS_OFF:
		snprintf(text, size, "interrupts were off on CPU %u, in %s%s%s", part->cpu,
			 *word ? word : who, *stack ? ", until " : "", stack);
		return;
	case CAUSE_STOPPED:
		snprintf(text, size,
			 "CPU %u stood still in %s: a hypervisor or the firmware had it",
			 part->cpu, who);
		return;
	case CAUSE_STOLEN:
		snprintf(text, size, "a hypervisor ran others on CPU %u", part->cpu);
		return;
	case CAUSE_IDLE:
		snprintf(text, size, "CPU %u came out of idle state %u", part->cpu,
			 part->who);
		return;
	case CAUSE_INTERRUPT:
		snprintf(text, size, "CPU %u was in the interrupt %s", part->cpu, word);
		return;
	case CAUSE_SOFT:
		snprintf(text, size, "CPU %u was in the soft interrupt %s", part->cpu, word);
		return;
	case CAUSE_QUOTA:
		word = history_quota(history, part->who);
		snprintf(text, size,
			 "the thread could run, but the CPU quota of cgroup %s was used up when %s ran",
			 *word ? word : "(not known)", who);
		return;
	case CAUSE_OTHERS:
		snprintf(text, size, "the thread could run on CPU %u, but %s ran", part->cpu,
			 who);
		return;
	case CAUSE_BLOCKED:
		if (part->who)
			snprintf(text, size, "the thread slept (%c) until %s woke it",
				 part->state ? part->state : 'S', who);
		else
			snprintf(text, size, "the thread slept (%c) until an interrupt woke it",
				 part->state ? part->state : 'S');
		return;
	case CAUSE_WAKING:
		snprintf(text, size, "%s was being woken", who);
		return;
	case CAUSE_ITSELF:
		snprintf(text, size, "%s ran, and had not looked yet", who);
		return;
	default:
		snprintf(text, size, "not known");
	}
}
