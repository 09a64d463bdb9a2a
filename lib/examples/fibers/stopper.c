// SPDX-License-Identifier: MIT
/*
 * Stops one thread of another process, as a debugger does: a SIGSTOP would stop all of
 * them. The thread has no say in when, and is off its CPU, whatever it holds.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "beside.h"

/* Shared with @process, which counts @stops of @thread. */
struct stopper {
	pid_t process;
	pid_t thread;
	unsigned long stops;
};

static void nap(uint64_t ns)
{
	const struct timespec time = { .tv_nsec = ns };

	nanosleep(&time, NULL);
}

/* A signal that was on its way when it stopped goes on. False if it has ended */
static bool stop_once(pid_t thread, uint64_t ns)
{
	int status;

	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) ||
	    waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status))
		return false;
	nap(ns);
	return !ptrace(PTRACE_DETACH, thread, NULL,
		       status >> 16 ? 0 : WSTOPSIG(status));
}

static void stop_often(struct stopper *stopper, uint64_t ns)
{
	pid_t thread;

	for (;;) {
		nap(ns / 2);
		thread = __atomic_load_n(&stopper->thread, __ATOMIC_RELAXED);
		if (thread && stop_once(thread, ns))
			stopper->stops++;
	}
}

struct stopper *stopper_start(uint64_t stop)
{
	struct stopper *stopper = mmap(NULL, sizeof(*stopper),
				       PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t process;

	if (stopper == MAP_FAILED)
		abort();
	process = fork();
	if (!process)
		stop_often(stopper, stop);
	if (process < 0)
		abort();
	stopper->process = process;
	/* Some systems let nobody trace who is not asked to. */
	prctl(PR_SET_PTRACER, process);
	return stopper;
}

void stopper_take(struct stopper *stopper)
{
	__atomic_store_n(&stopper->thread, syscall(SYS_gettid),
			 __ATOMIC_RELAXED);
}

unsigned long stopper_end(struct stopper *stopper)
{
	unsigned long stops;

	kill(stopper->process, SIGKILL);
	waitpid(stopper->process, NULL, 0);
	stops = stopper->stops;
	munmap(stopper, sizeof(*stopper));
	return stops;
}
