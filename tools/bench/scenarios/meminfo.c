// SPDX-License-Identifier: MIT
/*
 * What of /proc/meminfo timers can show up in: a queue's own pages are VmallocUsed
 * (slots, ring, nodes), the mappings' tables PageTables, other objects of the kernel
 * Slab, memory of programs AnonPages. MemFree would be simpler, but pages wait in
 * per-CPU lists.
 */
#include <stdio.h>
#include <string.h>
#include "bench.h"

long memory_used(void)
{
	static const char *const names[] = {
		"VmallocUsed", "PageTables", "Slab", "AnonPages",
	};
	FILE *file = fopen("/proc/meminfo", "r");
	char name[64];
	long kb, sum = 0;
	unsigned int i;

	must(file, "/proc/meminfo");
	while (fscanf(file, "%63[^:]: %ld%*[^\n]\n", name, &kb) == 2) {
		for (i = 0; i < sizeof(names) / sizeof(*names); i++)
			sum += strcmp(name, names[i]) ? 0 : kb;
	}
	fclose(file);
	return sum;
}
