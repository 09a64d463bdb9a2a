// SPDX-License-Identifier: MIT
/* As peer_deadline.c, through the functions that the library exports. */
#include "peer_deadline.h"

static void *calls_open(unsigned int timers)
{
	return slots_open(DEADLINE_BACKEND_AUTO, timers);
}

const struct peer peer_calls = {
	.name		= "deadline-calls",
	.use		= "as deadline, through the exported functions",
	.version	= deadline_version,
	.most		= 1,
	.open		= calls_open,
	.close		= slots_close,
	.arm_cancel	= slots_arm_cancel,
};
