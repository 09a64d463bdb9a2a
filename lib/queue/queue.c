// SPDX-License-Identifier: MIT
/* Queues: open, close, reap, wait. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/alarm.h"
#include "base/debug.h"
#include "base/probe.h"
#include "queue/queue.h"

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
	    to->backend > DEADLINE_BACKEND_THREAD ||
	    to->clock < DEADLINE_CLOCK_MONOTONIC ||
	    to->clock > DEADLINE_CLOCK_TAI ||
	    (to->slots_max && to->slots_max < to->slots))
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
	int ret;

	queue->backend = backend;
	ret = backend->open(queue, slots);
	if (ret)
		return ret;
	queue->ends.head = (const deadline_word *)&queue->header->head;
	queue->ends.tail = (const deadline_word *)&queue->status->tail;
	pthread_mutex_init(&queue->lock, NULL);
	return 0;
}

/* Is there no device, or none for this user? */
static bool is_absent(int error)
{
	return error == -ENOENT || error == -ENODEV || error == -ENXIO ||
	       error == -EACCES || error == -EPERM;
}

int deadline_queue_open(deadline_queue **ret_queue,
			const struct deadline_options *options)
{
	struct deadline_options checked;
	struct deadline_queue *queue;
	int ret, state, saved = errno;

	ret = check_options(&checked, options);
	if (ret)
		return ret;
	state = cancel_off();
	queue = calloc(1, sizeof(*queue));
	if (!queue) {
		ret = -ENOMEM;
		goto out;
	}
	queue->fd = -1;
	queue->slack = checked.slack;
	queue->clock = checked.clock;
	fork_enter(queue);
	if (checked.backend == DEADLINE_BACKEND_THREAD)
		ret = open_with(queue, &backend_thread, checked.slots);
	else
		ret = open_with(queue, &backend_kernel, checked.slots);
	if (checked.backend == DEADLINE_BACKEND_AUTO && is_absent(ret)) {
		debug_log("no device to serve a queue: %s", deadline_strerror(ret));
		ret = open_with(queue, &backend_thread, checked.slots);
	}
	if (ret) {
		debug_log("a queue of %u slots was refused: %s", checked.slots,
			  deadline_strerror(ret));
		fork_leave(queue);
		free(queue);
		goto out;
	}
	if (checked.slots_max > queue->count) {
		ret = grow_begin(queue, checked.slots_max);
		if (ret) {
			deadline_queue_destroy(queue);
			goto out;
		}
	}
	debug_log("%s serves a queue of %u slots", queue->server ? "a thread" :
		  "the kernel", queue->count);
	*ret_queue = queue;
out:
	cancel_restore(state);
	errno = saved;
	return ret;
}

int deadline_queue_close(deadline_queue *queue)
{
	if (queue && queue_is_busy(queue))
		return -EBUSY;
	deadline_queue_destroy(queue);
	return 0;
}

void deadline_queue_destroy(deadline_queue *queue)
{
	int state, saved = errno;

	if (!queue)
		return;
	state = cancel_off();
	if (queue->slots_max)
		grow_end(queue);
	queue->backend->close(queue);
	fork_leave(queue);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
	cancel_restore(state);
	errno = saved;
}

/* The descriptor, which is readable from now on while expiries wait; or -ECHILD */
int queue_watch(struct deadline_queue *queue)
{
	if (queue_is_orphan(queue))
		return -ECHILD;
	preempt_off();
	if (queue->backend->watch)
		queue->backend->watch(queue);
	preempt_on();
	return queue->slots_max ? queue->parts_fd : queue->fd;
}

int deadline_queue_fd(deadline_queue *queue)
{
	int fd = queue_watch(queue), saved = errno;

	if (fd >= 0 && !queue_is_whole(queue))
		fd = -EBADF;
	errno = saved;
	return fd;
}

int deadline_queue_backend(const deadline_queue *queue)
{
	return queue->backend->id;
}

