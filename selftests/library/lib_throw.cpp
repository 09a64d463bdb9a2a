// SPDX-License-Identifier: GPL-2.0
/*
 * C++ beside the library: exceptions out of an executor or out of a function, and
 * threads that are ended in the midst of a call, stop nothing else and leave nothing
 * behind; destructors run. Each test is a process of its own.
 */
#include <atomic>
#include <cstring>
#include <deadline.h>
#include <dirent.h>
#include <exception>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kselftest.h"

static const int FUNCTIONS = 3;
/* More contexts than the first pool of a process has */
static const int MANY = 1000;

static std::atomic<int> ran, submitted;

/* No call has left preemption off: the count of a thread is 1. */
static bool count_is_one()
{
	return deadline_preempt_swap(1) == 1;
}

/* How many threads of the library's see expiries? */
static int expiry_threads()
{
	DIR *tasks = opendir("/proc/self/task");
	char path[300], name[32];
	struct dirent *task;
	int n = 0;

	while ((task = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 task->d_name);
		FILE *file = fopen(path, "re");

		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) &&
		    !strcmp(name, "deadline-expiry\n"))
			n++;
		fclose(file);
	}
	closedir(tasks);
	return n;
}

/*
 * Each pool whose contexts have functions has one, and there are two pools at most: the
 * second one where contexts took so long to make that they are of several kinds. The
 * next thread may not have its name yet, nor may the last one have ended.
 */
static bool few_see_expiries()
{
	for (int tries = 0; tries < 10000; tries++) {
		if (expiry_threads() == 1 || expiry_threads() == 2)
			return true;
		usleep(1000);
	}
	return false;
}

static void count(void *)
{
	ran++;
}

static void throw_it(void *)
{
	ran++;
	throw 42;
}

/* A context with functions */
struct family {
	deadline_context *context;
	deadline_hook *hooks[FUNCTIONS];

	bool open(void (*fn)(void *), uint64_t timeout = DEADLINE_NEVER)
	{
		if (deadline_with_timeout(deadline_background(), 0, &context,
					  timeout))
			return false;
		for (auto &hook : hooks)
			if (deadline_after(context, fn, nullptr, &hook))
				return false;
		return true;
	}

	/* All have run, and the library knows it. */
	bool ended(int err = -ECANCELED)
	{
		bool good = deadline_err(context) == err;

		for (auto &hook : hooks) {
			good = good && deadline_hook_stop_wait(hook) == 0;
			deadline_hook_free(hook);
		}
		deadline_release(context);
		return good && ran == FUNCTIONS && count_is_one();
	}
};

/* It just refuses meanwhile. */
static std::atomic<bool> quiet;

static int submit_throws(void (*)(void *), void *)
{
	if (quiet)
		return 1;
	throw 42;
}

static bool executor_throws()
{
	family f;
	bool thrown = false;

	if (deadline_set_executor(submit_throws) || !f.open(count))
		return false;
	try {
		deadline_cancel(f.context, 0);
	} catch (int) {
		thrown = true;
	}
	return thrown && f.ended();
}

/* A call that has more to do than to end a context has done it by then. */
static bool release_throws()
{
	deadline_context *context;
	deadline_hook *hook;
	int thrown = 0;

	if (deadline_set_executor(submit_throws))
		return false;
	for (int i = 0; i < MANY; i++) {
		if (deadline_with_cancel(deadline_background(), &context) ||
		    deadline_after(context, count, nullptr, &hook))
			return false;
		deadline_hook_free(hook);
		try {
			deadline_release(context);
		} catch (int) {
			thrown++;
		}
	}
	while (ran < MANY)
		sched_yield();
	return thrown == MANY && few_see_expiries() && count_is_one();
}

static bool after_throws()
{
	deadline_context *context;
	deadline_hook *hook = nullptr;
	bool thrown = false;

	if (deadline_set_executor(submit_throws) ||
	    deadline_with_timeout(deadline_background(), 0, &context, 0))
		return false;
	try {
		deadline_after(context, count, nullptr, &hook);
	} catch (int) {
		thrown = true;
	}
	if (!thrown || !hook || deadline_hook_stop_wait(hook))
		return false;
	deadline_hook_free(hook);
	deadline_release(context);
	return ran == 1 && count_is_one();
}

