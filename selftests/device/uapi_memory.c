// SPDX-License-Identifier: GPL-2.0
/*
 * A queue's memory is charged to the memory cgroup of the process that makes it:
 * too little of it is an error of SETUP, and a process that the cgroup's limit
 * kills gives all of it back.
 */
#include <sys/stat.h>
#include "users.h"

#define CGROUP "/sys/fs/cgroup/"
#define OURS CGROUP "deadline-test"

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
	for (i = 0; i < 1024; i++)
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

TEST_HARNESS_MAIN
