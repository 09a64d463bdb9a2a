// SPDX-License-Identifier: MIT
/* Queues: open, close, reap, wait. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "internal.h"

#define SLOTS_DEFAULT	4096
/* Hints taken from the ring with one swap of head */
#define REAP_BATCH	64

/*
 * Options of @size bytes, 0 = as many as are known, of a program that may be older
 * or newer than we are
 */
int take_options(void *to, size_t known, const void *from, size_t size)
{
	const unsigned char *bytes = from;
	size_t i;

	memset(to, 0, known);
	for (i = known; i < size; i++) {
		if (bytes[i])
			return -E2BIG;
	}
	memcpy(to, from, size && size < known ? size : known);
	return 0;
}

static int check_options(struct deadline_options *to,
			 const struct deadline_options *from)
{
	const struct deadline_options none = { .size = 0 };
	const char *wanted = secure_getenv("DEADLINE_BACKEND");
	int ret;

	if (!from)
		from = &none;
	ret = take_options(to, sizeof(*to), from, from->size);
	if (ret)
		return ret;
	if (!to->slots)
		to->slots = SLOTS_DEFAULT;
	if (to->slots > DEADLINE_SLOTS_MAX ||
	    to->backend < DEADLINE_BACKEND_AUTO ||
	    to->backend > DEADLINE_BACKEND_THREAD)
		return -EINVAL;
	if (to->backend != DEADLINE_BACKEND_AUTO || !wanted || !*wanted)
		return 0;
	if (!strcmp(wanted, "kernel"))
		to->backend = DEADLINE_BACKEND_KERNEL;
	else if (!strcmp(wanted, "thread"))
		to->backend = DEADLINE_BACKEND_THREAD;
	else
		return -EINVAL;
	return 0;
}

static int open_with(struct deadline_queue *queue,
		     const struct backend *backend, uint32_t slots)
{
	int ret = backend->open(queue, slots);

	if (ret)
		return ret;
	queue->backend = backend;
	queue->ends.head = (const deadline_word *)&queue->header->head;
	queue->ends.tail = (const deadline_word *)&queue->status->tail;
	pthread_mutex_init(&queue->lock, NULL);
	fork_enter(queue);
	return 0;
}

int deadline_queue_open(deadline_queue **ret_queue,
			const struct deadline_options *options)
{
	struct deadline_options checked;
	struct deadline_queue *queue;
	int ret, saved = errno;

	ret = check_options(&checked, options);
	if (ret)
		return ret;
	queue = calloc(1, sizeof(*queue));
	if (!queue) {
		errno = saved;
		return -ENOMEM;
	}
	if (checked.backend == DEADLINE_BACKEND_THREAD)
		ret = open_with(queue, &backend_thread, checked.slots);
	else
		ret = open_with(queue, &backend_kernel, checked.slots);
	if (checked.backend == DEADLINE_BACKEND_AUTO &&
	    (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO))
		ret = open_with(queue, &backend_thread, checked.slots);
	errno = saved;
	if (ret) {
		free(queue);
		return ret;
	}
	*ret_queue = queue;
	return 0;
}

int deadline_queue_close(deadline_queue *queue)
{
	int saved = errno;

	if (!queue)
		return 0;
	if (queue_is_busy(queue))
		return -EBUSY;
	fork_leave(queue);
	queue->backend->close(queue);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
	errno = saved;
	return 0;
}

int deadline_queue_fd(deadline_queue *queue)
{
	if (queue->orphan)
		return -ECHILD;
	if (queue->backend->watch)
		queue->backend->watch(queue);
	return queue->fd;
}

int deadline_queue_backend(const deadline_queue *queue)
{
	return queue->backend->id;
}

uint64_t deadline_queue_features_(const deadline_queue *queue)
{
	return queue->features;
}

