// SPDX-License-Identifier: GPL-2.0
/*
 * To whom signals go (fcntl(2): F_SETOWN_EX): a thread, a process, a group; one
 * that is gone, one that the caller may not signal, one that changes under load.
 */
#include "signals.h"

#define OTHERS 3

struct spinner {
	pthread_t thread;
	pid_t id;
	bool stop;
};

/* Compute, and never enter the kernel */
static void *spin(void *arg)
{
	struct spinner *s = arg;

	__atomic_store_n(&s->id, thread_id(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		cpu_relax();
	return NULL;
}

static pid_t start_spinner(struct spinner *s)
{
	if (pthread_create(&s->thread, NULL, spin, s))
		return -1;
	WAIT_FOR(__atomic_load_n(&s->id, __ATOMIC_ACQUIRE));
	return s->id;
}

static void stop_spinner(struct spinner *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_join(s->thread, NULL);
}

/* The one thread that was named, in the midst of its computation */
TEST_F(signal, to_running_thread)
{
	struct spinner spinners[OTHERS] = {};
	unsigned int i, n = 0;
	uint64_t when;

	for (i = 0; i < OTHERS; i++)
		ASSERT_LT(0, start_spinner(&spinners[i]));
	for (i = 0; i < 10 * OTHERS; i++) {
		struct spinner *s = &spinners[i % OTHERS];

		ASSERT_EQ(0, set_owner(&self->q, F_OWNER_TID, s->id));
		when = clock_ns() + MS;
		ASSERT_EQ(0, slot_arm(&self->q, i, when));
		WAIT_FOR(caught_ours() > n);
		EXPECT_LE(when, clock_ns());
		EXPECT_TRUE(slot_over(&self->q, i));
		EXPECT_EQ(++n, caught_ours());
		EXPECT_EQ(s->id, caught.thread);
		EXPECT_EQ(self->q.fd, caught.fd);
		EXPECT_EQ(POLLIN | POLLRDNORM, caught.band);
		EXPECT_EQ(POLL_IN, caught.code);
	}
	for (i = 0; i < OTHERS; i++)
		stop_spinner(&spinners[i]);
	EXPECT_EQ(n, caught_ours());
	EXPECT_EQ(0, caught_sigio());
}

TEST_F(signal, to_process)
{
	struct spinner spinner = {};

	ASSERT_LT(0, start_spinner(&spinner));
	block(OURS);
	ASSERT_EQ(0, set_owner(&self->q, F_OWNER_PID, getpid()));
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + MS));
	/* Whichever of its threads will have it */
	WAIT_FOR(caught_ours() == 1);
	EXPECT_EQ(spinner.id, caught.thread);
	EXPECT_EQ(self->q.fd, caught.fd);
	stop_spinner(&spinner);
}

/* A child that has OURS blocked: it exits when it has it, 0 if it is right. */
static pid_t start_waiter(int fd, pid_t group)
{
	siginfo_t info = {};
	sigset_t set;
	pid_t pid = fork();

	if (pid) {
		setpgid(pid, group ?: pid);
		return pid;
	}
	sigemptyset(&set);
	sigaddset(&set, OURS);
	_exit(sigwaitinfo(&set, &info) != OURS || info.si_fd != fd);
}

TEST_F(signal, to_group)
{
	pid_t pids[OTHERS];
	int status, i, round;

	block(OURS);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < OTHERS; i++) {
			pids[i] = start_waiter(self->q.fd, i ? pids[0] : 0);
			ASSERT_LT(0, pids[i]);
		}
		ASSERT_EQ(0, set_owner(&self->q, F_OWNER_PGRP, pids[0]));
		/* From a doorbell, from an interrupt */
		if (round % 2) {
			ASSERT_EQ(0, slot_expire(&self->q, round));
		} else {
			ASSERT_EQ(0, slot_arm(&self->q, round,
					      clock_ns() + MS));
		}
		for (i = 0; i < OTHERS; i++) {
			ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
			EXPECT_TRUE(exited(status, 0));
		}
	}
	EXPECT_FALSE(accept_signal(OURS));
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* The owner is no more, as a thread, process or group. */
TEST_F(signal, owner_gone)
{
	struct spinner spinner = {};
	struct deadline_expiry expiry;
	int status, i;
	pid_t pid;

	ASSERT_LT(0, start_spinner(&spinner));
	ASSERT_EQ(0, set_owner(&self->q, F_OWNER_TID, spinner.id));
	stop_spinner(&spinner);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, slot_expire(&self->q, i));
		ASSERT_EQ(0, slot_arm(&self->q, 10 + i, clock_ns() + MS));
		ASSERT_EQ(2, ring_collect(&self->q, 2));
		if (i == 2)
			break;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(setpgid(0, 0));
		setpgid(pid, pid);
		/* A dead one that is not reaped can still be named. */
		EXPECT_EQ(0, set_owner(&self->q, i ? F_OWNER_PGRP : F_OWNER_PID,
				       pid));
		ASSERT_EQ(0, slot_expire(&self->q, 20 + i));
		ASSERT_EQ(1, ring_drain(&self->q));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	}
	EXPECT_EQ(0, read_one(&self->q, &expiry));
	EXPECT_EQ(0, caught_ours());
	EXPECT_EQ(0, caught_sigio());
	EXPECT_TRUE(exited(in_child(do_nothing, NULL), 0));
	ASSERT_EQ(0, set_owner(&self->q, F_OWNER_TID, thread_id()));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_ours());
}

