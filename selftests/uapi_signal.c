// SPDX-License-Identifier: GPL-2.0
/*
 * Signals, by the standard way (fcntl(2): O_ASYNC, F_SETOWN_EX, F_SETSIG): to
 * whom they go, what they say, that only slots with DEADLINE_SLOT_SIGNAL send
 * them, one for an interrupt or doorbell, and that none is a danger.
 *
 * A doorbell sends before it returns. So where the owner is the caller, or has
 * the signal blocked, the tests count exactly.
 */
#include <poll.h>
#include <sys/resource.h>
#include "queue.h"

#define OURS (SIGRTMIN + 3)
#define OTHERS 3

static struct {
	unsigned int n;
	unsigned int sigio;
	pid_t thread;
	int fd;
	long band;
	int code;
} caught;

static void on_ours(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	caught.thread = thread_id();
	caught.fd = info->si_fd;
	caught.band = info->si_band;
	caught.code = info->si_code;
	__atomic_add_fetch(&caught.n, 1, __ATOMIC_RELEASE);
}

static void on_sigio(int signo)
{
	(void)signo;
	__atomic_add_fetch(&caught.sigio, 1, __ATOMIC_RELEASE);
}

static unsigned int caught_ours(void)
{
	return __atomic_load_n(&caught.n, __ATOMIC_ACQUIRE);
}

static unsigned int caught_sigio(void)
{
	return __atomic_load_n(&caught.sigio, __ATOMIC_ACQUIRE);
}

static int set_owner(const struct queue *q, int type, pid_t id)
{
	struct f_owner_ex owner = { .type = type, .pid = id };

	return fcntl(q->fd, F_SETOWN_EX, &owner) ? errno : 0;
}

static int set_async(const struct queue *q, bool on)
{
	return fcntl(q->fd, F_SETFL, O_NONBLOCK | (on ? O_ASYNC : 0)) ? errno :
	       0;
}

static void block(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Is the signal pending? Then it is no more. */
static bool accept_signal(int signo)
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

TEST_F(signal, from_doorbell)
{
	uint32_t list[16], i;

	ASSERT_EQ(0, slot_expire(&self->q, 100));
	EXPECT_EQ(1, caught_ours());
	EXPECT_EQ(self->q.fd, caught.fd);
	/* However many it expires, it signals once. */
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, 16);
	}
	ASSERT_EQ(16, ring_list(&self->q, list, ARRAY_SIZE(list)));
	EXPECT_EQ(2, caught_ours());
}

TEST_F(signal, not_asked_for)
{
	struct deadline_expiry expiry;
	uint64_t when = clock_ns() + MS;

	ASSERT_EQ(0, slot_expire(&self->q, 512));
	ASSERT_EQ(0, slot_arm(&self->q, 513, when));
	/* The wake-up is over when the next interrupt comes. */
	WAIT_FOR(slot_over(&self->q, 513));
	ASSERT_EQ(2, ring_collect(&self->q, 2));
	ASSERT_EQ(0, slot_arm(&self->q, 514, clock_ns() + MS));
	WAIT_FOR(read_one(&self->q, &expiry) == 1);
	EXPECT_EQ(514, expiry.slot);
	EXPECT_EQ(0, caught_ours());
	/* Another flag is not that one. */
	self->q.slots[515].flags = DEADLINE_SLOT_PERIODIC;
	self->q.slots[515].period = 1000 * SECOND;
	slot_arm_silent(&self->q, 515, 16);
	ASSERT_EQ(1, ring_one(&self->q, 515));
	EXPECT_EQ(1, ring_drain(&self->q));
	EXPECT_EQ(0, caught_ours());
	/* Armed again without the flag */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_ours());
	self->q.slots[0].flags = 0;
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_ours());
	EXPECT_EQ(0, caught_sigio());
}

/* Without O_ASYNC none is sent, and none is kept for when it comes. */
TEST_F(signal, switched_off)
{
	ASSERT_EQ(0, set_async(&self->q, false));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	/* One whose hint still stands in the ring, too */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	ASSERT_EQ(0, set_async(&self->q, true));
	EXPECT_EQ(0, caught_ours());
	ASSERT_EQ(0, slot_expire(&self->q, 512));
	EXPECT_EQ(0, caught_ours());
	ASSERT_EQ(0, slot_expire(&self->q, 1));
	EXPECT_EQ(1, caught_ours());
}

/* A program that goes by signals need not consume the ring. */
TEST_F(signal, ring_not_consumed)
{
	unsigned int i;

	for (i = 1; i <= 5; i++) {
		ASSERT_EQ(0, slot_expire(&self->q, 0));
		EXPECT_EQ(i, caught_ours());
	}
	for (; i <= 10; i++) {
		ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + MS));
		WAIT_FOR(caught_ours() == i);
	}
	EXPECT_EQ(1, ring_drain(&self->q));
}

