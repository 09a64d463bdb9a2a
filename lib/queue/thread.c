// SPDX-License-Identifier: MIT
/*
 * A thread serves the queue: where the module is absent. It takes the inbox as the
 * module does, and its doorbell is a futex wake; everything else is done by the
 * thread alone, so that nothing here is locked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/alarm.h"
#include "base/debug.h"
#include "queue/thread.h"

/* As the module has it, if nobody says otherwise */
#define PERIOD_MIN	10000
/* Slots taken from the inbox before it is asked again what is due */
#define HANDED_IN	64

/*
 * Make the descriptor readable. First that, then the word of it: what is
 * readable is soon told to be, and who is told reads it once more at worst.
 */
static void raise_fd(struct server *server)
{
	alarm_ring(server->queue->fd);
	__atomic_store_n(&server->raised, true, __ATOMIC_SEQ_CST);
}

static void wake_server(struct server *server)
{
	if (__atomic_exchange_n(&server->asleep, 0, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &server->asleep, FUTEX_WAKE_PRIVATE, 1);
}

/* Until when the server sleeps: whoever hands in for later than that need not ring. */
static void tell_wake(struct server *server, uint64_t when)
{
	__atomic_store_n(&server->queue->status->wake, when, __ATOMIC_SEQ_CST);
}

static uint64_t due_of(const struct deadline_slot *slot)
{
	return __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST) &
	       ~DEADLINE_WORD_STATE;
}

/*
 * Plan a look at some of the slots that were handed in, or look at once if it is due:
 * kmod/inbox.c. Here, unlike in the kernel, a slot may have been cancelled since its
 * doorbell was rung; its word still has the deadline, and the look is planned all the
 * same, or whoever arms and cancels faster than this thread runs would ring every time.
 */
static void serve_inbox(struct server *server)
{
	struct deadline_queue *queue = server->queue;
	uint64_t due, key, now = deadline_now();
	unsigned int left = HANDED_IN;
	deadline_slot *slot;
	struct node *node;
	uint32_t index;

	if (!server->inbox)
		server->inbox = __atomic_exchange_n(&queue->header->inbox, 0,
						    __ATOMIC_SEQ_CST) &
				DEADLINE_INBOX_SLOT;
	while (server->inbox && left--) {
		index = server->inbox - 1;
		slot = slot_at(queue, index);
		node = &server->nodes[index];
		/* [pop]: from here on it may be pushed again; then read the word. */
		server->inbox = __atomic_exchange_n(&slot->link, 0,
						    __ATOMIC_SEQ_CST) &
				DEADLINE_INBOX_SLOT;
		due = due_of(slot);
		count_up(&queue->status->handed_in);
		key = look_key(slot, due);
		if (due == DEADLINE_TIME_NEVER ||
		    (node->place && node->key <= key))
			continue;
		if (due > now)
			look_enqueue(server, node, key);
		else
			look_at(server, index, now);
	}
}

static void serve_due(struct server *server)
{
	uint64_t now = deadline_now();
	struct node *node;

	while ((node = look_first(server)) && look_due(server, node, now))
		look_at(server, node - server->nodes, now);
}

/* Until the first key or a doorbell */
static void server_sleep(struct server *server)
{
	struct node *node = look_first(server);
	uint64_t until = node ? node->key : DEADLINE_NEVER;

	/*
	 * Asleep first, then is there work? Whoever hands in does the opposite, and
	 * takes @asleep back if it reads [wake].
	 */
	__atomic_store_n(&server->asleep, 1, __ATOMIC_SEQ_CST);
	tell_wake(server, until);
	/* [wake]: an emulator of Arm on x86 may let a load pass such a store without this. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&server->queue->header->inbox, __ATOMIC_SEQ_CST) &&
	    !__atomic_load_n(&server->stop, __ATOMIC_SEQ_CST))
		futex_sleep(&server->asleep, 1, until);
	tell_wake(server, 0);
	__atomic_store_n(&server->asleep, 0, __ATOMIC_SEQ_CST);
	count_up(&server->queue->status->interrupts);
}

/*
 * There are new entries: whoever watches by edges is told of each, also while others
 * are still there, as the kernel does.
 */
static void tell(struct server *server)
{
	/* Between the entries and who sleeps for them, as in server_sleep() */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&server->awaited, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&server->awaited, 0, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &server->awaited, FUTEX_WAKE_PRIVATE, 1);
	}
	if (__atomic_load_n(&server->watched, __ATOMIC_SEQ_CST))
		raise_fd(server);
}

static void *serve(void *arg)
{
	struct server *server = arg;
	uint64_t tail;

	prctl(PR_SET_NAME, "deadline-server");
	take_affinity();
	/* The default slack of 50 us would be our lateness. */
	prctl(PR_SET_TIMERSLACK, 1);
	while (!__atomic_load_n(&server->stop, __ATOMIC_SEQ_CST)) {
		tail = server->tail;
		serve_inbox(server);
		serve_due(server);
		if (server->tail != tail)
			tell(server);
		if (!server->inbox)
			server_sleep(server);
	}
	return NULL;
}

static int start_fifo(struct server *server)
{
	struct sched_param param = { .sched_priority = 1 };
	pthread_attr_t attr;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	ret = start_thread(&server->thread, &attr, serve, server);
	pthread_attr_destroy(&attr);
	return ret;
}

