// SPDX-License-Identifier: GPL-2.0
/*
 * The module stays while anything of a queue is left: a descriptor, or only a
 * mapping.
 */
#include "module.h"
#include "queue.h"

static int remove_module(void)
{
	return syscall(SYS_delete_module, "deadline", O_NONBLOCK) ? errno : 0;
}

TEST_F(queue, is_open)
{
	EXPECT_EQ(EWOULDBLOCK, remove_module());
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + MS));
	WAIT_FOR(slot_over(&self->q, 0));
}

TEST_F(queue, only_mapped)
{
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + 50 * MS));
	ASSERT_EQ(0, close(self->q.fd));
	EXPECT_EQ(EWOULDBLOCK, remove_module());
	ASSERT_EQ(0, munmap(self->q.header, self->q.setup.shared_size));
	EXPECT_EQ(EWOULDBLOCK, remove_module());
	EXPECT_EQ(1, module_uses());
	self->q.fd = -1;
}

TEST(never_set_up)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_EQ(EWOULDBLOCK, remove_module());
	close(fd);
	EXPECT_EQ(0, module_uses());
}

TEST_HARNESS_MAIN
