// SPDX-License-Identifier: GPL-2.0
/*
 * What is never a system call, or not as long as there is no need for one: under a
 * filter that kills who makes any, but for the clock, which not every machine has in
 * memory.
 */
#include "filter.h"
#include "library.h"

#define FAR (deadline_in(1000 * SECOND))

/* From here on; what is left is to say what came of it, and to end. */
static void no_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
#ifdef SYS_clock_gettime64
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime64, 4, 0),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(1);
}

/* In the thread's own process, and so without giving anything back */
TEST(slots)
{
	deadline_slot *slots[4];
	deadline_queue *queue;
	const deadline_word *word;
	int i;

	ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
	ASSERT_EQ(0, slots_alloc(queue, slots, 4));
	ASSERT_EQ(0, deadline_slot_arm(slots[0], 0, FAR));
	serve_inbox(queue, slots[1]);
	/* Expired, not reaped */
	ASSERT_EQ(0, deadline_slot_arm(slots[1], 0, 1));
	ASSERT_EQ(0, deadline_queue_wait(queue, DEADLINE_NEVER));
	word = deadline_slot_word(slots[0]);
	no_system_calls();
	EXPECT_TRUE(deadline_queue_pending(queue));
	EXPECT_EQ(1, deadline_slot_drop(slots[1]));
	for (i = 0; i < 20; i++) {
		EXPECT_FALSE(deadline_over(word));
		EXPECT_EQ(1, deadline_slot_move(slots[0], FAR + i * SECOND));
		EXPECT_EQ(1, deadline_slot_cancel(slots[0]));
		/* Later than the look that is planned */
		EXPECT_EQ(0, deadline_slot_arm(slots[0], 0, FAR + SECOND));
		EXPECT_EQ(1, deadline_slot_expire(slots[0]));
		EXPECT_EQ(0, deadline_slot_arm(slots[0], 0, DEADLINE_NEVER));
	}
	EXPECT_EQ(DEADLINE_NEVER, deadline_slot_when(slots[0]));
}

TEST(contexts)
{
	deadline_context *parent, *context;
	int i;

	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &parent,
					   1000 * SECOND));
	/* The first ones take what the next ones have again. */
	for (i = 0; i < 20; i++) {
		if (i == 10)
			no_system_calls();
		ASSERT_EQ(0, deadline_with_timeout(parent, 7, &context,
						   500 * SECOND));
		EXPECT_EQ(0, deadline_err(context));
		EXPECT_EQ(1, deadline_cancel(context, 4));
		EXPECT_EQ(-ECANCELED, deadline_err(context));
		EXPECT_EQ(4, deadline_cause(context));
		EXPECT_EQ(0, deadline_remaining(context));
		deadline_release(context);
	}
}

/* The worker runs, so whoever requests something does not have to wake it. */
TEST(workers)
{
	struct deadline_worker_options options = {};
	deadline_worker *worker;
	unsigned int count;
	int i;

	ASSERT_EQ(0, deadline_queue_open(&options.queue, NULL));
	ASSERT_EQ(0, deadline_worker_open(&worker, &options));
	/* Looks that come early enough for all quanta below */
	ASSERT_EQ(0, deadline_worker_switch(worker, FAR));
	ASSERT_EQ(1, deadline_worker_request(worker));
	ASSERT_EQ(0, deadline_worker_switch(worker, FAR));
	no_system_calls();
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(1, deadline_worker_request(worker));
		EXPECT_TRUE(deadline_over(deadline_worker_word(worker)));
		EXPECT_EQ(0, deadline_worker_switch(worker, FAR + i * SECOND));
		deadline_preempt_off();
		count = deadline_preempt_swap(1);
		EXPECT_EQ(1, deadline_preempt_swap(count));
		deadline_preempt_on();
	}
}

TEST_HARNESS_MAIN
