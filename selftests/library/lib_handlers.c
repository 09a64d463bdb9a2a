// SPDX-License-Identifier: GPL-2.0
/*
 * What is async-signal-safe may be called by a signal handler that interrupts the same
 * thread anywhere, also amid such a call for the same slot or queue: after each of its
 * instructions in turn.  An expiry is told once, an arm has one end, nothing hangs.
 */
#include "library.h"
#include "steps.h"

#define FAR (deadline_in(1000 * SECOND))
#define SOON (deadline_in(US))
#define BATCH 3

/* What the handler does after so many steps, with what, and what that answered */
static struct {
	int (*act)(void);
	unsigned int at;
	unsigned int steps;
	int ret;
	deadline_queue *queue;
	deadline_shards *shards;
	deadline_slot *slot;
	deadline_slot *other;
	unsigned int told[BATCH];
} handler;

static void on_step(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)info;
	if (++handler.steps < handler.at)
		return;
	handler.ret = handler.act();
	end_steps(context);
}

/* Interrupt what follows after @at instructions, until steps_end(). */
static void steps_begin(unsigned int at)
{
	handler.at = at;
	handler.steps = 0;
	handler.ret = 0;
	set_steps(true);
}

/* Was it interrupted? */
static bool steps_end(void)
{
	set_steps(false);
	return handler.steps >= handler.at;
}

static void count(const struct deadline_record *records, int n)
{
	while (n-- > 0)
		handler.told[records[n].user_data]++;
}

static int act_cancel(void)
{
	return deadline_slot_cancel(handler.slot);
}

static int act_expire(void)
{
	return deadline_slot_expire(handler.slot);
}

static int act_drop(void)
{
	return deadline_slot_drop(handler.slot);
}

static int act_move_earlier(void)
{
	return deadline_slot_move(handler.slot, SOON);
}

static int act_move_later(void)
{
	return deadline_slot_move(handler.slot, FAR + SECOND);
}

static int act_arm_other(void)
{
	return deadline_slot_arm(handler.other, 0, SOON) ? : 1;
}

static int act_reap(void)
{
	struct deadline_record records[BATCH];
	int n = deadline_queue_reap(handler.queue, records, BATCH);

	count(records, n);
	return n;
}

static int act_reap_shards(void)
{
	struct deadline_record records[BATCH];
	int n = deadline_shards_reap(handler.shards, 1, records, BATCH);

	count(records, n);
	return n;
}

static void take_steps(int (*act)(void))
{
	struct sigaction action = {
		.sa_sigaction = on_step,
		.sa_flags = SA_SIGINFO,
	};

	handler.act = act;
	sigaction(SIGTRAP, &action, NULL);
}

/* Nobody looks at the queue before long, unless a doorbell is rung. */
static int plan_far(deadline_queue *queue, deadline_slot **slots)
{
	int ret = deadline_slot_arm(slots[0], 0, FAR);

	if (!ret)
		serve_inbox(queue, slots[1]);
	handler.queue = queue;
	handler.slot = slots[2];
	handler.other = slots[3];
	return ret;
}

/* A call that ends a slot, by the thread and by its handler: one of the two did it. */
TEST_F(lib, one_ends_it)
{
	static int (*const acts[])(void) = { act_cancel, act_expire };
	struct deadline_record record;
	unsigned int i, n;
	bool amid;
	int ret;

	ASSERT_EQ(0, plan_far(self->queue, self->slots));
	for (i = 0; i < 4; i++) {
		take_steps(acts[i % 2]);
		n = 0;
		do {
			ASSERT_EQ(0, deadline_slot_arm(handler.slot, 0, FAR));
			steps_begin(++n);
			ret = i / 2 ? deadline_slot_cancel(handler.slot) :
			      deadline_slot_expire(handler.slot);
			amid = steps_end();
			ASSERT_EQ(1, ret + handler.ret);
			ASSERT_TRUE(slot_is_over(handler.slot));
		} while (amid);
		TH_LOG("interrupted at %u instructions", n - 1);
	}
	EXPECT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
}

/* What is due soon by now expires, and is told once. */
static void wait_and_reap(struct __test_metadata *_metadata,
			  deadline_queue *queue, deadline_slot *slot)
{
	uint64_t when = deadline_slot_when(slot);
	struct deadline_record record;
	int told = 0;

	if (when < deadline_in(500 * SECOND))
		WAIT_FOR(slot_is_over(slot));
	deadline_slot_cancel(slot);
	while (deadline_queue_reap(queue, &record, 1))
		told += record.slot == slot;
	ASSERT_GE(1, told);
}

/* The thread moves a slot, and the handler does something to it or to another one. */
TEST_F(lib, amid_move)
{
	static int (*const acts[])(void) = {
		act_cancel, act_expire, act_move_earlier, act_move_later, act_arm_other,
	};
	unsigned int i, n;
	bool amid;
	int ret;

	ASSERT_EQ(0, plan_far(self->queue, self->slots));
	for (i = 0; i < 2 * ARRAY_SIZE(acts); i++) {
		take_steps(acts[i / 2]);
		n = 0;
		do {
			ASSERT_EQ(0, deadline_slot_arm(handler.slot, 0, FAR));
			steps_begin(++n);
			ret = deadline_slot_move(handler.slot, i % 2 ? SOON :
						 FAR + 2 * SECOND);
			amid = steps_end();
			ASSERT_LE(0, ret);
			ASSERT_LE(0, handler.ret);
			if (handler.ret && i / 2 < 2)
				ASSERT_TRUE(slot_is_over(handler.slot));
			if (handler.ret && acts[i / 2] == act_arm_other)
				WAIT_FOR(slot_is_over(handler.other));
			wait_and_reap(_metadata, self->queue, handler.slot);
		} while (amid);
		TH_LOG("interrupted at %u instructions", n - 1);
	}
}

