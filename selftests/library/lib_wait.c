// SPDX-License-Identifier: GPL-2.0
/*
 * Sleeping: deadline_queue_wait() and the descriptor, by poll and by epoll of
 * both kinds. No wake-up is missed, nobody spins, and the descriptor becomes
 * quiet when all is reaped.
 */
#include <linux/deadline.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include "library.h"

TEST_F(lib, gives_up)
{
	uint64_t until = deadline_in(5 * MS);

	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue, 0));
	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue, deadline_now()));
	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue, until));
	EXPECT_LE(until, clock_ns());
}

/* A wait whose time has passed still finds an expiry that is in the ring. */
TEST_F(lib, at_once)
{
	struct deadline_record record;

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	EXPECT_EQ(0, deadline_queue_wait(self->queue, 0));
	EXPECT_EQ(0, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	ASSERT_EQ(1, deadline_queue_reap(self->queue, &record, 1));
	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue, 0));
}

/* Long enough that a slow machine gets to sleep before it is over */
static void *wait_a_second(void *queue)
{
	return (void *)(intptr_t)deadline_queue_wait(queue, deadline_in(SECOND));
}

/* The first sleep of a thread wants a descriptor; without a time it wants none. */
TEST_F(lib, no_descriptor)
{
	struct deadline_record record;
	struct rlimit all, none;
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &all));
	none = all;
	none.rlim_cur = next_number();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_a_second, self->queue));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(-EMFILE, (intptr_t)ret);
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, deadline_in(MS)));
	EXPECT_EQ(1, reap_one(self->queue, &record));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &all));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_a_second, self->queue));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(-ETIME, (intptr_t)ret);
}

TEST_F(lib, woken)
{
	uint64_t when = deadline_in(20 * MS);

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, when));
	EXPECT_EQ(0, deadline_queue_wait(self->queue, DEADLINE_NEVER));
	EXPECT_LE(when, clock_ns());
	EXPECT_TRUE(deadline_queue_pending(self->queue));
	when = deadline_in(20 * MS);
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, when));
	EXPECT_EQ(0, deadline_queue_wait(self->queue, when + 1000 * SECOND));
}

/* With the device: what read(2) of the descriptor returns is not reaped as well. */
TEST(read_instead)
{
	struct deadline_options options = { .backend = DEADLINE_BACKEND_KERNEL };
	uint64_t when = deadline_in(5 * MS);
	struct deadline_expiry expiry;
	struct deadline_record record;
	deadline_queue *queue;
	deadline_slot *slot;
	int ret;

	ret = deadline_queue_open(&queue, &options);
	if (ret) {
		EXPECT_EQ(-ENOENT, ret);
		return;
	}
	ASSERT_EQ(0, deadline_slot_alloc(queue, 0, &slot));
	ASSERT_EQ(0, deadline_slot_arm(slot, 0, when));
	ASSERT_EQ(sizeof(expiry), read(deadline_queue_fd(queue), &expiry,
				       sizeof(expiry)));
	EXPECT_LE(when, clock_ns());
	EXPECT_LE(when, expiry.deadline);
	EXPECT_EQ(0, deadline_queue_reap(queue, &record, 1));
	EXPECT_EQ(-ETIME, deadline_queue_wait(queue, 0));
	deadline_slot_free(slot);
	EXPECT_EQ(0, deadline_queue_close(queue));
}

/* Waits for the context, if there is no queue */
struct waiter {
	deadline_queue *queue;
	deadline_context *context;
	pid_t id;
	int ret;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->id, thread_id(), __ATOMIC_RELEASE);
	if (w->queue)
		w->ret = deadline_queue_wait(w->queue, DEADLINE_NEVER);
	else
		w->ret = deadline_wait(w->context, DEADLINE_NEVER);
	return NULL;
}

static void nothing(int signal)
{
	(void)signal;
}

static void interrupt(struct __test_metadata *_metadata, struct waiter *waiter)
{
	struct sigaction action = { .sa_handler = nothing };
	pthread_t thread;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_thread, waiter));
	WAIT_FOR(__atomic_load_n(&waiter->id, __ATOMIC_ACQUIRE));
	WAIT_FOR(is_asleep(waiter->id));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EINTR, waiter->ret);
}

TEST_F(lib, interrupted)
{
	struct waiter waiter = { .queue = self->queue };

	interrupt(_metadata, &waiter);
}

TEST(context_interrupted)
{
	struct waiter waiter = { .context = deadline_background() };

	interrupt(_metadata, &waiter);
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0,
					   &waiter.context, 1000 * SECOND));
	waiter.id = 0;
	interrupt(_metadata, &waiter);
	EXPECT_EQ(0, deadline_err(waiter.context));
	deadline_release(waiter.context);
}

