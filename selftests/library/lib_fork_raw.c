// SPDX-License-Identifier: GPL-2.0
/*
 * Children that are made without the handlers of fork(3): by _Fork(3) or clone(2) what
 * they have of their parent is over, too, and their first call of the library notices;
 * by vfork(2), posix_spawn(3) and exec they have nothing.
 */
#include <dirent.h>
#include <limits.h>
#include <spawn.h>
#include <pty.h>
#include "library.h"

/* In a child: the line of the first check that failed, as an exit status */
static int failed;

#define CHECK(condition) do {			\
	if (!(condition) && !failed)		\
		failed = __LINE__ % 250 + 1;	\
} while (0)

pid_t _Fork(void) __attribute__((weak));

static pid_t by_clone(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* As in_child(), by one way or another */
static int in_raw_child(pid_t (*make)(void), int (*fn)(void *arg), void *arg)
{
	int status = -1;
	pid_t pid = make();

	if (pid == 0)
		syscall(SYS_exit_group, fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The program, run anew, tells how many descriptors it was given. */
static __attribute__((constructor)) void count(void)
{
	if (getenv("COUNT_DESCRIPTORS"))
		_exit(descriptors());
}

static char *const argv[] = { "lib_fork_raw", NULL };
static char *const envp[] = { "COUNT_DESCRIPTORS=1", NULL };

static pid_t by_spawn(const char *program)
{
	pid_t pid;

	return posix_spawn(&pid, program, NULL, NULL, argv, envp) ? -1 : pid;
}

static pid_t by_vfork(const char *program)
{
	pid_t pid = vfork();

	if (!pid) {
		execve(program, argv, envp);
		_exit(1);
	}
	return pid;
}

static int given(pid_t (*run)(const char *program))
{
	/* What is linked there: valgrind does not run its own link. */
	char self_path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self_path, PATH_MAX - 1);
	int status = -1;
	pid_t pid;

	if (n < 0)
		return -1;
	self_path[n] = 0;
	pid = run(self_path);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

FIXTURE(raw) {
	deadline_queue *queue;
	deadline_slot *slot;
	deadline_context *context;
	unsigned int before;
	int given;
	bool kernel;
};

FIXTURE_VARIANT(raw) {
	pid_t (*make)(void);
};

FIXTURE_VARIANT_ADD(raw, _Fork) { _Fork };
FIXTURE_VARIANT_ADD(raw, clone) { by_clone };

FIXTURE_SETUP(raw)
{
	if (!variant->make)
		SKIP(return, "no _Fork()");
	self->before = descriptors();
	self->given = given(by_spawn);
	ASSERT_LT(2, self->given);
	ASSERT_EQ(0, deadline_prepare());
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	self->kernel = deadline_queue_backend(self->queue) ==
		       DEADLINE_BACKEND_KERNEL;
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 1, &self->slot));
	ASSERT_EQ(0, deadline_slot_arm(self->slot, 0,
				       deadline_in(1000 * SECOND)));
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0,
					   &self->context, 1000 * SECOND));
}

