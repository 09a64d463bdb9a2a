// SPDX-License-Identifier: GPL-2.0
/* Threads that end in a blocking call: nothing stays behind. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include "library.h"
#include "sockets.h"

static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

FIXTURE(lost) {
	deadline_context *context;
	int pipe[2];
	int pair[2];
	int full_pipe[2];
	int full_pair[2];
	int terminal[2];
	int listener;
	struct sockaddr_un name;
	socklen_t size;
	deadline_queue *queue;
};

/* Until nothing more goes into it */
static void fill(int fd)
{
	static const char bytes[1024];
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	fcntl(fd, F_SETFL, flags);
}

FIXTURE_SETUP(lost)
{
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
					  &self->context));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				self->pair));
	ASSERT_EQ(0, pipe2(self->full_pipe, O_CLOEXEC));
	fill(self->full_pipe[1]);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				self->full_pair));
	fill(self->full_pair[1]);
	ASSERT_EQ(0, openpty(&self->terminal[0], &self->terminal[1], NULL, NULL,
			     NULL));
	self->listener = unix_named(SOCK_STREAM, &self->name, &self->size);
	ASSERT_EQ(0, listen(self->listener, 0));
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
}

FIXTURE_TEARDOWN(lost)
{
	deadline_release(self->context);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

enum {
	READ,
	READ_TERMINAL,
	ACCEPT,
	CONNECT,
	POLL,
	POLL_MANY,
	RECVMSG,
	WRITE,
	SENDMSG,
	WAIT,
	SLEEP,
	QUEUE_WAIT,
	PARK,
	CALLS
};

struct victim {
	struct _test_data_lost *self;
	int which;
	uint64_t until;
	deadline_worker *worker;
	pid_t id;
	long left;
	bool started;
};

/* The worker is closed by another thread when this one has ended. */
static void park(struct victim *v)
{
	struct deadline_worker_options options = { .queue = v->self->queue };

	if (!deadline_worker_open(&v->worker, &options) &&
	    !deadline_worker_switch(v->worker, DEADLINE_NEVER))
		deadline_worker_park(v->worker, v->until);
}

static void call(struct victim *v)
{
	const struct _test_data_lost *t = v->self;
	struct pollfd fds[64];
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int i, fd;

	for (i = 0; i < 64; i++)
		fds[i] = (struct pollfd){ .fd = t->pipe[0], .events = POLLIN };
	switch (v->which) {
	case READ:
		deadline_read(t->context, t->pipe[0], &byte, 1, v->until);
		break;
	case READ_TERMINAL:
		deadline_read(t->context, t->terminal[1], &byte, 1, v->until);
		break;
	case ACCEPT:
		deadline_accept(t->context, t->listener, NULL, NULL, 0,
				v->until);
		break;
	case CONNECT:
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		connect(fd, (struct sockaddr *)&t->name, t->size);
		deadline_connect(t->context, fd, (struct sockaddr *)&t->name,
				 t->size, v->until);
		break;
	case POLL:
		deadline_poll(t->context, fds, 1, v->until);
		break;
	case POLL_MANY:
		deadline_poll(t->context, fds, 64, v->until);
		break;
	case RECVMSG:
		deadline_recvmsg(t->context, t->pair[0], &msg, MSG_ERRQUEUE,
				 v->until);
		break;
	case WRITE:
		deadline_write(t->context, t->full_pipe[1], &byte, 1, v->until);
		break;
	case SENDMSG:
		deadline_sendmsg(t->context, t->full_pair[1], &msg, 0, v->until);
		break;
	case WAIT:
		deadline_wait(t->context, v->until);
		break;
	case SLEEP:
		deadline_sleep(t->context, v->until);
		break;
	case QUEUE_WAIT:
		deadline_queue_wait(t->queue, v->until);
		break;
	case PARK:
		park(v);
		break;
	}
}

static void *die_in_call(void *arg)
{
	struct victim *v = arg;

	__atomic_store_n(&v->id, thread_id(), __ATOMIC_RELEASE);
	call(v);
	return NULL;
}

/* What it had on its stack is used for something else. */
static void *use_stack(void *arg)
{
	volatile char mine[32768];

	(void)arg;
	memset((void *)mine, 0x41, sizeof(mine));
	return (void *)(uintptr_t)mine[7];
}

TEST_F(lost, cancelled_thread)
{
	unsigned int before, i;

	for (i = 0; i < CALLS; i++) {
		struct victim v = {
			.self = self, .which = i,
			/* With and without a limit of its own */
			.until = i % 2 ? DEADLINE_NEVER :
					 deadline_in(1000 * SECOND),
		};
		pthread_t thread;
		void *ret;

		before = descriptors();
		ASSERT_EQ(0, pthread_create(&thread, NULL, die_in_call, &v));
		WAIT_FOR(__atomic_load_n(&v.id, __ATOMIC_ACQUIRE) &&
			 is_asleep(v.id));
		ASSERT_EQ(0, pthread_cancel(thread));
		pthread_join(thread, &ret);
		EXPECT_EQ(PTHREAD_CANCELED, ret)
			TH_LOG("call %u", i);
		deadline_worker_close(v.worker);
		/* The socket to be connected is the thread's to close. */
		EXPECT_EQ(before + (i == CONNECT), descriptors())
			TH_LOG("call %u", i);
		ASSERT_EQ(0, pthread_create(&thread, NULL, use_stack, NULL));
		pthread_join(thread, NULL);
	}
	/* Whatever was left in its lists would be found now. */
	EXPECT_EQ(1, deadline_cancel(self->context, 0));
}

static void *die_before(void *arg)
{
	struct victim *v = arg;
	deadline_context *context;
	deadline_queue *queue;
	char bytes[3];

	pthread_cancel(pthread_self());
	/* No cancellation point: there is something, and it is told. */
	v->left = deadline_read(v->self->context, v->self->pipe[0], bytes, 3,
				DEADLINE_NEVER);
	if (deadline_with_cancel(v->self->context, &context))
		v->left = -1;
	deadline_cancel(context, 0);
	deadline_release(context);
	if (!deadline_cpus() || deadline_queue_open(&queue, NULL) ||
	    deadline_queue_close(queue))
		v->left = -1;
	v->started = true;
	call(v);
	return NULL;
}

/* One that was cancelled before ends in its first sleep, not earlier. */
TEST_F(lost, cancelled_before)
{
	unsigned int i;

	for (i = 0; i < CALLS; i++) {
		struct victim v = {
			.self = self, .which = i, .until = DEADLINE_NEVER,
		};
		pthread_t thread;
		void *ret;

		if (i == WAIT || i == SLEEP || i == QUEUE_WAIT || i == PARK)
			v.until = deadline_in(1000 * SECOND);
		ASSERT_EQ(3, write(self->pipe[1], "abc", 3));
		ASSERT_EQ(0, pthread_create(&thread, NULL, die_before, &v));
		pthread_join(thread, &ret);
		EXPECT_EQ(PTHREAD_CANCELED, ret)
			TH_LOG("call %u", i);
		EXPECT_EQ(3, v.left);
		EXPECT_TRUE(v.started);
		deadline_worker_close(v.worker);
	}
}

static bool may_end;

static void run_on(void *arg)
{
	(void)arg;
	WAIT_FOR(__atomic_load_n(&may_end, __ATOMIC_RELAXED));
}

struct stopper {
	deadline_hook *hook;
	pid_t id;
	int ret;
};

static void *stop_and_end(void *arg)
{
	struct stopper *stopper = arg;

	__atomic_store_n(&stopper->id, thread_id(), __ATOMIC_RELEASE);
	stopper->ret = deadline_hook_stop_wait(stopper->hook);
	pthread_testcancel();
	return NULL;
}

/* Who waits for a function to end waits for it, cancelled or not. */
TEST_F(lost, no_cancellation_point)
{
	struct stopper stopper = { .ret = -1 };
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, deadline_after(self->context, run_on, NULL, &stopper.hook));
	ASSERT_EQ(1, deadline_cancel(self->context, 0));
	WAIT_FOR(!deadline_hook_stop(stopper.hook));
	ASSERT_EQ(0, pthread_create(&thread, NULL, stop_and_end, &stopper));
	WAIT_FOR(__atomic_load_n(&stopper.id, __ATOMIC_ACQUIRE) &&
		 is_asleep(stopper.id));
	ASSERT_EQ(0, pthread_cancel(thread));
	usleep(20000);
	EXPECT_TRUE(is_asleep(stopper.id));
	__atomic_store_n(&may_end, true, __ATOMIC_RELAXED);
	pthread_join(thread, &ret);
	EXPECT_EQ(0, stopper.ret);
	EXPECT_EQ(PTHREAD_CANCELED, ret);
	deadline_hook_free(stopper.hook);
}

