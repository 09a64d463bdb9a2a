// SPDX-License-Identifier: MIT
/*
 * Descriptors of the library's own. All are known by their number, so that a child of
 * fork(2) closes its copies: its parent's timers would go on for it, and a pipe would
 * have a writer more, whatever becomes of the parent.
 *
 * The program may close them, and then their numbers are other files'. Those are not
 * marked, which tells whoever asks before he sleeps for a descriptor or changes it. And
 * the number is not given to another descriptor of ours before the one that had it was
 * closed by us, too: so a marked file is always the asker's own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/base.h"

/*
 * The signal of such a description, by which it is told from other files. It is never
 * sent, for none of them is O_ASYNC.
 */
#define MARK		SIGCONT

/* A bit for MARK and for each signal that queues have sent, which is their mark then */
static uint64_t marks = 1ull << MARK % 64;

#define BITS		(sizeof(unsigned long) * CHAR_BIT)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Under @mutex: a bit for each descriptor, set if it is ours */
static unsigned long *known;
static size_t words;

/*
 * With @mutex held: 0 or -ENOMEM. A child that is made meanwhile, and not by fork(3),
 * finds the old ones or the new.
 */
static int know(unsigned int fd)
{
	unsigned long *grown, *old = known;
	size_t more = fd / BITS + 1;

	if (more > words) {
		grown = calloc(more, sizeof(*known));
		if (!grown)
			return -ENOMEM;
		if (old)
			memcpy(grown, old, words * sizeof(*known));
		__atomic_store_n(&known, grown, __ATOMIC_RELEASE);
		__atomic_store_n(&words, more, __ATOMIC_RELEASE);
		free(old);
	}
	known[fd / BITS] |= 1ul << fd % BITS;
	return 0;
}

static bool is_known(unsigned int fd)
{
	return fd / BITS < words && known[fd / BITS] >> fd % BITS & 1;
}

/* With @mutex held: give it a number that is known of no other, or close it: -errno. */
static int renumber(int fd)
{
	int old;

	while (fd >= 0 && is_known(fd)) {
		old = fd;
		fd = fcntl(old, F_DUPFD_CLOEXEC, old + 1);
		/* EINVAL: there is no number above it. */
		if (fd < 0)
			fd = errno == EINVAL ? -EMFILE : -errno;
		syscall(SYS_close, old);
	}
	return fd;
}

void own_begin(void)
{
	/* Or what is opened now would be closed when this child begins. */
	fork_check();
	mutex_lock(&mutex);
}

int own_end(int fd)
{
	int ret;

	fd = renumber(fd);
	if (fd >= 0) {
		ret = fcntl(fd, F_SETSIG, MARK) ? -errno : know(fd);
		if (ret) {
			syscall(SYS_close, fd);
			fd = ret;
		}
	}
	mutex_unlock(&mutex);
	return fd;
}

bool is_own(int fd)
{
	/* fcntl(3) does more, and each sleep asks. */
	int mark = syscall(SYS_fcntl, fd, F_GETSIG);

	return mark > 0 &&
	       __atomic_load_n(&marks, __ATOMIC_RELAXED) >> mark % 64 & 1;
}

int own_signals(int fd, int signal)
{
	__atomic_fetch_or(&marks, 1ull << signal % 64, __ATOMIC_RELAXED);
	return fcntl(fd, F_SETSIG, signal);
}

void own_close(int fd)
{
	fork_check();
	mutex_lock(&mutex);
	/* In this order, for a child that is made meanwhile */
	if (is_own(fd))
		syscall(SYS_close, fd);
	known[fd / BITS] &= ~(1ul << fd % BITS);
	mutex_unlock(&mutex);
}

static void lock_known(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock_known(void)
{
	pthread_mutex_unlock(&mutex);
}

static void close_all(void)
{
	size_t i;
	int fd;

	for (i = 0; i < words; i++) {
		while (known[i]) {
			fd = i * BITS + __builtin_ctzl(known[i]);
			known[i] &= known[i] - 1;
			if (is_own(fd))
				syscall(SYS_close, fd);
		}
	}
	self.alarm = 0;
	pthread_mutex_init(&mutex, NULL);
}

static __attribute__((constructor)) void take_part(void)
{
	static const struct fork_part part = {
		.lock = lock_known,
		.unlock = unlock_known,
		.child = close_all,
	};

	fork_take_part(FORK_BASE, &part);
}
