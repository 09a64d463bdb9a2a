// SPDX-License-Identifier: GPL-2.0
/*
 * What one user may take: slots in total, and short periods. Memory of the cgroup
 * is uapi_memory's, interrupt time uapi_throttle's, that of doorbells uapi_lists'.
 */
#include <sched.h>
#include <sys/stat.h>
#include "users.h"

#define LIMIT 1024

FIXTURE(limits) {
	long user_slots;
	long period_min;
};

FIXTURE_SETUP(limits)
{
	self->user_slots = parameter("user_slots");
	self->period_min = parameter("period_min");
	ASSERT_EQ(0, set_parameter("user_slots", LIMIT));
	ASSERT_EQ(0, exempt(false));
}

FIXTURE_TEARDOWN(limits)
{
	EXPECT_EQ(0, set_parameter("user_slots", self->user_slots));
	EXPECT_EQ(0, set_parameter("period_min", self->period_min));
}

/* All queues together; what is closed is there again. */
TEST_F(limits, total)
{
	struct queue q[3];

	ASSERT_EQ(-ENOSPC, try_as(1000, LIMIT + 1));
	ASSERT_EQ(0, try_as(1000, LIMIT));
	ASSERT_EQ(0, open_as(1000, &q[0], 512));
	ASSERT_EQ(0, open_as(1000, &q[1], 448));
	EXPECT_EQ(-ENOSPC, try_as(1000, 65));
	/* Whole pages of them count, as SETUP tells. */
	ASSERT_EQ(0, open_as(1000, &q[2], 1));
	EXPECT_EQ(64, q[2].setup.slots);
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
	queue_close(&q[0]);
	EXPECT_EQ(-ENOSPC, try_as(1000, 513));
	EXPECT_EQ(0, try_as(1000, 512));
	queue_close(&q[1]);
	queue_close(&q[2]);
	EXPECT_EQ(0, try_as(1000, LIMIT));
}

/* A file that was refused so many may ask for less. */
TEST_F(limits, refused_then_less)
{
	struct queue q;

	ASSERT_EQ(-ENOSPC, open_as(1000, &q, LIMIT + 1));
	EXPECT_EQ(LIMIT + 1, q.setup.slots);
	q.setup.slots = LIMIT;
	ASSERT_EQ(0, ioctl(q.fd, DEADLINE_IOC_SETUP, &q.setup));
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
	close(q.fd);
	EXPECT_EQ(0, try_as(1000, LIMIT));
}

TEST_F(limits, mapping_counts)
{
	struct queue q;

	ASSERT_EQ(0, open_as(1000, &q, LIMIT));
	close(q.fd);
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
	munmap(q.header, q.setup.shared_size);
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
	munmap((void *)q.status, q.setup.status_size);
	EXPECT_EQ(0, try_as(1000, LIMIT));
}

static int refused_in_child(void *arg)
{
	(void)arg;
	return try_as(1000, 1) != -ENOSPC;
}

/* Another process is no other user; another user is. */
TEST_F(limits, per_user)
{
	struct queue q, other;

	ASSERT_EQ(0, open_as(1000, &q, LIMIT));
	EXPECT_TRUE(exited(in_child(refused_in_child, NULL), 0));
	ASSERT_EQ(0, open_as(2000, &other, LIMIT));
	EXPECT_EQ(-ENOSPC, try_as(2000, 1));
	queue_close(&q);
	EXPECT_EQ(-ENOSPC, try_as(2000, 1));
	EXPECT_EQ(0, try_as(1000, LIMIT));
	queue_close(&other);
}

/* The slots are the opener's, whoever does SETUP. */
TEST_F(limits, opener)
{
	struct queue q = { .setup.slots = LIMIT, };

	q.setup.clock = CLOCK_MONOTONIC;
	ASSERT_EQ(0, setresuid(1000, -1, -1));
	q.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, q.fd);
	ASSERT_EQ(0, setresuid(2000, -1, -1));
	ASSERT_EQ(0, ioctl(q.fd, DEADLINE_IOC_SETUP, &q.setup));
	EXPECT_EQ(0, try_as(2000, LIMIT));
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
	close(q.fd);
	EXPECT_EQ(0, try_as(1000, LIMIT));
}

TEST_F(limits, exempt)
{
	struct queue q;

	ASSERT_EQ(0, exempt(true));
	ASSERT_EQ(0, open_as(1000, &q, 4 * LIMIT));
	ASSERT_EQ(0, try_as(1000, LIMIT));
	/* What was taken that way counts for those who are not. */
	ASSERT_EQ(0, exempt(false));
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
	queue_close(&q);
	EXPECT_EQ(0, try_as(1000, LIMIT));
}

