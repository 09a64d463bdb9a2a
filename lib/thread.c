// SPDX-License-Identifier: MIT
/*
 * A thread serves the queue: where the module is absent. Its doorbell is a
 * lock-free push and, if the thread sleeps, a futex wake; everything else is
 * done by the thread alone, so that nothing here is locked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "thread.h"

/* As the module has it, if nobody says otherwise */
#define PERIOD_MIN	10000
/* Doorbells served before it is asked again what is due */
#define DOORBELLS	64
/* Slots pushed, after which the server is woken: it serves so many in 0.2 ms. */
#define BACKLOG		1024

/*
 * Make the eventfd readable. First the write, then the word of it: what is
 * readable is soon told to be, and who is told reads it once more at worst.
 */
static void raise_fd(struct server *server)
{
	static const uint64_t one = 1;

	if (write(server->queue->fd, &one, sizeof(one)) < 0)
		abort();
	__atomic_store_n(&server->raised, true, __ATOMIC_SEQ_CST);
}

/* If it would sleep beyond @key */
static void wake_server(struct server *server, uint64_t key)
{
	if (__atomic_load_n(&server->until, __ATOMIC_SEQ_CST) > key &&
	    __atomic_exchange_n(&server->asleep, 0, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &server->asleep, FUTEX_WAKE_PRIVATE, 1);
}

static uint64_t due_of(const struct deadline_slot *slot)
{
	return __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST) &
	       ~DEADLINE_WORD_STATE;
}

/*
 * Plan a look at some of the slots that were rung for, or look at once if it is due.
 * Here, unlike in the kernel, the slot may have been cancelled since the ring;
 * its word still has the deadline, and the look is planned all the same, or
 * whoever arms and cancels faster than we run would ring every time.
 */
static void serve_doorbells(struct server *server)
{
	struct deadline_queue *queue = server->queue;
	uint64_t due, key, now = deadline_now();
	unsigned int left = DOORBELLS;
	struct node *node;
	uint32_t index;

	if (!server->popped)
		server->popped = __atomic_exchange_n(&server->pushed, 0,
						     __ATOMIC_SEQ_CST);
	while (server->popped && left--) {
		index = server->popped - 1;
		node = &server->nodes[index];
		server->popped = node->below;
		/* From here on it may be pushed again; then look at the word. */
		__atomic_exchange_n(&node->pushed, 0, __ATOMIC_SEQ_CST);
		due = due_of(&queue->slots[index]);
		count(&queue->status->doorbells);
		key = look_key(&queue->slots[index], due);
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
	struct timespec until, *timeout = NULL;

	if (node) {
		until.tv_sec = node->key / 1000000000;
		until.tv_nsec = node->key % 1000000000;
		timeout = &until;
	}
	/* Asleep first, then is there work? The doorbell does the opposite. */
	__atomic_store_n(&server->asleep, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&server->until, node ? node->key : DEADLINE_NEVER,
			 __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&server->pushed, __ATOMIC_SEQ_CST) &&
	    !__atomic_load_n(&server->stop, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &server->asleep, FUTEX_WAIT_BITSET_PRIVATE,
			1, timeout, NULL, FUTEX_BITSET_MATCH_ANY);
	__atomic_store_n(&server->until, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&server->asleep, 0, __ATOMIC_SEQ_CST);
	count(&server->queue->status->interrupts);
}

/*
 * There are entries from @tail on. If one before it is still there, then the eventfd
 * is readable, or will be: who lowers it has yet to look at the ring.
 */
static void tell(struct server *server, uint64_t tail)
{
	if (__atomic_load_n(&server->watched, __ATOMIC_SEQ_CST) &&
	    __atomic_load_n(&server->queue->header->head,
			    __ATOMIC_SEQ_CST) >= tail)
		raise_fd(server);
}

static void *serve(void *arg)
{
	struct server *server = arg;
	uint64_t tail;

	/* The default slack of 50 us would be our lateness. */
	prctl(PR_SET_TIMERSLACK, 1);
	while (!__atomic_load_n(&server->stop, __ATOMIC_SEQ_CST)) {
		tail = server->tail;
		serve_doorbells(server);
		serve_due(server);
		if (server->tail != tail)
			tell(server, tail);
		if (!server->popped)
			server_sleep(server);
	}
	return NULL;
}

/* At the lowest real-time priority where that is permitted */
static int start(struct server *server)
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
	if (ret == -EPERM)
		ret = start_thread(&server->thread, NULL, serve, server);
	pthread_attr_destroy(&attr);
	return ret;
}

static void *pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static void release(struct deadline_queue *queue)
{
	struct server *server = queue->server;

	if (queue->header)
		munmap(queue->header, queue->shared_size);
	if (queue->status)
		munmap(queue->status, queue->status_size);
	if (queue->fd >= 0)
		close(queue->fd);
	free(server->nodes);
	free(server->heap);
	free(server);
}

