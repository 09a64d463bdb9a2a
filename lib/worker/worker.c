// SPDX-License-Identifier: MIT
/*
 * What a scheduler in user space needs of a thread that runs its tasks: one word
 * that says when to yield, sleep without missing a timer or a request, and a signal
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
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "base/alarm.h"
#include "base/probe.h"
#include "context/context.h"

/* A signal that came within a handler comes again after that, ns; doubled up to that */
#define AGAIN		50000
#define AGAIN_MOST	1000000

/**
 * struct deadline_worker - one thread that runs tasks
 * @preemptor: what preempt_on() calls in this thread; first
 * @timers: the queue whose expiries end a park; the opener's
 * @queue: the worker's own, of @slot
 * @slot: over when the task shall yield
 * @again: armed while a task is to be stopped that is in a handler of another signal
 * @pause: for how long @again is armed next
 * @preempt: called in the signal handler; NULL = no signals
 * @arg: with this
 * @signal: which signal
 * @ends: how often the word was over at a switch
 * @off: the thread's count: while it is not 0, no signal is needed; NULL once the thread
 *	has ended
 * @asking: how many look at @off and may send a signal
 * @thread: whose worker it is
 * @process: and where
 * @blocked: which signals have been blocked in the thread since it was opened, each time
 *	that one looked, as the kernel has it, without @signal
 * @unblocked: that was blocked, too
 * @alarm: ends a park; rung by requests that see @parked
 * @parked: the thread sleeps or is about to
 */
struct deadline_worker {
	struct preemptor preemptor;
	deadline_queue *timers;
	deadline_queue *queue;
	deadline_slot *slot;
	deadline_slot *again;
	uint64_t pause;
	void (*preempt)(void *arg);
	void *arg;
	int signal;
	unsigned int ends;
	const unsigned int *off;
	uint32_t asking;
	pid_t thread;
	pid_t process;
	uint64_t blocked;
	bool unblocked;
	int alarm;
	bool parked;
};

/* Its destructor is for threads that end without a close. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int no_key;

static bool must_stop(const struct deadline_worker *worker)
{
	return worker->preempt &&
	       deadline_over(deadline_slot_word(worker->slot));
}

static void signal_thread(const struct deadline_worker *worker)
{
	int saved = errno;

	syscall(SYS_tgkill, worker->process, worker->thread, worker->signal);
	errno = saved;
}

static struct deadline_worker *worker_of(struct preemptor *preemptor)
{
	return (struct deadline_worker *)preemptor;
}

/* [late] The count is 0, full barrier, then the word; pairs with [ask]. */
static void signal_late(struct preemptor *preemptor)
{
	const struct deadline_worker *worker = worker_of(preemptor);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (must_stop(worker))
		signal_thread(worker);
}

/* The signals that the kernel knows, in its own order */
static uint64_t kernel_mask(const sigset_t *set)
{
	uint64_t mask;

	memcpy(&mask, set, sizeof(mask));
	return mask;
}

/*
 * A signal that is not blocked now and was before may have a handler that runs later:
 * then it is told by the signal, which is blocked.
 */
static void see_mask(struct deadline_worker *worker, const sigset_t *set)
{
	worker->blocked &= kernel_mask(set);
	if (!worker->blocked)
		worker->preemptor.declared = NULL;
}

/* A task begins, or turns preemption on after it may have changed the mask. */
static void look_at_mask(struct preemptor *preemptor)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	see_mask(worker_of(preemptor), &now);
}

/*
 * Is it a handler of another signal that ours has interrupted? Then that signal is
 * blocked, which it was not in the thread; or the handler has the signal stack, where
 * ours is then, too, for it asks for none.
 */
static bool in_handler(struct deadline_worker *worker,
		       const ucontext_t *context)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	const stack_t *stack = &context->uc_stack;

	see_mask(worker, &context->uc_sigmask);
	return kernel_mask(&context->uc_sigmask) & ~worker->blocked ||
	       (!(stack->ss_flags & SS_DISABLE) &&
		here - (uintptr_t)stack->ss_sp < stack->ss_size);
}