static void *sleep_and_end(void *arg)
{
	struct victim *v = arg;

	call(v);
	return NULL;
}

/* A thread that ends takes its descriptor with it. */
TEST_F(lost, ended_thread)
{
	struct victim v = { .self = self, .which = READ };
	unsigned int i, before = descriptors();
	pthread_t thread;

	for (i = 0; i < 20; i++) {
		v.until = deadline_in(MS);
		ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_and_end, &v));
		pthread_join(thread, NULL);
	}
	EXPECT_EQ(before, descriptors());
}

static void *prepare(void *arg)
{
	struct victim *v = arg;
	unsigned int before;

	if (deadline_prepare())
		return NULL;
	before = descriptors();
	if (deadline_with_timeout(deadline_background(), 0, &v->self->context,
				  MS))
		return NULL;
	call(v);
	deadline_release(v->self->context);
	v->started = before == descriptors();
	return NULL;
}

/* What is prepared needs no descriptor when it is used. */
TEST(prepared)
{
	struct _test_data_lost data;
	struct victim v = {
		.self = &data, .which = READ, .until = DEADLINE_NEVER,
	};
	pthread_t thread;

	ASSERT_EQ(0, pipe2(data.pipe, O_CLOEXEC));
	ASSERT_EQ(0, pthread_create(&thread, NULL, prepare, &v));
	pthread_join(thread, NULL);
	EXPECT_TRUE(v.started);
}

static void *read_late(void *arg)
{
	struct victim *v = arg;
	deadline_context *context;
	char byte;

	if (deadline_with_cancel(deadline_background(), &context) == -ENOMEM)
		v->left |= 1;
	if (deadline_read(deadline_background(), v->self->pipe[0], &byte, 1,
			  deadline_in(MS)) == -ENOMEM)
		v->left |= 2;
	return NULL;
}

/* Keys for what threads have of their own are used up: an error, no more. */
static int without_keys(void *arg)
{
	struct victim v = { .left = 0 };
	struct _test_data_lost data;
	pthread_key_t key;
	pthread_t thread;

	(void)arg;
	if (pipe2(data.pipe, O_CLOEXEC))
		return 1;
	v.self = &data;
	while (!pthread_key_create(&key, NULL))
		;
	if (pthread_create(&thread, NULL, read_late, &v))
		return 2;
	pthread_join(thread, NULL);
	return v.left == 3 ? 0 : 3;
}

TEST(no_keys)
{
	/* In a program in which the library has done nothing yet */
	EXPECT_TRUE(exited(in_child(without_keys, NULL), 0));
}

TEST_HARNESS_MAIN
