// SPDX-License-Identifier: GPL-2.0
/*
 * A task with preemption on may call anything of the library, and is never stopped
 * where that is in the C library, has a lock, or calls the executor. What the library
 * calls of the C library is wrapped (see the Makefile): each time, before and after, a
 * request makes the word over, so that a task which can be stopped there is.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "library.h"

static deadline_worker *worker;
/*
 * A call is being tried, and we are in a wrapper; how often the call was stopped there,
 * and how often it could have been. The library's own threads try nothing.
 */
static __thread bool trying, inside;
static __thread unsigned long stops, wraps;

static void poke(void)
{
	if (!trying || inside)
		return;
	inside = true;
	wraps++;
	deadline_worker_request(worker);
	inside = false;
}

static void stop(void *arg)
{
	(void)arg;
	stops += inside;
	deadline_worker_switch(worker, DEADLINE_NEVER);
}

#define WRAP(type, name, parameters, arguments)		\
type __real_##name parameters;				\
type __wrap_##name parameters;				\
type __wrap_##name parameters				\
{							\
	type ret;					\
							\
	poke();						\
	ret = __real_##name arguments;			\
	poke();						\
	return ret;					\
}

WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *at, size_t n), (at, n))
WRAP(int, pthread_mutex_lock, (pthread_mutex_t *m), (m))
WRAP(int, pthread_mutex_unlock, (pthread_mutex_t *m), (m))
WRAP(int, pthread_mutex_destroy, (pthread_mutex_t *m), (m))
WRAP(int, pthread_cond_signal, (pthread_cond_t *c), (c))
WRAP(int, pthread_setcancelstate, (int state, int *old), (state, old))
WRAP(int, pthread_setcanceltype, (int type, int *old), (type, old))
WRAP(int, pthread_join, (pthread_t thread, void **from), (thread, from))
WRAP(int, pthread_create, (pthread_t *thread, const pthread_attr_t *attr,
			   void *(*fn)(void *), void *arg),
     (thread, attr, fn, arg))
WRAP(int, poll, (struct pollfd *fds, nfds_t n, int ms), (fds, n, ms))
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAP(int, fclose, (FILE *file), (file))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags),
     (fd, msg, flags))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags),
     (fd, msg, flags))

void __real_free(void *at);
void __wrap_free(void *at);
void __wrap_free(void *at)
{
	poke();
	__real_free(at);
	poke();
}

static deadline_context *root, *context;
static deadline_queue *queue;
static deadline_shards *shards;
static deadline_hook *hook;
static int fds[2];

static void nothing(void *arg)
{
	(void)arg;
}

/* An executor of the program's, with a lock */
static int submit(void (*fn)(void *arg), void *arg)
{
	poke();
	fn(arg);
	poke();
	return 0;
}

static const void *const key = &key;

/* Each gives back what it makes, so that it can be called again. */
static void with_cancel(void)
{
	if (!deadline_with_cancel(root, &context))
		deadline_release(context);
}

static void with_timeout(void)
{
	if (!deadline_with_timeout(root, 0, &context, 1000 * SECOND))
		deadline_release(context);
	if (!deadline_with_timeout(root, 0, &context, 0))
		deadline_release(context);
}

static void with_slack(void)
{
	if (!deadline_with_slack(root, 0, &context, deadline_in(SECOND), 100))
		deadline_release(context);
}

static void with_value(void)
{
	if (!deadline_with_value(root, key, NULL, &context))
		deadline_release(context);
}

static void without_cancel(void)
{
	if (!deadline_without_cancel(root, &context))
		deadline_release(context);
}

static void cancel(void)
{
	if (deadline_with_cancel(root, &context))
		return;
	deadline_after(context, nothing, NULL, &hook);
	deadline_cancel(context, 0);
	deadline_hook_free(hook);
	deadline_release(context);
}

static void move(void)
{
	if (deadline_with_cancel(root, &context))
		return;
	deadline_move(context, deadline_in(SECOND));
	deadline_release(context);
}

static void after(void)
{
	deadline_after(root, nothing, NULL, &hook);
	deadline_hook_stop(hook);
	deadline_hook_free(hook);
}

static void after_over(void)
{
	if (deadline_with_timeout(root, 0, &context, 0))
		return;
	deadline_after(context, nothing, NULL, &hook);
	deadline_hook_stop_wait(hook);
	deadline_hook_free(hook);
	deadline_release(context);
}

