// SPDX-License-Identifier: GPL-2.0
/* <deadline_uring.h>: one operation under a context, in each mode of a ring. */
#include <deadline_uring.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "library.h"
#include "rings.h"

FIXTURE(call) {
	struct io_uring ring;
	int pipe[2];
	deadline_context *context;
};

FIXTURE_VARIANT(call) {
	unsigned int mode;
};

FIXTURE_VARIANT_ADD(call, default) {
	.mode = 0,
};

FIXTURE_VARIANT_ADD(call, coop) {
	.mode = IORING_SETUP_COOP_TASKRUN,
};

FIXTURE_VARIANT_ADD(call, defer) {
	.mode = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_SETUP(call)
{
	ASSERT_EQ(0, io_uring_queue_init(8, &self->ring, variant->mode));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
					  &self->context));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
}

FIXTURE_TEARDOWN(call)
{
	close(self->pipe[0]);
	close(self->pipe[1]);
	deadline_release(self->context);
	io_uring_queue_exit(&self->ring);
}

static char bytes[16];

static void prep_read(struct io_uring_sqe *op, int fd)
{
	memset(op, 0, sizeof(*op));
	io_uring_prep_read(op, fd, bytes, 1, 0);
}

static int read_under(deadline_context *context, struct io_uring *ring,
		      int fd, uint64_t until)
{
	struct io_uring_sqe op;

	prep_read(&op, fd);
	return deadline_uring_call(context, ring, &op, until);
}

TEST_F(call, done)
{
	struct io_uring_sqe op;

	ASSERT_EQ(1, write(self->pipe[1], "a", 1));
	EXPECT_EQ(1, read_under(self->context, &self->ring, self->pipe[0],
				DEADLINE_NEVER));
	EXPECT_EQ('a', bytes[0]);
	EXPECT_EQ(-EBADF, read_under(self->context, &self->ring, -1,
				     DEADLINE_NEVER));
	/* And by a worker */
	prep_read(&op, self->pipe[0]);
	op.flags |= IOSQE_ASYNC;
	ASSERT_EQ(1, write(self->pipe[1], "b", 1));
	EXPECT_EQ(1, deadline_uring_call(deadline_background(), &self->ring,
					 &op, DEADLINE_NEVER));
	EXPECT_EQ('b', bytes[0]);
	EXPECT_TRUE(uring_quiet(&self->ring));
}

TEST_F(call, deadline)
{
	uint64_t when = deadline_in(3 * MS);
	deadline_context *context;
	struct io_uring_sqe op;

	prep_read(&op, self->pipe[0]);
	ASSERT_EQ(0, deadline_with_deadline(self->context, 0, &context, when));
	EXPECT_EQ(-ETIME, deadline_uring_call(context, &self->ring, &op,
					      DEADLINE_NEVER));
	EXPECT_LE(when, deadline_now());
	/* Over: refused before anything is tried */
	ASSERT_EQ(1, write(self->pipe[1], "a", 1));
	EXPECT_EQ(-ETIME, deadline_uring_call(context, &self->ring, &op,
					      DEADLINE_NEVER));
	EXPECT_TRUE(uring_quiet(&self->ring));
	EXPECT_EQ(1, read(self->pipe[0], bytes, 1));
	deadline_release(context);
	/* A worker's operation too ends early, and its own limit */
	op.flags |= IOSQE_ASYNC;
	when = deadline_in(3 * MS);
	EXPECT_EQ(-ETIMEDOUT, deadline_uring_call(self->context, &self->ring,
						  &op, when));
	EXPECT_LE(when, deadline_now());
	EXPECT_EQ(-ETIMEDOUT, read_under(deadline_background(), &self->ring,
					 self->pipe[0], deadline_in(MS)));
	EXPECT_TRUE(uring_quiet(&self->ring));
}

struct canceller {
	deadline_context *context;
	pid_t victim;
};

static void *cancel_thread(void *arg)
{
	struct canceller *canceller = arg;

	WAIT_FOR(is_asleep(canceller->victim));
	deadline_cancel(canceller->context, 0);
	return NULL;
}

TEST_F(call, cancelled)
{
	struct canceller canceller = { self->context, thread_id() };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, cancel_thread, &canceller));
	EXPECT_EQ(-ECANCELED, read_under(self->context, &self->ring,
					 self->pipe[0], DEADLINE_NEVER));
	pthread_join(thread, NULL);
	EXPECT_TRUE(uring_quiet(&self->ring));
}

