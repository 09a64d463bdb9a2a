// SPDX-License-Identifier: GPL-2.0
/*
 * Who keeps a queue alive: descriptors, also those passed on or inherited over
 * exec, and mappings. When the last is gone all is cancelled; nothing is lost
 * for the others while one is left.
 */
#include <sys/prctl.h>
#include "module.h"
#include "pass_fd.h"
#include "queue.h"

#define EXECUTED "UAPI_LIFE_FD"

/* After exec(2) of this very program: read one expiry, tell how that went. */
static __attribute__((constructor)) void executed(void)
{
	const char *text = getenv(EXECUTED);
	struct deadline_expiry expiry;
	struct queue q = {};
	int ret;

	if (!text)
		return;
	q.fd = atoi(text);
	ret = read_one(&q, &expiry);
	_exit(ret == 1 ? (int)expiry.slot : ret == -EBADF ? 201 : 202);
}

static int execute(void *arg)
{
	char *const argv[] = { "uapi_life", NULL };
	char text[32];
	char *const env[] = { text, NULL };

	snprintf(text, sizeof(text), EXECUTED "=%d", *(int *)arg);
	execve("/proc/self/exe", argv, env);
	return 203;
}

TEST_F(queue, exec_inherits)
{
	ASSERT_EQ(0, fcntl(self->q.fd, F_SETFD, 0));
	ASSERT_EQ(0, slot_arm(&self->q, 7, clock_ns() + 5 * MS));
	EXPECT_TRUE(exited(in_child(execute, &self->q.fd), 7));
	EXPECT_TRUE(slot_word(&self->q, 7) & DEADLINE_WORD_TAKEN);
}

TEST_F(queue, exec_closes)
{
	ASSERT_EQ(FD_CLOEXEC, fcntl(self->q.fd, F_GETFD));
	ASSERT_EQ(0, slot_expire(&self->q, 7));
	EXPECT_TRUE(exited(in_child(execute, &self->q.fd), 201));
	EXPECT_EQ(1, ring_collect(&self->q, 1));
}

/* Read one expiry of the queue that comes through the socket. */
static int read_received(int via)
{
	struct deadline_expiry expiry;
	struct queue q = { .fd = receive_fd(via) };

	if (q.fd < 0 || read_one(&q, &expiry) != 1)
		return 200;
	return expiry.user_data == 4711 ? (int)expiry.slot : 201;
}

/* The queue is open nowhere but in the socket, and then in the child. */
TEST(passed_on)
{
	int pair[2], status;
	struct queue q;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (pid == 0)
		_exit(read_received(pair[1]));
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
	q.slots[9].user_data = 4711;
	ASSERT_EQ(0, slot_arm(&q, 9, clock_ns() + 20 * MS));
	ASSERT_EQ(0, send_fd(pair[0], q.fd));
	queue_close(&q);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(exited(status, 9));
}

/* The child maps what it was passed: it sees what the parent does. */
static int arm_received(int via, const struct deadline_setup *setup)
{
	struct queue q = { .setup = *setup, .fd = receive_fd(via) };

	if (q.fd < 0 || queue_map(&q))
		return 200;
	return slot_arm(&q, 3, clock_ns() + MS) ? 201 : 0;
}

TEST_F(queue, shared)
{
	int pair[2], status;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (pid == 0)
		_exit(arm_received(pair[1], &self->q.setup));
	ASSERT_EQ(0, send_fd(pair[0], self->q.fd));
	WAIT_FOR(slot_word(&self->q, 3) & DEADLINE_WORD_EXPIRED);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(exited(status, 0));
	EXPECT_EQ(1, ring_collect(&self->q, 1));
}

