// SPDX-License-Identifier: GPL-2.0
/*
 * read(2): whole expiries, each once, whoever reads how; and what goes wrong on
 * the way loses none.
 */
#include <sys/uio.h>
#include "queue.h"

#define SIZE ((ssize_t)sizeof(struct deadline_expiry))

/* Have slots 0 to @n - 1 expire, with the user data 100, 101, ... */
static int expire_some(struct queue *q, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		q->slots[i].user_data = 100 + i;
		if (slot_expire(q, i))
			return -1;
	}
	return 0;
}

TEST_F(queue, short_buffer)
{
	char buffer[SIZE];
	ssize_t size;

	ASSERT_EQ(0, expire_some(&self->q, 1));
	for (size = 0; size < SIZE; size++) {
		EXPECT_EQ(-1, read(self->q.fd, buffer, size));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(SIZE, read(self->q.fd, buffer, SIZE));
}

TEST_F(queue, nothing_there)
{
	struct iovec iov = { .iov_len = SIZE };
	struct deadline_expiry expiry;

	iov.iov_base = &expiry;
	EXPECT_EQ(-1, preadv2(self->q.fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, set_nonblock(&self->q));
	EXPECT_EQ(-1, read(self->q.fd, &expiry, SIZE));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(queue, members)
{
	uint64_t when = due(clock_ns() + MS);
	struct deadline_expiry expiry;

	self->q.slots[8].user_data = UINT64_MAX;
	ASSERT_EQ(0, slot_arm(&self->q, 8, when));
	ASSERT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(UINT64_MAX, expiry.user_data);
	EXPECT_EQ(when, expiry.deadline);
	EXPECT_LE(when, expiry.expired_at);
	EXPECT_GE(clock_ns(), expiry.expired_at);
	EXPECT_EQ(self->q.slots[8].expired_at, expiry.expired_at);
	EXPECT_EQ(8, expiry.slot);
	EXPECT_EQ(0, expiry.overruns);
	EXPECT_EQ(when | DEADLINE_WORD_EXPIRED | DEADLINE_WORD_TAKEN,
		  slot_word(&self->q, 8));
}

/* As many as fit, and no byte more */
TEST_F(queue, as_many_as_fit)
{
	struct deadline_expiry got[5];
	unsigned int i;

	ASSERT_EQ(0, set_nonblock(&self->q));
	ASSERT_EQ(0, expire_some(&self->q, 7));
	memset(got, 0xA5, sizeof(got));
	ASSERT_EQ(4 * SIZE, read(self->q.fd, got, 5 * SIZE - 1));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(100 + i, got[i].user_data);
	EXPECT_EQ(0xA5A5A5A5A5A5A5A5, got[4].user_data);
	memset(got, 0xA5, sizeof(got));
	ASSERT_EQ(3 * SIZE, read(self->q.fd, got, sizeof(got)));
	EXPECT_EQ(106, got[2].user_data);
	EXPECT_EQ(0xA5A5A5A5A5A5A5A5, got[3].user_data);
	EXPECT_EQ(-1, read(self->q.fd, got, sizeof(got)));
	EXPECT_EQ(EAGAIN, errno);
}

/* One expiry in pieces of 5 and 27 bytes */
TEST_F(queue, vector)
{
	struct deadline_expiry expiry;
	char bytes[SIZE];
	struct iovec iov[] = { { bytes, 5 }, { bytes + 5, SIZE - 5 } };

	ASSERT_EQ(0, expire_some(&self->q, 1));
	ASSERT_EQ(SIZE, readv(self->q.fd, iov, 2));
	memcpy(&expiry, bytes, SIZE);
	EXPECT_EQ(100, expiry.user_data);
	EXPECT_EQ(16, expiry.deadline);
	EXPECT_EQ(0, expiry.slot);
}

TEST_F(queue, no_write_no_seek)
{
	struct deadline_expiry expiry = {};

	EXPECT_EQ(-1, write(self->q.fd, &expiry, SIZE));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, expire_some(&self->q, 1));
	EXPECT_EQ(-1, pread(self->q.fd, &expiry, SIZE, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(1, read_one(&self->q, &expiry));
}

/* The last @writable bytes of a page, and nothing behind */
static void *end_of_memory(size_t writable)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(two + page, page);
	return two + page - writable;
}

TEST_F(queue, fault_loses_nothing)
{
	struct deadline_expiry *two = end_of_memory(2 * SIZE), expiry;
	size_t room;

	ASSERT_EQ(0, set_nonblock(&self->q));
	ASSERT_EQ(0, expire_some(&self->q, 3));
	for (room = 0; room < (size_t)SIZE; room += 5) {
		EXPECT_EQ(-1, read(self->q.fd, end_of_memory(room), SIZE));
		EXPECT_EQ(EFAULT, errno);
	}
	/* What was delivered before the fault stays delivered. */
	EXPECT_EQ(2 * SIZE, read(self->q.fd, two, 3 * SIZE));
	EXPECT_NE(two[0].slot, two[1].slot);
	EXPECT_EQ(1, read_one(&self->q, &expiry));
	EXPECT_EQ(3, expiry.slot + two[0].slot + two[1].slot);
	EXPECT_EQ(0, read_one(&self->q, &expiry));
}

/*
 * Read over the very slot, so that each copy changes the word that it was made
 * of, to one that is EXPIRED again: it is given up after a few tries, for others
 * to have a turn, and yet delivered once, here when the words repeat.
 */
TEST_F(queue, into_its_own_slot)
{
	const uint32_t i = DEADLINE_WORD_EXPIRED;
	struct deadline_slot *slot = &self->q.slots[i];
	uint32_t rest;
	struct iovec iov[] = {
		{ &slot->word, 8 },		/* user_data */
		{ &slot->overruns, 4 },		/* deadline */
		{ &rest, 4 },
		{ &slot->user_data, 8 },	/* expired_at */
		{ &slot->expired_at, 8 },	/* slot, overruns */
	};

	ASSERT_EQ(0, slot_expire(&self->q, i));
	slot->user_data = 1600 | DEADLINE_WORD_EXPIRED;
	slot->expired_at = 3200 | DEADLINE_WORD_EXPIRED;
	slot->deadline = 0;
	slot->overruns = 1;
	ASSERT_EQ(0, set_nonblock(&self->q));
	EXPECT_EQ(SIZE, readv(self->q.fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(i | DEADLINE_WORD_TAKEN, slot_word(&self->q, i));
	EXPECT_EQ(-1, readv(self->q.fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(EAGAIN, errno);
}

/*
 * Read over head and over the words of two slots, so that what is told of either has
 * the other expire again, and puts head back: that ends after as many entries as the
 * ring has.
 */
TEST(into_its_own_head)
{
	uint64_t expired = 1600 | DEADLINE_WORD_EXPIRED, unused[3];
	struct iovec iov[1000];
	struct queue q;
	size_t i;

	ASSERT_EQ(0, queue_open(&q, 64, O_NONBLOCK));
	ASSERT_EQ(0, expire_some(&q, 2));
	for (i = 0; i < ARRAY_SIZE(iov); i += 5) {
		iov[i] = (struct iovec){ &q.slots[1].word, 8 };
		iov[i + 1] = (struct iovec){ unused, SIZE - 8 };
		iov[i + 2] = (struct iovec){ &q.slots[0].word, 8 };
		iov[i + 3] = (struct iovec){ &q.header->head, 8 };
		iov[i + 4] = (struct iovec){ unused, SIZE - 16 };
	}
	q.slots[0].user_data = expired;
	q.slots[1].user_data = expired;
	q.slots[1].deadline = q.header->head;
	EXPECT_EQ(q.setup.ring_size * SIZE, readv(q.fd, iov, ARRAY_SIZE(iov)));
	queue_close(&q);
}

TEST_F(queue, blocks)
{
	struct reader reader;
	pthread_t thread;
	uint64_t when;

	ASSERT_EQ(0, start_reader(&reader, &self->q, &thread));
	when = due(clock_ns() + MS);
	ASSERT_EQ(0, slot_arm(&self->q, 3, when));
	pthread_join(thread, NULL);
	EXPECT_EQ(1, reader.ret);
	EXPECT_EQ(3, reader.expiry.slot);
	EXPECT_LE(when, reader.expiry.expired_at);
}

/* Asleep, woken by a hint behind which there is nothing: asleep again */
TEST_F(queue, stale_hint)
{
	struct reader reader;
	pthread_t thread;

	ASSERT_EQ(0, slot_expire(&self->q, 3));
	ASSERT_EQ(0, slot_arm(&self->q, 3, clock_ns() + 1000 * SECOND));
	ASSERT_EQ(0, start_reader(&reader, &self->q, &thread));
	EXPECT_EQ(0, reader.ret);
	ASSERT_EQ(0, slot_expire(&self->q, 4));
	pthread_join(thread, NULL);
	EXPECT_EQ(1, reader.ret);
	EXPECT_EQ(4, reader.expiry.slot);
}

TEST_F(queue, several_readers)
{
	struct reader readers[4];
	uint32_t round, i, seen, n = rounds(200);
	pthread_t threads[4];

	for (round = 0; round < n; round++) {
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, start_reader(&readers[i], &self->q,
						  &threads[i]));
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, slot_arm(&self->q, i, clock_ns() +
					      i % 2 * 100 * US));
		seen = 0;
		for (i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			ASSERT_EQ(1, readers[i].ret);
			seen |= 1u << readers[i].expiry.slot;
		}
		ASSERT_EQ(0xF, seen);
	}
}

/* Due on the reader's way to sleep, wherever it is: it does not sleep on. */
TEST_F(queue, due_before_asleep)
{
	unsigned long round, n = rounds(20000);
	struct deadline_expiry expiry;

	for (round = 0; round < n; round++) {
		ASSERT_EQ(0, slot_arm(&self->q, 0,
				      due(clock_ns() + round % 400 * 100)));
		ASSERT_EQ(1, read_one(&self->q, &expiry));
	}
}

static void *faulty_thread(void *arg)
{
	const struct queue *q = arg;
	struct iovec iov = { NULL, SIZE };

	/* Until it meets the expiry, or somebody else has had it */
	while (preadv2(q->fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EAGAIN &&
	       !(slot_word(q, 0) & DEADLINE_WORD_TAKEN))
		;
	return NULL;
}

/* A reader that faults leaves the expiry to one who sleeps. */
TEST_F(queue, fault_wakes_others)
{
	unsigned long round, n = rounds(1000);
	pthread_t thread, faulty;
	struct reader reader;

	for (round = 0; round < n; round++) {
		self->q.slots[0].word = 0;
		ASSERT_EQ(0, start_reader(&reader, &self->q, &thread));
		ASSERT_EQ(0, pthread_create(&faulty, NULL, faulty_thread,
					    &self->q));
		ASSERT_EQ(0, slot_arm(&self->q, 0, clock_ns() + 200 * US));
		pthread_join(thread, NULL);
		pthread_join(faulty, NULL);
		ASSERT_EQ(1, reader.ret);
		ASSERT_EQ(0, reader.expiry.slot);
	}
}

static void nothing(int signal)
{
	(void)signal;
}

TEST_F(queue, interrupted)
{
	struct sigaction action = { .sa_handler = nothing };
	struct reader reader;
	pthread_t thread;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, start_reader(&reader, &self->q, &thread));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EINTR, reader.ret);
}

static int handled;

static void count_signal(int signal)
{
	(void)signal;
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

TEST_F(queue, restarted)
{
	struct sigaction action = {
		.sa_handler = count_signal,
		.sa_flags = SA_RESTART,
	};
	struct reader reader;
	pthread_t thread;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, start_reader(&reader, &self->q, &thread));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	WAIT_FOR(__atomic_load_n(&handled, __ATOMIC_SEQ_CST));
	WAIT_FOR(is_asleep(reader.id));
	ASSERT_EQ(0, slot_arm(&self->q, 2, clock_ns() + MS));
	pthread_join(thread, NULL);
	EXPECT_EQ(1, reader.ret);
	EXPECT_EQ(2, reader.expiry.slot);
}

struct sender {
	pthread_t to;
	bool stop;
};

static void *send_signals(void *arg)
{
	struct sender *sender = arg;

	while (!__atomic_load_n(&sender->stop, __ATOMIC_RELAXED))
		pthread_kill(sender->to, SIGUSR1);
	return NULL;
}

/* A signal that ends a read amid hints behind which there is nothing: not all was seen. */
TEST_F(queue, signal_hides_nothing)
{
	struct sigaction action = { .sa_handler = nothing };
	struct sender sender = { .to = pthread_self() };
	unsigned long round, n = rounds(20000), hidden = 0;
	struct deadline_expiry expiry;
	pthread_t thread;
	ssize_t got;

	ASSERT_EQ(0, set_nonblock(&self->q));
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_signals, &sender));
	for (round = 0; round < n; round++) {
		slot_arm_silent(&self->q, 0, 1);
		slot_arm_silent(&self->q, 1, 1);
		WAIT_FOR(ring_one(&self->q, 0) == 1 && slot_over(&self->q, 0));
		WAIT_FOR(ring_one(&self->q, 1) == 1 && slot_over(&self->q, 1));
		ASSERT_TRUE(slot_claim(&self->q, 0));
		do {
			got = read(self->q.fd, &expiry, SIZE);
		} while (got < 0 && errno == EINTR);
		if (got == SIZE)
			continue;
		hidden++;
		ring_drain(&self->q);
	}
	__atomic_store_n(&sender.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, hidden);
}

struct mover {
	struct queue *q;
	bool stop;
};

static void *move_head(void *arg)
{
	struct mover *mover = arg;
	struct queue *q = mover->q;

	while (!__atomic_load_n(&mover->stop, __ATOMIC_RELAXED))
		__atomic_store_n(&q->header->head,
				 status_of(&q->status->tail) - q->setup.ring_size,
				 __ATOMIC_SEQ_CST);
	return NULL;
}

/*
 * A thread puts head back while the reader takes entries, none of which has an expiry:
 * the reader ends, and does not say that the ring is empty.
 */
TEST_F(queue, ends_whoever_moves_head)
{
	struct mover mover = { .q = &self->q };
	struct deadline_expiry expiry;
	pthread_t thread;
	unsigned int i;

	ASSERT_EQ(0, set_nonblock(&self->q));
	for (i = 0; i < self->q.setup.ring_size; i++)
		ASSERT_EQ(0, slot_expire(&self->q, i % self->q.setup.slots));
	for (i = 0; i < self->q.setup.slots; i++)
		slot_claim(&self->q, i);
	ASSERT_EQ(0, pthread_create(&thread, NULL, move_head, &mover));
	do {
		ASSERT_EQ(-1, read(self->q.fd, &expiry, SIZE));
	} while (errno == EAGAIN);
	EXPECT_EQ(EINTR, errno);
	__atomic_store_n(&mover.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
