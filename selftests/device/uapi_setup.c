// SPDX-License-Identifier: GPL-2.0
/*
 * SETUP refuses each bad input with all others good, leaves the argument as it
 * was and the queue unset; and tells the truth about what it made.
 */
#include <poll.h>
#include "queue.h"

#define FEATURES_NAMED 0x1FF

/* A file without slots, and an argument that would give it some */
FIXTURE(unset) {
	int fd;
	struct deadline_setup setup;
};

FIXTURE_SETUP(unset)
{
	self->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->setup.slots = 64;
	self->setup.clock = CLOCK_MONOTONIC;
}

FIXTURE_TEARDOWN(unset)
{
	close(self->fd);
}

/* 0 or the error of a SETUP whose argument is of @size bytes */
static int setup_sized(int fd, void *arg, size_t size)
{
	unsigned int cmd = _IOC(_IOC_READ | _IOC_WRITE, DEADLINE_IOC_MAGIC,
				_IOC_NR(DEADLINE_IOC_SETUP), size);

	return ioctl(fd, cmd, arg) ? errno : 0;
}

static int setup(int fd, struct deadline_setup *arg)
{
	return setup_sized(fd, arg, sizeof(*arg));
}

/* The error for @bad; 0 as well if SETUP changed what it refused. */
static int refused(int fd, const struct deadline_setup *bad)
{
	struct deadline_setup arg = *bad;
	int ret = setup(fd, &arg);

	return memcmp(&arg, bad, sizeof(arg)) ? 0 : ret;
}

/* What this kernel offers */
static uint64_t features(void)
{
	struct queue q;
	int ret = queue_open(&q, 1, O_CLOEXEC);

	if (ret)
		return 0;
	queue_close(&q);
	return q.setup.features;
}

/* One wrong value of one 32-bit member, the others as in @good */
#define REFUSED(member, value, error) do {			\
	struct deadline_setup bad = self->setup;		\
	unsigned long long wrong = (value);			\
								\
	bad.member = wrong;					\
	EXPECT_EQ(error, refused(self->fd, &bad))		\
		TH_LOG("%s = %#llx", #member, wrong);		\
} while (0)

TEST_F(unset, slots)
{
	REFUSED(slots, 0, EINVAL);
	REFUSED(slots, DEADLINE_SLOTS_MAX + 1, EINVAL);
	REFUSED(slots, 0x80000000, EINVAL);
	REFUSED(slots, UINT32_MAX, EINVAL);
	EXPECT_EQ(0, setup(self->fd, &self->setup));
}

TEST_F(unset, clock)
{
	static const int never[] = { -1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 1000,
		INT32_MIN, INT32_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(never); i++)
		REFUSED(clock, never[i], EINVAL);
	EXPECT_EQ(0, setup(self->fd, &self->setup));
}

TEST_F(unset, flags)
{
	int bit;

	for (bit = 0; bit < 32; bit++)
		REFUSED(flags, 1u << bit, EINVAL);
	EXPECT_EQ(0, setup(self->fd, &self->setup));
}

TEST_F(unset, out_only_fields)
{
	int bit;

	for (bit = 0; bit < 32; bit++)
		REFUSED(ring_size, 1u << bit, EINVAL);
	for (bit = 0; bit < 64; bit++) {
		REFUSED(shared_size, 1ull << bit, EINVAL);
		REFUSED(slots_offset, 1ull << bit, EINVAL);
		REFUSED(status_offset, 1ull << bit, EINVAL);
		REFUSED(status_size, 1ull << bit, EINVAL);
		REFUSED(ring_offset, 1ull << bit, EINVAL);
		REFUSED(period_min, 1ull << bit, EINVAL);
	}
	EXPECT_EQ(0, setup(self->fd, &self->setup));
}

TEST_F(unset, features)
{
	uint64_t offered = features();
	int bit;

	EXPECT_TRUE(offered & DEADLINE_FEATURE_WORD);
	EXPECT_EQ(0, offered & ~FEATURES_NAMED);
	for (bit = 0; bit < 64; bit++) {
		if (!(offered >> bit & 1))
			REFUSED(features, 1ull << bit, EOPNOTSUPP);
	}
	REFUSED(features, ~0ull, EOPNOTSUPP);
	self->setup.features = offered;
	EXPECT_EQ(0, setup(self->fd, &self->setup));
	EXPECT_EQ(offered, self->setup.features);
}

