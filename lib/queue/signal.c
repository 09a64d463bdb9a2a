// SPDX-License-Identifier: MIT
/* A queue whose expiries signal a thread: for what is in the midst of other code. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "queue/queue.h"

static int set_signal(struct deadline_queue *queue, pid_t thread, int signal)
{
	int ret;

	/* The number of its descriptor may be another file's by now. */
	if (!queue_is_whole(queue))
		return -EBADF;
	/* tgkill(2) says EINVAL of a number that no thread can have. */
	if (thread <= 0)
		return -ESRCH;
	if (syscall(SYS_tgkill, getpid(), thread, 0))
		return -errno;
	ret = queue->backend->signal(queue, thread, signal);
	queue->signals |= !ret;
	return ret;
}

int deadline_queue_set_signal(deadline_queue *queue, pid_t thread, int signal)
{
	int ret, saved = errno;

	if (queue_is_orphan(queue))
		return -ECHILD;
	/* Parts that come later would have to be told. */
	if (signal < 1 || signal > SIGRTMAX || queue->slots_max)
		return -EINVAL;
	ret = set_signal(queue, thread, signal);
	errno = saved;
	return ret;
}