/* Many deadlines of one instant: a signal for each interrupt, not for each */
TEST_F(signal, coalesced)
{
	uint64_t when = clock_ns() + SECOND;
	uint32_t list[512], i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = i;
		slot_arm_silent(&self->q, i, when);
	}
	ASSERT_EQ(512, ring_list(&self->q, list, ARRAY_SIZE(list)));
	ASSERT_GT(when, clock_ns());
	ASSERT_EQ(512, ring_collect(&self->q, 512));
	EXPECT_EQ(512, expired(&self->q, 512));
	WAIT_FOR(caught_ours());
	EXPECT_GE(status_of(&self->q.status->interrupts), caught_ours());
	/* It takes 16 at least, unless it is the last. */
	EXPECT_GE(512 / 16 + 1, status_of(&self->q.status->interrupts));
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

TEST_F(signal, sigio_by_default)
{
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETSIG, 0));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(1, caught_sigio());
	ASSERT_EQ(0, slot_arm(&self->q, 1, clock_ns() + MS));
	WAIT_FOR(caught_sigio() == 2);
	EXPECT_EQ(0, caught_ours());
}

/* Signals are lost beyond the limit, deadlines are not; SIGIO says so. */
TEST_F(signal, pending_limit)
{
	struct rlimit limit = { 0, 64 };
	uint32_t i;

	ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &limit));
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	ASSERT_EQ(0, slot_arm(&self->q, 1, clock_ns() + MS));
	WAIT_FOR(caught_sigio() == 2);
	EXPECT_EQ(0, caught_ours());

	block(OURS);
	block(SIGIO);
	limit.rlim_cur = 1;
	ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &limit));
	for (i = 2; i < 100; i++)
		ASSERT_EQ(0, slot_expire(&self->q, i));
	EXPECT_TRUE(accept_signal(OURS));
	EXPECT_TRUE(accept_signal(SIGIO));
	EXPECT_FALSE(accept_signal(OURS));
	EXPECT_FALSE(accept_signal(SIGIO));
	EXPECT_EQ(100, ring_drain(&self->q));
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

/* The last mapping is gone while deadlines are close: no signal comes after. */
TEST_F(signal, close_armed)
{
	unsigned long round, n = rounds(300);
	uint64_t seed = 5, when = 0;
	unsigned int count;
	struct queue q;
	uint32_t i;

	for (round = 0; round < n; round++) {
		ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC | O_NONBLOCK));
		ASSERT_EQ(0, set_owner(&q, F_OWNER_TID, thread_id()));
		ASSERT_EQ(0, fcntl(q.fd, F_SETSIG, OURS));
		ASSERT_EQ(0, set_async(&q, true));
		for (i = 0; i < 4; i++) {
			q.slots[i].flags = DEADLINE_SLOT_SIGNAL;
			when = clock_ns() + next_random(&seed) % (200 * US);
			ASSERT_EQ(0, slot_arm(&q, i, when));
		}
		queue_close(&q);
		count = caught_ours();
		WAIT_FOR(clock_ns() > when + 200 * US);
		ASSERT_EQ(count, caught_ours());
	}
}

/* The descriptor is gone, the mapping is not: the queue goes on. */
TEST_F(signal, mapping_only)
{
	struct queue q;

	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, set_owner(&q, F_OWNER_TID, thread_id()));
	ASSERT_EQ(0, fcntl(q.fd, F_SETSIG, OURS));
	ASSERT_EQ(0, set_async(&q, true));
	q.slots[0].flags = DEADLINE_SLOT_SIGNAL;
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + 20 * MS));
	close(q.fd);
	WAIT_FOR(caught_ours() == 1);
	EXPECT_TRUE(slot_over(&q, 0));
	queue_unmap(&q);
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

/* No bit of the flags but the one: refused by the doorbell, else nothing */
TEST_F(signal, garbage_flags)
{
	struct deadline_slot *slots = self->q.slots;
	uint32_t bit;

	for (bit = 2; bit < 32; bit++) {
		slot_arm_silent(&self->q, 0, 16);
		slots[0].flags = DEADLINE_SLOT_SIGNAL | 1u << bit;
		EXPECT_EQ(-1, ring_one(&self->q, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_FALSE(slot_over(&self->q, 0));

		slots[512 + bit].flags = 0;
		ASSERT_EQ(0, slot_arm(&self->q, 512 + bit,
				      clock_ns() + 50 * MS));
		slots[512 + bit].flags = 1u << bit;
	}
	EXPECT_EQ(30, ring_collect(&self->q, 30));
	EXPECT_EQ(0, caught_ours());
	slots[0].flags = DEADLINE_SLOT_SIGNAL;
	ASSERT_EQ(1, ring_one(&self->q, 0));
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
