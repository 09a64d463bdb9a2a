// SPDX-License-Identifier: MIT
/* Percentiles of lateness, and its histogram */
#include <stdio.h>
#include "late.h"

void late_add(uint64_t *late, uint64_t ns)
{
	unsigned int n = 0;

	while (n < LATE - 1 && ns >= late_bound(n))
		n++;
	late[n]++;
}

uint64_t late_total(const uint64_t *late)
{
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < LATE; i++)
		total += late[i];
	return total;
}

uint64_t late_bound(unsigned int n)
{
	return n < LATE - 1 ? 2ull << n : UINT64_MAX;
}

uint64_t late_below(const uint64_t *late, double percent)
{
	double wanted = late_total(late) * percent / 100, seen = 0;
	uint64_t bound = 0;
	unsigned int i;

	for (i = 0; i < LATE && (seen < wanted || !seen); i++) {
		seen += late[i];
		if (late[i])
			bound = late_bound(i);
	}
	return bound;
}

bool late_range(const uint64_t *late, unsigned int *first, unsigned int *last)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < LATE; i++) {
		if (!late[i])
			continue;
		if (!any)
			*first = i;
		*last = i;
		any = true;
	}
	return any;
}

const char *short_time(uint64_t ns, char text[static 8])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = ns;
	unsigned int unit = 0;

	if (!ns)
		return "-";
	while (value >= 1000 && unit < 3) {
		value /= 1000;
		unit++;
	}
	if (value >= 1000)
		return "long";
	snprintf(text, 8, "%.*f%s", unit && value < 10, value, units[unit]);
	return text;
}

void late_line(const uint64_t *late, unsigned int n, unsigned int width, char *text,
	       size_t size)
{
	uint64_t most = 1;
	unsigned int i, bar;
	char bound[8];
	int length;

	for (i = 0; i < LATE; i++)
		if (late[i] > most)
			most = late[i];
	length = snprintf(text, size, "< %6s %10llu ", short_time(late_bound(n), bound),
			  (unsigned long long)late[n]);
	/* What there is at all can be seen. */
	bar = (double)late[n] / most * width;
	if (!bar && late[n])
		bar = 1;
	for (i = 0; i < bar && length < (int)size - 1; i++)
		text[length++] = '#';
	text[length] = 0;
}
