// SPDX-License-Identifier: GPL-2.0
/*
 * Children of fork(2) begin anew, as those of a prefork server: their parent's contexts
 * are over and say so, and they make their own, with everything that belongs to them.
 */
#include <dirent.h>
#include <pty.h>
#include <sys/socket.h>
#include "library.h"

/* In a child: the line of the first check that failed, as an exit status */
static int failed;

#define CHECK(condition) do {			\
	if (!(condition) && !failed)		\
		failed = __LINE__ % 250 + 1;	\
} while (0)

/* What the parent had */
static int child_orphans(void *arg)
{
	deadline_context *root = arg, *context = POISON;
	deadline_hook *hook = POISON;

	errno = 4711;
	CHECK(deadline_over(deadline_context_word(root)));
	CHECK(deadline_err(root) == -ECHILD);
	CHECK(deadline_remaining(root) == 0);
	CHECK(deadline_cancel(root, 1) == -ECHILD);
	CHECK(deadline_move(root, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_wait(root, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_sleep(root, DEADLINE_NEVER) == -ECHILD);
	CHECK(deadline_done_fd(root) == -ECHILD);
	CHECK(deadline_after(root, NULL, NULL, &hook) == -EINVAL);
	CHECK(deadline_after(root, (void (*)(void *))abort, NULL, &hook) ==
	      -ECHILD);
	CHECK(hook == POISON);
	CHECK(deadline_with_cancel(root, &context) == -ECHILD);
	CHECK(deadline_with_timeout(root, 0, &context, 0) == -ECHILD);
	CHECK(deadline_with_timeout(root, 0, &context, SECOND) == -ECHILD);
	CHECK(deadline_with_deadline(root, 0, &context, DEADLINE_NEVER) ==
	      -ECHILD);
	CHECK(deadline_with_slack(root, 0, &context, deadline_in(SECOND), 1) ==
	      -ECHILD);
	CHECK(deadline_with_value(root, &hook, NULL, &context) == -ECHILD);
	CHECK(deadline_without_cancel(root, &context) == -ECHILD);
	CHECK(context == POISON);
	CHECK(errno == 4711);
	return failed;
}

static void set_flag(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

static int submit(void (*fn)(void *arg), void *arg)
{
	fn(arg);
	return 0;
}

/* All that belongs to contexts, of the child's own */
static int child_makes(void *arg)
{
	deadline_context *parent = NULL, *context = NULL;
	deadline_hook *hook = NULL;
	bool called = false;
	int key, i;

	(void)arg;
	CHECK(deadline_with_cancel(deadline_background(), &parent) == 0);
	CHECK(deadline_with_value(parent, &key, &called, &context) == 0);
	CHECK(deadline_value(context, &key) == &called);
	deadline_release(context);
	for (i = 0; i < 100; i++) {
		CHECK(deadline_with_timeout(parent, i, &context, MS) == 0);
		if (!failed)
			CHECK(deadline_wait(context, DEADLINE_NEVER) == 0);
		CHECK(deadline_err(context) == -ETIME);
		CHECK(deadline_cause(context) == (uintptr_t)i);
		deadline_release(context);
	}
	CHECK(deadline_after(parent, set_flag, &called, &hook) == 0);
	CHECK(deadline_done_fd(parent) >= 0);
	CHECK(deadline_cancel(parent, 5) == 1);
	while (!failed && !__atomic_load_n(&called, __ATOMIC_ACQUIRE))
		relax();
	CHECK(deadline_hook_stop_wait(hook) == 0);
	deadline_hook_free(hook);
	deadline_release(parent);
	return failed;
}

static int child_all(void *arg)
{
	child_orphans(arg);
	child_makes(arg);
	/* Now it has contexts, and its parent's are the same as before. */
	child_orphans(arg);
	deadline_release(arg);
	return child_makes(arg);
}

FIXTURE(parent) {
	deadline_context *root;
	deadline_context *below;
};

FIXTURE_SETUP(parent)
{
	ASSERT_EQ(0, deadline_prepare());
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &self->root));
	ASSERT_EQ(0, deadline_with_timeout(self->root, 7, &self->below,
					   1000 * SECOND));
}

/* The parent has what it had. */
FIXTURE_TEARDOWN(parent)
{
	EXPECT_EQ(0, deadline_err(self->below));
	EXPECT_EQ(1, deadline_cancel(self->root, 3));
	EXPECT_EQ(-ECANCELED, deadline_err(self->below));
	EXPECT_EQ(3, deadline_cause(self->below));
	deadline_release(self->below);
	deadline_release(self->root);
}

TEST_F(parent, has_a_child)
{
	EXPECT_TRUE(exited(in_child(child_all, self->root), 0));
	EXPECT_TRUE(exited(in_child(child_all, self->below), 0));
}

static int child_of_child(void *arg)
{
	deadline_context *own = NULL;

	CHECK(deadline_with_cancel(deadline_background(), &own) == 0);
	CHECK(exited(in_child(child_all, arg), 0));
	CHECK(exited(in_child(child_all, own), 0));
	CHECK(deadline_err(own) == 0);
	deadline_release(own);
	return child_all(arg);
}

TEST_F(parent, has_grandchildren)
{
#ifdef __SANITIZE_ADDRESS__
	SKIP(return, "ASan forgets its own locks at a fork");
#endif
	EXPECT_TRUE(exited(in_child(child_of_child, self->root), 0));
}

/*
 * What is released in the child goes to nobody: the child's contexts are as good after
 * it as before, and no two are the same.
 */
static int child_releases(void *arg)
{
	deadline_context **theirs = arg, *own[64] = { NULL };
	int i, j;

	for (i = 0; i < 64; i++)
		CHECK(deadline_with_cancel(deadline_background(), &own[i]) == 0);
	for (i = 0; i < 64; i++)
		deadline_release(theirs[i]);
	for (i = 0; i < 64; i++) {
		CHECK(deadline_err(own[i]) == 0);
		deadline_release(own[i]);
	}
	for (i = 0; i < 64; i++) {
		CHECK(deadline_with_cancel(deadline_background(), &own[i]) == 0);
		for (j = 0; j < 64; j++)
			CHECK(own[i] != theirs[j]);
		CHECK(deadline_cancel(own[i], 0) == 1);
		CHECK(deadline_err(own[i]) == -ECANCELED);
	}
	return failed;
}

TEST_F(parent, is_not_mixed_up)
{
	deadline_context *contexts[64];
	int i;

	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, deadline_with_timeout(i % 2 ? self->root :
						   deadline_background(), 0,
						   &contexts[i],
						   1000 * SECOND));
	EXPECT_TRUE(exited(in_child(child_releases, contexts), 0));
	for (i = 0; i < 64; i++) {
		EXPECT_EQ(0, deadline_err(contexts[i]));
		deadline_release(contexts[i]);
	}
}

