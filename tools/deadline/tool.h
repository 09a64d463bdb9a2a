/* SPDX-License-Identifier: MIT */
/*
 * The frame of the program deadline: its commands, and what they share: options,
 * errors, exit statuses.
 *
 * A command is a file with a struct command, which is named in main.c. Results go to
 * stdout, all else to stderr, as "deadline: ..." with the value that is at fault.
 */
#ifndef DEADLINE_TOOL_H
#define DEADLINE_TOOL_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_SECOND	1000000000ull
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

/* Exit statuses; deadline(1) tells them */
enum status {
	STATUS_OK,
	STATUS_NOTHING,		/* found nothing, or what was asked for is not so */
	STATUS_USAGE,
	STATUS_UNAVAILABLE,	/* no module, no permission, no tracefs */
};

/**
 * struct command - one word of the program
 * @name: the word
 * @summary: a line of the program's --help
 * @help: its own --help: usage, options, an example; at most a screen
 * @run: gets the words from its name on, for which "deadline" stands; returns a status
 */
struct command {
	const char *name;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct command list_command, top_command, metrics_command, bench_command;
extern const struct command trace_command, why_command;

/**
 * struct common - the options that commands have in common
 * @pid: of this process only; 0 = of all
 * @user: of this user only, if @by_user
 * @by_user: see there
 * @json: print JSON
 * @proc: where procfs is mounted
 */
struct common {
	pid_t pid;
	uid_t user;
	bool by_user;
	bool json;
	const char *proc;
};

/* For getopt_long(), before the command's own, whose val are not these letters */
#define COMMON_SHORT	"hp:u:"
#define COMMON_HELP	{ "help", no_argument, NULL, 'h' }
#define COMMON_PID	{ "pid", required_argument, NULL, 'p' }
#define COMMON_USER	{ "user", required_argument, NULL, 'u' }
#define COMMON_JSON	{ "json", no_argument, NULL, OPTION_JSON }
#define COMMON_PROC	{ "proc", required_argument, NULL, OPTION_PROC }

/* Of options without a letter; a command's own begin at OPTION_OWN. */
enum {
	OPTION_JSON = 256,
	OPTION_PROC,
	OPTION_OWN,
};

void common_init(struct common *common);
/*
 * What getopt_long() returned and is none of the command's own: takes a common
 * option, prints @command's help and exits for --help, and exits with STATUS_USAGE
 * for any other.
 */
void common_option(const struct command *command, struct common *common,
		   int option);
/* Exits with STATUS_USAGE if there are words behind the options. */
void no_words(int argc, char **argv);

/* All of @text as a number from @least to @most, or exit with STATUS_USAGE */
uint64_t number_option(const char *option, const char *text, uint64_t least,
		       uint64_t most);
/* All of @text as ns: a number with ns, us, ms or s behind it */
uint64_t time_option(const char *option, const char *text);

/* A user, by name or number */
uid_t user_option(const char *text);

/* Called before anything is told, as to leave a screen; or NULL */
extern void (*complain_first)(void);
/* On stderr, after "deadline: " */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and exit with STATUS_USAGE */
void usage_error(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

#endif
