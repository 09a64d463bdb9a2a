// SPDX-License-Identifier: MIT
/*
 * Workers of the library: SIGURG stops a task that allows it, or the task asks its
 * worker's word.
 */
#include <stdlib.h>
#include "../scenarios/quantum.h"

/**
 * struct hooks - what a task has
 * @queue: no timer is in it
 * @worker: whose word is over at the end of a quantum
 */
struct hooks {
	deadline_queue *queue;
	deadline_worker *worker;
};

/* In step, unless quanta were missed meanwhile */
static void next_quantum(struct task *task)
{
	struct hooks *hooks = task->own;
	uint64_t now = deadline_now();

	task->next += task->quantum;
	if (task->next <= now)
		task->next = now + task->quantum;
	must(!deadline_worker_switch(hooks->worker, task->next),
	     "deadline_worker_switch");
}

static void preempt(void *arg)
{
	task_preempted(arg);
	next_quantum(arg);
}

static int open_queue(deadline_queue **ret_queue, int backend)
{
	struct deadline_options options = { .slots = 1, .backend = backend };

	return deadline_queue_open(ret_queue, &options);
}

static void open_worker(struct task *task, int backend,
			void (*callback)(void *arg))
{
	struct hooks *hooks = calloc(1, sizeof(*hooks));
	struct deadline_worker_options options = {
		.preempt = callback,
		.arg = task,
	};

	must(hooks, "calloc");
	must(!open_queue(&hooks->queue, backend), "deadline_queue_open");
	options.queue = hooks->queue;
	must(!deadline_worker_open(&hooks->worker, &options),
	     "deadline_worker_open");
	task->own = hooks;
}

static void open_stopped(struct task *task)
{
	open_worker(task, DEADLINE_BACKEND_KERNEL, preempt);
}

static void open_stopped_thread(struct task *task)
{
	open_worker(task, DEADLINE_BACKEND_THREAD, preempt);
}

static void open_asked(struct task *task)
{
	open_worker(task, DEADLINE_BACKEND_KERNEL, NULL);
}

static void close_worker(struct task *task)
{
	struct hooks *hooks = task->own;

	deadline_worker_close(hooks->worker);
	deadline_queue_close(hooks->queue);
	free(hooks);
}

static void compute_stopped(struct task *task)
{
	struct hooks *hooks = task->own;

	must(!deadline_worker_switch(hooks->worker, task->next),
	     "deadline_worker_switch");
	deadline_preempt_on();
	while (task_turn(task))
		;
	deadline_preempt_off();
}

static void compute_asked(struct task *task)
{
	struct hooks *hooks = task->own;
	const deadline_word *word = deadline_worker_word(hooks->worker);

	must(!deadline_worker_switch(hooks->worker, task->next),
	     "deadline_worker_switch");
	while (task_turn(task)) {
		if (deadline_over(word))
			preempt(task);
	}
}

static const struct preemption stopped = {
	.open	 = open_stopped,
	.compute = compute_stopped,
	.close	 = close_worker,
}, stopped_thread = {
	.open	 = open_stopped_thread,
	.compute = compute_stopped,
	.close	 = close_worker,
}, asked = {
	.open	 = open_asked,
	.compute = compute_asked,
	.close	 = close_worker,
};

static bool kernel_serves(void)
{
	deadline_queue *queue;

	if (open_queue(&queue, DEADLINE_BACKEND_KERNEL))
		return false;
	deadline_queue_close(queue);
	return true;
}

static bool measure(struct histogram *result, const struct scenario *scenario,
		    unsigned int n, unsigned int percent)
{
	if (!kernel_serves())
		return false;
	quantum_measure(result, scenario, n, percent, &stopped);
	return true;
}

static bool measure_asked(struct histogram *result,
			  const struct scenario *scenario, unsigned int n,
			  unsigned int percent)
{
	if (!kernel_serves())
		return false;
	quantum_measure(result, scenario, n, percent, &asked);
	return true;
}

static bool measure_thread(struct histogram *result,
			   const struct scenario *scenario, unsigned int n,
			   unsigned int percent)
{
	quantum_measure(result, scenario, n, percent, &stopped_thread);
	return true;
}

const struct peer peer_worker = {
	.name	  = "worker",
	.use	  = "deadline_worker_open(), its tasks stopped by SIGURG",
	.version  = deadline_version,
	.measure  = measure,
	.measures = QUANTA,
};

const struct peer peer_worker_asked = {
	.name	  = "worker-asked",
	.use	  = "the same; each microsecond its task asks the word",
	.version  = deadline_version,
	.measure  = measure_asked,
	.measures = QUANTA,
};

const struct peer peer_worker_thread = {
	.name	  = "worker-thread",
	.use	  = "stopped by SIGURG, served by the library's thread",
	.version  = deadline_version,
	.measure  = measure_thread,
	.measures = QUANTA,
};
