// SPDX-License-Identifier: MIT
/*
 * A histogram whose buckets grow with what is in them: values below 2048 have
 * one each, and every power of two above has 1024.
 */
#include "bench.h"

/* How far a value is shifted until it is less than twice HISTOGRAM_SUB */
static unsigned int shift_of(uint64_t value)
{
	unsigned int bits = 64 - __builtin_clzll(value | 1);

	return bits > HISTOGRAM_BITS + 1 ? bits - HISTOGRAM_BITS - 1 : 0;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	uint64_t shift = shift_of(value);

	histogram->buckets[shift * HISTOGRAM_SUB + (value >> shift)]++;
	histogram->count++;
	if (histogram->max < value)
		histogram->max = value;
}

/* The least value that a bucket may hold */
static uint64_t least_of(unsigned int bucket)
{
	unsigned int shift = bucket / HISTOGRAM_SUB;

	shift -= shift > 0;
	return (uint64_t)(bucket - shift * HISTOGRAM_SUB) << shift;
}

uint64_t histogram_at(const struct histogram *histogram, double percent)
{
	uint64_t below = histogram->count * percent / 100, seen = 0;
	unsigned int i;

	if (below >= histogram->count)
		return histogram->max;
	for (i = 0; seen + histogram->buckets[i] <= below; i++)
		seen += histogram->buckets[i];
	return least_of(i);
}