/* All that wait are woken. */
TEST_F(lib, several_waiters)
{
	struct waiter waiters[4] = {};
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++) {
		waiters[i].queue = self->queue;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, wait_thread,
					    &waiters[i]));
		WAIT_FOR(__atomic_load_n(&waiters[i].id, __ATOMIC_ACQUIRE));
		WAIT_FOR(is_asleep(waiters[i].id));
	}
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, deadline_in(MS)));
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, waiters[i].ret);
	}
}

static uint64_t cpu_time(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
	return spent.tv_sec * SECOND + spent.tv_nsec;
}

/* The ring was emptied by a call with no record to spare: the next wait sleeps. */
TEST_F(lib, sleeps)
{
	struct deadline_record record;
	uint64_t spent;

	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, deadline_in(MS)));
	ASSERT_EQ(1, reap_one(self->queue, &record));
	spent = cpu_time();
	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue,
					      deadline_in(500 * MS)));
	EXPECT_GT(100 * MS, cpu_time() - spent);
}

/*
 * Nor does anybody else of the process run meanwhile, though a deadline is to come: on
 * 32-bit machines a sleep may take its time for another.
 */
TEST(context_sleeps)
{
	deadline_context *context;
	clock_t spent;

	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &context,
					   60 * SECOND));
	spent = clock();
	EXPECT_EQ(-ETIME, deadline_wait(context, deadline_in(500 * MS)));
	EXPECT_GT(CLOCKS_PER_SEC / 20, clock() - spent);
	deadline_release(context);
}

static int polled(deadline_queue *queue, int timeout)
{
	struct pollfd pollfd = { .events = POLLIN | POLLPRI };

	pollfd.fd = deadline_queue_fd(queue);
	return poll(&pollfd, 1, timeout) == 1 ? pollfd.revents : 0;
}

static int epoll_of(deadline_queue *queue, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, deadline_queue_fd(queue),
				&event))
		return -1;
	return fd;
}

static uint32_t epolled(int fd, int timeout)
{
	struct epoll_event event = { .events = 0xA5A5 };

	return epoll_wait(fd, &event, 1, timeout) == 1 ? event.events : 0;
}

TEST_F(lib, level)
{
	struct deadline_record records[2];
	int fd = epoll_of(self->queue, EPOLLIN);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, polled(self->queue, 0));
	EXPECT_EQ(0, epolled(fd, 0));
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, deadline_in(MS)));
	EXPECT_EQ(POLLIN, polled(self->queue, -1));
	EXPECT_EQ(POLLIN, polled(self->queue, 0));
	EXPECT_EQ(EPOLLIN, epolled(fd, -1));
	EXPECT_EQ(EPOLLIN, epolled(fd, 0));
	EXPECT_EQ(1, deadline_queue_reap(self->queue, records, 2));
	WAIT_FOR(polled(self->queue, 0) == 0 ||
		 deadline_queue_reap(self->queue, records, 2));
	EXPECT_EQ(0, epolled(fd, 0));
	close(fd);
}

/* Each new entry is an edge, also while others have not been reaped. */
TEST_F(lib, edge)
{
	int i, fd = epoll_of(self->queue, EPOLLIN | EPOLLET);
	struct deadline_record records[16];

	ASSERT_LE(0, fd);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[i], 0, 1));
		/* It must have come; 60 s is "never" here. */
		EXPECT_EQ(EPOLLIN, epolled(fd, 60000));
	}
	EXPECT_EQ(10, deadline_queue_reap(self->queue, records, 16));
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, 1));
	EXPECT_EQ(EPOLLIN, epolled(fd, 60000));
	close(fd);
}

/*
 * Quiet when the last one was reaped, also by who had room for just so many. In the
 * thread backend it may be loud once more, if the thread was halted as it told.
 */
TEST_F(lib, just_full)
{
	struct deadline_record records[2];
	int i, loud = 0;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, slots_arm(self->slots, 2, 1));
		WAIT_FOR(stats_of(self->queue).expired == 2u * i + 2);
		ASSERT_EQ(POLLIN, polled(self->queue, -1));
		relax();
		ASSERT_EQ(2, deadline_queue_reap(self->queue, records, 2));
		loud += polled(self->queue, 0) != 0;
		WAIT_FOR(!deadline_queue_reap(self->queue, records, 2) &&
			 !polled(self->queue, 0));
	}
	EXPECT_GT(50, loud);
}

/* A descriptor that is asked for after the expiry is readable, too. */
TEST_F(lib, fd_asked_for_late)
{
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, 1));
	WAIT_FOR(deadline_queue_pending(self->queue));
	EXPECT_EQ(POLLIN, polled(self->queue, -1));
}

