/* SPDX-License-Identifier: MIT */
/* What procfs and the cgroups say of processes and CPUs, for live.c and records.c */
#ifndef DEADLINE_SYSTEM_H
#define DEADLINE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

bool system_name(pid_t pid, char name[static 16]);

/*
 * The nearest cgroup (version 2) of a thread that has a CPU quota, as a path from the
 * root of all; empty if there is none, or the thread is gone.
 */
void system_quota(pid_t thread, char *path, size_t size);

/* ns that a hypervisor has kept each of the first CPUs from us; returns how many */
unsigned int system_stolen(uint64_t *ns, unsigned int n);

/* The files in which the library may be: the program, and what is called so */
void system_files(pid_t pid, void (*take)(const char *path, void *arg), void *arg);

#endif