static int thread_open(struct deadline_queue *queue, uint32_t slots)
{
	struct server *server = calloc(1, sizeof(*server));
	size_t page = sysconf(_SC_PAGESIZE);
	uint32_t i;
	int ret;

	if (!server)
		return -ENOMEM;
	server->queue = queue;
	queue->server = server;
	queue->count = slots;
	queue->period_min = PERIOD_MIN;
	queue->ring_size = 1;
	while (queue->ring_size < slots)
		queue->ring_size *= 2;
	queue->shared_size = page + slots * sizeof(*queue->slots);
	queue->status_size = page + queue->ring_size * sizeof(*queue->ring);

	queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = queue->fd < 0 ? -errno : -ENOMEM;
	queue->header = pages(queue->shared_size);
	queue->status = pages(queue->status_size);
	server->nodes = calloc(slots, sizeof(*server->nodes));
	server->heap = calloc((size_t)slots + 1, sizeof(*server->heap));
	if (queue->fd < 0 || !queue->header || !queue->status ||
	    !server->nodes || !server->heap)
		goto fail;
	queue->slots = (void *)queue->header + page;
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
	release(queue);
	return ret;
}

/* After a fork there is no thread to be stopped. */
static void thread_close(struct deadline_queue *queue)
{
	struct server *server = queue->server;

	if (!queue->orphan) {
		__atomic_store_n(&server->stop, true, __ATOMIC_SEQ_CST);
		wake_server(server, 0);
		pthread_join(server->thread, NULL);
	}
	release(queue);
}

/* Returns whether so many were that the server should not leave them for later. */
static bool push(struct server *server, uint32_t index)
{
	struct node *node = &server->nodes[index];
	uint32_t top;

	if (__atomic_exchange_n(&node->pushed, 1, __ATOMIC_SEQ_CST))
		return false;
	top = __atomic_load_n(&server->pushed, __ATOMIC_RELAXED);
	do {
		node->below = top;
	} while (!__atomic_compare_exchange_n(&server->pushed, &top, index + 1,
					      0, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return !(__atomic_add_fetch(&server->rung, 1, __ATOMIC_RELAXED) %
		 BACKLOG);
}

/*
 *	doorbell			server
 *	--------			------
 *	push				until = when it will wake
 *	load until			load pushed
 *
 * All four sequentially consistent: either the server finds the slot or the
 * doorbell finds until when the server sleeps. That is early enough for most: a
 * new timeout comes after those that run. But were many left until the first of
 * them is due, that would be late by as long as it takes to serve all. A slot that
 * is on the stack already is taken off it before its word is looked at; it may
 * have an earlier time by now.
 */
static int thread_ring(struct deadline_queue *queue, const uint32_t *slots,
		       unsigned int n)
{
	struct server *server = queue->server;
	uint64_t key, first = DEADLINE_NEVER;
	unsigned int i;
	int saved = errno;

	for (i = 0; i < n; i++) {
		key = look_key(&queue->slots[slots[i]],
			       due_of(&queue->slots[slots[i]]));
		if (first > key)
			first = key;
		if (push(server, slots[i]))
			first = 0;
	}
	wake_server(server, first);
	errno = saved;
	return n;
}

/* Head first: if not, there was nothing when the tail was loaded; see tell(). */
static bool pending(const struct deadline_queue *queue)
{
	uint64_t head = __atomic_load_n(&queue->header->head, __ATOMIC_SEQ_CST);

	return head != __atomic_load_n(&queue->status->tail, __ATOMIC_SEQ_CST);
}

/* Either this finds the entry, or the server that stored it finds it watched. */
static void thread_watch(struct deadline_queue *queue)
{
	__atomic_store_n(&queue->server->watched, true, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (pending(queue))
		raise_fd(queue->server);
}

/* Lower the eventfd, then look again: this may have been for a new entry. */
static void thread_drained(struct deadline_queue *queue)
{
	struct server *server = queue->server;
	int saved = errno;
	uint64_t sum;

	if (!__atomic_load_n(&server->raised, __ATOMIC_SEQ_CST) ||
	    !__atomic_exchange_n(&server->raised, false, __ATOMIC_SEQ_CST))
		return;
	if (read(queue->fd, &sum, sizeof(sum)) < 0 && errno != EAGAIN)
		abort();
	errno = saved;
	if (pending(queue))
		raise_fd(server);
}

/* Before any slot of the queue is armed */
static int thread_signal(struct deadline_queue *queue, pid_t thread)
{
	queue->server->signalled = thread;
	return 0;
}

const struct backend backend_thread = {
	.id		= DEADLINE_BACKEND_THREAD,
	.open		= thread_open,
	.close		= thread_close,
	.ring		= thread_ring,
	.watch		= thread_watch,
	.drained	= thread_drained,
	.signal		= thread_signal,
};