/* Each child serves connections, with a limit for each request. */
static int child_serves(void *arg)
{
	int i, *fds = arg;
	deadline_context *request = NULL;
	char byte;

	close(fds[0]);
	for (i = 0; i < 10; i++) {
		CHECK(deadline_with_timeout(deadline_background(), 0, &request,
					    100 * SECOND) == 0);
		CHECK(deadline_read(request, fds[1], &byte, 1,
				    DEADLINE_NEVER) == 1);
		CHECK(deadline_write(request, fds[1], &byte, 1,
				     DEADLINE_NEVER) == 1);
		deadline_release(request);
	}
	CHECK(deadline_with_timeout(deadline_background(), 0, &request,
				    MS) == 0);
	CHECK(deadline_read(request, fds[1], &byte, 1, DEADLINE_NEVER) ==
	      -ETIME);
	return failed;
}

TEST_F(parent, is_a_prefork_server)
{
	int i, j, status, fds[4][2];
	pid_t children[4];
	char byte = 'x';

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]));
		children[i] = fork();
		if (!children[i])
			_exit(child_serves(fds[i]));
		ASSERT_LT(0, children[i]);
	}
	for (j = 0; j < 10; j++) {
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(1, deadline_write(self->root, fds[i][0],
						    &byte, 1, DEADLINE_NEVER));
			ASSERT_EQ(1, deadline_read(self->root, fds[i][0],
						   &byte, 1, DEADLINE_NEVER));
		}
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(children[i], waitpid(children[i], &status, 0));
		EXPECT_TRUE(exited(status, 0));
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

/* In a child: it may say so as often as it likes before its first after-function. */
static int child_sets_executor(void *arg)
{
	(void)arg;
	CHECK(deadline_set_executor(NULL) == 0);
	CHECK(deadline_set_executor(submit) == 0);
	return child_makes(NULL);
}

static unsigned long submitted;

static int refuse(void (*fn)(void *arg), void *arg)
{
	(void)fn;
	(void)arg;
	submitted++;
	return 1;
}

/* The parent's executor is in the parent: its child's functions do not go there. */
static int child_of_executor(void *arg)
{
	child_makes(arg);
	CHECK(submitted == 0);
	return failed;
}

TEST(executor_is_reset)
{
	bool called = false;
	deadline_context *context;
	deadline_hook *hook;

	ASSERT_EQ(0, deadline_set_executor(refuse));
	EXPECT_TRUE(exited(in_child(child_of_executor, NULL), 0));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	ASSERT_EQ(0, deadline_after(context, set_flag, &called, &hook));
	EXPECT_EQ(-EBUSY, deadline_set_executor(NULL));
	EXPECT_TRUE(exited(in_child(child_sets_executor, NULL), 0));
	deadline_cancel(context, 0);
	EXPECT_EQ(0, deadline_hook_stop_wait(hook));
	EXPECT_EQ(1, submitted);
	deadline_hook_free(hook);
	deadline_release(context);
}

