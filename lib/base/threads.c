// SPDX-License-Identifier: MIT
/* Threads of the library's own: no signal of the program's is for them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/base.h"

/* What the process may run on, before any of its threads was bound to a part of it */
static cpu_set_t given;

static __attribute__((constructor)) void remember_affinity(void)
{
	sched_getaffinity(getpid(), sizeof(given), &given);
}

/*
 * It is not asked for where it is so already, nor under a filter of system calls, which
 * may kill the process for it.  Not every kernel has filters.
 */
void take_affinity(void)
{
	cpu_set_t here;

	if (CPU_COUNT(&given) &&
	    !sched_getaffinity(0, sizeof(here), &here) &&
	    !CPU_EQUAL(&given, &here) && prctl(PR_GET_SECCOMP) <= 0)
		sched_setaffinity(0, sizeof(given), &given);
}

int start_thread(pthread_t *thread, const pthread_attr_t *attr,
		 void *(*fn)(void *arg), void *arg)
{
	int ret, saved = errno;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	/* It returns its error, and may have one of clone(2) in errno besides. */
	ret = pthread_create(thread, attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return -ret;
}

bool thread_runs(pid_t thread)
{
	char path[48], stat[128], *state;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
	own_begin();
	fd = own_end(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return false;
	n = syscall(SYS_read, fd, stat, sizeof(stat) - 1);
	own_close(fd);
	stat[n > 0 ? n : 0] = '\0';
	/* The name before it may have any character, also this one. */
	state = strrchr(stat, ')');
	return state && !strncmp(state, ") R", 3);
}