/* The thread arms a slot that has an expiry, which the handler drops or reaps. */
TEST_F(lib, amid_arm)
{
	static int (*const acts[])(void) = { act_drop, act_reap, act_expire };
	struct deadline_record record;
	unsigned int i, n;
	bool amid;

	ASSERT_EQ(0, plan_far(self->queue, self->slots));
	for (i = 0; i < ARRAY_SIZE(acts); i++) {
		take_steps(acts[i]);
		n = 0;
		do {
			ASSERT_EQ(0, deadline_slot_arm(handler.slot, 0, 1));
			WAIT_FOR(deadline_queue_pending(self->queue));
			steps_begin(++n);
			ASSERT_EQ(0, deadline_slot_arm(handler.slot, 0, FAR));
			amid = steps_end();
			/* The handler ended the new one, or the old one was over. */
			ASSERT_EQ(acts[i] == act_expire && handler.ret,
				  slot_is_over(handler.slot));
			ASSERT_EQ(0, deadline_queue_reap(self->queue, &record, 1));
			deadline_slot_cancel(handler.slot);
		} while (amid);
		TH_LOG("interrupted at %u instructions", n - 1);
	}
}

/* Have the first slots of a queue expire, which nobody has reaped. */
static int expire_batch(deadline_queue *queue, deadline_slot **slots)
{
	unsigned int i;
	int ret;

	memset(handler.told, 0, sizeof(handler.told));
	ret = slots_arm(slots, BATCH, 1);
	for (i = 0; i < BATCH && !ret; i++)
		WAIT_FOR(slot_is_over(slots[i]));
	WAIT_FOR(deadline_queue_pending(queue));
	return ret;
}

/* What the thread took and what the handler took is all, and each once. */
static bool each_once(void)
{
	unsigned int i, once = 0;

	for (i = 0; i < BATCH; i++)
		once += handler.told[i] == 1;
	return once == BATCH;
}

/* The thread reaps, and the handler does so too, or drops one of the expiries. */
TEST_F(lib, amid_reap)
{
	static int (*const acts[])(void) = { act_reap, act_drop };
	struct deadline_record records[BATCH];
	unsigned int i, n;
	bool amid;
	int ret;

	handler.queue = self->queue;
	handler.slot = self->slots[1];
	for (i = 0; i < ARRAY_SIZE(acts); i++) {
		take_steps(acts[i]);
		n = 0;
		do {
			ASSERT_EQ(0, expire_batch(self->queue, self->slots));
			steps_begin(++n);
			ret = deadline_queue_reap(self->queue, records, BATCH);
			amid = steps_end();
			count(records, ret);
			if (acts[i] == act_drop && handler.ret)
				handler.told[1]++;
			/* The entry may be there a moment after the word is over. */
			while (!each_once() && ret + handler.ret < BATCH)
				ret += act_reap();
			ASSERT_TRUE(each_once());
			ASSERT_EQ(BATCH, ret + handler.ret);
		} while (amid);
		TH_LOG("interrupted at %u instructions", n - 1);
	}
}

/* A scheduler in the handler: it goes on with another task, and then with this one. */
static int act_swap(void)
{
	unsigned int count = deadline_preempt_swap(1);
	int ret = deadline_preempt_swap(count) == 1;

	deadline_preempt_off();
	deadline_preempt_on();
	return ret;
}

/* The thread turns preemption on and off and swaps the count: each is undone, none lost. */
TEST_F(lib, amid_preemption)
{
	struct deadline_worker_options options = { .queue = self->queue };
	deadline_worker *worker;
	unsigned int n = 0;
	bool amid;

	ASSERT_EQ(0, deadline_worker_open(&worker, &options));
	ASSERT_EQ(0, deadline_worker_switch(worker, DEADLINE_NEVER));
	take_steps(act_swap);
	do {
		steps_begin(++n);
		deadline_preempt_off();
		deadline_preempt_on();
		deadline_preempt_on();
		deadline_preempt_off();
		deadline_preempt_swap(deadline_preempt_swap(0) + 1);
		amid = steps_end();
		ASSERT_EQ(amid, handler.ret);
		ASSERT_EQ(2, deadline_preempt_swap(1));
	} while (amid);
	TH_LOG("interrupted at %u instructions", n - 1);
	EXPECT_EQ(0, deadline_worker_close(worker));
}

/* As amid_reap, of two shards: the handler reaps as the worker of the other one. */
TEST(amid_shards)
{
	struct deadline_record records[BATCH];
	deadline_slot *slots[BATCH];
	unsigned int n = 0;
	bool amid;
	int ret;

	ASSERT_EQ(0, deadline_shards_open(&handler.shards, NULL, 2));
	ASSERT_EQ(0, slots_alloc(deadline_shards_queue(handler.shards, 0), slots,
				 BATCH));
	take_steps(act_reap_shards);
	do {
		ASSERT_EQ(0, expire_batch(deadline_shards_queue(handler.shards, 0),
					  slots));
		steps_begin(++n);
		ret = deadline_shards_reap(handler.shards, 0, records, BATCH);
		amid = steps_end();
		count(records, ret);
		while (!each_once() && ret + handler.ret < BATCH)
			ret += act_reap_shards();
		ASSERT_TRUE(each_once());
		ASSERT_EQ(BATCH, ret + handler.ret);
	} while (amid);
	TH_LOG("interrupted at %u instructions", n - 1);
	slots_free(slots, BATCH);
	EXPECT_EQ(0, deadline_shards_close(handler.shards));
}

TEST_HARNESS_MAIN