/* What is there already is told, though the limit has passed. */
TEST_F(call, bytes_win)
{
	int pair[2];

	/* Not a pipe: Linux 6.1 has a worker read those, which comes too late. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ASSERT_EQ(1, write(pair[1], "a", 1));
	EXPECT_EQ(1, read_under(self->context, &self->ring, pair[0], 1));
	EXPECT_EQ('a', bytes[0]);
	close(pair[0]);
	close(pair[1]);
}

TEST_F(call, refuses)
{
	struct io_uring_sqe op;

	prep_read(&op, self->pipe[0]);
	op.flags = IOSQE_IO_LINK;
	EXPECT_EQ(-EINVAL, deadline_uring_call(self->context, &self->ring, &op,
					       1));
	op.flags = 0;
	io_uring_prep_nop(io_uring_get_sqe(&self->ring));
	EXPECT_EQ(-EBUSY, deadline_uring_call(self->context, &self->ring, &op,
					      1));
	ASSERT_LE(1, io_uring_submit_and_wait(&self->ring, 1));
	EXPECT_EQ(-EBUSY, deadline_uring_call(self->context, &self->ring, &op,
					      1));
	io_uring_cq_advance(&self->ring, 1);
	EXPECT_EQ(-ETIMEDOUT, deadline_uring_call(self->context, &self->ring,
						  &op, 1));
}

/* A wait of the device's own, where that is a command, could not be ended. */
TEST_F(call, driver_command)
{
	deadline_queue *queue;
	struct io_uring_sqe op = {};
	int ret;

	ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
	deadline_uring_prep_wait(&op, queue, 0);
	ret = deadline_uring_call(self->context, &self->ring, &op,
				  deadline_in(3 * MS));
	EXPECT_EQ(op.opcode == IORING_OP_URING_CMD ? -EOPNOTSUPP : -ETIMEDOUT,
		  ret);
	deadline_queue_close(queue);
	op.opcode = IORING_OP_URING_CMD;
	op.fd = -1;
	EXPECT_EQ(-EOPNOTSUPP, deadline_uring_call(self->context, &self->ring,
						   &op, DEADLINE_NEVER));
	EXPECT_TRUE(uring_quiet(&self->ring));
}

/* What a worker of io_uring sleeps in ends too, whatever the kernel says of that. */
TEST_F(call, interrupted)
{
	uint64_t when = deadline_in(3 * MS);
	struct io_uring_sqe op = {};
	int other[2];

	ASSERT_EQ(0, pipe2(other, O_CLOEXEC));
	io_uring_prep_splice(&op, self->pipe[0], -1, other[1], -1, 1, 0);
	EXPECT_EQ(-ETIMEDOUT, deadline_uring_call(self->context, &self->ring,
						  &op, when));
	EXPECT_LE(when, deadline_now());
	EXPECT_TRUE(uring_quiet(&self->ring));
	close(other[0]);
	close(other[1]);
}

struct half {
	pid_t victim;
	int fd;
};

static void *half_thread(void *arg)
{
	struct half *half = arg;

	WAIT_FOR(is_asleep(half->victim));
	if (write(half->fd, "a", 1) != 1)
		abort();
	return NULL;
}

/* The half that came is told; the call has waited for the rest until its limit. */
TEST_F(call, half)
{
	struct half half = { .victim = thread_id() };
	uint64_t when = deadline_in(200 * MS);
	struct io_uring_sqe op = {};
	pthread_t thread;
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	half.fd = pair[1];
	io_uring_prep_recv(&op, pair[0], bytes, 2, MSG_WAITALL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, half_thread, &half));
	EXPECT_EQ(1, deadline_uring_call(self->context, &self->ring, &op,
					 when));
	EXPECT_LE(when, deadline_now());
	pthread_join(thread, NULL);
	close(pair[0]);
	close(pair[1]);
}

/* A connection within the machine; -1 if the kernel has no such thing */
static int tcp_pair(int fds[2])
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(addr);

	if (server < 0)
		return -1;
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server, (void *)&addr, size) || listen(server, 1) ||
	    getsockname(server, (void *)&addr, &size) ||
	    connect(fds[0], (void *)&addr, size))
		abort();
	fds[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	close(server);
	return 0;
}

