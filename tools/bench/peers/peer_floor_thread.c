// SPDX-License-Identifier: MIT
/*
 * The least that a timer thread can do to wake another: sleep in the kernel with
 * nothing around it, then set a word and wake who sleeps on it.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../scenarios/bench.h"

/**
 * struct server - a thread for one timer
 * @armed: atomic; the thread waits for it, and clears it
 * @over: atomic; the task waits for it, and clears it
 * @when: ns; 0: end
 */
struct server {
	pthread_t thread;
	uint32_t armed, over;
	uint64_t when;
};

static void set(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
}

static void wait_for(uint32_t *word)
{
	while (!__atomic_load_n(word, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL);
	__atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

static void *serve(void *self)
{
	struct server *server = self;

	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		wait_for(&server->armed);
		if (!server->when)
			return NULL;
		floor_sleep(server->when);
		set(&server->over);
	}
}

static void *server_open(unsigned int timers)
{
	struct server *server = calloc(timers, sizeof(*server));

	if (server)
		must(!pthread_create(&server->thread, NULL, serve, server),
		     "pthread_create");
	return server;
}

static void server_start(void *self, const uint64_t *when, unsigned int n)
{
	struct server *server = self;

	(void)n;
	server->when = *when;
	set(&server->armed);
}

static void server_close(void *self)
{
	struct server *server = self;
	const uint64_t end = 0;

	server_start(server, &end, 1);
	pthread_join(server->thread, NULL);
	free(server);
}

static unsigned int server_take(void *self, uint64_t *unused)
{
	struct server *server = self;

	(void)unused;
	wait_for(&server->over);
	return 1;
}

const struct peer peer_floor_thread = {
	.name	= "floor-thread",
	.use	= "a thread that sleeps so, and wakes who sleeps in a futex",
	.most	= 1,
	.open	= server_open,
	.close	= server_close,
	.start	= server_start,
	.take	= server_take,
};
