/* SPDX-License-Identifier: MIT */
/*
 * The queues that there are, as /proc shows them: each descriptor of /dev/deadline has
 * lines in its fdinfo (uapi/deadline.4). Nothing that is read there is trusted.
 */
#ifndef DEADLINE_QUEUES_H
#define DEADLINE_QUEUES_H

#include "late.h"
#include "tool.h"

/**
 * struct holder - a process that has a queue open
 * @pid: as @proc has it
 * @name: its name, of which each byte is printable and no space
 */
struct holder {
	pid_t pid;
	char name[16];
};

/**
 * struct queue - one reading of a queue; the names are those of fdinfo
 * @queue: its number
 * @pid: of the process that opened it, 0 = not to be seen from here
 * @user: to whose limits it counts
 * @slots: 0 before SETUP; then what follows is 0 too
 * @late: expiries in interrupts, by lateness
 * @holders: who has it open, by pid; at least one
 * @n_holders: how many
 */
struct queue {
	uint64_t queue, pid, user, clock, slots, planned, pending;
	uint64_t interrupts, expired, moved, dropped, contended, full, doorbells;
	uint64_t longest, throttled, clock_sets, handed_in, refused;
	uint64_t late[LATE];
	struct holder *holders;
	unsigned int n_holders;
};

/**
 * struct queues - one reading of all
 * @all: by number
 * @n: how many
 * @holders: of all, those of each queue in a row
 * @time: when, CLOCK_MONOTONIC
 * @hidden: there are processes that one may not look at
 */
struct queues {
	struct queue *all;
	size_t n;
	struct holder *holders;
	uint64_t time;
	bool hidden;
};

/*
 * Read those that @common names. A status, with what is wrong told: STATUS_UNAVAILABLE
 * without the module, or if process @common.pid may not be looked at;
 * STATUS_NOTHING if there is no such process.
 */
int queues_read(struct queues *queues, const struct common *common);
void queues_free(struct queues *queues);
/* STATUS_OK, or STATUS_NOTHING with why that may be told */
int queues_found(const struct queues *queues);
/* The same queue in another reading, or NULL */
const struct queue *queues_find(const struct queues *queues,
				const struct queue *queue);

/* The lines of one fdinfo, of which @text is changed: is it a queue's? */
bool fdinfo_parse(char *text, struct queue *queue);

/* "monotonic" */
const char *clock_name(uint64_t clock);
/* His name, else his number; until the next call */
const char *user_name(uint64_t user);

#endif