/* A program built for a newer kernel: what it adds must be zero. */
TEST_F(unset, larger_argument)
{
	unsigned char arg[16383];
	size_t size = sizeof(self->setup), at;

	for (at = size; at < size + 64; at++) {
		memset(arg, 0, sizeof(arg));
		memcpy(arg, &self->setup, size);
		arg[at] = 1;
		EXPECT_EQ(E2BIG, setup_sized(self->fd, arg, size + 64));
	}
	memset(arg, 0, sizeof(arg));
	memcpy(arg, &self->setup, size);
	arg[sizeof(arg) - 1] = 1;
	EXPECT_EQ(E2BIG, setup_sized(self->fd, arg, sizeof(arg)));
	/* Beyond the size told nobody looks. */
	EXPECT_EQ(0, setup_sized(self->fd, arg, sizeof(arg) - 1));
	memcpy(&self->setup, arg, size);
	EXPECT_EQ(64, self->setup.slots);
	EXPECT_EQ(0, arg[size]);
}

TEST_F(unset, smaller_argument)
{
	struct deadline_setup arg = self->setup;
	size_t size;

	for (size = 0; size < sizeof(arg); size++)
		EXPECT_EQ(EINVAL, setup_sized(self->fd, &arg, size));
	EXPECT_EQ(0, memcmp(&arg, &self->setup, sizeof(arg)));
	EXPECT_EQ(0, setup(self->fd, &self->setup));
}

TEST_F(unset, bad_address)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct deadline_setup *across = two + page - 32;

	ASSERT_NE(MAP_FAILED, two);
	EXPECT_EQ(EFAULT, setup(self->fd, NULL));
	EXPECT_EQ(EFAULT, setup(self->fd, (void *)(uintptr_t)-4096));
	*across = self->setup;
	ASSERT_EQ(0, mprotect(two + page, page, PROT_NONE));
	EXPECT_EQ(EFAULT, setup(self->fd, across));
	/* It reads well, and then there is no telling what was set up. */
	ASSERT_EQ(0, mprotect(two + page, page, PROT_READ));
	EXPECT_EQ(EFAULT, setup(self->fd, across));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ, MAP_SHARED, self->fd,
				   0));
	EXPECT_EQ(EBADFD, errno);
	EXPECT_EQ(0, setup(self->fd, &self->setup));
}

TEST_F(unset, twice)
{
	struct deadline_setup again = self->setup;

	ASSERT_EQ(0, setup(self->fd, &self->setup));
	EXPECT_EQ(EBUSY, refused(self->fd, &again));
	again.slots = 128;
	EXPECT_EQ(EBUSY, refused(self->fd, &again));
}

static void *setup_thread(void *arg)
{
	struct deadline_setup mine = { .slots = 64, .clock = CLOCK_MONOTONIC };

	return (void *)(intptr_t)setup(*(int *)arg, &mine);
}

TEST(only_one_of_many)
{
	pthread_t threads[4];
	int round, i, fd, won;
	void *ret;

	for (round = 0; round < 100; round++) {
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
		won = 0;
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    setup_thread, &fd));
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], &ret));
			won += !ret;
			if (ret)
				EXPECT_EQ(EBUSY, (intptr_t)ret);
		}
		EXPECT_EQ(1, won);
		close(fd);
	}
}

TEST_F(unset, nothing_works_before)
{
	struct pollfd pollfd = { .fd = self->fd, .events = POLLIN };
	struct deadline_expiry expiry;

	EXPECT_EQ(-1, read(self->fd, &expiry, sizeof(expiry)));
	EXPECT_EQ(EBADFD, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd,
				   0));
	EXPECT_EQ(EBADFD, errno);
	EXPECT_EQ(-1, ioctl(self->fd, DEADLINE_IOC_DOORBELL, 0));
	EXPECT_EQ(EBADFD, errno);
	EXPECT_EQ(-1, ioctl(self->fd, DEADLINE_IOC_EVENTFD, -1));
	EXPECT_EQ(EBADFD, errno);
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLERR, pollfd.revents);
}

