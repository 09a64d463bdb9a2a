// SPDX-License-Identifier: MIT
/* Expiries, and when each was observed: see expiries.h. */
#include <stdlib.h>
#include <string.h>
#include "expiries.h"
#include "tool.h"

#define QUEUES		4096		/* lists of them, a power of two */
#define QUEUES_MOST	65536
#define EXPIRIES_MOST	65536
#define SEEN		4096		/* lists of expiries to be found by what they are */

#define MS		1000000ull
/* What is told of a time a bit later, as what was stolen, is there by then. */
#define SETTLE		(250 * MS)
#define HOLD		(1000 * MS)
#define GIVE_UP		(10000 * MS)
#define SWEEP		(50 * MS)
/* Events of one interrupt are no further apart than that. */
#define INTERRUPT	(MS / 10)
/* A turn is no longer, even if a tracer takes a stack at each expiry. */
#define TURN		(5 * MS)
#define EARLY		64

/**
 * struct queue_state - what is known of a queue
 * @throttled: since when it has been served in turns only; 0 = never
 * @paused: it waits for the next
 * @turn: when the last one came
 * @last: its last expiry in an interrupt
 * @burst: the first of those that came with it
 * @consumer: who was woken or took an expiry last; 0 = nobody yet
 * @taken: the library has told of one
 */
struct queue_state {
	struct queue_state *next;
	uint32_t id;
	uint64_t throttled;
	bool paused;
	uint64_t turn;
	uint64_t last;
	uint64_t burst;
	uint32_t consumer;
	bool taken;
};

/* Of a CPU: its last expiry, and the queue whose sleepers it is waking */
struct cpu_state {
	struct expiry *last;
	uint32_t waking;
	bool wakes;
};

/*
 * The kernel traces an expiry after its word says so: another CPU may have told of it
 * by then. @early has what was told last of expiries that were not known yet.
 */
struct expiries {
	struct event early[EARLY];
	size_t n_early;
	struct wanted wanted;
	struct history *history;
	void (*take)(const struct expiry *expiry, void *arg);
	void *arg;
	struct queue_state *queues[QUEUES];
	size_t n_queues;
	struct expiry *first, **last;	/* those not yet given to @take */
	struct expiry *seen[SEEN];
	size_t n;
	uint64_t swept, lost;
	struct cpu_state cpus[EVENT_CPUS];
	uint8_t descends[EVENT_PIDS / 8];
};

static void descend(struct expiries *e, uint32_t pid)
{
	e->descends[pid / 8] |= 1 << pid % 8;
}

static bool descends(const struct expiries *e, uint32_t pid)
{
	return !e->wanted.root || e->descends[pid / 8] >> pid % 8 & 1;
}

struct expiries *expiries_new(const struct wanted *wanted, struct history *history,
			      void (*take)(const struct expiry *, void *), void *arg)
{
	struct expiries *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->wanted = *wanted;
	e->history = history;
	e->take = take;
	e->arg = arg;
	e->last = &e->first;
	descend(e, wanted->root);
	return e;
}

static struct expiry **seen_list(struct expiries *e, uint64_t deadline, uint64_t data)
{
	return &e->seen[(deadline / 16 ^ data / 64 ^ data) % SEEN];
}

static void forget(struct expiries *e, struct expiry *x)
{
	struct expiry **same = seen_list(e, x->deadline, x->data);

	while (*same && *same != x)
		same = &(*same)->same;
	if (*same)
		*same = x->same;
	*x->back = x->next;
	if (x->next)
		x->next->back = x->back;
	else
		e->last = x->back;
	if (e->cpus[x->cpu].last == x)
		e->cpus[x->cpu].last = NULL;
	e->n--;
	free(x);
}

void expiries_free(struct expiries *e)
{
	struct queue_state *q;
	size_t i;

	while (e->first)
		forget(e, e->first);
	for (i = 0; i < QUEUES; i++) {
		while ((q = e->queues[i])) {
			e->queues[i] = q->next;
			free(q);
		}
	}
	free(e);
}

