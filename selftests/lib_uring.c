// SPDX-License-Identifier: GPL-2.0
/*
 * <deadline_uring.h>: expiries as completions, doorbells in a submission, and one
 * operation under a context, in each mode of a ring.
 */
#include <deadline_uring.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "library.h"
#include "rings.h"

/* Submit what was prepared, and wait for one completion: its result, and whose */
static int next(struct io_uring *ring, uint64_t *user_data)
{
	if (io_uring_submit(ring) < 0)
		return -EIO;
	return uring_result(ring, user_data);
}

FIXTURE(uring) {
	struct io_uring ring;
	int pipe[2];
	deadline_context *context;
	deadline_queue *queue;
	struct deadline_slot *slots[64];
};

FIXTURE_VARIANT(uring) {
	unsigned int mode;
};

FIXTURE_VARIANT_ADD(uring, default) {
	.mode = 0,
};

FIXTURE_VARIANT_ADD(uring, coop) {
	.mode = IORING_SETUP_COOP_TASKRUN,
};

FIXTURE_VARIANT_ADD(uring, defer) {
	.mode = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_VARIANT_ADD(uring, sqpoll) {
	.mode = IORING_SETUP_SQPOLL,
};

FIXTURE_SETUP(uring)
{
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, slots_alloc(self->queue, self->slots, 64));
	ASSERT_EQ(0, io_uring_queue_init(8, &self->ring, variant->mode));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
					  &self->context));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
}

FIXTURE_TEARDOWN(uring)
{
	close(self->pipe[0]);
	close(self->pipe[1]);
	deadline_release(self->context);
	io_uring_queue_exit(&self->ring);
	slots_free(self->slots, 64);
	EXPECT_EQ(0, deadline_queue_close(self->queue));
}

/* Submitted; how many were is no less than 1 */
static int begin_wait(struct io_uring *ring, deadline_queue *queue,
		      uint64_t user_data)
{
	deadline_uring_prep_wait(io_uring_get_sqe(ring), queue, user_data);
	return io_uring_submit(ring);
}

/* One completion for all that are due, not before */
TEST_F(uring, wait)
{
	uint64_t when = deadline_in(3 * MS), user_data = 0;
	struct deadline_record records[64];
	int n = 0;

	ASSERT_LE(1, begin_wait(&self->ring, self->queue, 5));
	EXPECT_TRUE(uring_quiet(&self->ring));
	ASSERT_EQ(0, deadline_slot_arm_many(self->slots, 64, when));
	EXPECT_LE(0, next(&self->ring, &user_data));
	EXPECT_EQ(5, user_data);
	EXPECT_LE(when, deadline_now());
	EXPECT_TRUE(uring_quiet(&self->ring));
	while (n < 64)
		n += deadline_queue_reap(self->queue, records, 64);
	/* What came before the wait completes it at once. */
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	ASSERT_LE(1, begin_wait(&self->ring, self->queue, 6));
	EXPECT_LE(0, next(&self->ring, &user_data));
	EXPECT_EQ(6, user_data);
	EXPECT_EQ(1, deadline_queue_reap(self->queue, records, 64));
}

/* A loop that waits and reaps misses nothing. */
TEST_F(uring, wait_misses_none)
{
	unsigned long i, n = rounds(500);
	struct deadline_record record;
	uint64_t seed = 3, user_data = 0;

	if (variant->mode & IORING_SETUP_SQPOLL)
		n = rounds(100);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i % 64], 0,
					       deadline_in(next_random(&seed) %
							   (60 * US))));
		do {
			ASSERT_LE(1, begin_wait(&self->ring, self->queue, i));
			ASSERT_LE(0, next(&self->ring, &user_data));
			ASSERT_EQ(i, user_data);
		} while (!deadline_queue_reap(self->queue, &record, 1));
	}
}

static void prep_cancel(struct io_uring *ring, deadline_queue *queue,
			uint64_t wait)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	deadline_uring_prep_cancel(sqe, queue, wait);
	io_uring_sqe_set_data64(sqe, 9);
}

TEST_F(uring, wait_cancelled)
{
	uint64_t user_data = 0, seen = 0;
	int i, ret;

	ASSERT_LE(1, begin_wait(&self->ring, self->queue, 7));
	prep_cancel(&self->ring, self->queue, 7);
	for (i = 0; i < 2; i++) {
		ret = next(&self->ring, &user_data);
		seen += user_data;
		EXPECT_EQ(user_data == 7 ? -ECANCELED : 0, ret < 0 ? ret : 0);
	}
	EXPECT_EQ(7 + 9, seen);
	prep_cancel(&self->ring, self->queue, 7);
	EXPECT_EQ(-ENOENT, next(&self->ring, &user_data));
}

