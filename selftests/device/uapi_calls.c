// SPDX-License-Identifier: GPL-2.0
/*
 * Calls in any order with any arguments: each succeeds or fails with an error
 * that it may have, and whatever they did, a new queue then works, on time.
 *
 * The sequence follows from DEADLINE_TEST_SEED (1), which each run prints.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include "module.h"
#include "pass_fd.h"
#include "queue.h"

#define CALLS 30000ul
#define FILES 8
#define MAPS 8
#define SLOTS 128u

struct map {
	void *at;
	size_t size;
};

struct state {
	uint64_t seed;
	int fds[FILES];		/* of the device; -1 = closed */
	struct map maps[MAPS];
	struct deadline_setup setup;	/* what all of them are asked for */
	int eventfd;
	int epoll;
	int pair[2];
};

static uint32_t pick(struct state *s, uint32_t n)
{
	return (next_random(&s->seed) >> 16) % n;
}

static int some_fd(struct state *s)
{
	return s->fds[pick(s, FILES)];
}

static struct map *some_map(struct state *s)
{
	return &s->maps[pick(s, MAPS)];
}

/* Good for @size bytes, read-only, nowhere, the kernel's, or too close to an end */
static void *some_pointer(struct state *s, void *good)
{
	struct map *map = some_map(s);

	switch (pick(s, 8)) {
	case 0:
		return NULL;
	case 1:
		return (void *)~0ul;
	case 2:
		return (void *)0xffffffff80000000ul;
	case 3:
		return map->at + map->size;
	case 4:
		return map->at;
	default:
		return good;
	}
}

static int call_open(struct state *s)
{
	uint32_t i = pick(s, FILES);
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY };

	if (s->fds[i] >= 0)
		close(s->fds[i]);
	s->fds[i] = open(DEVICE, modes[pick(s, 8) % 3] | O_NONBLOCK);
	return s->fds[i];
}

static int call_close(struct state *s)
{
	uint32_t i = pick(s, FILES);
	int fd = s->fds[i];

	s->fds[i] = -1;
	return close(fd);
}

static int call_dup(struct state *s)
{
	uint32_t i = pick(s, FILES);
	int fd = dup(some_fd(s));

	if (fd >= 0) {
		close(s->fds[i]);
		s->fds[i] = fd;
	}
	return fd;
}

/* Passed to ourselves through a socket */
static int call_pass(struct state *s)
{
	uint32_t i = pick(s, FILES);

	if (send_fd(s->pair[0], some_fd(s)))
		return -1;
	close(s->fds[i]);
	s->fds[i] = receive_fd(s->pair[1]);
	return s->fds[i];
}

static int call_setup(struct state *s)
{
	struct deadline_setup setup = { .slots = SLOTS, };
	uint32_t *words = (uint32_t *)&setup;
	unsigned long cmd = DEADLINE_IOC_SETUP;
	int ret;

	setup.clock = pick(s, 2) ? CLOCK_MONOTONIC : pick(s, 14);
	if (pick(s, 4) == 0)
		words[pick(s, sizeof(setup) / 4)] = next_random(&s->seed);
	if (pick(s, 4) == 0)
		cmd = _IOC(_IOC_READ | _IOC_WRITE, DEADLINE_IOC_MAGIC, 0,
			   pick(s, 200));
	/* The user's limit is what he has left: not for a wrong count of slots. */
	if (setup.slots > SLOTS && setup.slots <= DEADLINE_SLOTS_MAX)
		setup.slots = SLOTS;
	ret = ioctl(some_fd(s), cmd, some_pointer(s, &setup));
	if (!ret && setup.shared_size)
		s->setup = setup;
	return ret;
}

static int call_doorbell(struct state *s)
{
	return ioctl(some_fd(s), DEADLINE_IOC_DOORBELL,
		     pick(s, 8) ? 0 : next_random(&s->seed));
}

static int call_eventfd(struct state *s)
{
	int fd = s->eventfd;

	if (pick(s, 2))
		fd = pick(s, 2) ? -(int)pick(s, 3) : some_fd(s);
	return ioctl(some_fd(s), DEADLINE_IOC_EVENTFD, fd);
}

static int call_ioctl(struct state *s)
{
	unsigned long cmd = _IOC(pick(s, 4), DEADLINE_IOC_MAGIC,
				 4 + pick(s, 252), pick(s, 1 << 14));

	return ioctl(some_fd(s), cmd, some_pointer(s, &cmd));
}

static int call_read(struct state *s)
{
	struct deadline_expiry got[8];

	return read(some_fd(s), some_pointer(s, got), pick(s, sizeof(got)));
}