/* NULL if there are too many */
static struct queue_state *queue_of(struct expiries *e, uint32_t id)
{
	struct queue_state **at = &e->queues[id % QUEUES], *q;

	for (q = *at; q; q = q->next)
		if (q->id == id)
			return q;
	if (e->n_queues == QUEUES_MOST)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	e->n_queues++;
	q->id = id;
	q->next = *at;
	*at = q;
	return q;
}

/* Its observation is known, or will not be: hand it out. */
static void finish(struct expiries *e, struct expiry *x)
{
	const struct queue_state *q = queue_of(e, x->queue);

	if (x->how == OBSERVED_NEVER && !(q && q->taken)) {
		x->seen = history_ran(e->history, x->thread, x->at);
		if (x->seen != UINT64_MAX)
			x->how = OBSERVED_RAN;
	}
	e->take(x, e->arg);
	forget(e, x);
}

/* Is it time to hand it out? */
static bool settled(struct expiries *e, const struct expiry *x, uint64_t now)
{
	const struct queue_state *q;
	uint64_t ran;

	if (x->how != OBSERVED_NEVER)
		return now >= x->seen + SETTLE;
	if (now < x->at + HOLD)
		return false;
	if (now >= x->at + GIVE_UP)
		return true;
	q = queue_of(e, x->queue);
	if (q && q->taken)
		return false;
	ran = history_ran(e->history, x->thread, x->at);
	return ran != UINT64_MAX && now >= ran + SETTLE;
}

static void sweep(struct expiries *e, uint64_t now)
{
	struct expiry *x, *next;

	e->swept = now;
	for (x = e->first; x; x = next) {
		next = x->next;
		if (settled(e, x, now))
			finish(e, x);
	}
}

static bool has_turn(const struct queue_state *q, uint64_t now)
{
	return q->turn && now - q->turn < TURN;
}

/* At the end of a turn, or the first time */
static void throttle(struct queue_state *q, const struct event *event)
{
	if (!q)
		return;
	if (!has_turn(q, event->time))
		q->throttled = event->time;
	q->paused = true;
	q->turn = 0;
}

static void turn(struct queue_state *q, const struct event *event)
{
	if (!q)
		return;
	/* The trace may have begun in its pause. */
	if (!q->paused && event->ns < event->time)
		q->throttled = event->time - event->ns;
	q->paused = false;
	q->turn = event->time;
}

/* Since when did this expiry have to wait for a turn? 0 = it did not. */
static uint64_t throttled(const struct queue_state *q, const struct event *event)
{
	/* A doorbell looks at its slots also in a pause. */
	if (event->irq ? has_turn(q, event->time) : q->paused)
		return q->throttled;
	return 0;
}

/* Something of it expires, in an interrupt. */
static void serve(struct queue_state *q, const struct event *event)
{
	if (!q->last || event->time - q->last > INTERRUPT)
		q->burst = event->time;
	q->last = event->time;
}

static void observe(struct expiry *x, struct queue_state *q, const struct event *event)
{
	x->seen = event->time > x->at ? event->time : x->at;
	x->how = event->kind == EVENT_REAPED ? OBSERVED_REAPED : OBSERVED_NOTICED;
	x->woken = x->woken && x->thread == event->pid;
	x->thread = event->pid;
	if (!q)
		return;
	q->consumer = event->pid;
	q->taken = true;
}

static bool is_wanted(const struct expiries *e, const struct event *event)
{
	const struct wanted *wanted = &e->wanted;

	return descends(e, event->owner) &&
	       (!wanted->by_queue || event->queue == wanted->queue) &&
	       (!wanted->by_data || event->data == wanted->data) &&
	       (!wanted->by_user || event->user == wanted->user);
}