/* By a call that sleeps until the context is over, if that sees it first */
static bool sleep_throws()
{
	bool good = !deadline_set_executor(submit_throws);

	for (int i = 0; good && i < 100; i++) {
		family f;

		ran = 0;
		quiet = true;
		good = f.open(count, 1000000);
		quiet = false;
		try {
			good = good && deadline_sleep(f.context, DEADLINE_NEVER)
				== -ETIME;
		} catch (int) {
		}
		good = good && f.ended(-ETIME);
	}
	return good;
}

/* By a call that makes a context below one that it finds over: it has made that. */
static bool child_throws()
{
	bool good = !deadline_set_executor(submit_throws), thrown = false;

	/* The library's thread may be quicker. */
	for (int i = 0; good && !thrown && i < 10000; i++) {
		deadline_context *child = nullptr;
		family f;

		ran = 0;
		quiet = true;
		good = f.open(count, 1000000);
		while (deadline_now() < deadline_when(f.context))
			;
		quiet = false;
		try {
			good = good && !deadline_with_cancel(f.context, &child);
		} catch (int) {
			thrown = true;
		}
		/* Where that call was not the first to see it, the next ones are. */
		quiet = true;
		good = good && child && deadline_err(child) == -ETIME;
		deadline_release(child);
		good = good && f.ended(-ETIME);
	}
	return good && thrown;
}

static std::atomic<int> went_on;

static int submit_tests_cancel(void (*)(void *), void *)
{
	pthread_testcancel();
	went_on++;
	return 1;
}

static void *cancel_when_cancelled(void *context)
{
	pthread_cancel(pthread_self());
	deadline_cancel(static_cast<deadline_context *>(context), 0);
	went_on++;
	pthread_testcancel();
	return context;
}

/* A thread that is to be cancelled is so after the call, not in the executor. */
static bool executor_is_not_cancelled()
{
	pthread_t thread;
	family f;
	void *ret;

	if (deadline_set_executor(submit_tests_cancel) || !f.open(count) ||
	    pthread_create(&thread, nullptr, cancel_when_cancelled, f.context))
		return false;
	pthread_join(thread, &ret);
	return ret == PTHREAD_CANCELED && went_on == FUNCTIONS + 1 && f.ended();
}

static int submit_exits(void (*)(void *), void *)
{
	submitted++;
	pthread_exit(nullptr);
}

static void *cancel(void *context)
{
	deadline_cancel(static_cast<deadline_context *>(context), 0);
	return context;
}

static bool executor_exits()
{
	pthread_t thread;
	family f;

	if (deadline_set_executor(submit_exits) || !f.open(count) ||
	    pthread_create(&thread, nullptr, cancel, f.context))
		return false;
	pthread_join(thread, nullptr);
	return f.ended();
}

/* Our own thread, which may be so late that it sees a timeout, is left alone. */
static bool is_ours()
{
	return getpid() == gettid();
}

static int submit_throws_there(void (*)(void *), void *)
{
	submitted++;
	if (!is_ours())
		throw 42;
	return 1;
}

static int submit_exits_there(void (*)(void *), void *)
{
	submitted++;
	if (!is_ours())
		pthread_exit(nullptr);
	return 1;
}

/* At timeouts, which a thread of the library's sees, often and many at once */
static bool at_timeouts(int (*submit)(void (*)(void *), void *))
{
	static deadline_context *contexts[MANY];
	bool good = !deadline_set_executor(submit);
	deadline_hook *hook;

	for (int n = 1; good && n <= 40; n += 13) {
		uint64_t when = deadline_in(2000000);

		ran = 0;
		submitted = 0;
		for (int i = 0; good && i < n; i++) {
			good = !deadline_with_deadline(deadline_background(), 0,
						       &contexts[i], when) &&
				!deadline_after(contexts[i], count, nullptr,
						&hook);
			deadline_hook_free(hook);
		}
		while (good && ran < n)
			sched_yield();
		good = good && submitted == n;
		for (int i = 0; good && i < n; i++)
			deadline_release(contexts[i]);
	}
	return good && few_see_expiries();
}

static bool timeout_throws()
{
	return at_timeouts(submit_throws_there);
}

static bool timeout_exits()
{
	return at_timeouts(submit_exits_there);
}

static std::atomic<int> uncaught;

static int submit_counts(void (*)(void *), void *)
{
	uncaught += std::uncaught_exceptions();
	if (!is_ours())
		throw 42;
	return 1;
}