/* In kB, what all CPUs' own variables take: some is kept of a user for each. */
static long percpu_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long kb = -1;

	while (file && kb < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "Percpu: %ld", &kb);
	if (file)
		fclose(file);
	return kb;
}

/* Who has left is forgotten: any number of users may come and go. */
TEST_F(limits, forgotten)
{
	const uid_t users = 30000;
	long before = percpu_memory();
	uid_t uid;
	int fd;

	ASSERT_LT(0, before);
	for (uid = 100000; uid < 100000 + users; uid++) {
		ASSERT_EQ(0, setresuid(uid, -1, -1));
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
		close(fd);
	}
	/* Each has 16 bytes of each CPU. */
	EXPECT_GT(before + 16 * users / 1024 / 2, percpu_memory());
}

/* Lowered below what is in use: that stays, but there is no more. */
TEST_F(limits, lowered)
{
	struct queue q;

	ASSERT_EQ(0, open_as(1000, &q, 512));
	ASSERT_EQ(0, set_parameter("user_slots", 256));
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
	ASSERT_EQ(0, slot_arm(&q, 511, clock_ns() + MS));
	WAIT_FOR(slot_over(&q, 511));
	queue_close(&q);
	EXPECT_EQ(-ENOSPC, try_as(1000, 257));
	EXPECT_EQ(0, try_as(1000, 256));
	ASSERT_EQ(0, set_parameter("user_slots", 0));
	EXPECT_EQ(-ENOSPC, try_as(1000, 1));
}

static int as_anybody(void *arg)
{
	struct queue q;

	(void)arg;
	if (setresuid(1000, 1000, 1000))
		return 1;
	if (queue_open(&q, LIMIT + 1, O_CLOEXEC) != -ENOSPC)
		return 2;
	close(q.fd);
	if (queue_open(&q, LIMIT, O_CLOEXEC))
		return 3;
	if (slot_arm(&q, 0, clock_ns() + MS))
		return 4;
	WAIT_FOR(slot_over(&q, 0));
	return 0;
}

/* Somebody who is root in no way, on a node that the administrator opened up */
TEST_F(limits, anybody)
{
	struct stat node;

	ASSERT_EQ(0, stat(DEVICE, &node));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	EXPECT_TRUE(exited(in_child(as_anybody, NULL), 0));
	ASSERT_EQ(0, chmod(DEVICE, node.st_mode));
}

/* A process in a user namespace, and who makes that and maps 65536 IDs of it */
struct namespace {
	uid_t maker;
	const char *map;
	int to_child[2];
	int to_parent[2];
};

/* As two users of it: both together have no more than one user's slots. */
static int in_namespace(void *arg)
{
	const struct namespace *ns = arg;
	struct queue q, other;
	char byte = 0;

	if (ns->maker && setresuid(ns->maker, ns->maker, ns->maker))
		return 1;
	if (unshare(CLONE_NEWUSER) || write(ns->to_parent[1], &byte, 1) != 1 ||
	    read(ns->to_child[0], &byte, 1) != 1)
		return 2;
	if (setresuid(5, 0, 0) || queue_open(&q, LIMIT, O_CLOEXEC))
		return 3;
	if (setresuid(7, 0, 0) || queue_open(&other, 1, O_CLOEXEC) != -ENOSPC)
		return 4;
	queue_close(&q);
	return 0;
}