TEST_F(queue, mapping_outlives_fd)
{
	uint64_t when = due(clock_ns() + 20 * MS);

	ASSERT_EQ(0, slot_arm(&self->q, 3, when));
	ASSERT_EQ(0, close(self->q.fd));
	self->q.fd = -1;
	WAIT_FOR(slot_over(&self->q, 3));
	EXPECT_LE(when, self->q.slots[3].expired_at);
	EXPECT_EQ(1, ring_collect(&self->q, 1));
	EXPECT_EQ(1, module_uses());
}

TEST_F(queue, fd_outlives_mapping)
{
	struct deadline_expiry expiry;

	ASSERT_EQ(0, slot_arm(&self->q, 3, clock_ns() + 20 * MS));
	queue_unmap(&self->q);
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(3, expiry.slot);
	ASSERT_EQ(0, queue_map(&self->q));
	EXPECT_TRUE(slot_word(&self->q, 3) & DEADLINE_WORD_TAKEN);
}

/* Closed while the timer is about to fire, fires, has fired */
TEST(close_while_armed)
{
	unsigned long i, n = rounds(2000);
	uint64_t seed = 17;
	struct queue q;
	uint32_t slot;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
		for (slot = 0; slot < 16; slot++)
			ASSERT_EQ(0, slot_arm(&q, slot, clock_ns() +
					      next_random(&seed) % (100 * US)));
		queue_close(&q);
	}
	EXPECT_EQ(0, module_uses());
}

/* Arm many slots, some of them soon; then wait to be killed. */
static void armed_child(int tell)
{
	struct queue q;
	uint32_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (queue_open(&q, 1024, O_CLOEXEC))
		_exit(1);
	for (i = 0; i < 1000; i++)
		slot_arm(&q, i, clock_ns() + i * 20 * US);
	if (write(tell, "", 1) == 1)
		pause();
	_exit(2);
}

TEST(killed_while_armed)
{
	int i, status, pipes[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	for (i = 0; i < 20; i++) {
		pid = fork();
		if (pid == 0)
			armed_child(pipes[1]);
		ASSERT_EQ(1, read(pipes[0], &byte, 1));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		WAIT_FOR(module_uses() == 0);
	}
}

/* Read expiries until killed. */
static void reading_child(int fd)
{
	static struct deadline_expiry got[1024];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, got, sizeof(got)) > 0)
		;
	_exit(1);
}

/* What a killed reader has not taken is there for others. */
TEST_F(queue, killed_while_reading)
{
	unsigned long round, n = rounds(300);
	uint32_t i, list[1024], lost = 0;
	int status;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = i;
	for (round = 0; round < n && !lost; round++) {
		pid = fork();
		if (pid == 0)
			reading_child(self->q.fd);
		WAIT_FOR(is_asleep(pid));
		for (i = 0; i < ARRAY_SIZE(list); i++)
			slot_arm_silent(&self->q, i, 16);
		ASSERT_EQ(1024, ring_list(&self->q, list, 1024));
		while (self->q.header->head < status_of(&self->q.status->tail) -
		       round * 3 % 1024)
			relax();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ring_drain(&self->q);
		for (i = 0; i < ARRAY_SIZE(list); i++)
			lost += !(slot_word(&self->q, i) & DEADLINE_WORD_TAKEN);
	}
	EXPECT_EQ(0, lost)
		TH_LOG("in round %lu", round);
}

/*
 * No close(2) waits until all CPUs have passed through the scheduler, as RCU would
 * have it: that is some 16 ms each, and a program may have thousands of queues.
 */
TEST(closed_at_once)
{
	struct queue queues[200];
	uint32_t i, n = ARRAY_SIZE(queues);
	uint64_t start;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, queue_open(&queues[i], 64, O_CLOEXEC));
		ASSERT_EQ(0, slot_expire(&queues[i], 1));
	}
	start = clock_ns();
	for (i = 0; i < n; i++)
		queue_close(&queues[i]);
	EXPECT_GT(n * 8 * MS, clock_ns() - start);
	TH_LOG("%lu us each", (unsigned long)((clock_ns() - start) / n / US));
}

TEST_HARNESS_MAIN
