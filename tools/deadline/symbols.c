// SPDX-License-Identifier: MIT
/* The names of the kernel's functions: see symbols.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "symbols.h"

/* A longer name is cut: it is shown in a column of a table. */
struct symbol {
	unsigned long address;
	char name[56];
};

struct symbols {
	struct symbol *all;
	size_t n;
};

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* False if there is no memory */
static int add(struct symbols *symbols, size_t *room, unsigned long address,
	       const char *name)
{
	struct symbol *all;

	if (symbols->n == *room) {
		*room = *room ? 2 * *room : 65536;
		all = realloc(symbols->all, *room * sizeof(*all));
		if (!all)
			return 0;
		symbols->all = all;
	}
	symbols->all[symbols->n].address = address;
	snprintf(symbols->all[symbols->n++].name, sizeof(all->name), "%.55s",
		 name);
	return 1;
}

struct symbols *symbols_read(void)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	FILE *from = fopen("/proc/kallsyms", "re");
	unsigned long address;
	char line[512], name[256], type;
	size_t room = 0;

	while (symbols && from && fgets(line, sizeof(line), from)) {
		if (sscanf(line, "%lx %c %255s", &address, &type, name) == 3 && address &&
		    strchr("tTwW", type) && !add(symbols, &room, address, name))
			break;
	}
	if (from)
		fclose(from);
	if (symbols && symbols->n)
		qsort(symbols->all, symbols->n, sizeof(*symbols->all), by_address);
	return symbols;
}

void symbols_free(struct symbols *symbols)
{
	if (symbols)
		free(symbols->all);
	free(symbols);
}

const char *symbols_name(const struct symbols *symbols, unsigned long address)
{
	size_t low = 0, high = symbols ? symbols->n : 0, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (symbols->all[mid].address <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? symbols->all[low - 1].name : "?";
}
