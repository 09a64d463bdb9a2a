/* SPDX-License-Identifier: MIT */
/*
 * What each record of a trace says: one of an event that is known here becomes an event of
 * events.h, or two, as where a thread has got another name.
 */
#ifndef DEADLINE_RECORDS_H
#define DEADLINE_RECORDS_H

#if HAVE_TRACEFS
#include <sys/types.h>
#include <tracefs.h>
#include "events.h"

#define FIELDS	8

struct records;
struct handler;

/* @take fills in the rest of an event; false: it is none of ours */
struct source {
	const char *system;
	const char *name;
	bool (*take)(struct records *r, const struct handler *handler,
		     struct tep_record *record, struct event *event);
	const char *fields[FIELDS];
};

/* Events that a kernel may have; the last has no name */
extern const struct source record_sources[];
/* And by interrupts that have no handler of a driver's, up to NULL: each has _entry and _exit */
extern const struct source record_vector;
extern const char *const record_vectors[];
/* Of events that somebody has to define: of the kernel's code, and the library's probes */
extern const struct source record_stop, record_go, record_stack, record_probes[];

/* NULL, and stderr was told, if there is no memory. The events are those that @tep knows. */
struct records *records_open(struct tep_handle *tep);
void records_close(struct records *r);

/* Records of the event are for @source from now on, if there is the event. */
void records_know(struct records *r, const struct source *source, const char *system,
		  const char *name);

/* For tracefs_iterate_raw_events(), with the struct records as @arg */
int records_take(struct tep_event *tep_event, struct tep_record *record, int cpu, void *arg);

/* Give what happened before @until to @take, in the order of time. */
void records_give(struct records *r, uint64_t until, void (*take)(const struct event *, void *),
		  void *arg);

/* A process of whose queue was told for the first time; 0: no more of them */
pid_t records_new_owner(struct records *r);
#endif

#endif
