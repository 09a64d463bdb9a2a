// SPDX-License-Identifier: GPL-2.0
/*
 * Where the library is loaded: by a plug-in that is unloaded again, and into a process
 * that a seccomp filter kills if it asks for a real-time priority.
 */
#include <dlfcn.h>
#include "filter.h"
#include "library.h"

/* The status with which a child ends that runs @fn */
static int status_of(void (*fn)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		fn();
		_exit(0);
	}
	return waitpid(child, &status, 0) == child ? status : -1;
}

/* As systemd's SystemCallFilter=~@resources has it for a thread's priority */
static void serve_under_filter(void)
{
	struct deadline_options options = { .backend = DEADLINE_BACKEND_THREAD };
	struct deadline_record record;
	deadline_queue *queue;
	deadline_slot *slot;

	filter_call(__NR_sched_setscheduler, SECCOMP_RET_KILL_PROCESS);
	filter_call(__NR_sched_setattr, SECCOMP_RET_KILL_PROCESS);
	filter_call(__NR_sched_setparam, SECCOMP_RET_KILL_PROCESS);
	filter_call(__NR_setpriority, SECCOMP_RET_KILL_PROCESS);
	if (deadline_queue_open(&queue, &options) ||
	    deadline_slot_alloc(queue, 0, &slot) ||
	    deadline_slot_arm(slot, 0, deadline_in(MS)) ||
	    reap_one(queue, &record) != 1)
		_exit(2);
}

TEST(filter)
{
	EXPECT_EQ(0, status_of(serve_under_filter));
}

/* The library as a plug-in has it */
static struct plugin {
	void *handle;
	__typeof__(deadline_background) *background;
	__typeof__(deadline_with_timeout) *with_timeout;
	__typeof__(deadline_release) *release;
	__typeof__(deadline_after) *after;
	__typeof__(deadline_hook_free) *hook_free;
} plugin;

static void load(void)
{
	plugin.handle = dlopen("libdeadline.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!plugin.handle)
		_exit(3);
	plugin.background = dlsym(plugin.handle, "deadline_background");
	plugin.with_timeout = dlsym(plugin.handle, "deadline_with_timeout");
	plugin.release = dlsym(plugin.handle, "deadline_release");
	plugin.after = dlsym(plugin.handle, "deadline_after");
	plugin.hook_free = dlsym(plugin.handle, "deadline_hook_free");
}

static void unload(void)
{
	if (dlclose(plugin.handle))
		_exit(4);
}

static deadline_context *make_context(void)
{
	deadline_context *context;

	if (plugin.with_timeout(plugin.background(), 0, &context, 20 * MS))
		_exit(5);
	return context;
}

/* A thread that ends gives back to the library what it has of it. */
static void *use_and_unload(void *unused)
{
	load();
	plugin.release(make_context());
	unload();
	return unused;
}

static void unload_then_end_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, use_and_unload, NULL) ||
	    pthread_join(thread, NULL))
		_exit(6);
}

static bool ran;

static void run(void *unused)
{
	(void)unused;
	__atomic_store_n(&ran, true, __ATOMIC_RELEASE);
}

/* The library's own threads wake up after it. */
static void unload_before_after(void)
{
	deadline_context *context;
	deadline_hook *hook;

	load();
	context = make_context();
	if (plugin.after(context, run, NULL, &hook))
		_exit(7);
	plugin.hook_free(hook);
	unload();
	WAIT_FOR(__atomic_load_n(&ran, __ATOMIC_ACQUIRE));
}

TEST(thread_ends_after_unload)
{
	EXPECT_EQ(0, status_of(unload_then_end_thread));
}

TEST(function_after_unload)
{
	EXPECT_EQ(0, status_of(unload_before_after));
}

TEST_HARNESS_MAIN
