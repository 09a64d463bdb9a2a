// SPDX-License-Identifier: GPL-2.0
/*
 * The threads on which the library calls after-functions: one that blocks, or ends its
 * thread, stops no other; functions that wait for each other end; and what the threads
 * look like to what runs on them.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include "library.h"

/* Functions that are called as their context is over, and what they do */
struct function {
	struct function *awaits;
	deadline_context *context;
	deadline_hook *hook;
	bool began;
	bool ended;
	int ret;
};

static bool released;

static void blocks(void *arg)
{
	struct function *f = arg;

	__atomic_store_n(&f->began, true, __ATOMIC_SEQ_CST);
	WAIT_FOR(__atomic_load_n(&released, __ATOMIC_SEQ_CST));
	__atomic_store_n(&f->ended, true, __ATOMIC_SEQ_CST);
}

static void begins(void *arg)
{
	struct function *f = arg;

	__atomic_store_n(&f->began, true, __ATOMIC_SEQ_CST);
}

static void exits(void *arg)
{
	begins(arg);
	pthread_exit(NULL);
}

static void cancels_itself(void *arg)
{
	begins(arg);
	pthread_cancel(pthread_self());
}

/* All have begun before any waits. */
static unsigned int begun, wanted;

static void waits(void *arg)
{
	struct function *f = arg;

	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	WAIT_FOR(__atomic_load_n(&begun, __ATOMIC_SEQ_CST) == wanted);
	f->ret = deadline_hook_stop_wait(f->awaits->hook);
	__atomic_store_n(&f->ended, true, __ATOMIC_SEQ_CST);
}

static int prepare(struct function *f, void (*fn)(void *arg))
{
	int ret = deadline_with_cancel(deadline_background(), &f->context);

	return ret ? ret : deadline_after(f->context, fn, f, &f->hook);
}

static void finish(struct function *f)
{
	deadline_hook_free(f->hook);
	deadline_release(f->context);
}

TEST(one_that_blocks_holds_up_no_other)
{
	struct function blocked[8] = {}, other = {};
	unsigned int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, prepare(&blocked[i], blocks));
		deadline_cancel(blocked[i].context, 0);
	}
	ASSERT_EQ(0, prepare(&other, begins));
	deadline_cancel(other.context, 0);
	EXPECT_EQ(0, deadline_hook_stop_wait(other.hook));
	EXPECT_TRUE(other.began);
	for (i = 0; i < 8; i++) {
		WAIT_FOR(__atomic_load_n(&blocked[i].began, __ATOMIC_SEQ_CST));
		EXPECT_FALSE(blocked[i].ended);
	}
	__atomic_store_n(&released, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(0, deadline_hook_stop_wait(blocked[i].hook));
		EXPECT_TRUE(blocked[i].ended);
		finish(&blocked[i]);
	}
	finish(&other);
}

/* Each of @n waits for the next one. */
static void wait_around(struct __test_metadata *_metadata, unsigned int n)
{
	struct function functions[3] = {};
	unsigned int i, refused = 0;

	wanted = n;
	for (i = 0; i < n; i++) {
		functions[i].awaits = &functions[(i + 1) % n];
		ASSERT_EQ(0, prepare(&functions[i], waits));
	}
	for (i = 0; i < n; i++)
		deadline_cancel(functions[i].context, 0);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, deadline_hook_stop_wait(functions[i].hook));
		EXPECT_TRUE(functions[i].ended);
		refused += functions[i].ret == -EDEADLK;
		EXPECT_TRUE(!functions[i].ret ||
			    functions[i].ret == -EDEADLK);
	}
	EXPECT_EQ(1, refused);
	for (i = 0; i < n; i++)
		finish(&functions[i]);
}

TEST(waits_for_itself)
{
	wait_around(_metadata, 1);
}

TEST(wait_for_each_other)
{
	wait_around(_metadata, 2);
}

TEST(wait_in_a_circle)
{
	wait_around(_metadata, 3);
}

/* Every other function does something to its thread. */
static void run_with(struct __test_metadata *_metadata, void (*fn)(void *arg))
{
	struct function functions[20] = {};
	unsigned int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, prepare(&functions[i], i % 2 ? begins : fn));
	for (i = 0; i < 20; i++)
		deadline_cancel(functions[i].context, 0);
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, deadline_hook_stop_wait(functions[i].hook));
		EXPECT_TRUE(functions[i].began);
		finish(&functions[i]);
	}
}

TEST(one_that_ends_its_thread)
{
	run_with(_metadata, exits);
}

/* The thread ends then, and not later with what it shares with the others. */
TEST(one_that_cancels_its_thread)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		run_with(_metadata, cancels_itself);
}

static sigset_t mask;
static cpu_set_t cpus;
static int policy;

static void looks_around(void *arg)
{
	struct sched_param param;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	pthread_getschedparam(pthread_self(), &policy, &param);
	begins(arg);
}

static void bind_to_one(void)
{
	cpu_set_t one;
	int cpu;

	sched_getaffinity(0, sizeof(one), &one);
	for (cpu = 0; !CPU_ISSET(cpu, &one); cpu++)
		;
	pin_to(cpu);
}

/* The thread that has the library start its own, bound to the first CPU there is */
static void *registers(void *arg)
{
	struct sched_param param = { .sched_priority = 1 };

	bind_to_one();
	/* Where that is permitted */
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
	return (void *)(intptr_t)prepare(arg, looks_around);
}

TEST(what_a_function_finds)
{
	struct function f = {};
	pthread_t thread;
	cpu_set_t ours;
	void *ret;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, registers, &f));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(NULL, ret);
	deadline_cancel(f.context, 0);
	EXPECT_EQ(0, deadline_hook_stop_wait(f.hook));
	EXPECT_TRUE(f.began);
	for (i = 1; i < 32; i++)
		EXPECT_EQ(0, sigismember(&mask, i));
	sched_getaffinity(0, sizeof(ours), &ours);
	EXPECT_TRUE(CPU_EQUAL(&ours, &cpus));
	EXPECT_EQ(SCHED_OTHER, policy);
	finish(&f);
}

/* A sanitizer has threads of its own. */
static bool is_of_library(pid_t thread)
{
	char path[48], name[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return !strncmp(name, "deadline-", 9);
}

/* Whatever those are bound to that started them, the process's first thread too */
TEST(where_threads_run)
{
	struct function f = {};
	cpu_set_t process;
	unsigned int n = 0;
	DIR *tasks;
	struct dirent *task;
	pid_t thread;

	sched_getaffinity(0, sizeof(process), &process);
	bind_to_one();
	ASSERT_EQ(0, prepare(&f, looks_around));
	deadline_cancel(f.context, 0);
	EXPECT_EQ(0, deadline_hook_stop_wait(f.hook));
	EXPECT_TRUE(CPU_EQUAL(&process, &cpus));
	tasks = opendir("/proc/self/task");
	while ((task = readdir(tasks))) {
		thread = atoi(task->d_name);
		if (thread <= 0 || !is_of_library(thread))
			continue;
		n++;
		/* It may have begun this instant. */
		do {
			if (sched_getaffinity(thread, sizeof(cpus), &cpus))
				break;
		} while (!CPU_EQUAL(&process, &cpus));
	}
	closedir(tasks);
	EXPECT_LE(1, n);
	finish(&f);
}

TEST_HARNESS_MAIN
