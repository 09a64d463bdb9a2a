// SPDX-License-Identifier: MIT
/*
 * What a scheduler in user space needs of a thread that runs its tasks: one word
 * that says when to yield, sleep without missing a timer or a request, and SIGURG
 * for tasks that never look at the word.
 *
 * The word is that of a slot armed with the end of the quantum, in a queue of the
 * worker's own: so its expiries are in no ring that anybody reaps, and its signals
 * go to this thread. A signal is stale when the word is not over: whoever switched
 * armed it anew.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "internal.h"

/**
 * struct deadline_worker - one thread that runs tasks
 * @timers: the queue whose expiries end a park; the opener's
 * @queue: the worker's own, of @slot
 * @slot: over when the task shall yield
 * @preempt: called in the signal handler; NULL = no signals
 * @arg: with this
 * @thread: whose worker it is
 * @process: and where; not in a child after fork
 * @eventfd: ends a park; written by requests that see @parked
 * @parked: the thread sleeps or is about to
 */
struct deadline_worker {
	deadline_queue *timers;
	deadline_queue *queue;
	deadline_slot *slot;
	void (*preempt)(void *arg);
	void *arg;
	pid_t thread;
	pid_t process;
	int eventfd;
	bool parked;
};

__thread struct self self = { .off = 1 };

static bool must_stop(const struct deadline_worker *worker)
{
	return worker->preempt && worker->slot->owner &&
	       deadline_over(deadline_slot_word(worker->slot));
}

static void stop(const struct deadline_worker *worker)
{
	int saved = errno;

	syscall(SYS_tgkill, worker->process, worker->thread, SIGURG);
	errno = saved;
}

void deadline_preempt_off(void)
{
	preempt_off();
}

void deadline_preempt_on(void)
{
	preempt_on();
}

/* What would have stopped it came while it was off. */
void preempt_late(void)
{
	if (self.worker && must_stop(self.worker))
		stop(self.worker);
}

/*
 * The callback may switch to other tasks, which take signals as well: this one is
 * not blocked meanwhile (SA_NODEFER). It comes back in this thread.
 */
static void on_signal(int signal)
{
	const struct deadline_worker *worker = self.worker;
	int saved = errno;

	(void)signal;
	if (!worker || self.off)
		return;
	while (must_stop(worker)) {
		self.off++;
		worker->preempt(worker->arg);
		self.off--;
	}
	errno = saved;
}

/* SIGURG is ours if nobody else has it; ignored is what it is by default. */
static int take_signal(void)
{
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = SA_RESTART | SA_NODEFER,
	}, old;

	if (sigaction(SIGURG, NULL, &old))
		return -errno;
	if (old.sa_handler == on_signal)
		return 0;
	if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN)
		return -EBUSY;
	return sigaction(SIGURG, &action, NULL) ? -errno : 0;
}

static int open_parts(struct deadline_worker *worker)
{
	struct deadline_options options = {
		.slots = 1,
		.backend = deadline_queue_backend(worker->timers),
	};
	int ret;

	worker->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->eventfd < 0)
		return -errno;
	ret = deadline_queue_open(&worker->queue, &options);
	if (ret)
		goto close_eventfd;
	ret = deadline_slot_alloc(worker->queue, 0, &worker->slot);
	if (!ret && worker->preempt) {
		ret = take_signal();
		if (!ret)
			ret = worker->queue->backend->signal(worker->queue,
							     worker->thread);
		worker->slot->flags |= DEADLINE_SLOT_SIGNAL;
	}
	if (ret)
		goto close_queue;
	return 0;

close_queue:
	deadline_slot_free(worker->slot);
	deadline_queue_close(worker->queue);
close_eventfd:
	close(worker->eventfd);
	return ret;
}

int deadline_worker_open(deadline_worker **ret_worker,
			 const struct deadline_worker_options *options)
{
	struct deadline_worker_options checked;
	struct deadline_worker *worker;
	int ret, saved = errno;

	if (!options)
		return -EINVAL;
	ret = take_options(&checked, sizeof(checked), options, options->size);
	if (ret)
		return ret;
	if (!checked.queue)
		return -EINVAL;
	if (checked.queue->orphan)
		return -ECHILD;
	if (self.worker)
		return -EBUSY;
	worker = calloc(1, sizeof(*worker));
	ret = -ENOMEM;
	if (worker) {
		worker->timers = checked.queue;
		worker->preempt = checked.preempt;
		worker->arg = checked.arg;
		worker->thread = syscall(SYS_gettid);
		worker->process = getpid();
		ret = open_parts(worker);
	}
	errno = saved;
	if (ret) {
		free(worker);
		return ret;
	}
	self.worker = worker;
	pool_preempt(true);
	*ret_worker = worker;
	return 0;
}

void deadline_worker_close(deadline_worker *worker)
{
	int saved = errno;

	if (!worker)
		return;
	self.worker = NULL;
	pool_preempt(false);
	deadline_slot_free(worker->slot);
	deadline_queue_close(worker->queue);
	close(worker->eventfd);
	free(worker);
	errno = saved;
}

const deadline_word *deadline_worker_word(const deadline_worker *worker)
{
	return deadline_slot_word(worker->slot);
}

int deadline_worker_switch(deadline_worker *worker, uint64_t quantum_end)
{
	int ret = deadline_slot_move(worker->slot, quantum_end);

	if (!ret)
		return deadline_slot_arm(worker->slot, 0, quantum_end);
	return ret < 0 ? ret : 0;
}

/*
 *	request				switch, then park
 *	-------				-----------------
 *	store what it is about		swap word: running
 *	full barrier			load what there is to do
 *	swap word: over			parked = 1
 *	full barrier			full barrier
 *	load parked			load word
 *
 * So a request comes before the switch, which then finds what it is about; or it
 * makes the word over, and then either the park finds that or the request finds it
 * parked. A word that is over already needs the same, it may be so by a quantum.
 */
int deadline_worker_request(deadline_worker *worker)
{
	static const uint64_t one = 1;
	int ret, saved = errno;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = deadline_slot_request(worker->slot);
	if (ret < 0)
		return ret;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&worker->parked, __ATOMIC_SEQ_CST)) {
		/* EAGAIN: it is more than readable. */
		if (write(worker->eventfd, &one, sizeof(one)) < 0 &&
		    errno != EAGAIN)
			abort();
		errno = saved;
	} else if (ret && worker->preempt) {
		stop(worker);
	}
	return ret;
}

static int sleep_parked(struct deadline_worker *worker, uint64_t until)
{
	struct pollfd fds[2] = {
		{ .fd = deadline_queue_fd(worker->timers), .events = POLLIN },
		{ .fd = worker->eventfd, .events = POLLIN },
	};
	uint64_t sum;
	int ret;

	while (!deadline_over(deadline_slot_word(worker->slot))) {
		ret = queue_sleep(worker->timers, fds, 2, until);
		if (ret <= 0)
			return ret;
		if (fds[1].revents && read(worker->eventfd, &sum,
					   sizeof(sum)) < 0 && errno != EAGAIN)
			abort();
	}
	return 0;
}

int deadline_worker_park(deadline_worker *worker, uint64_t until)
{
	int ret, saved = errno;

	if (!worker->slot->owner)
		return -ECHILD;
	__atomic_store_n(&worker->parked, true, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = sleep_parked(worker, until);
	__atomic_store_n(&worker->parked, false, __ATOMIC_SEQ_CST);
	errno = saved;
	return ret;
}
