// SPDX-License-Identifier: MIT
/*
 * deadline: which queues of /dev/deadline there are, how late they are, and why. Here
 * is the table of its commands.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "tool.h"

static const struct command *const commands[] = {
	&list_command,
	&top_command,
	&metrics_command,
	&bench_command,
	&trace_command,
	&why_command,
};

static void help(void)
{
	size_t i;

	printf("Usage: deadline COMMAND [OPTION...]\n\n"
	       "Look at the queues of /dev/deadline: which there are, how late they are.\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nOptions that most commands have:\n"
	       "  -p, --pid PID      only queues that this process has open\n"
	       "  -u, --user USER    only queues of this user, a name or a number\n"
	       "      --json         print JSON\n"
	       "      --proc DIR     where procfs is mounted (/proc)\n"
	       "  -h, --help         what a command does, and its own options\n\n"
	       "Without root one sees the queues of one's own processes.\n"
	       "Exit status: 0; 1 nothing was found; 2 usage; 3 not available: the module is\n"
	       "not loaded, permission, no tracefs, a file cannot be read or written\n\n"
	       "Example: deadline list -u www-data\n");
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2)
		usage_error("which command?");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		help();
		return STATUS_OK;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i]->name))
			break;
	if (i == ARRAY_SIZE(commands))
		usage_error("no command '%s'", argv[1]);
	/* getopt_long() begins what it complains of with this. */
	argv[1] = "deadline";
	return commands[i]->run(argc - 1, argv + 1);
}