uint64_t deadline_queue_features_(const deadline_queue *queue)
{
	/* None that one part alone could serve */
	return queue->slots_max ? 0 : queue->features;
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
		record->when = __atomic_load_n(&slot->deadline,
					       __ATOMIC_RELAXED);
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
			hints[i] = __atomic_load_n(&entry_at(queue, head + i)->slot,
						   __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&queue->header->head, &head,
					      head + n, 0, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
	return n;
}

/*
 * Nobody had read the expiries of this periodic slot for so long that it is looked at
 * more rarely: have the next look planned in time again. If that fails, it is late.
 */
static void look_on_time(struct deadline_queue *queue, deadline_slot *slot)
{
	__u64 word = __atomic_load_n(&slot->word, __ATOMIC_SEQ_CST);

	if (word & DEADLINE_WORD_ARMED &&
	    __atomic_load_n(&slot->queued, __ATOMIC_SEQ_CST) > word &&
	    slot_hand_in(queue, slot))
		queue->backend->doorbell(queue);
}

static void drained(struct deadline_queue *queue)
{
	if (queue->backend->drained)
		queue->backend->drained(queue);
}

static unsigned int reap(struct deadline_queue *queue,
			 struct deadline_record *records, unsigned int n)
{
	uint32_t hints[REAP_BATCH];
	unsigned int i, got, done = 0;
	deadline_slot *slot;

	while (done < n) {
		got = n - done < REAP_BATCH ? n - done : REAP_BATCH;
		got = take(queue, hints, got);
		if (!got)
			break;
		for (i = 0; i < got; i++) {
			slot = slot_at(queue, hints[i]);
			if (!claim(slot, &records[done]))
				continue;
			PROBE3(slot_reaped, slot, records[done].when,
			       records[done].user_data);
			if (records[done].overruns >= DEADLINE_UNREAD)
				look_on_time(queue, slot);
			done++;
		}
	}
	/* Also by who had room for just so many */
	if (!ring_pending(queue))
		drained(queue);
	return done;
}

int deadline_queue_reap(deadline_queue *queue, struct deadline_record *records,
			unsigned int n)
{
	unsigned int done;

	if (queue_is_orphan(queue))
		return -ECHILD;
	/* Hints that a stopped task has taken would be kept from all others. */
	preempt_off();
	done = reap(queue, records, n);
	while (__builtin_expect(!!queue->more, 0) && done < n) {
		queue = queue_more(queue);
		done += reap(queue, records + done, n - done);
	}
	preempt_on();
	return done;
}

static int poll_until(struct pollfd *fds, nfds_t n, uint64_t until)
{
	int alarm = alarm_of_thread(until);

	return alarm < 0 ? alarm : alarm_poll(fds, n, alarm);
}

/*
 * poll(2) for @fds, of which the first is the queue's, and there is room for one more:
 * 1 something came, which may be nothing; 0 an expiry waits to be reaped; -errno;
 * -EBADF if the program has closed a descriptor of the queue, so that what has the
 * number will never be readable, or always. Changes errno. With preemption off: the
 * alarm is the thread's, so that no other task of it may sleep meanwhile.
 */
int queue_sleep(struct deadline_queue *queue, struct pollfd *fds, nfds_t n,
		uint64_t until)
{
	int ret;

	if (fds->fd < 0)
		return fds->fd;
	if (queue_pending(queue))
		return 0;
	/* The descriptor may have been raised for what was reaped before that. */
	queue_drained(queue);
	if (until != DEADLINE_NEVER && deadline_now() >= until)
		return -ETIME;
	/* Last, for it is a system call. */
	if (!queue_is_whole(queue))
		return -EBADF;
	if (until == DEADLINE_NEVER)
		ret = alarm_poll(fds, n, -1);
	else
		ret = poll_until(fds, n, until);
	if (ret < 0)
		return ret;
	return !queue_pending(queue);
}

int deadline_queue_wait(deadline_queue *queue, uint64_t until)
{
	struct pollfd fds[2] = { { .events = POLLIN } };
	int ret, saved = errno;

	preempt_off();
	fds->fd = queue_watch(queue);
	do {
		ret = queue_sleep(queue, fds, 1, until);
	} while (ret > 0);
	preempt_on();
	errno = saved;
	return ret;
}

/* How long one sleeps if the program has closed the descriptor, ns */
#define LOOK	1000000

void queue_await(struct deadline_queue *queue)
{
	static uint32_t nobody;

	if (queue->backend->sleep)
		queue->backend->sleep(queue);
	else if (deadline_queue_wait(queue, DEADLINE_NEVER) == -EBADF)
		futex_sleep(&nobody, 0, clock_in(LOOK));
}

static uint64_t get(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Add what one part has counted. */
static void add(struct deadline_stats *stats, struct deadline_queue *queue)
{
	const struct deadline_status *status = queue->status;

	stats->interrupts += get(&status->interrupts);
	stats->expired += get(&status->expired);
	stats->moved += get(&status->moved);
	stats->dropped += get(&status->dropped);
	stats->contended += get(&status->contended);
	stats->full += get(&status->full);
	stats->doorbells += get(&status->doorbells);
	stats->handed_in += get(&status->handed_in);
	stats->clock_sets += get(&status->clock_sets);
	if (stats->longest_ns < get(&status->longest))
		stats->longest_ns = get(&status->longest);
	mutex_lock(&queue->lock);
	stats->slots += queue->count;
	stats->allocated += queue->allocated;
	mutex_unlock(&queue->lock);
	stats->memory += queue->shared_size + queue->status_size;
}

int deadline_queue_stats(deadline_queue *queue,
			 struct deadline_stats *ret_stats)
{
	if (queue_is_orphan(queue))
		return -ECHILD;
	memset(ret_stats, 0, sizeof(*ret_stats));
	for (; queue; queue = queue_more(queue))
		add(ret_stats, queue);
	return 0;
}
