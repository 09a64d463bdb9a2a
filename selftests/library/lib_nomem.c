// SPDX-License-Identifier: GPL-2.0
/*
 * Where memory or a thread is not to be had: each public function that takes any says
 * -ENOMEM or -EAGAIN, leaves errno as it was, hands nothing over, leaves no descriptor
 * open, and can be called again.  The Makefile has the linker put the functions below in
 * the place of those that allocate; each of a function's allocations fails in turn, in a
 * process of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include "library.h"

/* Which allocation from now on fails; 0: none does.  How many there were */
static unsigned int fail_at, count;
/* What was allocated and not freed */
static int held;

static bool fails(void)
{
	return fail_at && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) == fail_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *at);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *arg), void *arg);

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

void *__wrap_malloc(size_t size)
{
	if (fails())
		return no_memory();
	__atomic_add_fetch(&held, 1, __ATOMIC_RELAXED);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	if (fails())
		return no_memory();
	__atomic_add_fetch(&held, 1, __ATOMIC_RELAXED);
	return __real_calloc(n, size);
}

void __wrap_free(void *at)
{
	if (at)
		__atomic_sub_fetch(&held, 1, __ATOMIC_RELAXED);
	__real_free(at);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset)
{
	if (!fails())
		return __real_mmap(at, size, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *arg), void *arg)
{
	if (!fails())
		return __real_pthread_create(thread, attr, fn, arg);
	/* As the C library leaves it */
	errno = EAGAIN;
	return errno;
}

#define SLOTS 64
#define MANY 100
#define OFTEN 10

/* What a call needs, which was had before */
static deadline_queue *queue;
static deadline_context *context;

static int make_queue(void)
{
	struct deadline_options options = { .slots = SLOTS, .slots_max = 1024 };
	deadline_slot *slot;
	int i, ret = deadline_queue_open(&queue, &options);

	for (i = 0; i < SLOTS && !ret; i++)
		ret = deadline_slot_alloc(queue, 0, &slot);
	return ret;
}

static int make_context(void)
{
	return deadline_with_cancel(deadline_background(), &context);
}

/* Each gives back what it got, and says -EFAULT if it got anything with an error. */
static int got(int ret, const void *what)
{
	return ret && what != POISON ? -EFAULT : ret;
}

static int got_context(int ret, deadline_context *made)
{
	ret = got(ret, made);
	if (!ret)
		deadline_release(made);
	return ret;
}

static int queue_open(void)
{
	deadline_queue *opened = POISON;
	int ret = got(deadline_queue_open(&opened, NULL), opened);

	return ret ? ret : deadline_queue_close(opened);
}

static int queue_grows(void)
{
	deadline_slot *slot = POISON;

	return got(deadline_slot_alloc(queue, 0, &slot), slot);
}

static int shards_open(void)
{
	deadline_shards *shards = POISON;
	int ret = got(deadline_shards_open(&shards, NULL, 3), shards);

	return ret ? ret : deadline_shards_close(shards);
}

static int with_cancel(void)
{
	deadline_context *made = POISON;
	int ret = deadline_with_cancel(deadline_background(), &made);

	return got_context(ret, made);
}

static int with_value(void)
{
	deadline_context *made = POISON;
	int ret = deadline_with_value(context, &queue, NULL, &made);

	return got_context(ret, made);
}

static int without_cancel(void)
{
	deadline_context *made = POISON;
	int ret = deadline_without_cancel(context, &made);

	return got_context(ret, made);
}