static int call_readv(struct state *s)
{
	struct deadline_expiry got[8];
	struct iovec iov[4];
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){ some_pointer(s, &got[2 * i]),
					 pick(s, 2 * sizeof(got[0])) };
	return preadv2(some_fd(s), iov, pick(s, ARRAY_SIZE(iov) + 1), -1,
		       pick(s, 2) ? 0 : RWF_NOWAIT);
}

static int call_write(struct state *s)
{
	return write(some_fd(s), "", 1);
}

static int call_poll(struct state *s)
{
	struct pollfd pollfd = { some_fd(s), pick(s, 1 << 16), 0 };

	return poll(&pollfd, 1, 0);
}

static int call_epoll(struct state *s)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD };
	struct epoll_event event = { .events = pick(s, 1 << 16) };

	if (pick(s, 2))
		return epoll_wait(s->epoll, &event, 1, 0);
	return epoll_ctl(s->epoll, ops[pick(s, 3)], some_fd(s), &event);
}

static int call_fcntl(struct state *s)
{
	struct f_owner_ex owner = { pick(s, 4), pick(s, 2) ? getpid() : 0 };
	int fd = some_fd(s);

	switch (pick(s, 4)) {
	case 0:
		return fcntl(fd, F_SETFL,
			     O_NONBLOCK | (pick(s, 2) ? O_ASYNC : 0));
	case 1:
		return fcntl(fd, F_SETOWN_EX, &owner);
	case 2:
		return fcntl(fd, F_SETSIG, pick(s, 2) ? SIGIO : pick(s, 70));
	default:
		return fcntl(fd, F_SETFD, pick(s, 2));
	}
}

static int call_mmap(struct state *s)
{
	struct map *map = some_map(s);
	size_t size = pick(s, 4) ? s->setup.shared_size : s->setup.status_size;
	off_t at = pick(s, 2) ? 0 : s->setup.status_offset;
	int protection = pick(s, 8), flags = pick(s, 4) ? MAP_SHARED :
					     MAP_PRIVATE;
	void *to;

	if (pick(s, 2) == 0)
		protection = at ? PROT_READ : PROT_READ | PROT_WRITE;
	if (pick(s, 4) == 0)
		at = 4096 * pick(s, 16);
	if (pick(s, 4) == 0)
		size = 4096 * pick(s, 16);
	to = mmap(NULL, size, protection, flags, some_fd(s), at);
	if (to == MAP_FAILED)
		return -1;
	if (map->size)
		munmap(map->at, map->size);
	*map = (struct map){ to, size };
	return 0;
}

static int call_munmap(struct state *s)
{
	struct map *map = some_map(s);
	int ret = munmap(map->at, map->size);

	map->size = 0;
	return ret;
}

static int call_mprotect(struct state *s)
{
	struct map *map = some_map(s);

	return mprotect(map->at, map->size, pick(s, 8));
}

static int call_mremap(struct state *s)
{
	struct map *map = some_map(s);
	size_t size = map->size;
	void *to;

	if (pick(s, 2))
		size = 4096 * pick(s, 16);
	to = mremap(map->at, map->size, size, MREMAP_MAYMOVE);
	if (to == MAP_FAILED)
		return -1;
	*map = (struct map){ to, size };
	return 0;
}

static int call_madvise(struct state *s)
{
	struct map *map = some_map(s);

	/* Not what asks the whole machine: MADV_HWPOISON, MADV_SOFT_OFFLINE */
	return madvise(map->at, map->size, pick(s, 26));
}

static int call_fork(struct state *s)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		call_read(s);
		call_mmap(s);
		call_doorbell(s);
		_exit(0);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? -1 : 0;
}

/* Through whichever view there is, as memory allows: arm, with any flags */
static int call_arm(struct state *s)
{
	struct deadline_setup *setup = &s->setup;
	int fd = some_fd(s);
	struct queue q = {
		.fd = fd,
		.header = mmap(NULL, setup->shared_size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, 0),
	};
	uint32_t i = pick(s, SLOTS);

	if (q.header == MAP_FAILED)
		return -1;
	q.slots = (void *)q.header + setup->slots_offset;
	q.periods = (void *)q.header + setup->periods_offset;
	q.slots[i].flags = pick(s, 5);
	q.periods[i] = pick(s, 10 * MS);
	q.slots[i].slack = pick(s, MS);
	slot_arm_silent(&q, i, ns_of(CLOCK_MONOTONIC) + pick(s, MS));
	if (!(link_or(&q, i, DEADLINE_LINK_PUSHED) & DEADLINE_LINK_PUSHED))
		inbox_push(&q, i);
	munmap(q.header, setup->shared_size);
	return ring(&q);
}

