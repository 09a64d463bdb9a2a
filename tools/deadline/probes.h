/* SPDX-License-Identifier: MIT */
/* Where the probes of libdeadline are in a file, as its notes for systemtap say */
#ifndef DEADLINE_PROBES_H
#define DEADLINE_PROBES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Of each probe of the provider "deadline" in an ELF file of this machine's kind:
 * its name, its place in the file, and its arguments as the note has them, such as
 * "8@%rbx 8@16(%rbp)". Whatever is in the file, nothing beyond it is read.
 */
void probes_find(const void *file, size_t size,
		 void (*take)(const char *name, uint64_t offset, const char *args,
			      void *arg),
		 void *arg);

/*
 * The arguments as tracefs wants them in uprobe_events: " a0=%bx:u64 a1=+16(%bp):u64".
 * Returns 0, or -1 if one of them is of another form.
 */
int probes_fetch(const char *args, char *text, size_t size);

#endif
