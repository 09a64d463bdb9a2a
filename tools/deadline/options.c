// SPDX-License-Identifier: MIT
/* Options that commands share, and how errors are told. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

void (*complain_first)(void);

static void complain_list(const char *format, va_list args)
{
	if (complain_first)
		complain_first();
	fflush(stdout);
	fputs("deadline: ", stderr);
	vfprintf(stderr, format, args);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_list(format, args);
	va_end(args);
	fputc('\n', stderr);
}

void usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_list(format, args);
	va_end(args);
	fputs("; see deadline --help\n", stderr);
	exit(STATUS_USAGE);
}

/* False unless @text begins with a digit; @end is behind the number. */
static bool digits(const char *text, uint64_t *value, char **end)
{
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return !errno;
}

uint64_t number_option(const char *option, const char *text, uint64_t least,
		       uint64_t most)
{
	uint64_t value;
	char *end;

	if (!digits(text, &value, &end) || *end || value < least ||
	    value > most)
		usage_error("%s '%s': wants a number from %llu to %llu", option,
			    text, (unsigned long long)least,
			    (unsigned long long)most);
	return value;
}

uint64_t time_option(const char *option, const char *text)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "ms", 1000000 },
		{ "s", NS_PER_SECOND },
	};
	uint64_t value;
	unsigned int i;
	char *end;

	if (digits(text, &value, &end))
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (!strcmp(end, units[i].name) &&
			    value <= INT64_MAX / units[i].ns)
				return value * units[i].ns;
	usage_error("%s '%s': wants a number and ns, us, ms or s", option, text);
}

uid_t user_option(const char *text)
{
	const struct passwd *entry = getpwnam(text);
	uint64_t value;
	char *end;

	if (entry)
		return entry->pw_uid;
	if (!digits(text, &value, &end) || *end || value > UINT32_MAX)
		usage_error("--user '%s': there is no such user", text);
	return value;
}

void common_init(struct common *common)
{
	memset(common, 0, sizeof(*common));
	common->proc = "/proc";
}

void common_option(const struct command *command, struct common *common,
		   int option)
{
	switch (option) {
	case 'h':
		fputs(command->help, stdout);
		exit(STATUS_OK);
	case 'p':
		common->pid = number_option("--pid", optarg, 1, INT_MAX);
		return;
	case 'u':
		common->user = user_option(optarg);
		common->by_user = true;
		return;
	case OPTION_JSON:
		common->json = true;
		return;
	case OPTION_PROC:
		common->proc = optarg;
		return;
	}
	/* getopt_long() has told which. */
	exit(STATUS_USAGE);
}

void no_words(int argc, char **argv)
{
	if (optind < argc)
		usage_error("'%s' is too much", argv[optind]);
}