/*
 * Stop the task when the handler has returned, or was left in another way, as by
 * longjmp(3), of which nobody tells us: the signal comes again, and then we see. It is
 * not blocked until then, for whatever mask the program gives the thread when it leaves
 * the handler would have it blocked still.
 */
static void stop_later(struct deadline_worker *worker)
{
	if (!deadline_over(deadline_slot_word(worker->again)))
		return;
	deadline_slot_arm(worker->again, 0, deadline_in(worker->pause));
	if (worker->pause < AGAIN_MOST)
		worker->pause *= 2;
}

/* What stands for the worker's signal alone */
static sigset_t only_signal(const struct deadline_worker *worker)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, worker->signal);
	return set;
}

/*
 * The callback may switch to other tasks, which take signals as well: this one is
 * not blocked meanwhile. It comes back in this thread, where by then there may be
 * another worker or none.
 *
 * Until we have begun to stop the task, it is blocked: else a signal that comes again
 * and again, and whose handler has us put off, would have one frame of ours upon the
 * other on the task's stack.
 */
static void stop_task(ucontext_t *context)
{
	struct deadline_worker *worker;
	sigset_t set;

	while ((worker = worker_of(self.preemptor)) && must_stop(worker)) {
		preempt_off();
		if (in_handler(worker, context)) {
			stop_later(worker);
			self.off--;
			return;
		}
		worker->pause = AGAIN;
		set = only_signal(worker);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		worker->preempt(worker->arg);
		self.off--;
		/* [late] */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)signal;
	(void)info;
	if (!self.off)
		stop_task(context);
	errno = saved;
}

static bool is_ours(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_signal;
}

/* The signal is ours if the program has no handler for it. */
static int take_signal(int signal)
{
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_RESTART | SA_SIGINFO,
	}, old;

	if (sigaction(signal, NULL, &old))
		return -errno;
	if (is_ours(&old))
		return 0;
	if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN)
		return -EBUSY;
	return sigaction(signal, &action, NULL) ? -errno : 0;
}

/* Has the program given the signal a handler of its own since? Asked for one in 64 */
static bool lost_signal(struct deadline_worker *worker)
{
	struct sigaction now;

	return worker->preempt && !(++worker->ends % 64) &&
	       !sigaction(worker->signal, NULL, &now) && !is_ours(&now);
}

/* A signal that is blocked would stop nobody. */
static void unblock_signal(struct deadline_worker *worker)
{
	const sigset_t set = only_signal(worker);
	sigset_t old;

	pthread_sigmask(SIG_UNBLOCK, &set, &old);
	worker->unblocked = sigismember(&old, worker->signal);
	worker->blocked = kernel_mask(&old) & ~kernel_mask(&set);
	worker->preemptor.declared = worker->blocked ? look_at_mask : NULL;
}

static void block_signal(const struct deadline_worker *worker)
{
	const sigset_t set = only_signal(worker);

	if (worker->unblocked)
		pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/*
 * The thread is no worker any more. Nobody sends it a signal from here on, also where
 * somebody is about to: its number may soon be another thread's.
 */
static void leave_thread(struct deadline_worker *worker)
{
	self.preemptor = NULL;
	pool_preempt(false);
	deadline_slot_cancel(worker->slot);
	deadline_slot_cancel(worker->again);
	/* [ask] */
	__atomic_store_n(&worker->off, NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&worker->asking, __ATOMIC_SEQ_CST))
		sched_yield();
	__atomic_store_n(&worker->parked, false, __ATOMIC_SEQ_CST);
}

static void thread_ends(void *arg)
{
	preempt_off();
	leave_thread(arg);
}

static void make_key(void)
{
	no_key = pthread_key_create(&key, thread_ends);
}

/* In the child of a fork: its only thread may be a worker's, which is its parent's. */
static void begin(void)
{
	if (!self.preemptor)
		return;
	self.preemptor = NULL;
	pool_preempt(false);
	pthread_setspecific(key, NULL);
}

static __attribute__((constructor)) void take_part(void)
{
	static const struct fork_part part = { .child = begin };

	fork_take_part(FORK_WORKER, &part);
}

