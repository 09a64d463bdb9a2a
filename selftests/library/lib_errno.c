// SPDX-License-Identifier: GPL-2.0
/*
 * errno is never changed: not by a call that succeeds, nor by one that fails, sleeps,
 * opens or closes something, or is made for the first time in a thread.
 */
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "library.h"

#define KEEPS(call) do {				\
	errno = 4711;					\
	(void)(call);					\
	EXPECT_EQ(4711, errno) TH_LOG("%s", #call);	\
} while (0)

#define SOON deadline_in(MS)
#define BACKGROUND deadline_background()

static void nothing(void *arg)
{
	(void)arg;
}

static int refuse(void (*fn)(void *arg), void *arg)
{
	(void)fn;
	(void)arg;
	errno = 4712;
	return -1;
}

TEST(contexts)
{
	deadline_context *root, *context;
	deadline_hook *hook;

	KEEPS(deadline_prepare());
	KEEPS(deadline_prepare());
	KEEPS(deadline_with_cancel(BACKGROUND, &root));
	KEEPS(deadline_with_timeout(root, 0, &context, MS));
	KEEPS(deadline_wait(context, SOON));
	KEEPS(deadline_wait(context, DEADLINE_NEVER));
	KEEPS(deadline_move(context, SOON));
	KEEPS(deadline_release(context));
	KEEPS(deadline_with_timeout(root, 0, &context, UINT64_MAX - 1));
	KEEPS(deadline_with_deadline(root, 0, &context, 0));
	KEEPS(deadline_err(context));
	KEEPS(deadline_cancel(context, 0));
	KEEPS(deadline_release(context));
	KEEPS(deadline_with_slack(root, 0, &context, SOON, UINT32_MAX));
	KEEPS(deadline_move(context, DEADLINE_NEVER));
	KEEPS(deadline_done_fd(context));
	KEEPS(deadline_done_fd(BACKGROUND));
	KEEPS(deadline_after(context, nothing, NULL, &hook));
	KEEPS(deadline_hook_stop(hook));
	KEEPS(deadline_hook_stop_wait(hook));
	KEEPS(deadline_hook_free(hook));
	KEEPS(deadline_after(context, nothing, NULL, &hook));
	KEEPS(deadline_cancel(context, 0));
	KEEPS(deadline_hook_stop_wait(hook));
	KEEPS(deadline_hook_free(hook));
	KEEPS(deadline_release(context));
	KEEPS(deadline_with_value(root, nothing, NULL, &context));
	KEEPS(deadline_value(context, nothing));
	KEEPS(deadline_move(context, SOON));
	KEEPS(deadline_release(context));
	KEEPS(deadline_without_cancel(root, &context));
	KEEPS(deadline_remaining(context));
	KEEPS(deadline_release(deadline_ref(context)));
	KEEPS(deadline_release(context));
	KEEPS(deadline_cancel(root, UINTPTR_MAX));
	KEEPS(deadline_release(root));
	KEEPS(deadline_strerror(-ETIME));
	KEEPS(deadline_strerror(12345));
	KEEPS(deadline_cpus());
}

/* Whatever the executor does to it */
TEST(executor)
{
	deadline_context *context;
	deadline_hook *hook;

	KEEPS(deadline_set_executor(refuse));
	ASSERT_EQ(0, deadline_with_cancel(BACKGROUND, &context));
	ASSERT_EQ(0, deadline_after(context, nothing, NULL, &hook));
	KEEPS(deadline_set_executor(refuse));
	KEEPS(deadline_cancel(context, 0));
	deadline_hook_stop_wait(hook);
	deadline_hook_free(hook);
	KEEPS(deadline_after(context, nothing, NULL, &hook));
	deadline_hook_stop_wait(hook);
	deadline_hook_free(hook);
	deadline_release(context);
}

static void *wait_in_a_thread(void *queue)
{
	struct pollfd none = { .fd = -1 };
	int wrong = 0;

	errno = 4711;
	deadline_queue_wait(queue, SOON);
	wrong += errno != 4711;
	deadline_poll(BACKGROUND, &none, 1, SOON);
	wrong += errno != 4711;
	return (void *)(intptr_t)wrong;
}

/* Nor by a first sleep, or where there is no descriptor for it */
TEST_F(lib, sleeps)
{
	struct rlimit limit = {};
	struct pollfd none = { .fd = -1 };
	deadline_context *context;
	pthread_t thread;
	void *wrong;

	KEEPS(deadline_sleep(BACKGROUND, SOON));
	KEEPS(deadline_queue_wait_under(BACKGROUND, self->queue, SOON));
	KEEPS(deadline_poll(BACKGROUND, &none, 1, SOON));
	ASSERT_EQ(0, deadline_with_timeout(BACKGROUND, 0, &context, MS));
	KEEPS(deadline_sleep(context, DEADLINE_NEVER));
	KEEPS(deadline_queue_wait_under(context, self->queue, SOON));
	deadline_release(context);
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_in_a_thread,
				    self->queue));
	ASSERT_EQ(0, pthread_join(thread, &wrong));
	EXPECT_EQ(0, (intptr_t)wrong);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = next_number();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_in_a_thread,
				    self->queue));
	ASSERT_EQ(0, pthread_join(thread, &wrong));
	EXPECT_EQ(0, (intptr_t)wrong);
}