/* Slots armed without a doorbell expire by the one that rides on a submission. */
TEST_F(uring, doorbell)
{
	uint64_t when = deadline_in(SECOND), user_data = 0, before;
	uint32_t list[64], n = 0;
	int i;

	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, deadline_uring_arm(self->slots[i],
						i % 2 ? 1 : when, list, &n));
	EXPECT_EQ(64, n);
	EXPECT_EQ(-EBUSY, deadline_uring_arm(self->slots[0], 1, list, &n));
	before = stats_of(self->queue).doorbells;
	for (i = 0; i < 64; i++)
		EXPECT_FALSE(slot_is_over(self->slots[i]));
	deadline_uring_prep_doorbell(io_uring_get_sqe(&self->ring), self->queue,
				     list, n);
	EXPECT_LE(0, next(&self->ring, &user_data));
	EXPECT_EQ(before + 64, doorbells(self->queue, before + 64));
	for (i = 0; i < 64; i++) {
		if (i % 2)
			WAIT_FOR(slot_is_over(self->slots[i]));
		else
			EXPECT_FALSE(slot_is_over(self->slots[i]));
	}
	/* Their nodes are there: no doorbell. */
	n = 0;
	for (i = 0; i < 64; i += 2) {
		EXPECT_EQ(1, deadline_slot_cancel(self->slots[i]));
		EXPECT_EQ(0, deadline_uring_arm(self->slots[i], when, list,
						&n));
	}
	EXPECT_EQ(0, n);
}

static char bytes[16];

static void prep_read(struct io_uring_sqe *op, int fd)
{
	memset(op, 0, sizeof(*op));
	io_uring_prep_read(op, fd, bytes, 1, 0);
}

/* A ring for calls sleeps in poll(2). */
static bool calls(unsigned int mode)
{
	return !(mode & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SQPOLL));
}

static int read_under(deadline_context *context, struct io_uring *ring,
		      int fd, uint64_t until)
{
	struct io_uring_sqe op;

	prep_read(&op, fd);
	return deadline_uring_call(context, ring, &op, until);
}

TEST_F(uring, call_done)
{
	struct io_uring_sqe op;

	if (!calls(variant->mode))
		return;
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

TEST_F(uring, call_deadline)
{
	uint64_t when = deadline_in(3 * MS);
	deadline_context *context;
	struct io_uring_sqe op;

	if (!calls(variant->mode))
		return;
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

TEST_F(uring, call_cancelled)
{
	struct canceller canceller = { self->context, thread_id() };
	pthread_t thread;

	if (!calls(variant->mode))
		return;
	ASSERT_EQ(0, pthread_create(&thread, NULL, cancel_thread, &canceller));
	EXPECT_EQ(-ECANCELED, read_under(self->context, &self->ring,
					 self->pipe[0], DEADLINE_NEVER));
	pthread_join(thread, NULL);
	EXPECT_TRUE(uring_quiet(&self->ring));
}

/* What is there already is told, though the limit has passed. */
TEST_F(uring, call_bytes_win)
{
	int pair[2];

	if (!calls(variant->mode))
		return;
	/* Not a pipe: Linux 6.1 has a worker read those, which comes too late. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ASSERT_EQ(1, write(pair[1], "a", 1));
	EXPECT_EQ(1, read_under(self->context, &self->ring, pair[0], 1));
	EXPECT_EQ('a', bytes[0]);
	close(pair[0]);
	close(pair[1]);
}

TEST_F(uring, call_refuses)
{
	struct io_uring_sqe op;

	prep_read(&op, self->pipe[0]);
	if (!calls(variant->mode)) {
		EXPECT_EQ(-EINVAL, deadline_uring_call(self->context,
						       &self->ring, &op, 1));
		return;
	}
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

/* Connections, of which none is lost: made in time, or still to be accepted */
TEST_F(uring, call_accept_connect)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct io_uring_sqe op = {};

	if (!calls(variant->mode))
		return;
	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "lib_uring-%d",
		 getpid());
	ASSERT_EQ(0, bind(server, (void *)&addr, sizeof(addr)));
	ASSERT_EQ(0, listen(server, 1));
	io_uring_prep_accept(&op, server, NULL, NULL, SOCK_CLOEXEC);
	EXPECT_EQ(-ETIMEDOUT, deadline_uring_call(self->context, &self->ring,
						  &op, deadline_in(MS)));
	io_uring_prep_connect(&op, client, (void *)&addr, sizeof(addr));
	EXPECT_EQ(0, deadline_uring_call(self->context, &self->ring, &op,
					 DEADLINE_NEVER));
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

/* Timed out: nothing moved. Else the byte did. */
TEST_F(uring, call_race)
{
	unsigned long i, n = rounds(400), moved = 0;
	struct writer writer = { .fd = self->pipe[1] };
	uint64_t seed = 5, when;
	pthread_t thread;
	int ret;

	if (!calls(variant->mode))
		return;
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
