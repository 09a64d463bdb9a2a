// SPDX-License-Identifier: GPL-2.0
/* A queue whose expiries signal a thread, which is in the midst of other code. */
#include <fcntl.h>
#include "library.h"

static volatile sig_atomic_t signals;
static pid_t signalled;

static void on_signal(int signal)
{
	(void)signal;
	signalled = thread_id();
	signals++;
}

FIXTURE(signal) {
	deadline_queue *queue;
	deadline_slot *before;
	int signal;
};

FIXTURE_SETUP(signal)
{
	struct sigaction action = { .sa_handler = on_signal };

	self->signal = SIGRTMIN + 3;
	sigaction(self->signal, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	ASSERT_EQ(0, deadline_queue_open(&self->queue, NULL));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 0, &self->before));
}

FIXTURE_TEARDOWN(signal)
{
	deadline_queue_destroy(self->queue);
}

TEST_F(signal, refused)
{
	struct deadline_options grows = { .slots = 64, .slots_max = DEADLINE_NEVER };
	deadline_queue *queue;

	EXPECT_EQ(-EINVAL, deadline_queue_set_signal(self->queue, thread_id(), 0));
	EXPECT_EQ(-EINVAL, deadline_queue_set_signal(self->queue, thread_id(),
						     SIGRTMAX + 1));
	/* Of another process */
	EXPECT_EQ(-ESRCH, deadline_queue_set_signal(self->queue, 1, SIGUSR2));
	EXPECT_EQ(-ESRCH, deadline_queue_set_signal(self->queue, 0, SIGUSR2));
	EXPECT_EQ(-ESRCH, deadline_queue_set_signal(self->queue, -1, SIGUSR2));
	ASSERT_EQ(0, deadline_queue_open(&queue, &grows));
	EXPECT_EQ(-EINVAL, deadline_queue_set_signal(queue, thread_id(), SIGUSR2));
	deadline_queue_destroy(queue);
	/* It may not grow, after all. */
	grows.slots_max = grows.slots;
	ASSERT_EQ(0, deadline_queue_open(&queue, &grows));
	EXPECT_EQ(0, deadline_queue_set_signal(queue, thread_id(), SIGUSR2));
	deadline_queue_destroy(queue);
}

TEST_F(signal, closed_by_the_program)
{
	int fd = deadline_queue_fd(self->queue);

	close(fd);
	ASSERT_EQ(fd, open("/dev/null", O_RDWR | O_CLOEXEC));
	EXPECT_EQ(-EBADF, deadline_queue_set_signal(self->queue, thread_id(), SIGUSR2));
}

/* One signal for each, in a thread that spins; the expiries are reaped as ever. */
TEST_F(signal, interrupts_a_thread)
{
	struct deadline_record record;
	deadline_slot *slot;
	int i;

	ASSERT_EQ(0, deadline_queue_set_signal(self->queue, thread_id(), self->signal));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 9, &slot));
	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(MS)));
		WAIT_FOR(signals == i);
		EXPECT_TRUE(slot_is_over(slot));
		EXPECT_EQ(thread_id(), signalled);
		EXPECT_EQ(1, reap_one(self->queue, &record));
		EXPECT_EQ(9, record.user_data);
	}
	/* The slot that was there before is silent. */
	ASSERT_EQ(0, deadline_slot_arm(self->before, 0, 1));
	EXPECT_EQ(1, reap_one(self->queue, &record));
	EXPECT_EQ(3, signals);
	deadline_slot_free(slot);
}

TEST_F(signal, of_a_periodic_slot)
{
	deadline_slot *slot;

	ASSERT_EQ(0, deadline_queue_set_signal(self->queue, thread_id(), SIGUSR2));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 9, &slot));
	ASSERT_EQ(0, deadline_slot_set_period(slot, MS));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, 1));
	WAIT_FOR(signals >= 3);
	ASSERT_EQ(1, deadline_slot_cancel(slot));
}

/* It is the library's own after as before: it is waited for, and closed. */
TEST_F(signal, of_a_queue_that_is_waited_for)
{
	struct deadline_record record;
	deadline_queue *queue;
	deadline_slot *slot;
	int fd;

	ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
	fd = deadline_queue_fd(queue);
	ASSERT_EQ(0, deadline_queue_set_signal(queue, thread_id(), self->signal));
	EXPECT_EQ(fd, deadline_queue_fd(queue));
	EXPECT_EQ(-ETIME, deadline_queue_wait(queue, deadline_in(MS)));
	ASSERT_EQ(0, deadline_slot_alloc(queue, 9, &slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(MS)));
	WAIT_FOR(signals);
	EXPECT_EQ(0, deadline_queue_wait(queue, DEADLINE_NEVER));
	EXPECT_EQ(1, reap_one(queue, &record));
	deadline_slot_free(slot);
	EXPECT_EQ(0, deadline_queue_close(queue));
	EXPECT_GT(0, fcntl(fd, F_GETFD));
}

static void *spin(void *arg)
{
	__atomic_store_n((pid_t *)arg, thread_id(), __ATOMIC_SEQ_CST);
	WAIT_FOR(signals);
	return NULL;
}

TEST_F(signal, another_thread)
{
	deadline_slot *slot;
	pthread_t thread;
	pid_t id = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, spin, &id));
	WAIT_FOR(__atomic_load_n(&id, __ATOMIC_SEQ_CST));
	ASSERT_EQ(0, deadline_queue_set_signal(self->queue, id, SIGUSR2));
	ASSERT_EQ(0, deadline_slot_alloc(self->queue, 9, &slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, deadline_in(MS)));
	pthread_join(thread, NULL);
	EXPECT_EQ(id, signalled);
}

TEST_HARNESS_MAIN
