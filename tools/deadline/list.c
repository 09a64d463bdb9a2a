// SPDX-License-Identifier: MIT
/* deadline list: the queues that there are, as a table or as JSON */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "json.h"
#include "queues.h"
#include "row.h"

static int list(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_HELP, COMMON_PID, COMMON_USER, COMMON_JSON, COMMON_PROC,
		{ "interval", required_argument, NULL, 'i' },
		{ }
	};
	uint64_t interval = NS_PER_SECOND / 5;
	struct queues before, now;
	struct common common;
	int c, status;

	common_init(&common);
	while ((c = getopt_long(argc, argv, COMMON_SHORT "i:", options, NULL)) != -1) {
		if (c == 'i')
			interval = time_option("--interval", optarg);
		else
			common_option(&list_command, &common, c);
	}
	no_words(argc, argv);
	status = queues_read(&before, &common);
	if (status)
		return status;
	nanosleep(&(struct timespec){ .tv_sec = interval / NS_PER_SECOND,
		  .tv_nsec = interval % NS_PER_SECOND }, NULL);
	status = queues_read(&now, &common);
	if (!status) {
		if (common.json)
			rows_json(&now, &before);
		else if (now.n)
			rows_print(&now, &before);
		status = queues_found(&now);
	}
	queues_free(&now);
	queues_free(&before);
	return status;
}

const struct command list_command = {
	.name = "list",
	.summary = "the queues that there are, with rates and lateness",
	.help =
"Usage: deadline list [OPTION...]\n"
"\n"
"List the queues of /dev/deadline, one a line, with all processes that have it.\n"
"\n"
"  -i, --interval TIME   between the two readings that rates are of (200ms)\n"
"  -p, --pid PID         only queues that this process has open\n"
"  -u, --user USER       only queues of this user\n"
"      --json            print JSON\n"
"      --proc DIR        where procfs is mounted (/proc)\n"
"\n"
"Columns: the queue's number; to whose limits it counts; its clock; slots; those\n"
"that wait for a look; entries of the ring not consumed; expiries and doorbells a\n"
"second; pauses for the CPU share, in all; lateness of expiries in interrupts, a\n"
"bound that half, 99 in 100 and all are below; processes.\n"
"\n"
"Example: deadline list --json -u www-data | jq '.queues[].late_ns.p99'\n",
	.run = list,
};
