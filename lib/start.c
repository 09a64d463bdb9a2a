// SPDX-License-Identifier: MIT
/* Threads of the library's own: no signal of the program's is for them. */
#define _GNU_SOURCE
#include <signal.h>
#include "internal.h"

int start_thread(pthread_t *thread, const pthread_attr_t *attr,
		 void *(*fn)(void *arg), void *arg)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(thread, attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}
