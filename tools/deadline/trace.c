// SPDX-License-Identifier: MIT
/* deadline trace: each expiry, how late it was, and when it was observed */
#include <stdio.h>
#include "json.h"
#include "row.h"
#include "session.h"

struct tracing {
	const struct session *session;
	uint64_t shown;
};

static const char *how_text(enum observed how)
{
	static const char *const names[] = {
		[OBSERVED_NEVER] = "never",
		[OBSERVED_RAN] = "ran",
		[OBSERVED_REAPED] = "reaped",
		[OBSERVED_NOTICED] = "noticed",
	};

	return names[how];
}

static void print(const struct expiry *x, const struct history *history)
{
	char late[8], after[8], owner[32], thread[32];

	snprintf(owner, sizeof(owner), "%s/%u", history_name(history, x->owner), x->owner);
	snprintf(thread, sizeof(thread), "%s/%u", history_name(history, x->thread),
		 x->thread);
	if (x->how == OBSERVED_NEVER)
		snprintf(thread, sizeof(thread), "-");
	printf("%6llu.%09llu %-22s %10u %7u %18llx %7s %7s  %-7s %s\n",
	       (unsigned long long)x->due / 1000000000,
	       (unsigned long long)x->due % 1000000000, owner, x->queue, x->slot,
	       (unsigned long long)x->data, short_time(x->at - x->due, late),
	       x->how == OBSERVED_NEVER ? "-" : short_time(x->seen - x->due, after),
	       how_text(x->how), thread);
}

static void print_json(const struct expiry *x, const struct history *history)
{
	json_open(NULL, '{');
	json_number("due", x->due);
	json_number("deadline", x->deadline);
	json_number("owner", x->owner);
	json_string("owner_name", history_name(history, x->owner));
	json_number("queue", x->queue);
	json_number("slot", x->slot);
	json_number("data", x->data);
	json_number("late", x->at - x->due);
	json_string("observed", how_text(x->how));
	if (x->how != OBSERVED_NEVER) {
		json_number("observed_late", x->seen - x->due);
		json_number("thread", x->thread);
		json_string("thread_name", history_name(history, x->thread));
	}
	json_close('}');
}

static void take(const struct expiry *x, const struct history *history, void *arg)
{
	struct tracing *tracing = arg;

	if (x->how != OBSERVED_NEVER && x->seen - x->due < tracing->session->late)
		return;
	if (tracing->session->json) {
		print_json(x, history);
	} else {
		if (!tracing->shown)
			printf("%16s %-22s %10s %7s %18s %7s %7s  %-7s %s\n", "DEADLINE",
			       "OWNER", "QUEUE", "SLOT", "DATA", "LATE", "SEEN", "HOW",
			       "BY");
		print(x, history);
		fflush(stdout);
	}
	tracing->shown++;
}

static int trace(int argc, char **argv)
{
	struct tracing tracing = { 0 };
	struct session session;
	int status;

	session_options(&session, &trace_command, argc, argv, 0);
	tracing.session = &session;
	if (session.json)
		json_open(NULL, '[');
	status = session_run(&session, take, &tracing);
	if (session.json) {
		json_close(']');
		putchar('\n');
	}
	return status == STATUS_OK && !tracing.shown ? STATUS_NOTHING : status;
}

const struct command trace_command = {
	.name = "trace",
	.summary = "each expiry: how late it was, and when it was observed",
	.help =
"Usage: deadline trace [OPTION...] [-- COMMAND [ARGUMENT...]]\n"
"\n"
"Print each expiry of the queues of COMMAND and its children, or of all: its\n"
"deadline (CLOCK_MONOTONIC), how late its word was, how late it was observed,\n"
"how, and by whom. It is observed when the library delivers it or says that its\n"
"context is over; without the library's probes, when a thread that it woke runs.\n"
"\n"
SESSION_HELP("0ns")
"\n"
"Example: deadline trace --late 1ms -- ./server\n",
	.run = trace,
};
