// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI is what it is: every size, offset, number and bit, written down here
 * once more. Built as a 64-bit and as a 32-bit program, and both of them run the
 * whole round of system calls.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include "queue.h"

#define FIELD(type, member, offset, size)				\
do {									\
	static struct type whole;					\
	__auto_type part = &whole.member;				\
									\
	EXPECT_EQ(offset, (int)((char *)part - (char *)&whole));	\
	EXPECT_EQ(size, (int)sizeof(*part));				\
} while (0)

TEST(slot)
{
	EXPECT_EQ(64, (int)sizeof(struct deadline_slot));
	FIELD(deadline_slot, word, 0, 8);
	FIELD(deadline_slot, user_data, 8, 8);
	FIELD(deadline_slot, slack, 16, 4);
	FIELD(deadline_slot, flags, 20, 4);
	FIELD(deadline_slot, deadline, 24, 8);
	FIELD(deadline_slot, queued, 32, 8);
	FIELD(deadline_slot, expired_at, 40, 8);
	FIELD(deadline_slot, overruns, 48, 4);
	FIELD(deadline_slot, link, 52, 4);
	FIELD(deadline_slot, owner, 56, 8);
}

TEST(header)
{
	EXPECT_EQ(256, (int)sizeof(struct deadline_header));
	FIELD(deadline_header, head, 0, 8);
	FIELD(deadline_header, inbox, 128, 4);
	FIELD(deadline_header, reserved, 132, 28);
}

TEST(entry)
{
	EXPECT_EQ(4, (int)sizeof(struct deadline_entry));
	FIELD(deadline_entry, slot, 0, 4);
}

TEST(status)
{
	/* Counters may be added behind. */
	EXPECT_LE(768, (int)sizeof(struct deadline_status));
	FIELD(deadline_status, tail, 0, 8);
	FIELD(deadline_status, wake, 64, 8);
	FIELD(deadline_status, interrupts, 128, 8);
	FIELD(deadline_status, expired, 136, 8);
	FIELD(deadline_status, moved, 144, 8);
	FIELD(deadline_status, dropped, 152, 8);
	FIELD(deadline_status, contended, 160, 8);
	FIELD(deadline_status, full, 168, 8);
	FIELD(deadline_status, doorbells, 176, 8);
	FIELD(deadline_status, longest, 184, 8);
	FIELD(deadline_status, throttled, 192, 8);
	FIELD(deadline_status, clock_sets, 200, 8);
	FIELD(deadline_status, handed_in, 208, 8);
	FIELD(deadline_status, refused, 216, 8);
	FIELD(deadline_status, reserved, 224, 32);
	FIELD(deadline_status, late, 256, 512);
}

TEST(expiry)
{
	EXPECT_EQ(32, (int)sizeof(struct deadline_expiry));
	FIELD(deadline_expiry, user_data, 0, 8);
	FIELD(deadline_expiry, deadline, 8, 8);
	FIELD(deadline_expiry, expired_at, 16, 8);
	FIELD(deadline_expiry, slot, 24, 4);
	FIELD(deadline_expiry, overruns, 28, 4);
}

TEST(setup)
{
	EXPECT_EQ(88, (int)sizeof(struct deadline_setup));
	FIELD(deadline_setup, slots, 0, 4);
	FIELD(deadline_setup, clock, 4, 4);
	FIELD(deadline_setup, flags, 8, 4);
	FIELD(deadline_setup, ring_size, 12, 4);
	FIELD(deadline_setup, features, 16, 8);
	FIELD(deadline_setup, shared_size, 24, 8);
	FIELD(deadline_setup, slots_offset, 32, 8);
	FIELD(deadline_setup, periods_offset, 40, 8);
	FIELD(deadline_setup, status_offset, 48, 8);
	FIELD(deadline_setup, status_size, 56, 8);
	FIELD(deadline_setup, ring_offset, 64, 8);
	FIELD(deadline_setup, period_min, 72, 8);
	FIELD(deadline_setup, slot_stride, 80, 4);
	FIELD(deadline_setup, entry_stride, 84, 4);
}

TEST(inbox)
{
	EXPECT_EQ(0x1FFFFFu, DEADLINE_INBOX_SLOT);
	EXPECT_EQ(0x200000u, DEADLINE_INBOX_ONE);
	EXPECT_EQ(128, DEADLINE_INBOX_MANY);
	EXPECT_EQ(0x40000000u, DEADLINE_LINK_PUSHED);
}

