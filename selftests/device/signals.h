/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of signals share. A doorbell sends before it returns. So where the
 * owner is the caller, or has the signal blocked, the tests count exactly.
 */
#ifndef SELFTESTS_SIGNALS_H
#define SELFTESTS_SIGNALS_H

#include "queue.h"

#define OURS (SIGRTMIN + 3)

static struct {
	unsigned int n;
	unsigned int sigio;
	pid_t thread;
	int fd;
	long band;
	int code;
} caught;

static inline void on_ours(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	caught.thread = thread_id();
	caught.fd = info->si_fd;
	caught.band = info->si_band;
	caught.code = info->si_code;
	__atomic_add_fetch(&caught.n, 1, __ATOMIC_RELEASE);
}

static inline void on_sigio(int signo)
{
	(void)signo;
	__atomic_add_fetch(&caught.sigio, 1, __ATOMIC_RELEASE);
}

static inline unsigned int caught_ours(void)
{
	return __atomic_load_n(&caught.n, __ATOMIC_ACQUIRE);
}

static inline unsigned int caught_sigio(void)
{
	return __atomic_load_n(&caught.sigio, __ATOMIC_ACQUIRE);
}

static inline int set_owner(const struct queue *q, int type, pid_t id)
{
	struct f_owner_ex owner = { .type = type, .pid = id };

	return fcntl(q->fd, F_SETOWN_EX, &owner) ? errno : 0;
}

static inline int set_async(const struct queue *q, bool on)
{
	return fcntl(q->fd, F_SETFL, O_NONBLOCK | (on ? O_ASYNC : 0)) ? errno :
	       0;
}

static inline void block(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Is the signal pending? Then it is no more. */
static inline bool accept_signal(int signo)
{
	struct timespec now = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return sigtimedwait(&set, NULL, &now) == signo;
}

/* Signals OURS to this thread, from slots 0 to 511 */
FIXTURE(signal) {
	struct queue q;
};

FIXTURE_SETUP(signal)
{
	struct sigaction ours = {
		.sa_sigaction = on_ours,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	}, sigio = {
		.sa_handler = on_sigio,
		.sa_flags = SA_RESTART,
	};
	uint32_t i;

	ASSERT_EQ(0, sigaction(OURS, &ours, NULL));
	ASSERT_EQ(0, sigaction(SIGIO, &sigio, NULL));
	ASSERT_EQ(0, queue_open(&self->q, 1024, O_CLOEXEC | O_NONBLOCK));
	for (i = 0; i < 512; i++)
		self->q.slots[i].flags = DEADLINE_SLOT_SIGNAL;
	ASSERT_EQ(0, set_owner(&self->q, F_OWNER_TID, thread_id()));
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETSIG, OURS));
	ASSERT_EQ(0, set_async(&self->q, true));
}

FIXTURE_TEARDOWN(signal)
{
	queue_close(&self->q);
}

#endif
