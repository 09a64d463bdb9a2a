// SPDX-License-Identifier: MIT
/* JSON: where commas go, and what is escaped. */
#include <stdbool.h>
#include <stdio.h>
#include "json.h"

/* Does a comma come before the next thing? */
static bool comma;

static void quoted(const char *text)
{
	const unsigned char *at;

	putchar('"');
	for (at = (const unsigned char *)text; *at; at++) {
		if (*at == '"' || *at == '\\')
			printf("\\%c", *at);
		else
			putchar(*at < ' ' || *at > '~' ? '?' : *at);
	}
	putchar('"');
}

static void begin(const char *key)
{
	if (comma)
		putchar(',');
	comma = true;
	if (key) {
		quoted(key);
		putchar(':');
	}
}

void json_open(const char *key, char bracket)
{
	begin(key);
	putchar(bracket);
	comma = false;
}

void json_close(char bracket)
{
	putchar(bracket);
	comma = true;
}

void json_number(const char *key, uint64_t value)
{
	begin(key);
	printf("%llu", (unsigned long long)value);
}

void json_decimal(const char *key, double value)
{
	begin(key);
	printf("%.1f", value);
}

void json_string(const char *key, const char *value)
{
	begin(key);
	quoted(value);
}