TEST(numbers)
{
	EXPECT_EQ(0xC058DE00u, DEADLINE_IOC_SETUP);
	EXPECT_EQ(0x0000DE01u, DEADLINE_IOC_DOORBELL);
	EXPECT_EQ(0x0000DE02u, DEADLINE_IOC_EVENTFD);
	EXPECT_EQ(0x4010DE03u, DEADLINE_URING_WAIT);
	EXPECT_EQ(0x4010DE04u, DEADLINE_URING_CANCEL);
	EXPECT_EQ(1, DEADLINE_WORD_ARMED);
	EXPECT_EQ(2, DEADLINE_WORD_EXPIRED);
	EXPECT_EQ(4, DEADLINE_WORD_TAKEN);
	EXPECT_EQ(8, DEADLINE_WORD_WAKE);
	EXPECT_EQ(15, DEADLINE_WORD_STATE);
	EXPECT_EQ(16, DEADLINE_GRAIN);
	EXPECT_EQ(0xFFFFFFFFFFFFFFF0u, DEADLINE_TIME_NEVER);
	EXPECT_EQ(0xFFFFFFFFFFFFFFFFu, DEADLINE_QUEUED_NEVER);
	EXPECT_EQ(1048576, DEADLINE_SLOTS_MAX);
	EXPECT_EQ(1, DEADLINE_SLOT_SIGNAL);
}

TEST(features)
{
	EXPECT_EQ(1, DEADLINE_FEATURE_WORD);
	EXPECT_EQ(2, DEADLINE_FEATURE_PERIODIC);
	EXPECT_EQ(4, DEADLINE_FEATURE_SLACK);
	EXPECT_EQ(8, DEADLINE_FEATURE_CLOCKS);
	EXPECT_EQ(16, DEADLINE_FEATURE_SIGNAL);
	EXPECT_EQ(32, DEADLINE_FEATURE_URING_WAIT);
	EXPECT_EQ(64, DEADLINE_FEATURE_URING_DOORBELL);
	EXPECT_EQ(128, DEADLINE_FEATURE_HARD);
	EXPECT_EQ(256, DEADLINE_FEATURE_URING_MULTISHOT);
}

/* Every system call once, as this width of program makes it */
TEST_F(queue, expire_and_read)
{
	struct deadline_expiry expiry;
	uint64_t when = due(clock_ns() + MS);

	self->q.slots[7].user_data = 0x0123456789ABCDEF;
	ASSERT_EQ(0, slot_arm(&self->q, 7, when));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(0x0123456789ABCDEFu, expiry.user_data);
	EXPECT_EQ(when, expiry.deadline);
	EXPECT_LE(when, expiry.expired_at);
	EXPECT_EQ(7, expiry.slot);
	EXPECT_EQ(0, expiry.overruns);
	EXPECT_EQ(when | DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN,
		  slot_word(&self->q, 7));
}

TEST_F(queue, list_and_poll)
{
	struct pollfd pollfd = { .fd = self->q.fd, .events = POLLIN };
	uint32_t list[] = { 3, 1, 2 };

	slot_arm_silent(&self->q, 1, 1);
	slot_arm_silent(&self->q, 2, clock_ns() + MS);
	slot_arm_silent(&self->q, 3, clock_ns() + MS);
	ASSERT_EQ(3, ring_list(&self->q, list, 3));
	ASSERT_EQ(1, poll(&pollfd, 1, -1));
	EXPECT_EQ(POLLIN, pollfd.revents);
	WAIT_FOR(slot_over(&self->q, 2) && slot_over(&self->q, 3));
	EXPECT_EQ(3, ring_collect(&self->q, 3));
}

TEST_F(queue, count_on_eventfd)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t count = 0xA5A5;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(self->q.fd, DEADLINE_IOC_EVENTFD, fd));
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + MS));
	ASSERT_EQ(8, read(fd, &count, 8));
	EXPECT_EQ(1, count);
	EXPECT_EQ(0, ioctl(self->q.fd, DEADLINE_IOC_EVENTFD, -1));
}

TEST_HARNESS_MAIN
