/* SPDX-License-Identifier: MIT */
/* What trace and why have in common: their options, and where their events are from */
#ifndef DEADLINE_SESSION_H
#define DEADLINE_SESSION_H

#include "expiries.h"
#include "tool.h"

/**
 * struct session - what is asked for
 * @wanted: which expiries
 * @late: those observed later than this, ns
 * @json: print JSON
 * @from: read events from this file; NULL = of this machine, now
 * @record: write them to this file, too; NULL = do not
 * @picture: draw a picture into this file; NULL = do not
 * @lasting: so long, ns; UINT64_MAX = until SIGINT
 * @command: run this meanwhile, and end with it; NULL = nothing
 */
struct session {
	struct wanted wanted;
	uint64_t late;
	bool json;
	const char *from;
	const char *record;
	const char *picture;
	uint64_t lasting;
	char **command;
};

#define SESSION_HELP(late)						\
"      --late TIME      only those observed later than this (" late ")\n"	\
"  -p, --pid PID        only of queues that this process and its children open\n" \
"  -u, --user USER      only of queues of this user, a name or a number\n"	\
"      --queue NUMBER   only of this queue, as \"deadline list\" has it\n"	\
"      --data NUMBER    only of slots and contexts with this user data\n"	\
"      --for TIME       end after that time; else with COMMAND or at Ctrl-C\n"	\
"      --from FILE      read what --record wrote, nothing of this machine\n" \
"      --record FILE    also write the events down, for --from\n"	\
"      --json           print JSON\n"

/* @late is what is to be if nothing is said; exits for what is wrong. */
void session_options(struct session *session, const struct command *command, int argc,
		     char **argv, uint64_t late);

/*
 * Have all expiries that are wanted go to @take, which of them are late or not, with
 * the history that says why. Returns a status, and has told what went wrong.
 */
int session_run(const struct session *session,
		void (*take)(const struct expiry *, const struct history *, void *),
		void *arg);

#endif