/* The same, with the IDs mapped; returns the child's wait status. */
static int namespace_run(struct namespace *ns)
{
	int status = -1, fd;
	char path[64], byte;
	pid_t pid;

	if (pipe(ns->to_child) || pipe(ns->to_parent))
		return -1;
	pid = fork();
	if (pid == 0)
		_exit(in_namespace(ns));
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	if (read(ns->to_parent[0], &byte, 1) == 1) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, ns->map, strlen(ns->map)) < 0)
			kill(pid, SIGKILL);
		close(fd);
	}
	if (write(ns->to_child[1], &byte, 1) != 1 ||
	    waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

/* A user is one, however many IDs there are in a namespace of theirs. */
TEST_F(limits, subordinate)
{
	struct namespace theirs = {
		.maker = 1000,
		.map = "0 1000 1\n1 100000 65535\n",
	};
	struct namespace container = { .map = "0 200000 65536\n", };
	struct stat node;
	struct queue q;

	ASSERT_EQ(0, stat(DEVICE, &node));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	EXPECT_TRUE(exited(namespace_run(&theirs), 0));
	EXPECT_TRUE(exited(namespace_run(&container), 0));
	/* Whose they are: the maker's, the container's root's */
	ASSERT_EQ(0, open_as(1000, &q, LIMIT));
	ASSERT_EQ(0, setresuid(0, -1, -1));
	EXPECT_TRUE(exited(namespace_run(&theirs), 3));
	EXPECT_TRUE(exited(namespace_run(&container), 0));
	queue_close(&q);
	ASSERT_EQ(0, open_as(200000, &q, LIMIT));
	ASSERT_EQ(0, setresuid(0, -1, -1));
	EXPECT_TRUE(exited(namespace_run(&container), 3));
	queue_close(&q);
	ASSERT_EQ(0, chmod(DEVICE, node.st_mode));
}

/* As many files as the administrator says */
TEST_F(limits, queues)
{
	long before = parameter("user_queues");
	int fds[3], i, fd;

	ASSERT_LT(0, before);
	ASSERT_EQ(0, set_parameter("user_queues", 3));
	ASSERT_EQ(0, setresuid(2000, -1, -1));
	for (i = 0; i < 3; i++) {
		fds[i] = open(DEVICE, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(-1, open(DEVICE, O_RDWR | O_CLOEXEC));
	EXPECT_EQ(ENOSPC, errno);
	close(fds[0]);
	fds[0] = open(DEVICE, O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, fds[0]);
	ASSERT_EQ(0, exempt(true));
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, fd);
	close(fd);
	for (i = 0; i < 3; i++)
		close(fds[i]);
	EXPECT_EQ(0, set_parameter("user_queues", before));
}

TEST_F(limits, period_min)
{
	static const uint64_t periods[] = { 1000000, 5000, 16 };
	struct queue q;
	uint64_t when;
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(periods); i++) {
		ASSERT_EQ(0, set_parameter("period_min", periods[i]));
		ASSERT_EQ(0, open_as(1000, &q, 1));
		EXPECT_EQ(periods[i], q.setup.period_min);
		q.slots[0].flags = DEADLINE_SLOT_PERIODIC;
		q.periods[0] = periods[i] - 1;
		when = clock_ns() & ~DEADLINE_WORD_STATE;
		ASSERT_EQ(0, slot_plan(&q, 0, when));
		EXPECT_LE(when + periods[i],
			  slot_word(&q, 0) & ~DEADLINE_WORD_STATE);
		EXPECT_EQ(0, (q.slots[0].deadline - when) % periods[i]);
		queue_close(&q);
	}
	/* A word must change with each period, whatever the administrator says. */
	ASSERT_EQ(0, set_parameter("period_min", 0));
	ASSERT_EQ(0, open_as(1000, &q, 1));
	EXPECT_EQ(16, q.setup.period_min);
	queue_close(&q);
}

/* The smallest period is that of the time, in the look as well. */
TEST_F(limits, period_raised)
{
	struct queue q;
	uint64_t when;

	ASSERT_EQ(0, set_parameter("period_min", 16));
	ASSERT_EQ(0, open_as(1000, &q, 1));
	q.slots[0].flags = DEADLINE_SLOT_PERIODIC;
	q.periods[0] = 1000 * SECOND;
	when = due(clock_ns() + 20 * MS);
	ASSERT_EQ(0, slot_arm(&q, 0, when));
	q.periods[0] = 16;
	ASSERT_EQ(0, set_parameter("period_min", SECOND));
	WAIT_FOR(slot_word(&q, 0) & DEADLINE_WORD_EXPIRED);
	EXPECT_LE(when + SECOND, slot_word(&q, 0) & ~DEADLINE_WORD_STATE);
	queue_close(&q);
}

/* SETUP of the largest queue over and over, as user 1000 */
static void set_up_forever(bool *started)
{
	struct queue q = { .setup.slots = DEADLINE_SLOTS_MAX, };

	for (;;) {
		memset(&q.setup, 0, sizeof(q.setup));
		q.setup.slots = DEADLINE_SLOTS_MAX;
		q.setup.clock = CLOCK_MONOTONIC;
		q.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		__atomic_store_n(started, true, __ATOMIC_RELEASE);
		ioctl(q.fd, DEADLINE_IOC_SETUP, &q.setup);
		close(q.fd);
	}
}

/* Killed in the midst of SETUP: it ends, and has nothing any more. */
TEST_F(limits, killed_in_setup)
{
	unsigned int i, n = rounds(16);
	uint64_t took = clock_ns(), until;
	bool *started;
	int status;
	pid_t pid;

	ASSERT_EQ(0, set_parameter("user_slots", DEADLINE_SLOTS_MAX));
	started = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, started);
	ASSERT_EQ(0, try_as(1000, DEADLINE_SLOTS_MAX));
	took = clock_ns() - took;
	for (i = 0; i < n; i++) {
		*started = false;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			set_up_forever(started);
		WAIT_FOR(__atomic_load_n(started, __ATOMIC_ACQUIRE));
		until = clock_ns() + took * i / n;
		WAIT_FOR(clock_ns() > until);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(0, module_uses());
	}
	EXPECT_EQ(0, try_as(1000, DEADLINE_SLOTS_MAX));
}

TEST_HARNESS_MAIN