/* Descriptors of this process, by its own count */
static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int child_counts(void *arg)
{
	CHECK(descriptors() == *(unsigned int *)arg);
	return failed;
}

static void nothing(void *arg)
{
	(void)arg;
}

static pid_t reader;

static void *read_once(void *arg)
{
	char byte;

	__atomic_store_n(&reader, thread_id(), __ATOMIC_RELEASE);
	deadline_read(deadline_background(), *(int *)arg, &byte, 1,
		      deadline_in(1000 * SECOND));
	return NULL;
}

/*
 * None of the parent's is left in the child: the timers behind them end with the
 * parent, and files have no reader or writer more, however long its children live.
 * Whatever the program has is.
 */
TEST(descriptors_are_closed)
{
	/* Which sends signals, and never does here */
	struct deadline_worker_options options = { .preempt = nothing };
	unsigned int before;
	deadline_context *context;
	deadline_worker *worker;
	deadline_queue *queue;
	pthread_t thread;
	int fds[2];

	/* A terminal is read by a description of the library's own. */
	ASSERT_EQ(0, openpty(&fds[1], &fds[0], NULL, NULL, NULL));
	before = descriptors();
	ASSERT_EQ(0, deadline_prepare());
	ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
	options.queue = queue;
	ASSERT_EQ(0, deadline_worker_open(&worker, &options));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	ASSERT_LE(0, deadline_done_fd(context));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_once, &fds[0]));
	WAIT_FOR(__atomic_load_n(&reader, __ATOMIC_ACQUIRE) &&
		 is_asleep(reader));
	EXPECT_LE(before + 6, descriptors());
	EXPECT_TRUE(exited(in_child(child_counts, &before), 0));
	ASSERT_EQ(1, write(fds[1], "\n", 1));
	pthread_join(thread, NULL);
	deadline_release(context);
	deadline_worker_close(worker);
	EXPECT_EQ(0, deadline_queue_close(queue));
}

/* A descriptor that the program has closed may be another file's by now. */
TEST(descriptors_of_others_are_not)
{
	unsigned int before;
	deadline_queue *queue;
	int fd;

	ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
	fd = open("/dev/null", O_RDONLY);
	ASSERT_LE(0, dup2(fd, deadline_queue_fd(queue)));
	before = descriptors();
	EXPECT_TRUE(exited(in_child(child_counts, &before), 0));
}

/* Threads that are in the library while the process forks, with all locks that it has */
struct busy {
	deadline_context *root;
	bool stop;
};

static void *make_contexts(void *arg)
{
	struct busy *busy = arg;
	deadline_context *contexts[256];
	int i, n;

	while (!__atomic_load_n(&busy->stop, __ATOMIC_RELAXED)) {
		for (n = 0; n < 256; n++) {
			if (deadline_with_cancel(n % 2 ? busy->root :
						 deadline_background(),
						 &contexts[n]))
				break;
		}
		for (i = 0; i < n; i++)
			deadline_release(contexts[i]);
	}
	return NULL;
}

static void *run_functions(void *arg)
{
	struct busy *busy = arg;
	deadline_context *context;
	deadline_hook *hook;

	while (!__atomic_load_n(&busy->stop, __ATOMIC_RELAXED)) {
		if (deadline_with_cancel(busy->root, &context))
			continue;
		if (!deadline_after(context, nothing, NULL, &hook)) {
			deadline_cancel(context, 0);
			deadline_hook_stop_wait(hook);
			deadline_hook_free(hook);
		}
		deadline_release(context);
	}
	return NULL;
}

TEST_F(parent, forks_under_load)
{
	unsigned long i, n = rounds(40), bad = 0;
	struct busy busy = { .root = self->root };
	pthread_t makers, runner;

#ifdef __SANITIZE_ADDRESS__
	SKIP(return, "ASan forgets its own locks at a fork");
#endif
	ASSERT_EQ(0, pthread_create(&makers, NULL, make_contexts, &busy));
	ASSERT_EQ(0, pthread_create(&runner, NULL, run_functions, &busy));
	for (i = 0; i < n; i++) {
		bad += !exited(in_child(child_all, self->root), 0);
		bad += !exited(in_child(child_sets_executor, NULL), 0);
	}
	__atomic_store_n(&busy.stop, true, __ATOMIC_RELAXED);
	pthread_join(makers, NULL);
	pthread_join(runner, NULL);
	EXPECT_EQ(0, bad);
}

TEST_HARNESS_MAIN
