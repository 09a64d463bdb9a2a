/* SPDX-License-Identifier: MIT */
/*
 * Why an expiry was observed late: its time, from the deadline to the observation, in
 * parts each of which has a cause. Up to the expiry that is what kept the CPU's
 * interrupt away, then what kept the thread.
 */
#ifndef DEADLINE_CAUSE_H
#define DEADLINE_CAUSE_H

#include "expiries.h"

enum cause {
	CAUSE_SLACK,		/* the slot has slack */
	CAUSE_THROTTLED,	/* the queue paused */
	CAUSE_PASSED,		/* the deadline had passed when it was armed */
	CAUSE_BURST,		/* others of the queue expired first */
	CAUSE_DEFERRED,		/* an interrupt came and put the queue off */
	CAUSE_IRQS_OFF,		/* in a thread's kernel code */
	CAUSE_STOPPED,		/* the CPU did nothing though it was in user mode */
	CAUSE_STOLEN,		/* a hypervisor says that it had the CPU */
	CAUSE_IDLE,		/* the CPU came out of idle */
	CAUSE_INTERRUPT,	/* the CPU was in another interrupt */
	CAUSE_SOFT,		/* in a soft one */
	CAUSE_QUOTA,		/* the thread could run but for its cgroup's quota */
	CAUSE_OTHERS,		/* and another thread ran */
	CAUSE_BLOCKED,		/* the thread slept */
	CAUSE_WAKING,		/* it was being woken by the expiry */
	CAUSE_ITSELF,		/* it ran and had not looked */
	CAUSE_UNKNOWN,
	CAUSES,
};

/**
 * struct part - some of the time
 * @who: a thread; of IDLE the CPU's state; of QUOTA who used it up
 * @cpu: where; UINT32_MAX if it is of no CPU
 * @word: the name of an interrupt or of a group, see history_word()
 * @state: of BLOCKED, the thread's
 */
struct part {
	uint64_t from;
	uint64_t to;
	enum cause cause;
	uint32_t who;
	uint32_t cpu;
	uint16_t word;
	char state;
};

#define PARTS	1000

/**
 * struct parts - all of it
 * @n: the first ones in order; if there are more than PARTS, the last stands for the
 *	rest, and its cause is UNKNOWN
 */
struct parts {
	size_t n;
	struct part part[PARTS];
};

/* Of an expiry that was observed */
void cause_find(const struct history *history, const struct expiry *expiry,
		struct parts *parts);

/* A word or two: "throttled", "irqs-off" */
const char *cause_name(enum cause cause);
/* A clause: "interrupts were off on CPU 0, in sh (88), until foo" */
void cause_text(const struct history *history, const struct expiry *expiry,
		const struct part *part, char *text, size_t size);

#endif
