// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/fdinfo: the lines that deadline(4) names, in its order, which say
 * what the status page says; number, process and user before SETUP, and no two numbers
 * the same.
 */
#include <sys/mount.h>
#include <sys/wait.h>
#include "pass_fd.h"
#include "users.h"

static const char *const names[] = {
	"queue", "pid", "user", "clock", "slots", "planned", "pending",
	"interrupts", "expired", "moved", "dropped", "contended", "full",
	"doorbells", "longest", "throttled", "clock_sets", "handed_in", "refused",
	"late",
};

#define PLANNED 5	/* the first of those that begin at 0 */
#define COUNTERS 7	/* the first of those that the status has */

/* The numbers of the line "late": how many; into @late, whose rest becomes 0 */
static unsigned int late_numbers(const char *at, unsigned long long *late)
{
	unsigned int n = 0;
	int length;

	memset(late, 0, 64 * sizeof(*late));
	while (n < 64 && sscanf(at, "%llu%n", &late[n], &length) == 1) {
		n++;
		at += length;
		if (*at++ != ' ')
			break;
	}
	return n;
}

/* The names of our lines, each after a space; NULL if one is misshapen */
static const char *lines(int fd)
{
	static char text[512];
	char path[64], line[2048], name[64], again[2048];
	unsigned long long value, late[64];
	unsigned int i, n;
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
		n = strcmp(name, "late") ? 0 :
		    late_numbers(strchr(line, '\t') + 1, late);
		sprintf(again, "deadline-%s:\t%llu", name, value);
		for (i = 1; i < n; i++)
			sprintf(again + strlen(again), " %llu", late[i]);
		strcat(again, "\n");
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
	EXPECT_STREQ(" queue pid user", lines(fd));
	EXPECT_LT(0, queue_fdinfo(fd, "queue"));
	EXPECT_EQ(getpid(), queue_fdinfo(fd, "pid"));
	EXPECT_EQ(getuid(), queue_fdinfo(fd, "user"));
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

	for (i = PLANNED; i < ARRAY_SIZE(names); i++)
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

/* Whoever opened it may be gone, and another process may have its number. */
TEST(opener_has_ended)
{
	int pair[2], fd, status;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	if (!pid)
		_exit(send_fd(pair[1], open(DEVICE, O_RDWR | O_CLOEXEC)));
	fd = receive_fd(pair[0]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(exited(status, 0));
	EXPECT_EQ(0, queue_fdinfo(fd, "pid"));
	EXPECT_EQ(getuid(), queue_fdinfo(fd, "user"));
	close(fd);
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

/* What stands on the line "late" */
static bool late_line(int fd, char *text, int size)
{
	static const char name[] = "deadline-late:\t";
	bool found = false;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && !found && fgets(text, size, file))
		found = !strncmp(text, name, strlen(name));
	if (file)
		fclose(file);
	if (found)
		memmove(text, text + strlen(name), strlen(text + strlen(name)) + 1);
	return found;
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

static int step_real(int64_t ns)
{
	uint64_t to = real_ns() + ns;
	struct timespec now = { to / SECOND, to % SECOND };

	return clock_settime(CLOCK_REALTIME, &now);
}

/* A look that was made comes a second time after a set back, in vain: none was planned. */
TEST_F(busy, planned_after_a_set_back)
{
	const int64_t back = 3600ll * SECOND;
	uint64_t when = due(real_ns() + 20 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 0, when));
	WAIT_FOR(slot_over(&self->q, 0));
	ASSERT_EQ(0, step_real(-back));
	ASSERT_EQ(0, slot_arm(&self->q, 1, real_ns() + 20 * MS));
	WAIT_FOR(slot_over(&self->q, 1));
	ASSERT_EQ(0, slot_plan(&self->q, 2, when + 10 * MS));
	EXPECT_EQ(1, queue_fdinfo(self->q.fd, "planned"));
	ASSERT_EQ(0, step_real(back));
	WAIT_FOR(slot_over(&self->q, 2));
	EXPECT_EQ(0, queue_fdinfo(self->q.fd, "planned"));
}

TEST_F(busy, as_the_status)
{
	const struct deadline_status *status = self->q.status;
	const __u64 *counters[] = {
		&status->interrupts, &status->expired, &status->moved,
		&status->dropped, &status->contended, &status->full,
		&status->doorbells, &status->longest, &status->throttled,
		&status->clock_sets, &status->handed_in,
	};
	uint64_t when = real_ns() + 50 * MS, before, shown, seen = 0;
	unsigned long long late[64];
	struct timespec now;
	char text[2048];
	unsigned int i;

	/* Moved by one, dropped by two */
	ASSERT_EQ(0, slot_plan(&self->q, 0, when));
	ASSERT_EQ(0, slot_plan(&self->q, 1, when));
	ASSERT_EQ(0, slot_plan(&self->q, 2, when));
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
		shown = queue_fdinfo(self->q.fd, names[COUNTERS + i]);
		EXPECT_LE(before, shown);
		EXPECT_LE(shown, status_of(counters[i]));
		/* Contention is not to be had at will. */
		if (counters[i] != &status->contended)
			EXPECT_LT(0, status_of(counters[i]));
	}
	EXPECT_EQ(CLOCK_REALTIME, queue_fdinfo(self->q.fd, "clock"));
	EXPECT_EQ(2048, queue_fdinfo(self->q.fd, "slots"));

	/* Nothing is armed any more, so the histogram stands still. */
	ASSERT_TRUE(late_line(self->q.fd, text, sizeof(text)));
	late_numbers(text, late);
	for (i = 0; i < ARRAY_SIZE(late); i++) {
		EXPECT_EQ(status_of(&status->late[i]), late[i]);
		seen += late[i];
	}
	EXPECT_LE(2048, seen);
}

/* Slots for which the kernel has planned a look, each once */
TEST_F(queue, planned)
{
	uint64_t far = clock_ns() + 1000 * SECOND;
	uint32_t i;

	for (i = 0; i < 40; i++)
		ASSERT_EQ(0, slot_plan(&self->q, i, far + i * SECOND));
	EXPECT_EQ(40, queue_fdinfo(self->q.fd, "planned"));
	/* For an earlier time: still one each */
	for (i = 0; i < 10; i++)
		ASSERT_EQ(1, slot_move(&self->q, i, far - SECOND));
	EXPECT_EQ(40, queue_fdinfo(self->q.fd, "planned"));
	/* Of a cancelled one the kernel does not know, until it looks. */
	ASSERT_EQ(1, slot_cancel(&self->q, 39));
	EXPECT_EQ(40, queue_fdinfo(self->q.fd, "planned"));
	/* Looked at: in the doorbell, in an interrupt, and then armed again */
	ASSERT_EQ(0, slot_expire(&self->q, 0));
	EXPECT_EQ(39, queue_fdinfo(self->q.fd, "planned"));
	for (i = 1; i < 9; i++)
		ASSERT_EQ(0, slot_plan(&self->q, i, clock_ns() + 10 * MS));
	WAIT_FOR(queue_fdinfo(self->q.fd, "planned") == 31);
	for (i = 0; i < 9; i++)
		ASSERT_EQ(0, slot_plan(&self->q, i, far));
	EXPECT_EQ(40, queue_fdinfo(self->q.fd, "planned"));
	/* A periodic one is planned again. */
	self->q.slots[50].flags = DEADLINE_SLOT_PERIODIC;
	self->q.periods[50] = 1000 * SECOND;
	ASSERT_EQ(0, slot_plan(&self->q, 50, 1));
	EXPECT_EQ(41, queue_fdinfo(self->q.fd, "planned"));
}

/* Who opened it, whoever asks */
TEST_F(queue, opener)
{
	pid_t pid = getpid(), child = fork();
	int status;

	if (child == 0)
		_exit(queue_fdinfo(self->q.fd, "pid") != pid);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(exited(status, 0));
}

static int see_from_inside(void *arg)
{
	int status = -1, *fd = arg;
	pid_t child;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 2;
	child = fork();
	if (child == 0) {
		int own = open(DEVICE, O_RDWR | O_CLOEXEC);

		if (mount("proc", "/proc", "proc", 0, NULL))
			_exit(3);
		_exit(queue_fdinfo(*fd, "pid") == 0 && getpid() == 1 &&
		      queue_fdinfo(own, "pid") == 1 ? 0 : 4);
	}
	if (waitpid(child, &status, 0) != child)
		return 5;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 6;
}

/* As the reader's procfs counts, in which the opener may not be */
TEST_F(queue, opener_outside)
{
	EXPECT_TRUE(exited(in_child(see_from_inside, &self->q.fd), 0));
}

static int open_as_1000(void *arg)
{
	struct queue q;

	(void)arg;
	return open_as(1000, &q, 1) || queue_fdinfo(q.fd, "user") != 1000;
}

/* To whose limits it counts */
TEST(user)
{
	EXPECT_TRUE(exited(in_child(open_as_1000, NULL), 0));
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

/* They say nothing of how many queues others open: they are not counted. */
TEST(numbers_unique)
{
	long long numbers[200];
	int fds[200];
	unsigned int i, j, same = 0, near = 0;

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
		near += i && llabs(numbers[i] - numbers[i - 1]) < 1000;
	}
	EXPECT_EQ(0, same);
	EXPECT_GT(10, near);
	for (i = 0; i < ARRAY_SIZE(fds); i += 2)
		close(fds[i]);
}

TEST_HARNESS_MAIN
