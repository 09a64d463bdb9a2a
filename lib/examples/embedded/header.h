/* SPDX-License-Identifier: MIT */
/*
 * A deadline that goes from machine to machine: the header grpc-timeout says how much
 * time is left, as a number of at most eight digits and a unit; HTTP's own, "Prefer:
 * wait=10" (RFC 7240), in whole seconds. Read it into a context's timeout, and write it
 * from what then remains.
 */
#ifndef HEADER_H
#define HEADER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <deadline.h>

enum { HEADER_UNITS = 6 };

static const struct {
	char name;
	uint64_t ns;
} header_units[HEADER_UNITS] = {
	{ 'n', 1 }, { 'u', 1000 }, { 'm', 1000000 }, { 'S', 1000000000 },
	{ 'M', 60 * 1000000000ull }, { 'H', 3600 * 1000000000ull },
};

/* The largest number that fits */
#define HEADER_MOST 99999999u

/* The timeout in ns; 0 is a valid one. False: that is none. */
static inline bool header_read(const char *value, uint64_t *ret_ns)
{
	uint64_t n = 0;
	unsigned int digits = 0, i;

	while (value[digits] >= '0' && value[digits] <= '9' && digits < 8)
		n = n * 10 + (value[digits++] - '0');
	for (i = 0; digits && i < HEADER_UNITS; i++) {
		if (value[digits] != header_units[i].name || value[digits + 1])
			continue;
		/* Eight digits of hours are more years than there are ns for. */
		if (n > INT64_MAX / header_units[i].ns)
			*ret_ns = DEADLINE_NEVER;
		else
			*ret_ns = n * header_units[i].ns;
		return true;
	}
	return false;
}

/*
 * What remains of the context, in the smallest unit that it fits, rounded down: the one
 * that is asked should not take longer than we wait. Empty: no deadline.
 */
static inline void header_write(const deadline_context *context, char value[12])
{
	uint64_t ns = deadline_remaining(context);
	unsigned int i = 0;

	value[0] = 0;
	if (ns == DEADLINE_NEVER)
		return;
	while (i < HEADER_UNITS - 1 && ns / header_units[i].ns > HEADER_MOST)
		i++;
	ns /= header_units[i].ns;
	snprintf(value, 12, "%u%c", (unsigned int)(ns < HEADER_MOST ? ns : HEADER_MOST),
		 header_units[i].name);
}

/* The preference "wait" of a header Prefer, which may have others before and after it */
static inline bool header_read_wait(const char *value, uint64_t *ret_ns)
{
	unsigned int seconds;
	size_t digits;
	char end = ',';

	while (strncasecmp(value, "wait=", 5)) {
		value = strchr(value, ',');
		if (!value)
			return false;
		value += 1 + strspn(value + 1, " \t");
	}
	digits = strspn(value + 5, "0123456789");
	if (!digits || digits > 8 || sscanf(value + 5, "%u%c", &seconds, &end) < 1 ||
	    !strchr(",; \t", end))
		return false;
	*ret_ns = seconds * 1000000000ull;
	return true;
}

/* Rounded down, too, so that less than a second is none. Empty: no deadline. */
static inline void header_write_wait(const deadline_context *context, char value[16])
{
	uint64_t seconds = deadline_remaining(context) / 1000000000;

	value[0] = 0;
	if (seconds <= HEADER_MOST)
		snprintf(value, 16, "wait=%u", (unsigned int)seconds);
}

#endif