/* Calls and the errors that each may have, 0 ends them */
static const struct {
	const char *name;
	int (*call)(struct state *s);
	int errors[12];
} calls[] = {
	{ "open", call_open, { 0 } },
	{ "close", call_close, { EBADF, 0 } },
	{ "dup", call_dup, { EBADF, 0 } },
	{ "pass", call_pass, { EBADF, 0 } },
	{ "SETUP", call_setup, { EBADF, EINVAL, EFAULT, EBUSY, EOPNOTSUPP,
				 E2BIG, EBADFD, ENOTTY, 0 } },
	{ "DOORBELL", call_doorbell, { EBADF, EBADFD, EFAULT, EINVAL, 0 } },
	{ "EVENTFD", call_eventfd, { EBADF, EBADFD, EINVAL, 0 } },
	{ "ioctl", call_ioctl, { EBADF, EBADFD, ENOTTY, EFAULT, EINVAL, 0 } },
	{ "read", call_read, { EBADF, EBADFD, EINVAL, EAGAIN, EFAULT,
			       ECANCELED, 0 } },
	{ "readv", call_readv, { EBADF, EBADFD, EINVAL, EAGAIN, EFAULT,
				 ECANCELED, 0 } },
	{ "write", call_write, { EBADF, EINVAL, 0 } },
	{ "poll", call_poll, { 0 } },
	{ "epoll", call_epoll, { EBADF, EEXIST, ENOENT, 0 } },
	{ "fcntl", call_fcntl, { EBADF, EINVAL, ESRCH, 0 } },
	{ "mmap", call_mmap, { EBADF, EBADFD, EINVAL, EPERM, EACCES, 0 } },
	{ "munmap", call_munmap, { EINVAL, 0 } },
	{ "mprotect", call_mprotect, { EACCES, ENOMEM, EINVAL, 0 } },
	{ "mremap", call_mremap, { EINVAL, EFAULT, ENOMEM, 0 } },
	{ "madvise", call_madvise, { EINVAL, ENOMEM, EBADF, EACCES, EPERM,
				     EFAULT, 0 } },
	{ "fork", call_fork, { 0 } },
	{ "arm", call_arm, { EBADF, EBADFD, EINVAL, EPERM, EACCES, 0 } },
};

static bool allowed(const int *errors, int error)
{
	for (; *errors; errors++)
		if (*errors == error)
			return true;
	return false;
}

/* An honest queue, on time, and told so */
static int honest(void)
{
	struct queue q;
	uint64_t when;
	int ret = 0;

	if (queue_open(&q, 64, O_CLOEXEC))
		return 1;
	when = due(clock_ns() + MS);
	if (slot_arm(&q, 0, when))
		ret = 2;
	WAIT_FOR(slot_over(&q, 0));
	if (q.slots[0].expired_at < when || ring_collect(&q, 1) != 1 ||
	    expired(&q, 1) != 1)
		ret = 3;
	queue_close(&q);
	return ret;
}

TEST(any_order)
{
	const char *from = getenv("DEADLINE_TEST_SEED");
	unsigned long i, wrong = 0, n = rounds(CALLS);
	bool all = n >= CALLS;
	unsigned long worked[ARRAY_SIZE(calls)] = {};
	unsigned int call;
	struct state s = { .seed = from ? strtoull(from, NULL, 10) : 1 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int signo;

	TH_LOG("seed %llu", (unsigned long long)s.seed);
	/* F_SETSIG may name any; those that cannot be ignored are not sent. */
	for (signo = 1; signo <= SIGRTMAX; signo++)
		if (signo != SIGCHLD && signo != SIGALRM)
			sigaction(signo, &ignore, NULL);
	s.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, s.pair));
	for (i = 0; i < FILES; i++)
		s.fds[i] = -1;
	s.setup.shared_size = 4096 + SLOTS * sizeof(struct deadline_slot);
	s.setup.slots_offset = 4096;
	for (i = 0; i < n; i++) {
		call = pick(&s, ARRAY_SIZE(calls));
		errno = 0;
		if (calls[call].call(&s) >= 0) {
			worked[call]++;
			continue;
		}
		if (!allowed(calls[call].errors, errno)) {
			TH_LOG("call %lu, %s: %s", i, calls[call].name,
			       strerror(errno));
			wrong++;
		}
	}
	EXPECT_EQ(0, wrong);
	/* What never works has not been tried; some cannot. */
	for (i = 0; all && i < ARRAY_SIZE(calls); i++) {
		bool never = calls[i].call == call_write ||
			     calls[i].call == call_ioctl;

		EXPECT_EQ(never, !worked[i])
			TH_LOG("%s: %lu times", calls[i].name, worked[i]);
	}
	for (i = 0; i < MAPS; i++)
		if (s.maps[i].size)
			munmap(s.maps[i].at, s.maps[i].size);
	for (i = 0; i < FILES; i++)
		close(s.fds[i]);
	EXPECT_EQ(0, module_uses());
	EXPECT_EQ(0, honest());
}

TEST_HARNESS_MAIN
