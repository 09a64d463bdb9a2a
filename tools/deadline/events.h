/* SPDX-License-Identifier: MIT */
/*
 * What was seen to happen, one event after another in the order of time, and the text
 * in which events are kept in a file: so what explains lateness needs no kernel.
 *
 * A file begins with "# deadline-trace 1", and the rest of that line says nothing, nor
 * do other lines that begin with # and empty ones. Each other line is an event:
 *
 *	TIME CPU PID KIND KEY=VALUE...
 *
 * TIME is CLOCK_MONOTONIC in ns and never goes back; PID is the thread that had the
 * CPU, 0 the idle one. What follows the kind is, in this order:
 *
 *	expire		queue slot deadline late slack data owner user irq; deadline as the
 *			slot has it, late and slack in ns; the process owner opened the
 *			queue, to the limits of user; irq=0: in a system call
 *	stack		text: where the interrupt of the CPU's last expire came in,
 *			functions from the innermost on; "user" = no kernel code
 *	throttle	queue: it pauses, its user's interrupts had their share
 *	turn		queue ns: it goes on after a pause of so many ns
 *	wake		queue: those who sleep for it are woken next
 *	reaped		deadline data: a consumer took this expiry
 *	noticed		deadline data: a call said that this context is over
 *	switch		thread state: to this one; state of PID: R can run, S sleeps ...
 *	waking		thread: PID, or an interrupt of it, wakes that one
 *	runnable	thread on: that one waits for CPU on
 *	irq, irq-end	text: an interrupt's handler begins, or ends
 *	soft, soft-end	text: the same of a soft interrupt
 *	idle, idle-end	state: the CPU goes to sleep in that state, or came from it
 *	stop, go	group thread: the CPU quota of a group is used up on this CPU, as
 *			this member of it wants to run; or there is some again
 *	fork		thread: PID has made that one
 *	name		thread text: its name from now on
 *	quota		thread text: the nearest cgroup of its that has a CPU quota
 *	stolen		ns: so long a hypervisor kept this CPU from us since the last one
 *	lost		ns: so many events of this CPU are lost before this one
 *
 * text= is the last key of its line and takes the rest of it.
 */
#ifndef DEADLINE_EVENTS_H
#define DEADLINE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define EVENT_HEADER	"# deadline-trace 1"
#define EVENT_CPUS	8192		/* CPUs have smaller numbers, */
#define EVENT_PIDS	(4 << 20)	/* and so have threads: PID_MAX_LIMIT */
#define EVENT_TEXT	128		/* with the zero */

enum event_kind {
	EVENT_EXPIRE,
	EVENT_STACK,
	EVENT_THROTTLE,
	EVENT_TURN,
	EVENT_WAKE,
	EVENT_REAPED,
	EVENT_NOTICED,
	EVENT_SWITCH,
	EVENT_WAKING,
	EVENT_RUNNABLE,
	EVENT_IRQ,
	EVENT_IRQ_END,
	EVENT_SOFT,
	EVENT_SOFT_END,
	EVENT_IDLE,
	EVENT_IDLE_END,
	EVENT_STOP,
	EVENT_GO,
	EVENT_FORK,
	EVENT_NAME,
	EVENT_QUOTA,
	EVENT_STOLEN,
	EVENT_LOST,
	EVENT_KINDS,
};

/**
 * struct event - what happened
 * @kind: which of the members below mean something
 * @state: a letter of switch; of idle a number
 */
struct event {
	uint64_t time;
	uint32_t cpu;
	uint32_t pid;
	enum event_kind kind;
	uint32_t queue;
	uint32_t slot;
	uint32_t thread;
	uint32_t owner;
	uint32_t user;
	uint32_t on;
	uint32_t irq;
	uint32_t state;
	uint64_t deadline;
	uint64_t late;
	uint64_t slack;
	uint64_t data;
	uint64_t group;
	uint64_t ns;
	char text[EVENT_TEXT];
};

/* Bytes that are not printable ASCII become '?', what does not fit is cut off. */
void event_set_text(struct event *event, const char *text);

/* A line with its end */
void event_print(const struct event *event, FILE *to);

/* Of a line without its end: NULL, or what is wrong with it */
const char *event_parse(struct event *event, const char *line);

/*
 * Read all of a file: each event goes to @take, in order. Returns false if it cannot be
 * read or is not as above, which is told on stderr.
 */
bool events_read(const char *path, void (*take)(const struct event *event, void *arg),
		 void *arg);

#endif