static void set(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

static int after(void)
{
	deadline_hook *hook = POISON;
	bool ran = false;
	int ret = got(deadline_after(context, set, &ran, &hook), hook);

	if (ret)
		return ret;
	ret = deadline_hook_stop(hook) == 1 ? 0 : -EFAULT;
	deadline_hook_free(hook);
	return ret;
}

/* Once that has succeeded, the function runs, whatever fails then. */
static int after_runs(void)
{
	deadline_hook *hook = POISON;
	bool ran = false;
	int ret = got(deadline_after(context, set, &ran, &hook), hook);

	if (ret)
		return ret;
	deadline_cancel(context, 0);
	deadline_hook_stop_wait(hook);
	deadline_hook_free(hook);
	return ran ? 0 : -EFAULT;
}

static int done_fd(void)
{
	int ret = deadline_done_fd(context);

	return ret < 0 ? ret : 0;
}

static int worker_open(void)
{
	struct deadline_worker_options options = { .queue = queue };
	deadline_worker *worker = POISON;
	int ret = got(deadline_worker_open(&worker, &options), worker);

	return ret ? ret : deadline_worker_close(worker);
}

static int sleeps(void)
{
	return deadline_sleep(deadline_background(), deadline_in(US));
}

static int poll_many(void)
{
	struct pollfd fds[MANY];
	int i, ret;

	for (i = 0; i < MANY; i++)
		fds[i] = (struct pollfd){ .fd = -1 };
	ret = deadline_poll(deadline_background(), fds, MANY, deadline_in(US));
	return ret == -ETIMEDOUT ? 0 : ret;
}

static int cpus(void)
{
	return deadline_cpus() ? 0 : -EFAULT;
}

static const struct call {
	const char *name;
	int (*setup)(void);
	int (*call)(void);
} calls[] = {
	{ "prepare", NULL, deadline_prepare },
	{ "queue_open", NULL, queue_open },
	{ "queue_grows", make_queue, queue_grows },
	{ "shards_open", NULL, shards_open },
	{ "with_cancel, the first", NULL, with_cancel },
	{ "with_cancel", make_context, with_cancel },
	{ "with_value", make_context, with_value },
	{ "without_cancel", make_context, without_cancel },
	{ "after", make_context, after },
	{ "after, which runs", make_context, after_runs },
	{ "done_fd", make_context, done_fd },
	{ "worker_open", make_queue, worker_open },
	{ "sleep", NULL, sleeps },
	{ "poll", NULL, poll_many },
	{ "cpus", NULL, cpus },
};

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

struct attempt {
	const struct call *call;
	unsigned int at;
};

enum {
	FAILED_WELL = 1,
	NEVER_FAILED,
	NO_SETUP,
	OTHER_ERROR,
	LEFT_OPEN,
	LEFT_MEMORY,
	NOT_AGAIN,
};

static int fail(const struct attempt *attempt)
{
	int ret;

	count = 0;
	fail_at = attempt->at;
	errno = 4711;
	ret = attempt->call->call();
	if (errno != 4711)
		ret = -EFAULT;
	fail_at = 0;
	return ret;
}

static int try_call(void *arg)
{
	const struct attempt *attempt = arg;
	const struct call *call = attempt->call;
	unsigned int before;
	int ret, kept, times;

	if (call->setup && call->setup())
		return NO_SETUP;
	before = open_files();
	ret = fail(attempt);
	if (!ret)
		return count < attempt->at ? NEVER_FAILED : FAILED_WELL;
	if (ret != -ENOMEM && ret != -EAGAIN)
		return OTHER_ERROR;
	if (open_files() != before)
		return LEFT_OPEN;
	/* What is had once and kept is no loss; what is had each time is. */
	for (times = 0; times < OFTEN; times++) {
		kept = held;
		if (!fail(attempt) || held == kept)
			break;
	}
	if (times == OFTEN)
		return LEFT_MEMORY;
	return call->call() ? NOT_AGAIN : FAILED_WELL;
}

TEST(each_allocation_fails)
{
	struct attempt attempt;
	unsigned int i;
	int status;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		attempt.call = &calls[i];
		attempt.at = 0;
		do {
			attempt.at++;
			status = in_child(try_call, &attempt);
			EXPECT_TRUE(exited(status, FAILED_WELL) ||
				    exited(status, NEVER_FAILED))
				TH_LOG("%s: allocation %u: status %x",
				       calls[i].name, attempt.at, status);
		} while (exited(status, FAILED_WELL));
		TH_LOG("%s: %u allocations", calls[i].name, attempt.at - 1);
	}
}

TEST_HARNESS_MAIN
