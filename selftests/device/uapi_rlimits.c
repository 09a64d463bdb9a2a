// SPDX-License-Identifier: GPL-2.0
/*
 * A process short of what setrlimit(2) grants: the call that wants more says so,
 * and nothing is lost or changed by it. The kernel's memory behind a queue is the
 * memory cgroup's and user_slots' to limit (uapi_limits), not RLIMIT_MEMLOCK's.
 */
#include <sys/resource.h>
#include <linux/capability.h>
#include "module.h"
#include "queue.h"

static int set_limit(int resource, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return -errno;
	limit.rlim_cur = most;
	return setrlimit(resource, &limit) ? -errno : 0;
}

/* Does slot @i expire, on time and told? */
static bool works(struct queue *q, uint32_t i)
{
	uint64_t when = due(clock_ns() + MS);

	if (slot_arm(q, i, when))
		return false;
	WAIT_FOR(slot_over(q, i));
	return q->slots[i].expired_at >= when && ring_collect(q, 1) == 1;
}

/* No descriptor, no queue; those that are there go on. */
TEST(nofile)
{
	struct queue q, more;
	struct rlimit before;
	int fd;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
	fd = dup(q.fd);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, set_limit(RLIMIT_NOFILE, fd));
	ASSERT_EQ(0, slot_arm(&q, 1, clock_ns() + 5 * MS));
	EXPECT_EQ(-EMFILE, queue_open(&more, 64, O_CLOEXEC));
	ASSERT_EQ(0, set_limit(RLIMIT_NOFILE, before.rlim_cur));
	EXPECT_EQ(1, module_uses());
	EXPECT_EQ(1, ring_collect(&q, 1));
	EXPECT_TRUE(works(&q, 0));
	ASSERT_EQ(0, queue_open(&more, 64, O_CLOEXEC));
	EXPECT_TRUE(works(&more, 0));
	queue_close(&more);
	queue_close(&q);
	EXPECT_EQ(0, module_uses());
}

/*
 * No address space: the queue is made, and serves whoever has no view of it; to
 * be mapped it can wait.
 */
TEST(as)
{
	struct queue q;

	ASSERT_EQ(0, set_limit(RLIMIT_AS, 1));
	/* The descriptor is there, SETUP is done: it is mmap(2) that fails. */
	ASSERT_EQ(-ENOMEM, queue_open(&q, 4096, O_CLOEXEC | O_NONBLOCK));
	EXPECT_EQ(4096, q.setup.slots);
	EXPECT_EQ(0, ring(&q));
	EXPECT_EQ(1, module_uses());
	ASSERT_EQ(0, set_limit(RLIMIT_AS, RLIM_INFINITY));
	ASSERT_EQ(0, queue_map(&q));
	EXPECT_EQ(1, status_of(&q.status->doorbells));
	EXPECT_TRUE(works(&q, 4095));
	/* One that is mapped asks for no more. */
	ASSERT_EQ(0, set_limit(RLIMIT_AS, 1));
	EXPECT_TRUE(works(&q, 0));
	ASSERT_EQ(0, set_limit(RLIMIT_AS, RLIM_INFINITY));
	queue_close(&q);
	EXPECT_EQ(0, module_uses());
}

static int with_nothing_locked(void *arg)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = {};
	struct queue q;

	(void)arg;
	if (set_limit(RLIMIT_MEMLOCK, 0) || syscall(SYS_capset, &header, none))
		return 1;
	if (queue_open(&q, 4096, O_CLOEXEC))
		return 2;
	return works(&q, 4095) ? 0 : 3;
}

TEST(memlock)
{
	EXPECT_EQ(0, in_child(with_nothing_locked, NULL));
	EXPECT_EQ(0, module_uses());
}

TEST_HARNESS_MAIN
