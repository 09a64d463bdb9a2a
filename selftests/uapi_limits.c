// SPDX-License-Identifier: GPL-2.0
/*
 * What one user may take: slots in total, short periods, memory of his cgroup.
 * Interrupt time is uapi_share's, that of doorbells uapi_lists'.
 *
 * Whose slots they are is the real uid at open(2). So the tests change that, and
 * give up CAP_SYS_RESOURCE, which is exempt, but remain root otherwise.
 */
#include <sys/stat.h>
#include <linux/capability.h>
#include "queue.h"

#define LIMIT 1024
#define CGROUP "/sys/fs/cgroup/"
#define OURS CGROUP "deadline-test"

static int exempt(bool on)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	if (on)
		data[0].effective |= 1u << CAP_SYS_RESOURCE;
	else
		data[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* A queue of that user; 0 or -errno. On failure its file is open. */
static int open_as(uid_t uid, struct queue *q, uint32_t slots)
{
	if (setresuid(uid, -1, -1))
		return -EPERM;
	return queue_open(q, slots, O_CLOEXEC);
}

/* Would he be given so many slots? He gives them back. */
static int try_as(uid_t uid, uint32_t slots)
{
	struct queue q;
	int ret = open_as(uid, &q, slots);

	if (ret)
		close(q.fd);
	else
		queue_close(&q);
	return ret;
}

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

TEST_F(limits, period_min)
{
	static const uint64_t periods[] = { 1000000, 5000, 16 };
	struct queue q;
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(periods); i++) {
		ASSERT_EQ(0, set_parameter("period_min", periods[i]));
		ASSERT_EQ(0, open_as(1000, &q, 1));
		EXPECT_EQ(periods[i], q.setup.period_min);
		q.slots[0].flags = DEADLINE_SLOT_PERIODIC;
		q.slots[0].period = periods[i] - 1;
		slot_arm_silent(&q, 0, clock_ns() + 1000 * SECOND);
		EXPECT_EQ(-1, ring_one(&q, 0));
		EXPECT_EQ(EINVAL, errno);
		q.slots[0].period = periods[i];
		EXPECT_EQ(1, ring_one(&q, 0));
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
	q.slots[0].period = 1000 * SECOND;
	when = due(clock_ns() + 20 * MS);
	ASSERT_EQ(0, slot_arm(&q, 0, when));
	q.slots[0].period = 16;
	ASSERT_EQ(0, set_parameter("period_min", SECOND));
	WAIT_FOR(slot_word(&q, 0) & DEADLINE_WORD_EXPIRED);
	EXPECT_LE(when + SECOND, slot_word(&q, 0) & ~DEADLINE_WORD_STATE);
	queue_close(&q);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret = fd < 0 ? -1 : write(fd, text, strlen(text));

	close(fd);
	return ret == (ssize_t)strlen(text) ? 0 : -1;
}

/* A line "name value" of the file, or its only value if @name is "" */
static long read_value(const char *path, const char *name)
{
	char text[4096] = "", *at;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -1;
	close(fd);
	at = strstr(text, name);
	return at ? atol(at + strlen(name)) : -1;
}

/* A memory cgroup; children enter it. */
FIXTURE(memory) {
	int unused;
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, write_text(CGROUP "cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, mkdir(OURS, 0755));
}

FIXTURE_TEARDOWN(memory)
{
	EXPECT_EQ(0, rmdir(OURS));
}

static long memory_used(void)
{
	return read_value(OURS "/memory.current", "");
}

#define SLOTS 131072l

static int use_memory(void *arg)
{
	long size = SLOTS * sizeof(struct deadline_slot);
	long before, after;
	struct queue q;

	(void)arg;
	if (write_text(OURS "/cgroup.procs", "0"))
		return 1;
	before = memory_used();
	if (before < 0 || queue_open(&q, SLOTS, O_CLOEXEC))
		return 2;
	after = memory_used();
	/* About 113 bytes a slot, as deadline(4) has it */
	if (after - before < size || after - before > 2 * size)
		return 3;
	queue_close(&q);
	if (memory_used() > before + size / 8)
		return 4;
	return 0;
}

TEST_F(memory, charged)
{
	EXPECT_EQ(0, in_child(use_memory, NULL));
}

static int want_too_much(void *arg)
{
	struct queue q;

	(void)arg;
	if (write_text(OURS "/cgroup.procs", "0"))
		return 1;
	if (queue_open(&q, DEADLINE_SLOTS_MAX, O_CLOEXEC) != -ENOMEM)
		return 2;
	/*
	 * The file is as if it had not asked. Linux 7 frees what such a vmalloc()
	 * had got in a work item, so that there may be too little for a while.
	 */
	q.setup.slots = 1024;
	WAIT_FOR(!ioctl(q.fd, DEADLINE_IOC_SETUP, &q.setup));
	if (queue_map(&q))
		return 3;
	if (slot_arm(&q, 0, clock_ns() + MS))
		return 4;
	WAIT_FOR(slot_over(&q, 0));
	return 0;
}

/* Too little memory is an error, and nobody's death. */
TEST_F(memory, too_much)
{
	ASSERT_EQ(0, write_text(OURS "/memory.max", "16M"));
	EXPECT_EQ(0, in_child(want_too_much, NULL));
	EXPECT_EQ(0, read_value(OURS "/memory.events", "oom_kill "));
	EXPECT_EQ(0, module_uses());
}

/* In memory more than the cgroup may keep when all is over */
#define VICTIM_SLOTS (SLOTS / 4)

/* All of user 1000's slots, some due now and then; and more memory than there is */
static int use_up_memory(void *arg)
{
	uint64_t seed = 1;
	struct queue q;
	uint32_t i;
	char *page;

	(void)arg;
	if (write_text(OURS "/cgroup.procs", "0"))
		return 1;
	if (exempt(false) || open_as(1000, &q, VICTIM_SLOTS))
		return 2;
	for (i = 0; i < LIMIT; i++)
		if (slot_arm(&q, i, clock_ns() + next_random(&seed) % SECOND))
			return 3;
	for (;;) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			return 4;
		*page = 1;
	}
}

/* A process that dies of it leaves nothing behind, and others' queues go on. */
TEST_F(memory, oom_kill)
{
	long user_slots = parameter("user_slots"), before = memory_used();
	struct queue q;
	int status;

	ASSERT_EQ(0, set_parameter("user_slots", VICTIM_SLOTS));
	ASSERT_EQ(0, write_text(OURS "/memory.max", "16M"));
	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
	ASSERT_EQ(0, slot_arm(&q, 0, clock_ns() + 5 * MS));
	status = in_child(use_up_memory, NULL);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(1, read_value(OURS "/memory.events", "oom_kill "));
	EXPECT_EQ(1, ring_collect(&q, 1));
	ASSERT_EQ(0, slot_arm(&q, 1, clock_ns() + MS));
	EXPECT_EQ(1, ring_collect(&q, 1));
	queue_close(&q);
	EXPECT_EQ(0, module_uses());
	/* All of his slots are there again, and the cgroup's memory. */
	ASSERT_EQ(0, exempt(false));
	EXPECT_EQ(-ENOSPC, try_as(1000, VICTIM_SLOTS + 1));
	EXPECT_EQ(0, try_as(1000, VICTIM_SLOTS));
	EXPECT_GT(before + 1024 * 1024, memory_used());
	EXPECT_EQ(0, set_parameter("user_slots", user_slots));
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