static int open_parts(struct deadline_worker *worker)
{
	struct deadline_options options = {
		.slots = 2,
		.backend = deadline_queue_backend(worker->timers),
	};
	int ret;

	worker->alarm = alarm_open();
	if (worker->alarm < 0)
		return worker->alarm;
	ret = deadline_queue_open(&worker->queue, &options);
	if (ret)
		goto close_alarm;
	ret = deadline_slot_alloc(worker->queue, 0, &worker->slot);
	if (!ret)
		ret = deadline_slot_alloc(worker->queue, 0, &worker->again);
	if (!ret && worker->preempt) {
		ret = take_signal(worker->signal);
		if (!ret)
			ret = worker->queue->backend->signal(worker->queue,
							     worker->thread,
							     worker->signal);
		worker->slot->flags |= DEADLINE_SLOT_SIGNAL;
		worker->again->flags |= DEADLINE_SLOT_SIGNAL;
	}
	if (!ret && pthread_setspecific(key, worker))
		ret = -ENOMEM;
	if (ret)
		goto close_queue;
	return 0;

close_queue:
	deadline_slot_free(worker->again);
	deadline_slot_free(worker->slot);
	deadline_queue_close(worker->queue);
close_alarm:
	own_close(worker->alarm);
	return ret;
}

static int open_worker(struct deadline_worker **ret_worker,
		       const struct deadline_worker_options *options)
{
	struct deadline_worker *worker = calloc(1, sizeof(*worker));
	int ret;

	pthread_once(&once, make_key);
	if (!worker || no_key) {
		free(worker);
		return -ENOMEM;
	}
	worker->preemptor.late = signal_late;
	worker->pause = AGAIN;
	worker->timers = options->queue;
	worker->preempt = options->preempt;
	worker->arg = options->arg;
	worker->signal = options->signal ? options->signal : SIGURG;
	worker->off = &self.off;
	worker->thread = syscall(SYS_gettid);
	worker->process = getpid();
	ret = open_parts(worker);
	if (ret) {
		free(worker);
		return ret;
	}
	if (worker->preempt)
		unblock_signal(worker);
	self.preemptor = &worker->preemptor;
	pool_preempt(true);
	*ret_worker = worker;
	return 0;
}

int deadline_worker_open(deadline_worker **ret_worker,
			 const struct deadline_worker_options *options)
{
	struct deadline_worker_options checked;
	int ret, saved = errno;

	if (!options)
		return -EINVAL;
	ret = take_options(&checked, sizeof(checked), options, options->size);
	if (ret)
		return ret;
	if (!checked.queue)
		return -EINVAL;
	if (queue_is_orphan(checked.queue))
		return -ECHILD;
	fork_check();
	if (self.preemptor)
		return -EBUSY;
	preempt_off();
	ret = open_worker(ret_worker, &checked);
	/* It begins with preemption off, also where a task has left it on. */
	if (ret || self.off > 1)
		self.off--;
	errno = saved;
	return ret;
}

/* Whose is it? 0 the calling thread's, or that of one which is gone */
static int check_thread(const struct deadline_worker *worker)
{
	const unsigned int *off = __atomic_load_n(&worker->off,
						  __ATOMIC_SEQ_CST);

	return !off || off == &self.off ? 0 : -EPERM;
}

static void close_worker(struct deadline_worker *worker)
{
	bool orphan = !worker->slot->owner;

	if (!orphan && worker->off) {
		leave_thread(worker);
		pthread_setspecific(key, NULL);
		block_signal(worker);
	}
	deadline_slot_free(worker->again);
	deadline_slot_free(worker->slot);
	deadline_queue_close(worker->queue);
	if (!orphan)
		own_close(worker->alarm);
	free(worker);
}

int deadline_worker_close(deadline_worker *worker)
{
	int ret, saved = errno;

	if (!worker)
		return 0;
	ret = worker->slot->owner ? check_thread(worker) : 0;
	if (ret)
		return ret;
	preempt_off();
	close_worker(worker);
	preempt_on();
	errno = saved;
	return 0;
}

