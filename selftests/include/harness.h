/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all selftests share: the kernel's harness, the clock, and waiting for a
 * condition. No test sleeps, and none bounds how late a thing may come other
 * than by its timeout: an emulated guest is fifty times slower than a machine.
 */
#ifndef SELFTESTS_HARNESS_H
#define SELFTESTS_HARNESS_H

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include "kselftest_harness.h"

/* The harness has __test_passed() since it has XFAIL_ADD(), in Linux 6.9. */
#ifndef XFAIL_ADD
#define __test_passed(metadata) ((metadata)->passed)
#endif

/* Seconds: a limit for tests that hang, not for a machine that is slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 900

#define US ((uint64_t)1000)
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

/* In a loop that spins: an emulator may run one CPU of its guest at a time. */
static inline void cpu_relax(void)
{
#ifdef __has_builtin
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
#endif
}

/* Let others run. */
static inline void relax(void)
{
	cpu_relax();
	sched_yield();
}

/* Until another thread, process or the kernel makes it true; or the timeout. */
#define WAIT_FOR(condition) do {	\
	while (!(condition))		\
		relax();		\
} while (0)

static inline uint64_t ns_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static inline uint64_t clock_ns(void)
{
	return ns_of(CLOCK_MONOTONIC);
}

/* How many rounds: @n, or as many per cent of it as the variable says. */
static inline unsigned long rounds(unsigned long n)
{
	const char *percent = getenv("DEADLINE_TEST_PERCENT");

	if (percent)
		n = n * strtoul(percent, NULL, 10) / 100;
	return n ? n : 1;
}

/* xorshift64: a number that differs from call to call; @state is not 0 */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Run on @cpu only, or anywhere if there is no such CPU. */
static inline void pin_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static inline pid_t thread_id(void)
{
	return syscall(SYS_gettid);
}

/* Is the thread or process @id asleep? */
static inline bool is_asleep(pid_t id)
{
	char path[64], stat[256] = "", *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, stat, sizeof(stat) - 1) < 0)
		stat[0] = 0;
	close(fd);
	state = strrchr(stat, ')');
	return state && state[1] && state[2] == 'S';
}

/* Run @fn(@arg) in a child; returns its wait status, -1 if there is none. */
static inline int in_child(int (*fn)(void *arg), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

/* Did the child exit with @code? */
static inline bool exited(int status, int code)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

#endif
