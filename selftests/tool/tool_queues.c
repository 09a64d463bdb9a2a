// SPDX-License-Identifier: GPL-2.0
/*
 * On queues of the kernel's: what list and metrics say is what this program, which has
 * the queues, counts itself.
 */
#include <sys/prctl.h>
#include "../device/queue.h"
#include "../device/users.h"
#include "tool.h"

/* The number behind "name": in what list --json says of one queue; -1 if not there */
static long long json_number(const char *text, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(text, key);
	return at ? atoll(at + strlen(key)) : -1;
}

/* The same of metrics: the value on the line of this sample */
static long long metric(const char *text, const char *name)
{
	char begin[128];
	const char *value;

	snprintf(begin, sizeof(begin), "deadline_%s{", name);
	value = strrchr(line_of(text, begin), ' ');
	return value ? atoll(value + 1) : -1;
}

/* Of this process only */
static struct said run_own(const char *command, const char *option)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	return tool_run(-1, command, "-p", pid, option, NULL);
}

/* Planned, moved, cancelled and expired slots */
static int busy(struct queue *q)
{
	uint64_t far = clock_ns() + 1000 * SECOND, near = clock_ns() + 20 * MS;
	uint32_t i;

	for (i = 0; i < 30; i++)
		if (slot_plan(q, i, far))
			return -1;
	for (i = 30; i < 50; i++)
		if (slot_plan(q, i, near))
			return -1;
	if (slot_cancel(q, 30) != 1 || slot_move(q, 31, far) != 1)
		return -1;
	for (i = 32; i < 50; i++)
		WAIT_FOR(slot_over(q, i));
	WAIT_FOR(status_of(&q->status->expired) == 18 &&
		 status_of(&q->status->moved) == 1 &&
		 status_of(&q->status->dropped) == 1);
	return 0;
}

TEST_F(queue, list_agrees)
{
	const struct deadline_status *status = self->q.status;
	unsigned long long late = 0;
	struct said said;
	const char *at;
	char *end;
	int i;

	ASSERT_EQ(0, busy(&self->q));
	said = run_own("list", "--json");
	ASSERT_TRUE(exited(said.status, 0));
	EXPECT_EQ(queue_fdinfo(self->q.fd, "queue"), json_number(said.out, "queue"));
	EXPECT_EQ(getpid(), json_number(said.out, "opener"));
	EXPECT_EQ(getuid(), json_number(said.out, "user"));
	EXPECT_EQ(self->q.setup.slots, json_number(said.out, "slots"));
	EXPECT_EQ(31, json_number(said.out, "planned"));
	EXPECT_EQ(18, json_number(said.out, "pending"));
	EXPECT_EQ(18, json_number(said.out, "expired"));
	EXPECT_EQ(1, json_number(said.out, "moved"));
	EXPECT_EQ(1, json_number(said.out, "dropped"));
	EXPECT_EQ(status->doorbells, json_number(said.out, "doorbells"));
	EXPECT_EQ(status->interrupts, json_number(said.out, "interrupts"));
	EXPECT_EQ(status->handed_in, json_number(said.out, "handed_in"));
	EXPECT_EQ(getpid(), json_number(said.out, "pid"));
	at = strstr(said.out, "\"late\":[");
	ASSERT_NE(NULL, at);
	for (at += strlen("\"late\":["), i = 0; i < 64; i++, at = end + 1) {
		EXPECT_EQ(status->late[i], strtoull(at, &end, 10));
		late += status->late[i];
	}
	EXPECT_LE(1, late);
	said_free(&said);
}

TEST_F(queue, metrics_agree)
{
	const struct deadline_status *status = self->q.status;
	unsigned long long late = 0;
	struct said said;
	int i;

	ASSERT_EQ(0, busy(&self->q));
	said = run_own("metrics", NULL);
	ASSERT_TRUE(exited(said.status, 0));
	EXPECT_EQ(self->q.setup.slots, metric(said.out, "queue_slots"));
	EXPECT_EQ(31, metric(said.out, "queue_planned"));
	EXPECT_EQ(18, metric(said.out, "queue_pending"));
	EXPECT_EQ(18, metric(said.out, "queue_expired_total"));
	EXPECT_EQ(1, metric(said.out, "queue_moved_total"));
	EXPECT_EQ(1, metric(said.out, "queue_dropped_total"));
	EXPECT_EQ(status->doorbells, metric(said.out, "queue_doorbells_total"));
	EXPECT_EQ(status->interrupts, metric(said.out, "queue_interrupts_total"));
	EXPECT_EQ(status->handed_in, metric(said.out, "queue_handed_in_total"));
	for (i = 0; i < 64; i++)
		late += status->late[i];
	EXPECT_EQ(late, metric(said.out, "queue_lateness_seconds_count"));
	EXPECT_EQ(self->q.setup.slots, metric(said.out, "user_slots"));
	EXPECT_EQ(1, metric(said.out, "user_queues"));
	said_free(&said);
}

