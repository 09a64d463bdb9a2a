// SPDX-License-Identifier: GPL-2.0
/*
 * Queues come and go, by all ways that there are, while the clock is set as fast
 * as can be: the kernel's list of those to be told stays a list. (timerfd's did
 * not, CVE-2017-10661.)
 */
#include "clocks.h"
#include "module.h"
#include "pass_fd.h"

struct churn {
	unsigned long n;
	unsigned long wrong;
	bool done;
};

/* One queue's life: armed, perhaps passed on, closed by whoever is the last */
static int live_and_die(unsigned long i, const int *pair, uint64_t *seed)
{
	clockid_t clock = i % 2 ? CLOCK_REALTIME : CLOCK_TAI;
	pid_t pid = 0;
	struct queue q;
	int ret;

	ret = queue_open_on(&q, clock, 64, 0);
	if (ret)
		return ret;
	ret = slot_arm(&q, 0, ns_of(clock) + next_random(seed) % MS);
	if (i % 4 == 1)
		ret |= send_fd(pair[0], q.fd);
	if (i % 16 == 2) {
		pid = fork();
		if (pid == 0)
			_exit(0);
	}
	queue_close(&q);
	if (i % 4 == 1)
		ret |= close(receive_fd(pair[1]));
	if (pid)
		ret |= waitpid(pid, NULL, 0) != pid;
	return ret;
}

static void *churn_thread(void *arg)
{
	struct churn *c = arg;
	uint64_t seed = (uintptr_t)c;
	unsigned long i;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		c->wrong++;
	for (i = 0; i < c->n; i++)
		c->wrong += live_and_die(i, pair, &seed) != 0;
	close(pair[0]);
	close(pair[1]);
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return NULL;
}

TEST(come_and_go)
{
	struct churn churns[2] = {};
	unsigned long i, told = 0;
	struct queue first, last;
	pthread_t threads[2];
	uint64_t ahead;

	ahead = ns_of(CLOCK_REALTIME) - clock_ns();
	ASSERT_EQ(0, queue_open_on(&first, CLOCK_REALTIME, 64, O_CLOEXEC));
	for (i = 0; i < 2; i++) {
		churns[i].n = rounds(100);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn_thread,
					    &churns[i]));
	}
	for (i = 0; i < 2; i++) {
		while (!__atomic_load_n(&churns[i].done, __ATOMIC_ACQUIRE)) {
			ASSERT_EQ(0, set_realtime(ns_of(CLOCK_REALTIME) +
						  SECOND));
			ASSERT_EQ(0, set_realtime(ns_of(CLOCK_REALTIME) -
						  SECOND));
			told++;
		}
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, churns[i].wrong);
	}
	EXPECT_LT(0, told);
	EXPECT_LT(0, clock_sets(&first));

	/* The first in the list is still in it, and a new one comes in. */
	ASSERT_EQ(0, queue_open_on(&last, CLOCK_REALTIME, 64, O_CLOEXEC));
	EXPECT_EQ(2, module_uses());
	ASSERT_EQ(0, step(&last, SECOND));
	ASSERT_EQ(0, step(&first, clock_ns() + ahead - ns_of(CLOCK_REALTIME)));
	queue_close(&first);
	queue_close(&last);
}

TEST_HARNESS_MAIN
