/* SPDX-License-Identifier: MIT */
/*
 * What the CPUs and threads did lately: the newest HISTORY_ROOM events that tell it,
 * and questions about a time between two instants of it.
 *
 * State is not kept beside the events: what a CPU or a thread did at the beginning of
 * a time is told by its next event or, without one in that time, by the one before.
 */
#ifndef DEADLINE_HISTORY_H
#define DEADLINE_HISTORY_H

#include "events.h"

#define HISTORY_ROOM	524288

struct history;

struct history *history_new(void);
void history_free(struct history *history);

/* Events that tell nothing of CPUs and threads are passed over, but for names. */
void history_add(struct history *history, const struct event *event);

/* All that happened since then is there; 0 = all that there ever was */
uint64_t history_begins(const struct history *history);

/* What a thread is called, "" if nobody said so */
const char *history_name(const struct history *history, uint32_t thread);
/* The nearest cgroup of a thread that has a CPU quota; "" if there is none */
const char *history_quota(const struct history *history, uint32_t thread);
/* What an interrupt or a group is called; valid as long as the history */
const char *history_word(const struct history *history, uint16_t word);

enum activity {
	CPU_RUNS,		/* @who, a thread */
	CPU_IDLES,		/* in the state @who */
	CPU_INTERRUPT,		/* @word */
	CPU_SOFT,		/* a soft interrupt, @word */
	CPU_UNKNOWN,
	THREAD_RUNS,		/* on CPU @who */
	THREAD_CAN_RUN,		/* on CPU @who */
	THREAD_SLEEPS,		/* in state @state until @who woke it, 0 = not yet */
	THREAD_UNKNOWN,
};

/* What went on from @from to @to, which is later */
struct stretch {
	uint64_t from;
	uint64_t to;
	enum activity activity;
	uint32_t who;
	uint16_t word;
	char state;
};

/* The stretches of that time, without a gap, in order */
void history_cpu(const struct history *history, uint32_t cpu, uint64_t from,
		 uint64_t to, void (*take)(const struct stretch *, void *), void *arg);
void history_thread(const struct history *history, uint32_t thread, uint64_t from,
		    uint64_t to, void (*take)(const struct stretch *, void *), void *arg);

/* When the thread first ran, from @from on; UINT64_MAX if it has not since */
uint64_t history_ran(const struct history *history, uint32_t thread, uint64_t from);

/*
 * Had the CPU quota of a group that @thread is in been used up on @cpu at @when? Then
 * *@until is when there was some again, UINT64_MAX if that is not known, and *@member
 * wanted to run when it was used up.
 */
bool history_stopped(const struct history *history, uint32_t thread, uint32_t cpu,
		     uint64_t when, uint64_t *until, uint32_t *member);

/* Was most of that time stolen from the CPU by a hypervisor? */
bool history_stolen(const struct history *history, uint32_t cpu, uint64_t from,
		    uint64_t to);

#endif