TEST_F(queue, limits)
{
	struct said said = run_own("metrics", NULL);
	char line[64];

	snprintf(line, sizeof(line), "deadline_user_slots_limit %ld",
		 parameter("user_slots"));
	EXPECT_STREQ(line, line_of(said.out, "deadline_user_slots_limit"));
	snprintf(line, sizeof(line), "deadline_user_queues_limit %ld",
		 parameter("user_queues"));
	EXPECT_STREQ(line, line_of(said.out, "deadline_user_queues_limit"));
	said_free(&said);
}

/* Two processes have it, one of them twice: one line that names both */
TEST_F(queue, shared)
{
	int copy = fcntl(self->q.fd, F_DUPFD_CLOEXEC, 0), status, ends[2];
	struct said said;
	char both[64];
	pid_t child;

	ASSERT_EQ(0, pipe(ends));
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], both, 1));
	}
	said = run_own("list", NULL);
	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_EQ(2, count_lines(said.out));
	snprintf(both, sizeof(both), "(%d),", getpid());
	EXPECT_NE(NULL, strstr(said.out, both));
	snprintf(both, sizeof(both), "(%d)\n", child);
	EXPECT_NE(NULL, strstr(said.out, both));
	said_free(&said);
	close(ends[1]);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	close(copy);
}

/* Expiries between the two readings, a second of which is told */
TEST_F(queue, rate)
{
	struct said said;
	uint32_t i;
	int status;
	pid_t child;

	self->q.slots[0].flags = DEADLINE_SLOT_PERIODIC;
	self->q.periods[0] = 20 * MS;
	ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + 20 * MS));
	/* Read by somebody, or it would be looked at more and more rarely. */
	child = fork();
	if (child == 0) {
		struct deadline_expiry expiry;

		for (i = 0; i < 1000000; i++)
			read_one(&self->q, &expiry);
		_exit(0);
	}
	said = run_own("list", "--json");
	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_LT(10, json_number(said.out, "expired_per_second"));
	EXPECT_GT(80, json_number(said.out, "expired_per_second"));
	said_free(&said);
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, &status, 0));
}

static int list_as_1000(void *arg)
{
	struct said said;
	struct queue q;
	bool ok;

	/* The parent's: this process shall not have it. */
	close(*(int *)arg);
	/* A queue of one's own, from when one could still open it */
	if (open_as(1000, &q, 1) || setresgid(1000, 1000, 1000) ||
	    setresuid(1000, 1000, 1000) || prctl(PR_SET_DUMPABLE, 1))
		return 2;
	said = tool_run(-1, "list", NULL);
	ok = exited(said.status, 0) && count_lines(said.out) == 2 &&
	     strstr(said.out, " 1000 ");
	return !ok;
}

/* Without root one has the queues of one's own processes, and no other. */
TEST_F(queue, without_root)
{
	EXPECT_TRUE(exited(in_child(list_as_1000, &self->q.fd), 0));
}

#define MANY		1000
#define PROCESSES	8

/* A process of user 1000 has its part of the queues, until nobody holds @ends open. */
static void hold_queues(const int *ends, const int *ready)
{
	struct queue q;
	char c = 0;
	int i;

	close(ends[1]);
	for (i = 0; i < MANY / PROCESSES; i++)
		if (open_as(1000, &q, 1))
			_exit(1);
	if (write(ready[1], &c, 1) != 1)
		_exit(1);
	_exit(read(ends[0], &c, 1));
}

/* How many times @text has @part */
static unsigned int count_parts(const char *text, const char *part)
{
	unsigned int n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

/*
 * A thousand queues of several processes: each once, with its process, and within a
 * second where time is exact. Elsewhere others may have the CPU.
 */
TEST(thousand)
{
	int ends[2], ready[2], status, i;
	pid_t children[PROCESSES];
	uint64_t start, took;
	struct said said;
	char name[32], c;

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, pipe(ready));
	for (i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0)
			hold_queues(ends, ready);
	}
	close(ready[1]);
	for (i = 0; i < PROCESSES; i++)
		ASSERT_EQ(1, read(ready[0], &c, 1));
	start = clock_ns();
	said = tool_run(-1, "list", "-u", "1000", NULL);
	took = clock_ns() - start;
	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_EQ(MANY + 1, count_lines(said.out));
	for (i = 0; i < PROCESSES; i++) {
		snprintf(name, sizeof(name), "(%d)\n", children[i]);
		EXPECT_EQ(MANY / PROCESSES, count_parts(said.out, name));
	}
	TH_LOG("%d queues listed in %llu ms", MANY, (unsigned long long)(took / MS));
	EXPECT_GT(getenv("DEADLINE_ICOUNT") ? SECOND : 60 * SECOND, took);
	said_free(&said);

	said = tool_run(-1, "metrics", "-u", "1000", NULL);
	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_EQ(MANY, count_parts(said.out, "\ndeadline_queue_slots{"));
	EXPECT_EQ(MANY, metric(said.out, "user_queues"));
	said_free(&said);

	close(ends[1]);
	for (i = 0; i < PROCESSES; i++) {
		ASSERT_EQ(children[i], waitpid(children[i], &status, 0));
		EXPECT_TRUE(exited(status, 0));
	}
}

TEST_HARNESS_MAIN