static void wait_for(void)
{
	deadline_wait(root, deadline_in(MS));
	deadline_sleep(deadline_background(), deadline_in(MS));
}

static void done_fd(void)
{
	if (deadline_with_cancel(root, &context))
		return;
	deadline_done_fd(context);
	deadline_cancel(context, 0);
	deadline_release(context);
}

static void prepare(void)
{
	deadline_prepare();
}

static void cpus(void)
{
	deadline_cpus();
}

static void set_executor(void)
{
	deadline_set_executor(submit);
}

static void open_queue(void)
{
	deadline_queue *other;

	if (!deadline_queue_open(&other, NULL))
		deadline_queue_close(other);
}

static void open_shards(void)
{
	deadline_shards *others;

	if (!deadline_shards_open(&others, NULL, 2))
		deadline_shards_close(others);
}

static void slots(void)
{
	struct deadline_record records[2];
	struct deadline_stats stats;
	deadline_slot *slot;

	if (deadline_slot_alloc(queue, 0, &slot))
		return;
	deadline_queue_fd(queue);
	deadline_slot_arm(slot, 0, 1);
	deadline_queue_wait(queue, DEADLINE_NEVER);
	deadline_queue_reap(queue, records, 2);
	deadline_queue_reap(queue, records, 2);
	deadline_queue_wait(queue, deadline_in(10 * US));
	deadline_slot_arm_many(&slot, &(uint64_t){ deadline_in(SECOND) }, 1);
	deadline_slot_free(slot);
	deadline_queue_stats(queue, &stats);
	deadline_shards_reap(shards, 0, records, 2);
}

static void transfer(void)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd many[32] = { { .fd = fds[0], .events = POLLIN } };

	deadline_write(root, fds[1], &byte, 1, DEADLINE_NEVER);
	deadline_poll(root, many, 1, DEADLINE_NEVER);
	deadline_read(root, fds[0], &byte, 1, DEADLINE_NEVER);
	deadline_read(root, fds[0], &byte, 1, deadline_in(10 * US));
	deadline_poll(root, many, 32, deadline_in(10 * US));
	deadline_sendmsg(root, fds[1], &msg, 0, DEADLINE_NEVER);
	deadline_recvmsg(root, fds[0], &msg, 0, DEADLINE_NEVER);
	deadline_accept(root, fds[0], NULL, NULL, 0, deadline_in(10 * US));
	deadline_connect(root, fds[0], NULL, 0, deadline_in(10 * US));
}

static const struct {
	const char *name;
	void (*fn)(void);
} calls[] = {
	{ "with_cancel", with_cancel }, { "with_timeout", with_timeout },
	{ "with_slack", with_slack }, { "with_value", with_value },
	{ "without_cancel", without_cancel }, { "cancel", cancel },
	{ "move", move }, { "after", after }, { "after_over", after_over },
	{ "wait", wait_for }, { "done_fd", done_fd }, { "prepare", prepare },
	{ "cpus", cpus }, { "set_executor", set_executor },
	{ "queue_open", open_queue }, { "shards_open", open_shards },
	{ "slots", slots }, { "transfer", transfer },
};

TEST(never_stopped_inside)
{
	struct deadline_worker_options options = { .preempt = stop };
	unsigned long i, all = 0;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
	ASSERT_EQ(0, deadline_shards_open(&shards, NULL, 2));
	ASSERT_EQ(0, deadline_set_executor(submit));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &root));
	options.queue = queue;
	ASSERT_EQ(0, deadline_worker_open(&worker, &options));
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		wraps = 0;
		deadline_preempt_on();
		trying = true;
		calls[i].fn();
		trying = false;
		deadline_preempt_off();
		EXPECT_EQ(0, stops) {
			TH_LOG("%s was stopped inside", calls[i].name);
		}
		/* Only these need nothing of the C library each time. */
		if (calls[i].fn != with_cancel && calls[i].fn != with_slack &&
		    calls[i].fn != move)
			EXPECT_LT(0, wraps)
				TH_LOG("%s called nothing", calls[i].name);
		all += wraps;
		stops = 0;
	}
	TH_LOG("%lu times inside", all);
	EXPECT_EQ(0, deadline_worker_close(worker));
	deadline_release(root);
	EXPECT_EQ(0, deadline_shards_close(shards));
	EXPECT_EQ(0, deadline_queue_close(queue));
}

TEST_HARNESS_MAIN
