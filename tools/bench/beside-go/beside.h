/* SPDX-License-Identifier: MIT */
/* What the measures beside Go share. */
#ifndef BESIDE_H
#define BESIDE_H

#include "../scenarios/bench.h"

/**
 * struct row - what was measured of one of them
 * @p50: ns late
 * @p99: the same
 * @max: the same
 * @cost: ns for each, if asked for
 */
struct row {
	double p50, p99, max, cost;
};

/* Sorts @late, ns. */
struct row row_of(uint64_t *late, unsigned int n, double cost);

/*
 * Runs the Go program @name of build/bin, which prints @n rows of four numbers.
 * Returns whether it is there: it is not where no Go was when this was built.
 */
bool go_rows(const char *name, struct row *rows, unsigned int n);

/* At most five characters, with two or three digits that matter */
const char *scaled(char text[16], double ns);

/* Measures; each returns how many checks failed. */
int scenes(void);
int timers(void);

#endif