FIXTURE_TEARDOWN(raw)
{
	EXPECT_FALSE(slot_is_over(self->slot));
	EXPECT_EQ(0, deadline_err(self->context));
	EXPECT_EQ(-ETIMEDOUT, deadline_poll(self->context, NULL, 0,
					    deadline_in(MS)));
	deadline_release(self->context);
	deadline_slot_free(self->slot);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/* Loads, and calls that take something of the parent's: no memory, no locks */
static int child_reads(void *arg)
{
	struct _test_data_raw *self = arg;
	struct deadline_record record = { .slot = POISON };
	deadline_context *context = POISON;
	deadline_slot *slot = POISON;

	/* The kernel's mappings are not there until this child has begun. */
	if (self->kernel)
		CHECK(deadline_set_executor(NULL) == 0);
	CHECK(slot_is_over(self->slot));
	CHECK(deadline_over(deadline_context_word(self->context)));
	CHECK(!deadline_queue_pending(self->queue));
	CHECK(deadline_err(self->context) == -ECHILD);
	CHECK(deadline_cancel(self->context, 0) == -ECHILD);
	CHECK(deadline_wait(self->context, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_slot_arm(self->slot, 0, 1) == -ECHILD);
	CHECK(deadline_slot_move(self->slot, 1) == -ECHILD);
	CHECK(deadline_slot_cancel(self->slot) == -ECHILD);
	CHECK(deadline_slot_alloc(self->queue, 0, &slot) == -ECHILD);
	CHECK(deadline_queue_reap(self->queue, &record, 1) == -ECHILD);
	CHECK(deadline_queue_wait(self->queue, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_with_cancel(self->context, &context) == -ECHILD);
	CHECK(slot == POISON && context == POISON);
	return failed;
}

/* The first call that makes something begins anew: as after fork(3). */
static int child_makes(void *arg)
{
	struct _test_data_raw *self = arg;
	deadline_context *context = NULL;

	CHECK(deadline_set_executor(NULL) == 0);
	CHECK(descriptors() == self->before);
	CHECK(deadline_with_timeout(deadline_background(), 0, &context, MS) ==
	      0);
	CHECK(deadline_poll(context, NULL, 0, DEADLINE_NEVER) == -ETIME);
	CHECK(deadline_queue_close(self->queue) == 0);
	deadline_release(context);
	deadline_release(self->context);
	return failed;
}

/* A timer of its parent's thread is not its own. */
static int child_sleeps(void *arg)
{
	struct _test_data_raw *self = arg;

	CHECK(deadline_poll(deadline_background(), NULL, 0, deadline_in(MS)) ==
	      -ETIMEDOUT);
	CHECK(descriptors() == self->before + 1);
	return failed;
}

/* By a description of the library's own, as the first thing that the child does */
static int child_reads_a_terminal(void *arg)
{
	char bytes[16] = "";

	CHECK(deadline_read(deadline_background(), *(int *)arg, bytes,
			    sizeof(bytes), deadline_in(100 * SECOND)) == 2);
	CHECK(bytes[0] == 'x');
	return failed;
}

/* Later: the child sleeps by then, or the read is served at once. */
static void *type_later(void *arg)
{
	deadline_sleep(deadline_background(), deadline_in(50 * MS));
	return write(*(int *)arg, "x\n", 2) == 2 ? arg : NULL;
}

TEST_F(raw, reads_a_terminal)
{
	pthread_t thread;
	int fds[2];

	ASSERT_EQ(0, openpty(&fds[1], &fds[0], NULL, NULL, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, type_later, &fds[1]));
	EXPECT_TRUE(exited(in_raw_child(variant->make, child_reads_a_terminal,
					&fds[0]), 0));
	pthread_join(thread, NULL);
}

TEST_F(raw, reads_over)
{
	EXPECT_TRUE(exited(in_raw_child(variant->make, child_reads, self), 0));
}

TEST_F(raw, begins_anew)
{
	EXPECT_TRUE(exited(in_raw_child(variant->make, child_makes, self), 0));
}

TEST_F(raw, sleeps)
{
	EXPECT_TRUE(exited(in_raw_child(variant->make, child_sleeps, self), 0));
}

/* It may fork in turn, whatever locks were held where it was made. */
static int child_forks(void *arg)
{
	CHECK(exited(in_child(child_reads, arg), 0));
	return failed;
}

static void *allocate(void *arg)
{
	deadline_queue *queue;

	while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED)) {
		if (!deadline_queue_open(&queue, NULL))
			deadline_queue_close(queue);
	}
	return NULL;
}

/* In the child this thread is gone, and what it held is held. */
TEST_F(raw, under_load)
{
	unsigned long i, n = rounds(100), bad = 0;
	bool stop = false;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, allocate, &stop));
	for (i = 0; i < n; i++)
		bad += !exited(in_raw_child(variant->make, child_reads, self),
			       0);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, bad);
	EXPECT_TRUE(exited(in_raw_child(variant->make, child_forks, self), 0));
}

TEST_F(raw, is_spawned)
{
	EXPECT_EQ(self->given, given(by_spawn));
	EXPECT_EQ(self->given, given(by_vfork));
}

TEST_HARNESS_MAIN