const deadline_word *deadline_worker_word(const deadline_worker *worker)
{
	return deadline_slot_word(worker->slot);
}

int deadline_worker_switch(deadline_worker *worker, uint64_t quantum_end)
{
	int ret = deadline_slot_move(worker->slot, quantum_end);

	if (!ret) {
		PROBE2(worker_yield, worker,
		       __atomic_load_n(&worker->slot->word, __ATOMIC_RELAXED) &
		       ~DEADLINE_WORD_STATE);
		ret = deadline_slot_arm(worker->slot, 0, quantum_end);
		if (!ret && lost_signal(worker))
			ret = -EBUSY;
	}
	return ret < 0 ? ret : 0;
}

/*
 * The thread looks at the word before it can be stopped again, so while its count is
 * not 0 it needs no signal. It writes the count by itself, unlocked.
 *
 *	[ask]				[late]
 *	swap word: over			count = 0
 *	full barrier			full barrier
 *	load count: 0, signal		load word: over, signal
 */
static __attribute__((noinline, no_sanitize_thread))
void ask_thread(struct deadline_worker *worker)
{
	const unsigned int *off;

	__atomic_fetch_add(&worker->asking, 1, __ATOMIC_SEQ_CST);
	off = __atomic_load_n(&worker->off, __ATOMIC_SEQ_CST);
	if (off && !__atomic_load_n(off, __ATOMIC_SEQ_CST))
		signal_thread(worker);
	__atomic_fetch_sub(&worker->asking, 1, __ATOMIC_SEQ_CST);
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
	int ret;

	preempt_off();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = deadline_slot_expire(worker->slot);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ret >= 0 && __atomic_load_n(&worker->parked, __ATOMIC_SEQ_CST))
		alarm_ring(worker->alarm);
	else if (ret > 0 && worker->preempt)
		ask_thread(worker);
	preempt_on();
	return ret;
}

static int sleep_parked(struct deadline_worker *worker, uint64_t until)
{
	struct pollfd fds[3] = {
		{ .fd = queue_watch(worker->timers), .events = POLLIN },
		{ .fd = worker->alarm, .events = POLLIN },
	};
	int ret;

	while (!deadline_over(deadline_slot_word(worker->slot))) {
		/* The program may have closed it. */
		if (!is_own(worker->alarm))
			return -EBADF;
		ret = queue_sleep(worker->timers, fds, 2, until);
		if (ret <= 0)
			return ret;
		if (fds[1].revents)
			alarm_set(worker->alarm, DEADLINE_NEVER);
	}
	return 0;
}

int deadline_worker_park(deadline_worker *worker, uint64_t until)
{
	int ret, saved = errno;

	if (!worker->slot->owner)
		return -ECHILD;
	preempt_off();
	__atomic_store_n(&worker->parked, true, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = sleep_parked(worker, until);
	__atomic_store_n(&worker->parked, false, __ATOMIC_SEQ_CST);
	preempt_on();
	errno = saved;
	return ret;
}

int deadline_worker_fd(const deadline_worker *worker)
{
	return worker->slot->owner ? worker->alarm : -ECHILD;
}

/* A park up to its sleep: deadline_worker_request() has the diagram. */
int deadline_worker_before_sleep(deadline_worker *worker)
{
	if (!worker->slot->owner)
		return -ECHILD;
	queue_drained(worker->timers);
	__atomic_store_n(&worker->parked, true, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!deadline_over(deadline_slot_word(worker->slot)) &&
	    !queue_pending(worker->timers))
		return 0;
	__atomic_store_n(&worker->parked, false, __ATOMIC_SEQ_CST);
	return 1;
}

/* A request that saw the worker parked may ring only now: the next sleep ends by that. */
int deadline_worker_after_sleep(deadline_worker *worker)
{
	int ret = 0, saved = errno;

	if (!worker->slot->owner)
		return -ECHILD;
	__atomic_store_n(&worker->parked, false, __ATOMIC_SEQ_CST);
	if (!alarm_set(worker->alarm, DEADLINE_NEVER))
		ret = -EBADF;
	errno = saved;
	return ret;
}