/* Nor is an exception that was dropped on its way for ever. */
static bool timeout_throws_all_the_way()
{
	bool good = !deadline_set_executor(submit_counts);

	for (int i = 0; good && i < 3; i++) {
		family f;

		ran = 0;
		good = f.open(count, 1000000);
		while (good && ran < FUNCTIONS)
			sched_yield();
		good = good && f.ended(-ETIME);
	}
	return good && uncaught == 0;
}

struct job {
	void (*fn)(void *);
	void *arg;
};

static void *work(void *arg)
{
	job *todo = static_cast<job *>(arg);

	try {
		todo->fn(todo->arg);
	} catch (int) {
	}
	delete todo;
	return nullptr;
}

static int submit_catches(void (*fn)(void *), void *arg)
{
	job *todo = new job{ fn, arg };
	pthread_t thread;

	if (pthread_create(&thread, nullptr, work, todo))
		return -1;
	return pthread_detach(thread);
}

static bool function_throws()
{
	family f;

	return !deadline_set_executor(submit_catches) && f.open(throw_it) &&
		deadline_cancel(f.context, 0) == 1 && f.ended();
}

/* Without an executor of the program's: on the library's threads, which go on */
static bool function_throws_there()
{
	family f;

	for (int i = 0; i < 3; i++) {
		ran = 0;
		if (!f.open(throw_it) || deadline_cancel(f.context, 0) != 1 ||
		    !f.ended())
			return false;
	}
	return true;
}

static void exit_thread(void *)
{
	ran++;
	pthread_exit(nullptr);
}

static bool function_exits()
{
	family f;

	return f.open(exit_thread) && deadline_cancel(f.context, 0) == 1 &&
		f.ended();
}

struct guard {
	~guard()
	{
		ran++;
	}
};

struct reading {
	deadline_context *context;
	int fd;
};

static void *read_for_ever(void *arg)
{
	reading *r = static_cast<reading *>(arg);
	guard here;
	char byte;

	deadline_read(r->context, r->fd, &byte, 1, DEADLINE_NEVER);
	return nullptr;
}

/* A thread that is cancelled in a call unwinds, through the library too. */
static bool reader_is_cancelled()
{
	reading r;
	pthread_t thread;
	void *ret;
	int fds[2];

	if (pipe(fds) || deadline_with_cancel(deadline_background(),
					      &r.context))
		return false;
	r.fd = fds[0];
	if (pthread_create(&thread, nullptr, read_for_ever, &r) ||
	    pthread_cancel(thread) || pthread_join(thread, &ret))
		return false;
	/* What the call had linked to the context is gone with its stack. */
	return ret == PTHREAD_CANCELED && ran == 1 &&
		deadline_cancel(r.context, 0) == 1;
}

static bool in_child(bool (*test)())
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		alarm(60);
		_exit(test() ? 0 : 1);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

int main()
{
	const char *wanted = getenv("DEADLINE_BACKEND");

	/* Or children would have what was printed, too, and print it at their end. */
	setvbuf(stdout, nullptr, _IOLBF, 0);
	ksft_print_header();
	if (wanted && wanted[0] == 'k' && access("/dev/deadline", F_OK))
		ksft_exit_skip("no /dev/deadline\n");
	ksft_set_plan(14);
	ksft_test_result(in_child(executor_throws), "executor_throws\n");
	ksft_test_result(in_child(executor_exits), "executor_exits\n");
	ksft_test_result(in_child(release_throws), "release_throws\n");
	ksft_test_result(in_child(after_throws), "after_throws\n");
	ksft_test_result(in_child(sleep_throws), "sleep_throws\n");
	ksft_test_result(in_child(child_throws), "child_throws\n");
	ksft_test_result(in_child(executor_is_not_cancelled),
			 "executor_is_not_cancelled\n");
	ksft_test_result(in_child(timeout_throws), "timeout_throws\n");
	ksft_test_result(in_child(timeout_exits), "timeout_exits\n");
	ksft_test_result(in_child(timeout_throws_all_the_way),
			 "timeout_throws_all_the_way\n");
	ksft_test_result(in_child(function_throws), "function_throws\n");
	ksft_test_result(in_child(function_throws_there),
			 "function_throws_there\n");
	ksft_test_result(in_child(function_exits), "function_exits\n");
	ksft_test_result(in_child(reader_is_cancelled),
			 "reader_is_cancelled\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