/* Two completions: the result, and that the kernel has done with the buffer */
TEST_F(call, zero_copy)
{
	struct io_uring_sqe op = {};
	char got[16];
	int fds[2];

	if (tcp_pair(fds))
		SKIP(return, "no AF_INET");
	io_uring_prep_send_zc(&op, fds[0], bytes, 16, 0, 0);
	EXPECT_EQ(16, deadline_uring_call(self->context, &self->ring, &op,
					  DEADLINE_NEVER));
	EXPECT_TRUE(uring_quiet(&self->ring));
	EXPECT_EQ(16, recv(fds[1], got, 16, MSG_WAITALL));
	close(fds[0]);
	close(fds[1]);
}

/* Connections, of which none is lost: made in time, or still to be accepted */
TEST_F(call, accept_connect)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct io_uring_sqe op = {};

	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "uring_call-%d",
		 getpid());
	ASSERT_EQ(0, bind(server, (void *)&addr, sizeof(addr)));
	ASSERT_EQ(0, listen(server, 1));
	io_uring_prep_accept(&op, server, NULL, NULL, SOCK_CLOEXEC);
	EXPECT_EQ(-ETIMEDOUT, deadline_uring_call(self->context, &self->ring,
						  &op, deadline_in(MS)));
	/* liburing clears no field that its prep function does not set. */
	memset(&op, 0, sizeof(op));
	io_uring_prep_connect(&op, client, (void *)&addr, sizeof(addr));
	EXPECT_EQ(0, deadline_uring_call(self->context, &self->ring, &op,
					 DEADLINE_NEVER));
	memset(&op, 0, sizeof(op));
	io_uring_prep_accept(&op, server, NULL, NULL, SOCK_CLOEXEC);
	fd = deadline_uring_call(self->context, &self->ring, &op,
				 DEADLINE_NEVER);
	EXPECT_LE(0, fd);
	close(fd);
	close(client);
	close(server);
}

struct writer {
	int fd;
	uint64_t when;
	bool stop;
};

/* A byte at each time that it is given */
static void *write_thread(void *arg)
{
	struct writer *writer = arg;
	uint64_t when;

	while (!__atomic_load_n(&writer->stop, __ATOMIC_ACQUIRE)) {
		when = __atomic_exchange_n(&writer->when, 0, __ATOMIC_SEQ_CST);
		if (!when) {
			relax();
			continue;
		}
		while (deadline_now() < when)
			cpu_relax();
		if (write(writer->fd, "a", 1) != 1)
			break;
	}
	return NULL;
}

/* The eventfd of somebody else stays where it is. */
TEST_F(call, eventfd)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	ASSERT_EQ(0, io_uring_register_eventfd(&self->ring, fd));
	EXPECT_EQ(variant->mode & IORING_SETUP_DEFER_TASKRUN ? -EBUSY :
							       -ETIMEDOUT,
		  read_under(self->context, &self->ring, self->pipe[0],
			     deadline_in(MS)));
	EXPECT_TRUE(uring_quiet(&self->ring));
	EXPECT_EQ(0, io_uring_unregister_eventfd(&self->ring));
	close(fd);
}

TEST(refuses_sqpoll)
{
	struct io_uring_sqe op = {};
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(8, &ring, IORING_SETUP_SQPOLL));
	io_uring_prep_nop(&op);
	EXPECT_EQ(-EINVAL, deadline_uring_call(deadline_background(), &ring,
					       &op, DEADLINE_NEVER));
	io_uring_queue_exit(&ring);
}

/* Timed out: nothing moved. Else the byte did. */
TEST_F(call, race)
{
	unsigned long i, n = rounds(400), moved = 0;
	struct writer writer = { .fd = self->pipe[1] };
	uint64_t seed = 5, when;
	pthread_t thread;
	int ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_thread, &writer));
	for (i = 0; i < n; i++) {
		when = deadline_in(100 * US);
		__atomic_store_n(&writer.when, when + next_random(&seed) %
				 (100 * US) - 50 * US, __ATOMIC_SEQ_CST);
		ret = read_under(self->context, &self->ring, self->pipe[0],
				 when);
		moved += ret == 1;
		if (ret == -ETIMEDOUT)
			/* Blocks for ever if it has gone. */
			ret = read(self->pipe[0], bytes, 1);
		ASSERT_EQ(1, ret);
		ASSERT_TRUE(uring_quiet(&self->ring));
	}
	__atomic_store_n(&writer.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TH_LOG("%lu of %lu in time", moved, n);
}

TEST_HARNESS_MAIN
