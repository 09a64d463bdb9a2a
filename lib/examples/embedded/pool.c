// SPDX-License-Identifier: MIT
/*
 * A thread pool whose tasks are a tree: a job has a deadline, each of its tasks one of
 * its own below that, and each asks its word as it works. To cancel a job ends all of
 * its tasks, those that run and those that wait, and no other's.
 */
#include <errno.h>
#include <pthread.h>
#include <deadline.h>
#include "tell.h"

#define THREADS 3
#define TASKS 24

struct task {
	struct task *next;
	deadline_context *context;
	int (*fn)(struct task *task);
	int result;
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct task *first;
	unsigned int open;
	unsigned int running;
	bool stop;
} pool = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

/* With the mutex held. A task that is over before it begins does not begin. */
static void run(struct task *task)
{
	pool.first = task->next;
	pool.running++;
	pthread_cond_broadcast(&pool.changed);
	pthread_mutex_unlock(&pool.mutex);
	task->result = deadline_err(task->context);
	if (!task->result)
		task->result = task->fn(task);
	deadline_release(task->context);
	pthread_mutex_lock(&pool.mutex);
	pool.running--;
	pool.open--;
	pthread_cond_broadcast(&pool.changed);
}

static void *worker(void *unused)
{
	pthread_mutex_lock(&pool.mutex);
	while (!pool.stop) {
		if (pool.first)
			run(pool.first);
		else
			pthread_cond_wait(&pool.changed, &pool.mutex);
	}
	pthread_mutex_unlock(&pool.mutex);
	return unused;
}

/* A task below @job, of @ns at most; 0 or the error */
static int submit(struct task *task, deadline_context *job, uint64_t ns,
		  int (*fn)(struct task *task))
{
	int ret = deadline_with_timeout(job, 0, &task->context, ns);

	if (ret)
		return ret;
	task->fn = fn;
	pthread_mutex_lock(&pool.mutex);
	task->next = pool.first;
	pool.first = task;
	pool.open++;
	pthread_cond_broadcast(&pool.changed);
	pthread_mutex_unlock(&pool.mutex);
	return 0;
}

/* Until so many tasks run, or so many are left */
static void wait_until(unsigned int running, unsigned int open)
{
	pthread_mutex_lock(&pool.mutex);
	while (pool.running < running && pool.open > open)
		pthread_cond_wait(&pool.changed, &pool.mutex);
	pthread_mutex_unlock(&pool.mutex);
}

static int work(struct task *task)
{
	const deadline_word *word = deadline_context_word(task->context);

	while (!deadline_over(word))
		;
	return deadline_err(task->context);
}

/* How many of them ended so */
static int count(const struct task *tasks, int result)
{
	int i, n = 0;

	for (i = 0; i < TASKS; i++)
		n += tasks[i].result == result;
	return n;
}

int main(void)
{
	static struct task tasks[TASKS], more[TASKS];
	deadline_context *job, *other;
	pthread_t threads[THREADS];
	int i;

	must(!deadline_with_timeout(deadline_background(), 0, &job, 1000 * SECOND) &&
	     !deadline_with_timeout(deadline_background(), 0, &other, 1000 * SECOND),
	     "contexts");
	for (i = 0; i < TASKS; i++)
		must(!submit(&tasks[i], job, 1000 * SECOND, work), "submit");
	for (i = 0; i < THREADS; i++)
		must(!pthread_create(&threads[i], NULL, worker, NULL), "a thread");
	wait_until(THREADS, 0);
	deadline_cancel(job, 42);
	wait_until(THREADS + 1, 0);
	tell(count(tasks, -ECANCELED) == TASKS, "a cancel ends all tasks of the job");
	tell(!deadline_err(other) && deadline_cause(job) == 42, "and no other job");
	for (i = 0; i < TASKS; i++)
		must(!submit(&more[i], other, MS, work), "submit");
	wait_until(THREADS + 1, 0);
	tell(count(more, -ETIME) == TASKS && !deadline_err(other),
	     "a task that has its time ends alone");
	pthread_mutex_lock(&pool.mutex);
	pool.stop = true;
	pthread_cond_broadcast(&pool.changed);
	pthread_mutex_unlock(&pool.mutex);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	deadline_release(job);
	deadline_release(other);
	return tell_end();
}
