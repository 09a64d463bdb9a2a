// SPDX-License-Identifier: MIT
/*
 * The sleep of the calls in io.c: poll(2) of what the call waits for and of the
 * thread's alarm. The alarm is set to the call's limit, and whoever cancels the
 * context rings it, told by the hook.
 *
 * poll(2) here is the only cancellation point of these calls (pthread_cancel(3)).
 * Everything else that could be one is called by syscall(2) or with cancellation
 * disabled, so that a thread never ends after bytes were moved and before they were
 * told, nor with a lock held or a hook on its stack.
 *
 * Each call has preemption off: the alarm and what else there is to a sleep are the
 * thread's, so that no other task of it may sleep meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include "base/alarm.h"
#include "context/sleep.h"

/* The shortest pause, ns, and how often it is doubled: up to 4 ms */
#define PAUSE		32000
#define DOUBLINGS	7

/* What the clock says of the call's limits: 0 = none has come */
static int limits(struct sleeper *sleeper)
{
	deadline_context *context = sleeper->context;
	uint64_t now = deadline_now();

	if (context->node)
		context_help(context->node, now);
	if (deadline_err(context))
		return deadline_err(context);
	return now < sleeper->until ? 0 : -ETIMEDOUT;
}

static void unlink_hook(struct sleeper *sleeper)
{
	/* Who took the hook has rung the alarm, under the node's lock. */
	if (sleeper->hook.node && !hook_unlink(&sleeper->hook))
		alarm_rang();
	sleeper->hook.node = NULL;
}

/* The thread ends in poll(2), and with preemption off: it runs no task any more. */
static void cancelled(void *arg)
{
	struct sleeper *sleeper = arg;

	unlink_hook(sleeper);
	if (sleeper->undo)
		sleeper->undo(sleeper);
	submit_cancelled();
}

/* What shall ring the alarm at @when or before: 0, or why the call shall end */
static int prepare(struct sleeper *sleeper, uint64_t when)
{
	struct deadline_hook *hook = &sleeper->hook;

	hook->alarm = alarm_of_thread(when);
	if (hook->alarm < 0)
		return hook->alarm;
	hook->node = sleeper->context->node;
	if (!hook->node || hook_link(hook))
		return 0;
	hook->node = NULL;
	return deadline_err(sleeper->context);
}

/* As sleep_for(), until @when; 0 for no reason */
static int sleep_once(struct sleeper *sleeper, struct pollfd *fds, nfds_t n,
		      uint64_t when)
{
	deadline_context *context = sleeper->context;
	uint64_t due = deadline_when(context);
	int ret = 0;

	if (when > due)
		when = due;
	sleeper->hook.alarm = -1;
	if (context->node || when != DEADLINE_NEVER)
		ret = prepare(sleeper, when);
	if (!ret) {
		pthread_cleanup_push(cancelled, sleeper);
		/* After the link: a cancel or a move before it is seen here. */
		ret = deadline_err(context);
		if (!ret && deadline_when(context) >= when)
			ret = alarm_poll(fds, n, sleeper->hook.alarm);
		pthread_cleanup_pop(0);
		unlink_hook(sleeper);
	}
	return ret == -EINTR ? 0 : ret;
}

int sleep_for(struct sleeper *sleeper, struct pollfd *fds, nfds_t n)
{
	int ret;

	do {
		ret = sleep_once(sleeper, fds, n, sleeper->until);
		if (!ret)
			ret = limits(sleeper);
	} while (!ret);
	return ret;
}

int sleep_briefly(struct sleeper *sleeper)
{
	unsigned int doublings = sleeper->misses++;
	struct pollfd none[1];
	uint64_t when;
	int ret;

	if (doublings > DOUBLINGS)
		doublings = DOUBLINGS;
	when = deadline_in(PAUSE << doublings);
	ret = limits(sleeper);
	if (!ret)
		ret = sleep_once(sleeper, none, 0,
				 when < sleeper->until ? when : sleeper->until);
	if (!ret)
		ret = limits(sleeper);
	return ret ? ret : 1;
}

/*
 * A descriptor can be ready for poll(2) again and again and have nothing for the call:
 * there is another reader that is quicker, a full receiver that only the call names,
 * a peek beyond what is there. Once that is no news, spinning must be avoided.
 */
int sleep_for_one(struct sleeper *sleeper, int fd, short events)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events } };

	if (sleeper->misses > 1)
		return sleep_briefly(sleeper);
	sleeper->misses++;
	return sleep_for(sleeper, fds, 1);
}