static void expire(struct expiries *e, const struct event *event)
{
	struct queue_state *q = queue_of(e, event->queue);
	struct expiry *x, **same;
	struct event *early;

	e->cpus[event->cpu].last = NULL;
	if (q && event->irq)
		serve(q, event);
	if (!is_wanted(e, event))
		return;
	if (e->n == EXPIRIES_MOST)
		finish(e, e->first);
	x = q ? calloc(1, sizeof(*x)) : NULL;
	if (!x) {
		e->lost++;
		return;
	}
	x->at = event->time;
	x->due = event->time - (event->late < event->time ? event->late : event->time);
	x->deadline = event->deadline;
	x->data = event->data;
	x->slack = event->slack;
	x->queue = event->queue;
	x->slot = event->slot;
	x->owner = event->owner;
	x->cpu = event->cpu;
	x->irq = event->irq;
	x->burst = q->burst;
	x->throttled = throttled(q, event);
	x->thread = q->consumer ? q->consumer : event->owner;
	x->back = e->last;
	*e->last = x;
	e->last = &x->next;
	same = seen_list(e, x->deadline, x->data);
	x->same = *same;
	*same = x;
	e->n++;
	e->cpus[x->cpu].last = x;
	for (early = e->early; early < e->early + EARLY; early++) {
		if (early->deadline == x->deadline && early->data == x->data &&
		    early->time && x->at - early->time < INTERRUPT) {
			observe(x, q, early);
			early->time = 0;
			break;
		}
	}
}

/* Somebody is woken in the interrupt that wakes a queue's sleepers: one of those. */
static void waking(struct expiries *e, const struct event *event)
{
	struct cpu_state *cpu = &e->cpus[event->cpu];
	struct queue_state *q = cpu->wakes ? queue_of(e, cpu->waking) : NULL;
	struct expiry *x;

	if (!q)
		return;
	q->consumer = event->thread;
	for (x = e->first; x; x = x->next) {
		if (x->queue != q->id || x->how != OBSERVED_NEVER || x->woken)
			continue;
		x->thread = event->thread;
		x->woken = true;
	}
}

/* The library told of the oldest expiry that was so. */
static void seen(struct expiries *e, const struct event *event)
{
	struct expiry *x = *seen_list(e, event->deadline, event->data), *oldest = NULL;

	for (; x; x = x->same)
		if (x->deadline == event->deadline && x->data == event->data &&
		    x->how == OBSERVED_NEVER)
			oldest = x;
	if (oldest)
		observe(oldest, queue_of(e, oldest->queue), event);
	else
		e->early[e->n_early++ % EARLY] = *event;
}

void expiries_add(struct expiries *e, const struct event *event)
{
	struct cpu_state *cpu = &e->cpus[event->cpu];

	history_add(e->history, event);
	switch (event->kind) {
	case EVENT_EXPIRE:
		expire(e, event);
		break;
	case EVENT_STACK:
		if (cpu->last)
			strcpy(cpu->last->stack, event->text);
		break;
	case EVENT_THROTTLE:
		throttle(queue_of(e, event->queue), event);
		break;
	case EVENT_TURN:
		turn(queue_of(e, event->queue), event);
		break;
	case EVENT_WAKE:
		cpu->wakes = true;
		cpu->waking = event->queue;
		break;
	case EVENT_WAKING:
		waking(e, event);
		break;
	case EVENT_REAPED:
	case EVENT_NOTICED:
		seen(e, event);
		break;
	case EVENT_FORK:
		if (descends(e, event->pid))
			descend(e, event->thread);
		break;
	case EVENT_LOST:
		e->lost += event->ns;
		break;
	case EVENT_SWITCH:
	case EVENT_IRQ_END:
		cpu->wakes = false;
		break;
	default:
		break;
	}
	if (event->time - e->swept >= SWEEP)
		sweep(e, event->time);
}

void expiries_end(struct expiries *e)
{
	struct expiry *x, *next;

	for (x = e->first; x; x = next) {
		next = x->next;
		finish(e, x);
	}
}

uint64_t expiries_lost(const struct expiries *e)
{
	return e->lost;
}
