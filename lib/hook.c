// SPDX-License-Identifier: MIT
/*
 * What happens when a context is over: functions that are called, each once and on
 * its own, and descriptors that become readable. Functions run on the executor that
 * the program has set, or else one after another on a thread of the library's.
 *
 * A hook is in its node's list exactly as long as it can be stopped; the node's lock
 * decides between who stops it and who takes it to be run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "context.h"

enum {
	HOOK_WAITS,
	HOOK_STARTED,
	HOOK_DONE,
};

static int (*executor)(void (*fn)(void *arg), void *arg);

/* The library's own executor */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct deadline_hook *first;
	struct deadline_hook **last;
	bool started;
} own = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.last = &own.first,
};

static int start_detached(void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = start_thread(&thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return ret;
}

static void put(struct deadline_hook *hook)
{
	if (__atomic_fetch_sub(&hook->refs, 1, __ATOMIC_ACQ_REL) == 1)
		free(hook);
}

static void run(void *arg)
{
	struct deadline_hook *hook = arg;
	int saved = errno;

	__atomic_store_n(&hook->runner, pthread_self(), __ATOMIC_RELAXED);
	hook->fn(hook->arg);
	__atomic_store_n(&hook->state, HOOK_DONE, __ATOMIC_RELEASE);
	syscall(SYS_futex, &hook->state, FUTEX_WAKE_PRIVATE, INT_MAX);
	put(hook);
	errno = saved;
}

static void *own_executor(void *unused)
{
	struct deadline_hook *hook;

	(void)unused;
	mutex_lock(&own.mutex);
	for (;;) {
		hook = own.first;
		if (!hook) {
			pthread_cond_wait(&own.more, &own.mutex);
			continue;
		}
		own.first = hook->next;
		if (!own.first)
			own.last = &own.first;
		mutex_unlock(&own.mutex);
		run(hook);
		mutex_lock(&own.mutex);
	}
	return NULL;
}

/* Before there can be anything to run: then it is too late to fail. */
static int start_own(void)
{
	int ret = 0;

	mutex_lock(&own.mutex);
	if (!own.started) {
		ret = start_detached(own_executor, NULL);
		own.started = !ret;
	}
	mutex_unlock(&own.mutex);
	return ret;
}

static void submit_own(struct deadline_hook *hook)
{
	mutex_lock(&own.mutex);
	hook->next = NULL;
	*own.last = hook;
	own.last = &hook->next;
	pthread_cond_signal(&own.more);
	mutex_unlock(&own.mutex);
}

int deadline_set_executor(int (*submit)(void (*fn)(void *arg), void *arg))
{
	int ret = 0;

	mutex_lock(&own.mutex);
	if (own.started)
		ret = -EBUSY;
	else
		executor = submit;
	mutex_unlock(&own.mutex);
	return ret;
}

/* Each queue that has hooks has a thread that sees its expiries. */
static void *dispatch(void *arg)
{
	struct deadline_queue *queue = arg;
	struct deadline_record records[64];
	int i, n;

	for (;;) {
		deadline_queue_wait(queue, DEADLINE_NEVER);
		n = deadline_queue_reap(queue, records, 64);
		for (i = 0; i < n; i++)
			context_expired((void *)(uintptr_t)
					records[i].user_data);
	}
	return NULL;
}

int dispatch_start(struct deadline_queue *queue)
{
	return start_detached(dispatch, queue);
}

static void write_eventfd(int fd)
{
	static const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

/* False if the node is over: perhaps nobody would take the hook. */
bool hook_link(struct deadline_hook *hook)
{
	struct deadline_context *node = hook->node;
	bool open;

	preempt_off();
	lock(&node->lock);
	open = context_opens(node);
	if (open) {
		hook->next = node->hooks;
		if (hook->next)
			hook->next->back = &hook->next;
		hook->back = &node->hooks;
		node->hooks = hook;
	}
	unlock(&node->lock);
	preempt_on();
	return open;
}

/* True if it is out of the list by this, and so will not start. */
bool hook_unlink(struct deadline_hook *hook)
{
	bool linked;

	preempt_off();
	lock(&hook->node->lock);
	linked = hook->back;
	if (linked) {
		*hook->back = hook->next;
		if (hook->next)
			hook->next->back = hook->back;
		hook->back = NULL;
	}
	unlock(&hook->node->lock);
	preempt_on();
	return linked;
}

/* The node is over: write the descriptors, and add the functions to @ready. */
void hooks_take(struct deadline_context *node, struct deadline_hook **ready)
{
	struct deadline_hook *hook, *next;
	int saved = errno;

	if (node->done_fd)
		write_eventfd(node->done_fd - 1);
	next = node->hooks;
	node->hooks = NULL;
	while ((hook = next)) {
		next = hook->next;
		hook->back = NULL;
		if (hook->fn) {
			__atomic_store_n(&hook->state, HOOK_STARTED,
					 __ATOMIC_RELAXED);
			hook->next = *ready;
			*ready = hook;
		} else {
			write_eventfd(hook->eventfd);
		}
	}
	errno = saved;
}

void hooks_run(struct deadline_hook *ready)
{
	struct deadline_hook *hook;

	while ((hook = ready)) {
		ready = hook->next;
		if (!executor || executor(run, hook))
			submit_own(hook);
	}
}

int deadline_after(deadline_context *context, void (*fn)(void *), void *arg,
		   deadline_hook **ret_hook)
{
	struct deadline_context *node = context->node;
	struct deadline_hook *hook;
	int ret = 0, saved = errno;
	bool linked;

	if (!fn)
		return -EINVAL;
	if (node) {
		if (context_orphan(node))
			return -ECHILD;
		ret = pool_dispatch(node);
		if (!ret)
			ret = start_own();
	}
	hook = ret ? NULL : calloc(1, sizeof(*hook));
	errno = saved;
	if (!hook)
		return ret ? ret : -ENOMEM;
	hook->node = node;
	hook->fn = fn;
	hook->arg = arg;
	hook->refs = 2;
	*ret_hook = hook;
	if (!node)
		return 0;
	linked = hook_link(hook);
	if (!linked) {
		hook->state = HOOK_STARTED;
		hooks_run(hook);
		context_complete(node);
	}
	return 0;
}

int deadline_hook_stop(deadline_hook *hook)
{
	bool stopped;

	if (hook->node && context_orphan(hook->node))
		return -ECHILD;
	if (hook->node)
		stopped = hook_unlink(hook);
	else
		stopped = !__atomic_exchange_n(&hook->state, HOOK_DONE,
					       __ATOMIC_ACQ_REL);
	if (stopped)
		put(hook);
	return stopped;
}

int deadline_hook_stop_wait(deadline_hook *hook)
{
	int ret = deadline_hook_stop(hook), saved = errno;

	if (ret)
		return ret;
	while (__atomic_load_n(&hook->state, __ATOMIC_ACQUIRE) ==
	       HOOK_STARTED) {
		if (pthread_equal(__atomic_load_n(&hook->runner,
						  __ATOMIC_RELAXED),
				  pthread_self()))
			return -EDEADLK;
		syscall(SYS_futex, &hook->state, FUTEX_WAIT_PRIVATE,
			HOOK_STARTED, NULL);
	}
	errno = saved;
	return 0;
}

void deadline_hook_free(deadline_hook *hook)
{
	if (hook)
		put(hook);
}

int deadline_done_fd(deadline_context *context)
{
	struct deadline_context *node = context->node;
	int fd, ret, saved = errno;

	/* Never over: one that is never readable would have nobody to close it. */
	if (!node)
		return -EINVAL;
	if (context_orphan(node))
		return -ECHILD;
	ret = pool_dispatch(node);
	if (ret)
		return ret;
	preempt_off();
	lock(&node->lock);
	fd = node->done_fd - 1;
	if (fd < 0) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0)
			fd = -errno;
		else
			node->done_fd = fd + 1;
		if (fd >= 0 && !context_opens(node))
			write_eventfd(fd);
	}
	unlock(&node->lock);
	preempt_on();
	if (context_over(node))
		context_complete(node);
	errno = saved;
	return fd;
}