/* How many expiries there were; stops when a call finds none left. */
static int reap_all(deadline_queue *queue)
{
	struct deadline_record records[4];
	int ret, n = 0;

	while ((ret = deadline_queue_reap(queue, records, 4)) > 0)
		n += ret;
	return n;
}

static bool wait_by_wait(deadline_queue *queue, int epoll)
{
	(void)epoll;
	return deadline_queue_wait(queue, DEADLINE_NEVER) == 0;
}

static bool wait_by_poll(deadline_queue *queue, int epoll)
{
	(void)epoll;
	return polled(queue, -1) == POLLIN;
}

static bool wait_by_epoll(deadline_queue *queue, int epoll)
{
	(void)queue;
	return epolled(epoll, -1) == EPOLLIN;
}

#define NEAR 4

/*
 * Many deadlines that come while the thread goes to sleep: before it looks, in
 * between, after; and while it reaps others. If one wake-up were missed this
 * would hang. Returns how many times it was woken wrongly.
 */
static unsigned long miss_none(deadline_queue *queue, deadline_slot **slots,
			       int epoll,
			       bool (*wait)(deadline_queue *queue, int epoll))
{
	unsigned long i, j, n = rounds(20000) / NEAR, wrong = 0;
	uint64_t seed = 3, first, when;

	for (i = 0; i < n; i++) {
		first = DEADLINE_NEVER;
		for (j = 0; j < NEAR; j++) {
			when = clock_ns() + next_random(&seed) % (30 * US);
			first = when < first ? when : first;
			if (deadline_slot_arm(slots[j], 0, when))
				return n;
		}
		for (j = 0; j < NEAR; j += reap_all(queue))
			wrong += !wait(queue, epoll);
		wrong += clock_ns() < first;
	}
	return wrong;
}

TEST_F(lib, no_miss_wait)
{
	EXPECT_EQ(0, miss_none(self->queue, self->slots, -1, wait_by_wait));
}

TEST_F(lib, no_miss_poll)
{
	EXPECT_EQ(0, miss_none(self->queue, self->slots, -1, wait_by_poll));
}

TEST_F(lib, no_miss_level)
{
	int fd = epoll_of(self->queue, EPOLLIN);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, miss_none(self->queue, self->slots, fd, wait_by_epoll));
	close(fd);
}

TEST_F(lib, no_miss_edge)
{
	int fd = epoll_of(self->queue, EPOLLIN | EPOLLET);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, miss_none(self->queue, self->slots, fd, wait_by_epoll));
	close(fd);
}

/*
 * Reaped as soon as it is in the ring, before the descriptor may have become
 * readable: whoever polls and reaps gets it quiet again.
 */
TEST_F(lib, becomes_quiet)
{
	unsigned long i, n = rounds(20000), loud = 0;
	uint64_t until;

	ASSERT_LE(0, deadline_queue_fd(self->queue));
	for (i = 0; i < n && !loud; i++) {
		ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, 1));
		while (!reap_all(self->queue))
			cpu_relax();
		if (i % 4)
			continue;
		until = deadline_in(5 * SECOND);
		while (polled(self->queue, 0) && !loud) {
			reap_all(self->queue);
			loud = deadline_now() > until;
		}
	}
	EXPECT_EQ(0, loud)
		TH_LOG("after %lu rounds", i);
}

/* Sleeps do without the thread's timer slack, and leave it as it is. */
TEST_F(lib, slack_stays)
{
	deadline_context *context;

	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	ASSERT_EQ(0, prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
	EXPECT_EQ(0, deadline_sleep(context, deadline_in(MS)));
	EXPECT_EQ(0, deadline_sleep(deadline_background(), deadline_in(MS)));
	EXPECT_EQ(-ETIME, deadline_wait(context, deadline_in(MS)));
	EXPECT_EQ(-ETIME, deadline_queue_wait(self->queue, deadline_in(MS)));
	EXPECT_EQ(123456, prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	deadline_release(context);
}

static void set_slack(int signo)
{
	(void)signo;
	prctl(PR_SET_TIMERSLACK, 777777, 0, 0, 0);
}

/* What a signal handler sets while the thread sleeps is what the program has set. */
TEST(slack_of_a_handler)
{
	struct sigaction action = { .sa_handler = set_slack };
	struct itimerval soon = { .it_value.tv_usec = 20000 };

	sigaction(SIGALRM, &action, NULL);
	ASSERT_EQ(0, prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, deadline_wait(deadline_background(),
					deadline_in(1000 * SECOND)));
	EXPECT_EQ(777777, prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
}

TEST_HARNESS_MAIN
