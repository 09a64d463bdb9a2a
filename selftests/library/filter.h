/* SPDX-License-Identifier: GPL-2.0 */
/* System calls that the process may not have, as sandboxes and old kernels have it */
#ifndef SELFTESTS_FILTER_H
#define SELFTESTS_FILTER_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NO_SUCH_CALL	(SECCOMP_RET_ERRNO | ENOSYS)

/* From here on @call ends with this verdict, SECCOMP_RET_*, in this thread. */
static inline void filter_call(int call, unsigned int verdict)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, verdict),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		sizeof(filter) / sizeof(*filter), filter
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(1);
}

#endif
