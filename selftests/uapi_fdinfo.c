// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/fdinfo: the lines that deadline(4) names, in its order, which say
 * what the status page says; a number before SETUP, and no two the same.
 */
#include "queue.h"

static const char *const names[] = {
	"queue", "clock", "slots", "pending", "interrupts", "expired", "moved",
	"dropped", "contended", "full", "doorbells", "longest", "throttled",
	"clock_sets",
};

/* The names of our lines, each after a space; NULL if one is misshapen */
static const char *lines(int fd)
{
	static char text[512];
	char path[64], line[128], name[64], again[128];
	unsigned long long value;
	FILE *file;

	text[0] = 0;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "deadline", strlen("deadline")))
			continue;
		if (sscanf(line, "deadline-%63[^:]:\t%llu\n", name,
			   &value) != 2)
			return NULL;
		snprintf(again, sizeof(again), "deadline-%s:\t%llu\n", name,
			 value);
		if (strcmp(line, again))
			return NULL;
		strcat(strcat(text, " "), name);
	}
	if (file)
		fclose(file);
	return text;
}

TEST(before_setup)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_STREQ(" queue", lines(fd));
	EXPECT_LT(0, queue_fdinfo(fd, "queue"));
	close(fd);
}

TEST_F(queue, all_lines)
{
	char all[512] = "";
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		strcat(strcat(all, " "), names[i]);
	EXPECT_STREQ(all, lines(self->q.fd));
}

/* Of a queue to which nothing has happened */
TEST_F(queue, fresh)
{
	unsigned int i;

	for (i = 3; i < ARRAY_SIZE(names); i++)
		EXPECT_EQ(0, queue_fdinfo(self->q.fd, names[i]));
	EXPECT_EQ(CLOCK_MONOTONIC, queue_fdinfo(self->q.fd, "clock"));
	EXPECT_EQ(self->q.setup.slots, queue_fdinfo(self->q.fd, "slots"));
}

/* Entries of the ring that nobody has consumed */
TEST_F(queue, pending)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, slot_expire(&self->q, i));
		EXPECT_EQ(i + 1, queue_fdinfo(self->q.fd, "pending"));
	}
	EXPECT_EQ(3, ring_drain(&self->q));
	EXPECT_EQ(0, queue_fdinfo(self->q.fd, "pending"));
	/* A head that cannot be counts as "all consumed". */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	self->q.header->head = 1000;
	EXPECT_EQ(0, queue_fdinfo(self->q.fd, "pending"));
}

/* A queue to which everything happens that can be made to happen */
FIXTURE(busy) {
	struct queue q;
	long share;
};

FIXTURE_SETUP(busy)
{
	self->share = parameter("user_share");
	ASSERT_EQ(0, set_parameter("user_share", 0));
	ASSERT_LE(0, self->share);
	memset(&self->q, 0, sizeof(self->q));
	self->q.setup.slots = 2048;
	self->q.setup.clock = CLOCK_REALTIME;
	self->q.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, ioctl(self->q.fd, DEADLINE_IOC_SETUP, &self->q.setup));
	ASSERT_EQ(0, queue_map(&self->q));
}

FIXTURE_TEARDOWN(busy)
{
	set_parameter("user_share", self->share);
	queue_close(&self->q);
}

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/* A burst that takes several interrupts, if it is armed in time */
static bool burst(struct queue *q, uint32_t n)
{
	uint64_t when = due(real_ns() + 100 * MS);
	uint32_t i, *list = calloc(n, sizeof(*list));

	for (i = 0; i < n; i++) {
		list[i] = i;
		slot_arm_silent(q, i, when);
	}
	ring_list(q, list, n);
	free(list);
	for (i = 0; i < n; i++)
		WAIT_FOR(slot_over(q, i));
	return status_of(&q->status->full);
}

TEST_F(busy, as_the_status)
{
	const struct deadline_status *status = self->q.status;
	const __u64 *counters[] = {
		&status->interrupts, &status->expired, &status->moved,
		&status->dropped, &status->contended, &status->full,
		&status->doorbells, &status->longest, &status->throttled,
		&status->clock_sets,
	};
	uint64_t when = real_ns() + 50 * MS, before, shown;
	struct timespec now;
	unsigned int i;

	/* Moved by one, dropped by two */
	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	ASSERT_EQ(0, slot_arm(&self->q, 1, when));
	ASSERT_EQ(0, slot_arm(&self->q, 2, when));
	ASSERT_EQ(1, slot_move(&self->q, 0, when + 50 * MS));
	ASSERT_EQ(1, slot_cancel(&self->q, 1));
	ASSERT_EQ(1, slot_cancel(&self->q, 2));
	WAIT_FOR(slot_over(&self->q, 0));
	WAIT_FOR(burst(&self->q, 2048));
	ASSERT_EQ(0, clock_gettime(CLOCK_REALTIME, &now));
	ASSERT_EQ(0, clock_settime(CLOCK_REALTIME, &now));
	/* A change of the clock source, soon after boot, is one too. */
	WAIT_FOR(status_of(&status->clock_sets) >= 1);
	/* The last interrupt is over when a doorbell has had the lock. */
	ASSERT_EQ(1, ring_one(&self->q, 0));

	/* Or it is not the last: the queue paused. */
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		before = status_of(counters[i]);
		shown = queue_fdinfo(self->q.fd, names[4 + i]);
		EXPECT_LE(before, shown);
		EXPECT_LE(shown, status_of(counters[i]));
		/* Contention is not to be had at will. */
		if (counters[i] != &status->contended)
			EXPECT_LT(0, status_of(counters[i]));
	}
	EXPECT_EQ(CLOCK_REALTIME, queue_fdinfo(self->q.fd, "clock"));
	EXPECT_EQ(2048, queue_fdinfo(self->q.fd, "slots"));
}

/* One queue, one number, whichever descriptor it is asked by */
TEST_F(queue, number)
{
	long long number = queue_fdinfo(self->q.fd, "queue");
	int copy = dup(self->q.fd);

	EXPECT_LT(0, number);
	EXPECT_EQ(number, queue_fdinfo(copy, "queue"));
	close(copy);
}

TEST(numbers_unique)
{
	long long numbers[200];
	int fds[200];
	unsigned int i, j, same = 0;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = open(DEVICE, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fds[i]);
		numbers[i] = queue_fdinfo(fds[i], "queue");
		ASSERT_LT(0, numbers[i]);
		/* A number that was closed does not come back soon. */
		if (i % 2)
			close(fds[i]);
		for (j = 0; j < i; j++)
			same += numbers[i] == numbers[j];
	}
	EXPECT_EQ(0, same);
	for (i = 0; i < ARRAY_SIZE(fds); i += 2)
		close(fds[i]);
}

TEST_HARNESS_MAIN