/*
 * At the lowest real-time priority where that is permitted. A seccomp filter may kill
 * the process for the question (systemd's SystemCallFilter=~@resources does), so under
 * one it is not asked.
 */
static int start(struct server *server)
{
	if (!prctl(PR_GET_SECCOMP) && !start_fifo(server))
		return 0;
	debug_log("the thread that serves a queue has no real-time priority");
	return start_thread(&server->thread, NULL, serve, server);
}

static void free_parts(struct deadline_queue *queue)
{
	struct server *server = queue->server;

	if (queue->header)
		munmap(queue->header, queue->shared_size);
	if (queue->status)
		munmap(queue->status, queue->status_size);
	if (queue->fd >= 0)
		own_close(queue->fd);
	free(server->nodes);
	free(server->heap);
	free(server);
}

static int thread_open(struct deadline_queue *queue, uint32_t slots)
{
	struct server *server;
	size_t slots_at, page = sysconf(_SC_PAGESIZE);
	uint32_t i;
	int ret;

	/* A futex sleeps by no clock that is set or goes on in a suspend. */
	if (queue->clock)
		return -EOPNOTSUPP;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->queue = queue;
	queue->server = server;
	queue->count = slots;
	queue->period_min = PERIOD_MIN;
	queue->ring_size = 1;
	while (queue->ring_size < slots)
		queue->ring_size *= 2;
	queue->slot_shift = __builtin_ctz(sizeof(*queue->slots));
	queue->entry_shift = __builtin_ctz(sizeof(*queue->ring));
	slots_at = (sizeof(*queue->header) + slots * sizeof(*queue->periods) +
		    page - 1) & -page;
	queue->shared_size = slots_at + slots * sizeof(*queue->slots);
	queue->status_size = page + queue->ring_size * sizeof(*queue->ring);

	queue->fd = alarm_open();
	ret = queue->fd < 0 ? queue->fd : -ENOMEM;
	queue->header = wiped_pages(queue->shared_size);
	queue->status = wiped_pages(queue->status_size);
	server->nodes = calloc(slots, sizeof(*server->nodes));
	server->heap = calloc((size_t)slots + 1, sizeof(*server->heap));
	if (queue->fd < 0 || !queue->header || !queue->status ||
	    !server->nodes || !server->heap)
		goto fail;
	queue->periods = (void *)(queue->header + 1);
	queue->slots = (void *)queue->header + slots_at;
	queue->ring = (void *)queue->status + page;
	for (i = 0; i < slots; i++)
		queue->slots[i].queued = DEADLINE_QUEUED_NEVER;
	server->tail = 1;
	queue->header->head = 1;
	queue->status->tail = 1;
	ret = start(server);
	if (ret)
		goto fail;
	return 0;
fail:
	free_parts(queue);
	return ret;
}

/* After a fork there is no thread to be stopped. */
static void thread_close(struct deadline_queue *queue)
{
	struct server *server = queue->server;

	if (!queue_is_orphan(queue)) {
		__atomic_store_n(&server->stop, true, __ATOMIC_SEQ_CST);
		wake_server(server);
		pthread_join(server->thread, NULL);
	}
	free_parts(queue);
}

static int thread_doorbell(struct deadline_queue *queue)
{
	int saved = errno;

	__atomic_add_fetch(&queue->status->doorbells, 1, __ATOMIC_RELAXED);
	/* Who has taken @asleep back must come to wake, for nobody else does. */
	preempt_off();
	wake_server(queue->server);
	preempt_on();
	errno = saved;
	return 0;
}

/* Either this finds the entry, or the server that stored it finds it watched. */
static void thread_watch(struct deadline_queue *queue)
{
	__atomic_store_n(&queue->server->watched, true, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring_pending(queue))
		raise_fd(queue->server);
}

/* Either this finds the entry, or the server that stored it finds it awaited. */
static void thread_sleep(struct deadline_queue *queue)
{
	uint32_t *awaited = &queue->server->awaited;

	__atomic_store_n(awaited, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring_pending(queue))
		futex_sleep(awaited, 1, DEADLINE_NEVER);
	__atomic_store_n(awaited, 0, __ATOMIC_SEQ_CST);
}

/* Have it not readable, then look again: this may have been for a new entry. */
static void thread_drained(struct deadline_queue *queue)
{
	struct server *server = queue->server;
	int saved = errno;

	if (!__atomic_load_n(&server->raised, __ATOMIC_SEQ_CST) ||
	    !__atomic_exchange_n(&server->raised, false, __ATOMIC_SEQ_CST))
		return;
	alarm_set(queue->fd, DEADLINE_NEVER);
	errno = saved;
	if (ring_pending(queue))
		raise_fd(server);
}

/* Before any slot of the queue is armed */
static int thread_signal(struct deadline_queue *queue, pid_t thread, int signal)
{
	queue->server->signalled = thread;
	queue->server->signal = signal;
	return 0;
}

const struct backend backend_thread = {
	.id		= DEADLINE_BACKEND_THREAD,
	.open		= thread_open,
	.close		= thread_close,
	.doorbell	= thread_doorbell,
	.watch		= thread_watch,
	.drained	= thread_drained,
	.sleep		= thread_sleep,
	.signal		= thread_signal,
};