/* What to send and to whom is checked by the core, before we see it. */
TEST_F(signal, refused)
{
	static const int signals[] = { -1, 65, 66, 1000, INT32_MIN, INT32_MAX };
	struct f_owner_ex owner = { .type = 3, .pid = getpid() };
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		EXPECT_EQ(-1, fcntl(self->q.fd, F_SETSIG, signals[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, fcntl(self->q.fd, F_SETOWN_EX, &owner));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(ESRCH, set_owner(&self->q, F_OWNER_TID, INT32_MAX));
	/* What was set still is. */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_ours());
}

struct owning {
	const struct queue *q;
	pid_t owner;
	uid_t uid;
};

/* As that user, make that process the owner. */
static int own_as(void *arg)
{
	struct owning *o = arg;

	return setresuid(o->uid, o->uid, o->uid) ||
	       set_owner(o->q, F_OWNER_PID, o->owner);
}

/* As user 1000: exits with how many came before one from sigqueue(3). */
static int count_as_user(void *arg)
{
	siginfo_t info = {};
	sigset_t set;
	int n = 0;

	sigemptyset(&set);
	sigaddset(&set, OURS);
	if (setresuid(1000, 1000, 1000))
		return -1;
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
	while (sigwaitinfo(&set, &info) == OURS && info.si_code != SI_QUEUE)
		n++;
	return n;
}

/* As with kill(2), whoever named the owner must be allowed to signal it. */
TEST_F(signal, permission)
{
	struct owning owning = { .q = &self->q };
	bool *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	ASSERT_NE(MAP_FAILED, ready);
	block(OURS);
	owning.owner = fork();
	ASSERT_LE(0, owning.owner);
	if (!owning.owner)
		_exit(count_as_user(ready));
	WAIT_FOR(__atomic_load_n(ready, __ATOMIC_ACQUIRE));

	owning.uid = 2000;
	EXPECT_TRUE(exited(in_child(own_as, &owning), 0));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	owning.uid = 1000;
	EXPECT_TRUE(exited(in_child(own_as, &owning), 0));
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	ASSERT_EQ(0, set_owner(&self->q, F_OWNER_PID, owning.owner));
	ASSERT_EQ(0, slot_expire(&self->q, 2));

	ASSERT_EQ(0, sigqueue(owning.owner, OURS, (union sigval){ 0 }));
	ASSERT_EQ(owning.owner, waitpid(owning.owner, &status, 0));
	EXPECT_TRUE(exited(status, 2));
	EXPECT_EQ(3, ring_drain(&self->q));
}

struct switcher {
	const struct queue *q;
	pid_t id;
	bool stop;
};

static void *switch_all(void *arg)
{
	struct switcher *s = arg;
	unsigned int i = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		set_async(s->q, i++ % 2);
		set_owner(s->q, i % 3, i % 3 == F_OWNER_TID ? s->id : getpid());
		fcntl(s->q->fd, F_SETSIG, i % 5 ? OURS : 0);
	}
	return NULL;
}

/* Owner, signal and O_ASYNC change under expiries: no deadline is lost. */
TEST_F(signal, changed_under_load)
{
	struct switcher s = { .q = &self->q, .id = thread_id() };
	unsigned long i, n = rounds(1000);
	unsigned int before;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, switch_all, &s));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + 10 * US));
		WAIT_FOR(slot_over(&self->q, 0));
		WAIT_FOR(ring_drain(&self->q));
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, set_owner(&self->q, F_OWNER_TID, thread_id()));
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETSIG, OURS));
	ASSERT_EQ(0, set_async(&self->q, true));
	before = caught_ours();
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	WAIT_FOR(caught_ours() > before);
}

TEST_HARNESS_MAIN