TEST(calls)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "\0x" };
	struct iovec part = { .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	int pipes[2], pair[2], listener;
	char data[8] = "x";

	part.iov_base = data;
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&addr,
			  sizeof(sa_family_t)));
	KEEPS(deadline_read(BACKGROUND, pipes[0], data, 8, SOON));
	KEEPS(deadline_write(BACKGROUND, pipes[1], data, 1, SOON));
	KEEPS(deadline_read(BACKGROUND, pipes[0], data, 8, SOON));
	KEEPS(deadline_read(BACKGROUND, pipes[0], data, 8, SOON));
	KEEPS(deadline_read(BACKGROUND, pipes[1], data, 8, SOON));
	KEEPS(deadline_read(BACKGROUND, -1, data, 8, SOON));
	KEEPS(deadline_write(BACKGROUND, pipes[0], data, 8, SOON));
	KEEPS(deadline_read_all(BACKGROUND, pipes[0], data, 8, SOON));
	KEEPS(deadline_write_all(BACKGROUND, pipes[1], data, 8, SOON));
	KEEPS(deadline_recvmsg(BACKGROUND, pair[0], &msg, 0, SOON));
	KEEPS(deadline_sendmsg(BACKGROUND, pair[1], &msg, 0, SOON));
	KEEPS(deadline_recvmsg(BACKGROUND, pair[0], &msg, 0, SOON));
	KEEPS(deadline_sendmsg(BACKGROUND, pipes[0], &msg, 0, SOON));
	KEEPS(deadline_accept(BACKGROUND, listener, NULL, NULL, 0, SOON));
	ASSERT_EQ(0, listen(listener, 1));
	KEEPS(deadline_accept(BACKGROUND, listener, NULL, NULL, 0, SOON));
	KEEPS(deadline_connect(BACKGROUND, pair[0], (struct sockaddr *)&addr,
			       sizeof(addr), SOON));
	KEEPS(deadline_connect(BACKGROUND, -1, (struct sockaddr *)&addr,
			       sizeof(addr), SOON));
	close(pair[1]);
	KEEPS(deadline_sendmsg(BACKGROUND, pair[0], &msg, MSG_NOSIGNAL, SOON));
	close(listener);
}

TEST_F(lib, workers)
{
	struct deadline_worker_options options = {};
	deadline_worker *worker;

	KEEPS(deadline_worker_open(&worker, &options));
	options.queue = self->queue;
	KEEPS(deadline_worker_open(&worker, &options));
	KEEPS(deadline_worker_open(&worker, &options));
	KEEPS(deadline_worker_switch(worker, SOON));
	KEEPS(deadline_worker_park(worker, SOON));
	KEEPS(deadline_worker_request(worker));
	KEEPS(deadline_worker_request(worker));
	KEEPS(deadline_worker_park(worker, DEADLINE_NEVER));
	KEEPS(deadline_worker_switch(worker, DEADLINE_NEVER));
	KEEPS(deadline_worker_before_sleep(worker));
	KEEPS(deadline_worker_request(worker));
	KEEPS(deadline_worker_fd(worker));
	KEEPS(deadline_worker_after_sleep(worker));
	KEEPS(deadline_worker_close(worker));
	KEEPS(deadline_preempt_off());
	KEEPS(deadline_preempt_on());
}

TEST(queues)
{
	struct deadline_options options = { .slots = 64, .slots_max = 128 };
	struct deadline_record record;
	deadline_shards *shards;
	deadline_queue *queue;
	deadline_slot *slot;
	int i;

	KEEPS(deadline_queue_open(&queue, &options));
	for (i = 0; i < 129; i++)
		KEEPS(deadline_slot_alloc(queue, 0, &slot));
	KEEPS(deadline_queue_fd(queue));
	KEEPS(deadline_queue_set_signal(queue, thread_id(), SIGUSR1));
	KEEPS(deadline_slot_set_period(slot, 1));
	KEEPS(deadline_slot_set_slack(slot, 1));
	KEEPS(deadline_slot_set_user_data(slot, 1));
	KEEPS(deadline_slot_drop(slot));
	KEEPS(deadline_slot_remaining(slot));
	KEEPS(deadline_queue_close(queue));
	KEEPS(deadline_queue_destroy(queue));
	options.backend = 77;
	KEEPS(deadline_queue_open(&queue, &options));
	options = (struct deadline_options){ .clock = DEADLINE_CLOCK_TAI };
	if (!deadline_queue_open(&queue, &options))
		deadline_queue_destroy(queue);
	KEEPS(deadline_queue_open(&queue, &options));
	KEEPS(deadline_shards_open(&shards, NULL, 8193));
	KEEPS(deadline_shards_open(&shards, NULL, 2));
	KEEPS(deadline_shards_reap(shards, 0, &record, 1));
	KEEPS(deadline_shards_reap(shards, 7, &record, 1));
	KEEPS(deadline_shards_close(shards));
	KEEPS(deadline_queue_open(&queue, NULL));
	KEEPS(deadline_queue_set_signal(queue, 1, SIGUSR1));
	KEEPS(deadline_queue_set_signal(queue, thread_id(), -1));
	close(deadline_queue_fd(queue));
	KEEPS(deadline_queue_wait(queue, SOON));
	KEEPS(deadline_queue_fd(queue));
	KEEPS(deadline_queue_destroy(queue));
}

TEST_HARNESS_MAIN
