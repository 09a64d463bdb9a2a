/* SPDX-License-Identifier: MIT */
/* The names of the kernel's functions, as /proc/kallsyms has them now */
#ifndef DEADLINE_SYMBOLS_H
#define DEADLINE_SYMBOLS_H

struct symbols;

/* NULL if they cannot be read: then all names are "?" */
struct symbols *symbols_read(void);
void symbols_free(struct symbols *symbols);

/* The function in which the address is; valid as long as @symbols */
const char *symbols_name(const struct symbols *symbols, unsigned long address);

#endif