/* Own the slot's expiry, if it has one that nobody owns yet. */
static bool claim(struct deadline_slot *slot, struct deadline_record *record)
{
	/* [take]: the swap of head and this load are sequentially consistent */
	__u64 word = __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST);

	do {
		if ((word & (DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN)) !=
		    DEADLINE_WORD_EXPIRED)
			return false;
		record->slot = slot;
		record->user_data = __atomic_load_n(&slot->user_data,
						    __ATOMIC_RELAXED);
		record->when = word & ~DEADLINE_WORD_STATE;
		/* Rounded down as the word was up: never later than that. */
		if (__atomic_load_n(&slot->flags, __ATOMIC_RELAXED) &
		    DEADLINE_SLOT_PERIODIC)
			record->when = (record->when -
					__atomic_load_n(&slot->period,
							__ATOMIC_RELAXED)) &
				       ~DEADLINE_WORD_STATE;
		record->expired_at = __atomic_load_n(&slot->expired_at,
						     __ATOMIC_RELAXED);
		record->overruns = __atomic_load_n(&slot->overruns,
						   __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&slot->word, &word,
					      word | DEADLINE_WORD_TAKEN, 0,
					      __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	return true;
}

/*
 * Take up to @n hints. The entries are read before the swap, while they cannot
 * be overwritten; the slots are looked at after it ([take], pairs with [post]:
 * kmod/ring.h has the diagram).
 */
static unsigned int take(struct deadline_queue *queue, uint32_t *hints,
			 unsigned int n)
{
	uint32_t mask = queue->ring_size - 1;
	__u64 head, tail;
	unsigned int i;

	/* Acquire: a tail at least as new as this head. */
	head = __atomic_load_n(&queue->header->head, __ATOMIC_ACQUIRE);
	do {
		/* Pairs with the release in the post. */
		tail = __atomic_load_n(&queue->status->tail, __ATOMIC_ACQUIRE);
		if (tail - head < n)
			n = tail - head;
		if (!n)
			return 0;
		for (i = 0; i < n; i++)
			hints[i] = __atomic_load_n(&queue->ring[(head + i) &
								mask].slot,
						   __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&queue->header->head, &head,
					      head + n, 0, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	return n;
}

int deadline_queue_reap(deadline_queue *queue, struct deadline_record *records,
			unsigned int n)
{
	uint32_t hints[REAP_BATCH];
	unsigned int i, got, done = 0;

	if (queue->orphan)
		return -ECHILD;
	while (done < n) {
		got = n - done < REAP_BATCH ? n - done : REAP_BATCH;
		got = take(queue, hints, got);
		if (!got) {
			if (queue->backend->drained)
				queue->backend->drained(queue);
			break;
		}
		for (i = 0; i < got; i++)
			done += claim(&queue->slots[hints[i]], &records[done]);
	}
	return done;
}

/*
 * poll(2) for @fds, of which the first is the queue's: 1 something came, which may
 * be nothing; 0 an expiry waits to be reaped; -ETIME, -EINTR. Changes errno.
 */
int queue_sleep(struct deadline_queue *queue, struct pollfd *fds, nfds_t n,
		uint64_t until)
{
	struct timespec left;
	uint64_t now;
	int ret;

	if (fds->fd < 0)
		return fds->fd;
	if (deadline_queue_pending(queue))
		return 0;
	/* Who reaped no more than there was did not look again. */
	if (queue->backend->drained)
		queue->backend->drained(queue);
	if (until == DEADLINE_NEVER) {
		ret = poll(fds, n, -1);
	} else {
		now = deadline_now();
		if (now >= until)
			return -ETIME;
		left.tv_sec = (until - now) / 1000000000;
		left.tv_nsec = (until - now) % 1000000000;
		ret = ppoll(fds, n, &left, NULL);
	}
	return ret < 0 ? -errno : !deadline_queue_pending(queue);
}

int deadline_queue_wait(deadline_queue *queue, uint64_t until)
{
	struct pollfd pollfd = { .events = POLLIN };
	int ret, saved = errno;

	pollfd.fd = deadline_queue_fd(queue);
	do {
		ret = queue_sleep(queue, &pollfd, 1, until);
	} while (ret > 0);
	errno = saved;
	return ret;
}

static uint64_t get(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

int deadline_queue_stats(deadline_queue *queue,
			 struct deadline_stats *ret_stats)
{
	const struct deadline_status *status = queue->status;

	if (queue->orphan)
		return -ECHILD;
	ret_stats->interrupts = get(&status->interrupts);
	ret_stats->expired = get(&status->expired);
	ret_stats->moved = get(&status->moved);
	ret_stats->dropped = get(&status->dropped);
	ret_stats->contended = get(&status->contended);
	ret_stats->full = get(&status->full);
	ret_stats->doorbells = get(&status->doorbells);
	ret_stats->longest_ns = get(&status->longest);
	mutex_lock(&queue->lock);
	ret_stats->slots = queue->count;
	ret_stats->allocated = queue->allocated;
	mutex_unlock(&queue->lock);
	ret_stats->memory = queue->shared_size + queue->status_size;
	return 0;
}
