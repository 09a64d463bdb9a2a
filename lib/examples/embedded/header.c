// SPDX-License-Identifier: MIT
/* What header.h reads and writes, from a header to a context and back */
#include "header.h"
#include "tell.h"

struct example {
	const char *value;
	uint64_t ns;
};

static bool reads(bool (*read)(const char *value, uint64_t *ret_ns),
		  const struct example *examples)
{
	uint64_t ns = 42;

	for (; examples->value; examples++)
		if (!read(examples->value, &ns) || ns != examples->ns)
			return false;
	return true;
}

static bool refuses(bool (*read)(const char *value, uint64_t *ret_ns),
		    const char *const *values)
{
	uint64_t ns = 42;

	for (; *values; values++)
		if (read(*values, &ns) || ns != 42)
			return false;
	return true;
}

int main(void)
{
	static const struct example grpc[] = {
		{ "100m", 100 * MS }, { "0n", 0 }, { "1M", 60 * SECOND },
		{ "99999999H", DEADLINE_NEVER }, { NULL, 0 },
	};
	static const struct example http[] = {
		{ "wait=10", 10 * SECOND }, { "Wait=0", 0 },
		{ "wait=99999999", 99999999 * SECOND },
		{ "respond-async, wait=1; a=b", SECOND }, { NULL, 0 },
	};
	static const char *const no_grpc[] = {
		"", "5", "m", "123456789m", "1ms", "-1m", NULL,
	};
	static const char *const no_http[] = {
		"", "wait", "wait=", "wait=1s", "wait=-1", "wait=123456789",
		"await=1", NULL,
	};
	deadline_context *patient, *gone;
	char left[16];

	must(!deadline_with_timeout(deadline_background(), 0, &patient, 3000 * SECOND) &&
	     !deadline_with_timeout(patient, 0, &gone, 0), "contexts");
	tell(reads(header_read, grpc) && refuses(header_read, no_grpc),
	     "what is a header of gRPC and what is none");
	tell(reads(header_read_wait, http) && refuses(header_read_wait, no_http),
	     "what is a header of HTTP and what is none");
	header_write(patient, left);
	tell(!strncmp(left, "29", 2) && !strcmp(left + 7, "m"),
	     "what remains goes into the smallest unit that it fits");
	header_write_wait(patient, left);
	tell(!strncmp(left, "wait=29", 7) && strlen(left) == 9,
	     "or into whole seconds");
	header_write(gone, left);
	tell(!strcmp(left, "0n"), "of what is over nothing remains");
	header_write_wait(gone, left);
	tell(!strcmp(left, "wait=0"), "in seconds, too");
	header_write(deadline_background(), left);
	tell(!left[0], "no deadline, no header");
	header_write_wait(deadline_background(), left);
	tell(!left[0], "of neither kind");
	deadline_release(gone);
	deadline_release(patient);
	return tell_end();
}
