// SPDX-License-Identifier: MIT
/*
 * What happens when a context is over: functions that are called, each once and on
 * its own, and descriptors that become readable. Where functions run is in executor.c.
 *
 * A hook is in its node's list exactly as long as it can be stopped; the node's lock
 * decides between who stops it and who takes it to be run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/alarm.h"
#include "base/probe.h"
#include "context/pool.h"

enum {
	HOOK_WAITS,	/* in its node's list, or stopped */
	HOOK_STARTED,	/* an executor has it */
	HOOK_DONE,
};

/* For @awaits of all hooks */
static uint32_t awaits_lock;

/* In the child of a fork */
void hooks_begin(void)
{
	awaits_lock = 0;
}

static void hook_put(struct deadline_hook *hook)
{
	struct pool *pool = hook->pool;

	if (__atomic_fetch_sub(&hook->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	free(hook);
	if (pool)
		pool_let_go(pool);
}

/* The function has returned, or ended its thread. */
static void hook_done(void *arg)
{
	struct deadline_hook *hook = arg;

	preempt_off();
	__atomic_store_n(&hook->state, HOOK_DONE, __ATOMIC_RELEASE);
	syscall(SYS_futex, &hook->state, FUTEX_WAKE_PRIVATE, INT_MAX);
	hook_put(hook);
	preempt_on();
}

/* For executors, which call this once for each hook */
void hook_run(void *arg)
{
	struct deadline_hook *hook = arg;
	int saved = errno;

	__atomic_store_n(&hook->runner, pthread_self(), __ATOMIC_RELAXED);
	PROBE2(after_started, hook, hook->fn);
	pthread_cleanup_push(hook_done, hook);
	hook->fn(hook->arg);
	pthread_cleanup_pop(1);
	errno = saved;
}

#define EXPIRIES	64

/**
 * struct dispatcher - what sees the expiries of a pool that has hooks: a thread
 * @pool: which
 * @records: the expiries reaped last
 * @reaped: how many
 * @done: and for so many of them all has been done that is to be
 */
struct dispatcher {
	struct pool *pool;
	struct deadline_record records[EXPIRIES];
	int reaped;
	int done;
};

static void expired(void *context)
{
	context_expired(context);
}

static void *dispatch(void *arg);

/*
 * The program's submit has ended the thread: another one goes on. Where there is none to
 * be had, this one does, and ends later or never.
 */
static void dispatch_anew(void *dispatcher)
{
	if (start_detached(dispatch, dispatcher))
		dispatch(dispatcher);
}

static void dispatch_all(struct dispatcher *d)
{
	uint64_t context;

	while (d->done < d->reaped) {
		context = d->records[d->done++].user_data;
		call_catching(expired, (void *)(uintptr_t)context);
	}
}

static void *dispatch(void *arg)
{
	struct dispatcher *d = arg;
	int state;

	prctl(PR_SET_NAME, "deadline-expiry");
	take_affinity();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cleanup_push(dispatch_anew, d);
	dispatch_all(d);
	while (!pool_closes(d->pool)) {
		queue_await(d->pool->queue);
		d->done = 0;
		d->reaped = deadline_queue_reap(d->pool->queue, d->records,
						EXPIRIES);
		dispatch_all(d);
	}
	pthread_cleanup_pop(0);
	free(d);
	return NULL;
}

int dispatch_start(struct pool *pool)
{
	struct dispatcher *dispatcher = calloc(1, sizeof(*dispatcher));
	int ret;

	if (!dispatcher)
		return -ENOMEM;
	dispatcher->pool = pool;
	ret = start_detached(dispatch, dispatcher);
	if (ret)
		free(dispatcher);
	return ret;
}

/* False if the node is over: perhaps nobody would take the hook. */
bool hook_link(struct deadline_hook *hook)
{
	struct deadline_context *node = hook->node;
	bool open;

	preempt_off();
	futex_lock(&node->lock);
	open = context_opens(node);
	if (open) {
		hook->next = node->hooks;
		if (hook->next)
			hook->next->back = &hook->next;
		hook->back = &node->hooks;
		node->hooks = hook;
	}
	futex_unlock(&node->lock);
	preempt_on();
	return open;
}

/* True if it is out of the list by this, and so will not start. */
bool hook_unlink(struct deadline_hook *hook)
{
	bool linked;

	preempt_off();
	futex_lock(&hook->node->lock);
	linked = hook->back;
	if (linked) {
		*hook->back = hook->next;
		if (hook->next)
			hook->next->back = hook->back;
		hook->back = NULL;
	}
	futex_unlock(&hook->node->lock);
	preempt_on();
	return linked;
}

/* The node is over: ring the alarms, and add the functions to @ready. */
void hooks_take(struct deadline_context *node, struct deadline_hook **ready)
{
	struct deadline_hook *hook, *next;
	int saved = errno;

	if (node->done_fd)
		alarm_ring(node->done_fd - 1);
	next = node->hooks;
	node->hooks = NULL;
	while ((hook = next)) {
		next = hook->next;
		hook->back = NULL;
		if (hook->fn) {
			__atomic_store_n(&hook->state, HOOK_STARTED,
					 __ATOMIC_RELAXED);
			PROBE2(after_queued, hook, hook->fn);
			hook->next = *ready;
			*ready = hook;
		} else {
			alarm_ring(hook->alarm);
		}
	}
	errno = saved;
}

/*
 * The node's deadline has changed: whoever sleeps in a blocking call under it is woken
 * to look at it anew.
 */
void hooks_look_again(const struct deadline_context *node)
{
	struct deadline_hook *hook;
	int saved = errno;

	for (hook = node->hooks; hook; hook = hook->next) {
		if (!hook->fn)
			alarm_ring(hook->alarm);
	}
	errno = saved;
}

/* What is needed to have functions run, while it is not too late to fail */
static int prepare(struct deadline_context *node)
{
	int ret;

	if (context_orphan(node))
		return -ECHILD;
	ret = pool_dispatch(node);
	return ret ? ret : runners_start();
}

static void hook_begin(struct deadline_hook *hook)
{
	if (!hook->node)
		return;
	hook->pool = pool_hold(hook->node);
	if (hook_link(hook))
		return;
	hook->state = HOOK_STARTED;
	PROBE2(after_queued, hook, hook->fn);
	submit_later(hook);
	context_complete(hook->node);
}

int deadline_after(deadline_context *context, void (*fn)(void *), void *arg,
		   deadline_hook **ret_hook)
{
	struct deadline_context *node = context->node;
	struct deadline_hook *hook = NULL;
	int ret = 0, saved = errno;

	if (!fn)
		return -EINVAL;
	submit_hold();
	if (node)
		ret = prepare(node);
	if (!ret) {
		hook = calloc(1, sizeof(*hook));
		ret = hook ? 0 : -ENOMEM;
	}
	if (hook) {
		hook->node = node;
		hook->fn = fn;
		hook->arg = arg;
		hook->refs = 2;
		*ret_hook = hook;
		hook_begin(hook);
	}
	errno = saved;
	submit_held();
	return ret;
}

int deadline_hook_stop(deadline_hook *hook)
{
	bool stopped;

	if (hook->node && context_orphan(hook->node))
		return -ECHILD;
	preempt_off();
	if (hook->node)
		stopped = hook_unlink(hook);
	else
		stopped = !__atomic_exchange_n(&hook->state, HOOK_DONE,
					       __ATOMIC_ACQ_REL);
	if (stopped)
		hook_put(hook);
	preempt_on();
	return stopped;
}

/*
 * The function that this thread runs, if any, is going to wait for @hook. False if that
 * waits for this one already, perhaps by way of others: each waits for one at most.
 */
static bool begin_wait(struct deadline_hook *hook)
{
	struct deadline_hook *waiter = runner_current(), *other = hook;

	if (!waiter)
		return !pthread_equal(__atomic_load_n(&hook->runner,
						      __ATOMIC_RELAXED),
				      pthread_self());
	futex_lock(&awaits_lock);
	while (other && other != waiter)
		other = other->awaits;
	if (!other)
		waiter->awaits = hook;
	futex_unlock(&awaits_lock);
	return !other;
}

static void end_wait(void)
{
	struct deadline_hook *waiter = runner_current();

	if (!waiter)
		return;
	futex_lock(&awaits_lock);
	waiter->awaits = NULL;
	futex_unlock(&awaits_lock);
}

int deadline_hook_stop_wait(deadline_hook *hook)
{
	int ret = deadline_hook_stop(hook), saved = errno;

	if (ret)
		return ret;
	if (__atomic_load_n(&hook->state, __ATOMIC_ACQUIRE) != HOOK_STARTED)
		return 0;
	preempt_off();
	if (begin_wait(hook)) {
		while (__atomic_load_n(&hook->state, __ATOMIC_ACQUIRE) ==
		       HOOK_STARTED)
			syscall(SYS_futex, &hook->state, FUTEX_WAIT_PRIVATE,
				HOOK_STARTED, NULL);
		end_wait();
	} else {
		ret = -EDEADLK;
	}
	preempt_on();
	errno = saved;
	return ret;
}

void deadline_hook_free(deadline_hook *hook)
{
	if (!hook)
		return;
	preempt_off();
	hook_put(hook);
	preempt_on();
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
	if (ret) {
		errno = saved;
		return ret;
	}
	preempt_off();
	futex_lock(&node->lock);
	fd = node->done_fd - 1;
	if (fd >= 0 && !is_own(fd)) {
		/* The program has closed it. */
		own_close(fd);
		node->done_fd = 0;
		fd = -1;
	}
	if (fd < 0) {
		fd = alarm_open();
		if (fd >= 0)
			node->done_fd = fd + 1;
		if (fd >= 0 && !context_opens(node))
			alarm_ring(fd);
	}
	futex_unlock(&node->lock);
	preempt_on();
	if (context_over(node))
		context_complete(node);
	errno = saved;
	return fd;
}
