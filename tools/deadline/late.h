/* SPDX-License-Identifier: MIT */
/*
 * Lateness, as the kernel counts it: in [n] what is at least 2^n ns and less than
 * 2^(n+1), in [0] also what is 0.
 */
#ifndef DEADLINE_LATE_H
#define DEADLINE_LATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many as deadline_status.late has */
#define LATE	64

/* Count @ns. */
void late_add(uint64_t *late, uint64_t ns);
/* How many are counted */
uint64_t late_total(const uint64_t *late);
/* What @percent of them are below, in ns; 0 if there are none */
uint64_t late_below(const uint64_t *late, double percent);
/* The upper end of late[@n], exclusive, in ns */
uint64_t late_bound(unsigned int n);
/* Which of @late are not 0: from *@first to *@last; false if none is */
bool late_range(const uint64_t *late, unsigned int *first, unsigned int *last);
/* A line of the histogram, with a bar of at most @width */
void late_line(const uint64_t *late, unsigned int n, unsigned int width, char *text,
	       size_t size);

/* A time, in at most six letters: "512ns", "4.1us", "-" for 0 */
const char *short_time(uint64_t ns, char text[static 8]);

#endif