TEST_F(queue, unknown_ioctl)
{
	static const unsigned int unknown[] = {
		_IO(DEADLINE_IOC_MAGIC, 4), _IO(DEADLINE_IOC_MAGIC, 255),
		_IO(DEADLINE_IOC_MAGIC, 0), _IO(DEADLINE_IOC_MAGIC, 3),
		_IOW(DEADLINE_IOC_MAGIC, 1, struct deadline_wait),
		_IOW(DEADLINE_IOC_MAGIC, 0, struct deadline_setup),
		_IOW(DEADLINE_IOC_MAGIC, 2, int), _IO(0xDD, 2), 0x5401,
	};
	unsigned char arg[256];
	unsigned int i;

	memset(arg, 0, sizeof(arg));
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-1, ioctl(self->q.fd, unknown[i], arg));
		EXPECT_EQ(ENOTTY, errno)
			TH_LOG("%#x", unknown[i]);
	}
}

static bool power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* Nothing overlaps, everything is where it can be mapped. */
static void check_layout(struct __test_metadata *_metadata,
			 const struct deadline_setup *s, uint32_t wanted)
{
	uint64_t page = sysconf(_SC_PAGESIZE);

	EXPECT_LE(wanted, s->slots);
	EXPECT_GE(wanted + page / 64, s->slots);
	EXPECT_LE(s->slots, s->ring_size);
	EXPECT_TRUE(power_of_two(s->ring_size));
	EXPECT_EQ(0, s->shared_size % page);
	EXPECT_EQ(0, s->status_size % page);
	EXPECT_EQ(0, s->status_offset % page);
	EXPECT_LE(s->shared_size, s->status_offset);
	EXPECT_TRUE(power_of_two(s->slot_stride));
	EXPECT_LE(sizeof(struct deadline_slot), s->slot_stride);
	EXPECT_TRUE(power_of_two(s->entry_stride));
	EXPECT_LE(sizeof(struct deadline_entry), s->entry_stride);
	EXPECT_EQ(0, s->slots_offset % 128);
	EXPECT_EQ(0, s->periods_offset % 8);
	EXPECT_LE(sizeof(struct deadline_header), s->periods_offset);
	EXPECT_LE(s->periods_offset + s->slots * 8ull, s->slots_offset);
	EXPECT_LE(s->slots_offset + (uint64_t)s->slots * s->slot_stride,
		  s->shared_size);
	EXPECT_EQ(0, s->ring_offset % 128);
	EXPECT_LE(s->status_offset + sizeof(struct deadline_status),
		  s->ring_offset);
	EXPECT_LE(s->ring_offset + (uint64_t)s->ring_size * s->entry_stride,
		  s->status_offset + s->status_size);
}

/* A new queue: nothing armed, queued, or expired. */
static void check_fresh(struct __test_metadata *_metadata,
			const struct queue *q)
{
	static const struct deadline_slot fresh = {
		.queued = DEADLINE_QUEUED_NEVER,
	};
	static const struct deadline_entry none;
	uint32_t i, odd = 0;

	EXPECT_EQ(1, q->header->head);
	EXPECT_EQ(1, q->status->tail);
	EXPECT_EQ(DEADLINE_QUEUED_NEVER, q->status->wake);
	EXPECT_EQ(0, q->header->inbox);
	EXPECT_EQ(0, q->status->interrupts);
	EXPECT_EQ(0, q->status->doorbells);
	EXPECT_EQ(0, q->status->longest);
	for (i = 0; i < q->setup.slots; i++)
		odd += !!memcmp(&q->slots[i], &fresh, sizeof(fresh));
	for (i = 0; i < q->setup.ring_size; i++)
		odd += !!memcmp(&q->ring[i], &none, sizeof(none));
	for (i = 0; i < q->setup.slots; i++)
		odd += !!q->periods[i];
	EXPECT_EQ(0, odd);
}

TEST(layout)
{
	static const uint32_t wanted[] = { 1, 63, 64, 65, 4096, 100000,
		DEADLINE_SLOTS_MAX - 1, DEADLINE_SLOTS_MAX };
	struct queue q;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		ASSERT_EQ(0, queue_open(&q, wanted[i], O_CLOEXEC));
		EXPECT_EQ(CLOCK_MONOTONIC, q.setup.clock);
		EXPECT_EQ(0, q.setup.flags);
		check_layout(_metadata, &q.setup, wanted[i]);
		check_fresh(_metadata, &q);
		queue_close(&q);
	}
}

TEST_HARNESS_MAIN
