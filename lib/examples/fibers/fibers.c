// SPDX-License-Identifier: MIT
/*
 * The scheduler. Each worker has a queue of deadlines, whose expiries go to its run
 * queue, and what leaves a fiber is done on the worker's own stack, when the fiber's
 * is at rest: only then may another thread go on with it.
 *
 * All of this runs with preemption off. A fiber that a signal stopped goes on in its
 * own thread only, and others may be taken by any worker that has nothing to do; so
 * may the expiries of a worker that does not come to reap them.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "fibers.h"
#include "tsan.h"

#define STACK_SIZE	(64 << 10)
/* What is left of a quantum for the signal and the switches */
#define MARGIN		50000
#define REAP		64

/* Why a fiber left its worker */
enum leave {
	LEAVE_END,
	LEAVE_YIELD,
	LEAVE_STOPPED,
	LEAVE_WAIT,
};

struct fiber {
	ucontext_t context;
	struct fiber *next;
	struct fiber_group *group;
	struct fiber_group *waits_for;
	void (*fn)(void *arg);
	void *arg;
	void *stack;
	void *tsan;
};

/*
 * Ends by an expiry or by a cancel of the context, whichever wins the slot. Who is told
 * of a cancel is a thread of the library's, which the fiber does not wait for.
 */
struct sleep {
	struct fiber_group over;
	deadline_slot *slot;
	unsigned int refs;
};

struct list {
	struct fiber *first;
	struct fiber *last;
};

/*
 * @lock is for @due and @ready; @due come first: what they waited for came from
 * outside. @pinned were stopped by a signal, and are the thread's alone, like all
 * below it.
 */
struct worker {
	pthread_t thread;
	deadline_queue *queue;
	deadline_worker *hooks;
	pthread_mutex_t lock;
	struct list due;
	struct list ready;
	bool idle;
	struct list pinned;
	bool pinned_turn;
	ucontext_t context;
	void *tsan;
	struct fiber *current;
	enum leave leave;
};

/* @visitors are other threads that use what is here, or are going to. */
static struct {
	struct worker *workers;
	unsigned int count;
	uint64_t quantum;
	bool preempt;
	unsigned long fibers;
	unsigned long visitors;
	pthread_barrier_t opened;
	pthread_barrier_t done;
} all;

static __thread struct worker *self;

/* Out of line: a fiber may go on in another thread, whose variable is another. */
static __attribute__((noinline)) struct worker *this_worker(void)
{
	__asm__ volatile("");
	return self;
}

static void append(struct list *list, struct fiber *fiber)
{
	fiber->next = NULL;
	if (list->first)
		list->last->next = fiber;
	else
		list->first = fiber;
	list->last = fiber;
}

static struct fiber *take(struct list *list)
{
	struct fiber *fiber = list->first;

	if (fiber)
		list->first = fiber->next;
	return fiber;
}

static struct fiber *take_shared(struct worker *worker, struct list *list)
{
	struct fiber *fiber;

	pthread_mutex_lock(&worker->lock);
	fiber = take(list);
	pthread_mutex_unlock(&worker->lock);
	return fiber;
}

/* Who holds the lock may be stopped, but that is no reason to stop here. */
static struct fiber *steal(struct worker *from)
{
	struct fiber *fiber;

	if (pthread_mutex_trylock(&from->lock))
		return NULL;
	fiber = take(&from->due);
	if (!fiber)
		fiber = take(&from->ready);
	pthread_mutex_unlock(&from->lock);
	return fiber;
}

/* There is more to do than @worker can do at once. */
static void ask_for_help(struct worker *worker)
{
	struct worker *other;

	for (other = all.workers; other < all.workers + all.count; other++) {
		if (other != worker &&
		    __atomic_load_n(&other->idle, __ATOMIC_SEQ_CST)) {
			deadline_worker_request(other->hooks);
			return;
		}
	}
}

static void visitors(int more)
{
	__atomic_add_fetch(&all.visitors, more, __ATOMIC_SEQ_CST);
}

