/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues of several users. Whose slots they are is the real uid at open(2). So the
 * tests change that, and give up CAP_SYS_RESOURCE, which is exempt from limits, but
 * remain root otherwise.
 */
#ifndef SELFTESTS_USERS_H
#define SELFTESTS_USERS_H

#include <linux/capability.h>
#include "module.h"
#include "queue.h"

static inline int set_capability(unsigned int capability, bool on)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	if (on)
		data[0].effective |= 1u << capability;
	else
		data[0].effective &= ~(1u << capability);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static inline int exempt(bool on)
{
	return set_capability(CAP_SYS_RESOURCE, on);
}

/* A queue of that user; 0 or -errno. On failure its file is open. */
static inline int open_as(uid_t uid, struct queue *q, uint32_t slots)
{
	if (setresuid(uid, -1, -1))
		return -EPERM;
	return queue_open(q, slots, O_CLOEXEC);
}

/* Would he be given so many slots? He gives them back. */
static inline int try_as(uid_t uid, uint32_t slots)
{
	struct queue q;
	int ret = open_as(uid, &q, slots);

	if (ret)
		close(q.fd);
	else
		queue_close(&q);
	return ret;
}

#endif