/* @worker is NULL in a thread that is none: then the first that comes by. */
static void make_ready(struct worker *worker, struct fiber *fiber, bool due)
{
	struct worker *to = worker ? worker : all.workers;

	pthread_mutex_lock(&to->lock);
	append(due ? &to->due : &to->ready, fiber);
	pthread_mutex_unlock(&to->lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ask_for_help(worker);
}

/*
 * One of those that @group counts, of which its waiter's coming is one more. Who
 * comes last makes that ready, and nobody else touches the group afterwards.
 */
static void happened(struct fiber_group *group, bool due)
{
	if (__atomic_sub_fetch(&group->left, 1, __ATOMIC_ACQ_REL) < 0)
		make_ready(this_worker(), group->waiter, due);
}

/* The fibers whose time has come in the queue of @from, to our own run queue */
static void reap(struct worker *from)
{
	struct deadline_record records[REAP];
	int i, n;

	while (deadline_queue_pending(from->queue)) {
		n = deadline_queue_reap(from->queue, records, REAP);
		for (i = 0; i < n; i++)
			happened((void *)(uintptr_t)records[i].user_data, true);
	}
}

/* A worker whose word is over should have come here. */
static void reap_stuck(struct worker *worker)
{
	struct worker *other;

	for (other = all.workers; other < all.workers + all.count; other++) {
		if (other != worker && deadline_queue_pending(other->queue) &&
		    deadline_over(deadline_worker_word(other->hooks)))
			reap(other);
	}
}

/* Those that are due, then by turns what is ours alone and what is not */
static struct fiber *next_fiber(struct worker *worker)
{
	struct fiber *fiber;
	unsigned int i;

	reap(worker);
	reap_stuck(worker);
	fiber = take_shared(worker, &worker->due);
	worker->pinned_turn = !worker->pinned_turn;
	if (!fiber && worker->pinned_turn)
		fiber = take(&worker->pinned);
	if (!fiber)
		fiber = take_shared(worker, &worker->ready);
	if (!fiber)
		fiber = take(&worker->pinned);
	for (i = 0; !fiber && i < all.count; i++)
		fiber = steal(&all.workers[i]);
	return fiber;
}

static void free_fiber(struct fiber *fiber)
{
	tsan_destroy(fiber->tsan);
	munmap(fiber->stack, STACK_SIZE);
	free(fiber);
}

static void end_fiber(struct fiber *fiber)
{
	struct fiber_group *group = fiber->group;
	unsigned int i;

	if (group)
		happened(group, false);
	free_fiber(fiber);
	if (__atomic_sub_fetch(&all.fibers, 1, __ATOMIC_SEQ_CST))
		return;
	for (i = 0; i < all.count; i++)
		deadline_worker_request(all.workers[i].hooks);
}

static void start_wait(struct fiber *fiber)
{
	struct fiber_group *group = fiber->waits_for;

	group->waiter = fiber;
	happened(group, false);
}

static void run(struct worker *worker, struct fiber *fiber)
{
	worker->current = fiber;
	tsan_switch(fiber->tsan);
	swapcontext(&worker->context, &fiber->context);
	switch (worker->leave) {
	case LEAVE_END:
		end_fiber(fiber);
		break;
	case LEAVE_YIELD:
		make_ready(worker, fiber, false);
		break;
	case LEAVE_STOPPED:
		append(&worker->pinned, fiber);
		break;
	case LEAVE_WAIT:
		start_wait(fiber);
		break;
	}
}

/* Idle first, then look once more: who makes something ready does the opposite. */
static void idle(struct worker *worker)
{
	struct fiber *fiber;

	deadline_worker_switch(worker->hooks, DEADLINE_NEVER);
	__atomic_store_n(&worker->idle, true, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	fiber = next_fiber(worker);
	if (!fiber && __atomic_load_n(&all.fibers, __ATOMIC_SEQ_CST))
		/* Somebody must see it when another worker gets stuck. */
		deadline_worker_park(worker->hooks,
				     all.count > 1 ? deadline_in(all.quantum) :
				     DEADLINE_NEVER);
	__atomic_store_n(&worker->idle, false, __ATOMIC_SEQ_CST);
	deadline_worker_switch(worker->hooks, deadline_in(all.quantum -
							  MARGIN));
	if (fiber)
		run(worker, fiber);
}

static void schedule(struct worker *worker)
{
	const deadline_word *word = deadline_worker_word(worker->hooks);
	struct fiber *fiber;

	while (__atomic_load_n(&all.fibers, __ATOMIC_SEQ_CST)) {
		if (deadline_over(word))
			deadline_worker_switch(worker->hooks,
					       deadline_in(all.quantum -
							   MARGIN));
		fiber = next_fiber(worker);
		if (fiber)
			run(worker, fiber);
		else
			idle(worker);
	}
}

static void leave(enum leave why)
{
	struct worker *worker = this_worker();

	worker->leave = why;
	tsan_switch(worker->tsan);
	swapcontext(&worker->current->context, &worker->context);
}

static void stopped(void *unused)
{
	(void)unused;
	leave(LEAVE_STOPPED);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct deadline_worker_options options = {
		.queue = worker->queue,
		.preempt = all.preempt ? stopped : NULL,
	};

	self = worker;
	worker->tsan = tsan_current();
	if (deadline_worker_open(&worker->hooks, &options))
		abort();
	pthread_barrier_wait(&all.opened);
	schedule(worker);
	/* Others may be asking it until all have come here. */
	pthread_barrier_wait(&all.done);
	while (__atomic_load_n(&all.visitors, __ATOMIC_SEQ_CST))
		sched_yield();
	deadline_worker_close(worker->hooks);
	return NULL;
}

static void begin(void)
{
	struct fiber *fiber = this_worker()->current;

	deadline_preempt_on();
	fiber->fn(fiber->arg);
	deadline_preempt_off();
	leave(LEAVE_END);
}

static void make_context(struct fiber *fiber)
{
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = fiber->stack;
	fiber->context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&fiber->context, begin, 0);
}

static struct fiber *new_fiber(struct fiber_group *group,
			       void (*fn)(void *arg), void *arg)
{
	struct fiber *fiber = calloc(1, sizeof(*fiber));

	if (!fiber)
		return NULL;
	fiber->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (fiber->stack == MAP_FAILED) {
		free(fiber);
		return NULL;
	}
	make_context(fiber);
	fiber->tsan = tsan_create();
	fiber->group = group;
	fiber->fn = fn;
	fiber->arg = arg;
	return fiber;
}

int fiber_spawn(struct fiber_group *group, void (*fn)(void *arg), void *arg)
{
	struct fiber *fiber = new_fiber(group, fn, arg);

	if (!fiber)
		return -ENOMEM;
	__atomic_add_fetch(&all.fibers, 1, __ATOMIC_SEQ_CST);
	if (group)
		fiber_group_add(group);
	make_ready(this_worker(), fiber, false);
	return 0;
}

void fiber_yield(void)
{
	deadline_preempt_off();
	leave(LEAVE_YIELD);
	deadline_preempt_on();
}

void fiber_check(void)
{
	if (deadline_over(deadline_worker_word(this_worker()->hooks)))
		fiber_yield();
}

void fiber_group_add(struct fiber_group *group)
{
	__atomic_add_fetch(&group->left, 1, __ATOMIC_RELAXED);
}

void fiber_group_done(struct fiber_group *group)
{
	deadline_preempt_off();
	visitors(1);
	happened(group, !this_worker());
	visitors(-1);
	deadline_preempt_on();
}

static void wait_for(struct fiber_group *group)
{
	if (!__atomic_load_n(&group->left, __ATOMIC_ACQUIRE))
		return;
	this_worker()->current->waits_for = group;
	leave(LEAVE_WAIT);
	group->left = 0;
}

void fiber_wait(struct fiber_group *group)
{
	deadline_preempt_off();
	wait_for(group);
	deadline_preempt_on();
}

static void put_sleep(struct sleep *sleep)
{
	if (__atomic_sub_fetch(&sleep->refs, 1, __ATOMIC_ACQ_REL))
		return;
	deadline_slot_free(sleep->slot);
	free(sleep);
}

static void end_sleep(struct sleep *sleep)
{
	if (deadline_slot_cancel(sleep->slot) == 1)
		happened(&sleep->over, true);
}

static void context_over(void *sleep)
{
	end_sleep(sleep);
	put_sleep(sleep);
	visitors(-1);
}

static struct sleep *start_sleep(uint64_t until, int *ret)
{
	struct sleep *sleep = calloc(1, sizeof(*sleep));

	*ret = -ENOMEM;
	if (!sleep)
		return NULL;
	sleep->over.left = 1;
	sleep->refs = 1;
	*ret = deadline_slot_alloc(this_worker()->queue,
				   (uintptr_t)&sleep->over, &sleep->slot);
	if (!*ret)
		*ret = deadline_slot_arm(sleep->slot, 0, until);
	if (!*ret)
		return sleep;
	put_sleep(sleep);
	return NULL;
}

/* The context's own end, beside that of the sleep, may come before its deadline. */
static int sleep_below(deadline_context *context, struct sleep *sleep)
{
	deadline_hook *hook;
	int ret;

	sleep->refs = 2;
	visitors(1);
	ret = deadline_after(context, context_over, sleep, &hook);
	if (ret)
		end_sleep(sleep);
	wait_for(&sleep->over);
	if (ret || deadline_hook_stop(hook) == 1) {
		sleep->refs = 1;
		visitors(-1);
	}
	if (!ret)
		deadline_hook_free(hook);
	return ret;
}

int fiber_sleep(deadline_context *context, uint64_t until)
{
	uint64_t when = deadline_when(context);
	struct sleep *sleep;
	int ret;

	deadline_preempt_off();
	sleep = start_sleep(until < when ? until : when, &ret);
	if (sleep && context == deadline_background())
		wait_for(&sleep->over);
	else if (sleep)
		ret = sleep_below(context, sleep);
	if (sleep)
		put_sleep(sleep);
	if (!ret && context != deadline_background())
		/* Which does not sleep: one of both has come. */
		ret = deadline_sleep(context, until);
	deadline_preempt_on();
	return ret;
}

static int open_workers(struct worker *workers, unsigned int count)
{
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		pthread_mutex_init(&workers[i].lock, NULL);
		ret = deadline_queue_open(&workers[i].queue, NULL);
		if (ret)
			return ret;
	}
	return 0;
}

static void run_workers(unsigned int workers)
{
	unsigned int i;

	pthread_barrier_init(&all.opened, NULL, workers);
	pthread_barrier_init(&all.done, NULL, workers);
	for (i = 0; i < workers; i++) {
		if (pthread_create(&all.workers[i].thread, NULL, work,
				   &all.workers[i]))
			abort();
	}
	for (i = 0; i < workers; i++)
		pthread_join(all.workers[i].thread, NULL);
}

int fibers_run(unsigned int workers, uint64_t quantum, bool preempt,
	       void (*fn)(void *arg), void *arg)
{
	struct fiber *first = new_fiber(NULL, fn, arg);
	unsigned int i;
	int ret;

	if (!first)
		return -ENOMEM;
	all.workers = calloc(workers, sizeof(*all.workers));
	if (!all.workers) {
		free_fiber(first);
		return -ENOMEM;
	}
	all.count = workers;
	all.quantum = quantum;
	all.preempt = preempt;
	all.fibers = 1;
	ret = open_workers(all.workers, workers);
	if (ret) {
		free_fiber(first);
	} else {
		append(&all.workers[0].ready, first);
		run_workers(workers);
	}
	for (i = 0; i < workers; i++)
		deadline_queue_close(all.workers[i].queue);
	free(all.workers);
	return ret;
}
