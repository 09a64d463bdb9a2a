// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts that several threads use at once, on either backend: all that wait or
 * read a word are told of the end, and a tree is over whole for each who asks.
 */
#include "context.h"

struct waiter {
	deadline_context *context;
	uint64_t until;
	pid_t id;
	int ret;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->id, thread_id(), __ATOMIC_RELEASE);
	w->ret = deadline_wait(w->context, w->until);
	return NULL;
}

/* Three sleep on one context, and one below it; a cancel wakes them. */
TEST_F(context, cancel_wakes)
{
	struct waiter waiters[4];
	deadline_context *child;
	pthread_t threads[4];
	int i;

	ASSERT_EQ(0, deadline_with_timeout(self->root, 0, &child,
					   1000 * SECOND));
	for (i = 0; i < 4; i++) {
		waiters[i] = (struct waiter){
			.context = i < 3 ? self->root : child,
			.until = DEADLINE_NEVER,
			.ret = 1,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, wait_thread,
					    &waiters[i]));
	}
	for (i = 0; i < 4; i++) {
		WAIT_FOR(__atomic_load_n(&waiters[i].id, __ATOMIC_ACQUIRE) &&
			 is_asleep(waiters[i].id));
		EXPECT_EQ(1, waiters[i].ret);
	}
	EXPECT_EQ(1, deadline_cancel(self->root, 0));
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, waiters[i].ret);
	}
	EXPECT_EQ(-ECANCELED, deadline_err(child));
	deadline_release(child);
}

/* What a worker that calls nothing has of a context */
struct reader {
	const deadline_word *word;
	uint64_t end;
};

static void *read_until_over(void *arg)
{
	struct reader *reader = arg;

	while (!deadline_over(reader->word))
		cpu_relax();
	reader->end = clock_ns();
	return NULL;
}

/*
 * Words that are over by a deadline of their own, or of one above them, however far
 * that is, and nobody calls the library meanwhile; else this would hang.
 */
TEST_F(context, on_time_in_workers_that_call_nothing)
{
	uint64_t when = deadline_in(20 * MS);
	deadline_context *contexts[5];
	pthread_t threads[5];
	struct reader readers[5];
	int i;

	ASSERT_EQ(0, deadline_with_deadline(self->root, CAUSE, &contexts[0],
					    when));
	ASSERT_EQ(0, deadline_with_cancel(contexts[0], &contexts[1]));
	ASSERT_EQ(0, deadline_with_deadline(contexts[1], 1, &contexts[2],
					    when + 1000 * SECOND));
	ASSERT_EQ(0, deadline_with_value(contexts[2], self, self,
					 &contexts[3]));
	ASSERT_EQ(0, deadline_with_cancel(contexts[3], &contexts[4]));
	for (i = 0; i < 5; i++) {
		readers[i].word = deadline_context_word(contexts[i]);
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, read_until_over,
					    &readers[i]));
	}
	for (i = 0; i < 5; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_LE(when, readers[i].end);
	}
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-ETIME, deadline_err(contexts[i]));
		EXPECT_EQ(CAUSE, deadline_cause(contexts[i]));
		deadline_release(contexts[i]);
	}
}

struct racer {
	deadline_context *parent;
	unsigned long wrong;
	uint64_t seed;
};

/* Children and grandchildren that expire and are cancelled from all sides */
static void *race_thread(void *arg)
{
	deadline_context *child, *below;
	struct racer *r = arg;
	bool odd;
	int i;

	for (i = 0; i < 200; i++) {
		if (deadline_with_timeout(r->parent, 0, &child, 50 * US) ||
		    deadline_with_cancel(child, &below)) {
			r->wrong++;
			break;
		}
		odd = next_random(&r->seed) % 2;
		if (odd)
			deadline_cancel(child, 1);
		if (next_random(&r->seed) % 128 == 0)
			deadline_cancel(r->parent, 2);
		/* The child is over, so its own child must be, whatever ended it. */
		if (deadline_err(child) && !word_over(below))
			r->wrong++;
		if (deadline_err(r->parent) &&
		    (!word_over(child) || !word_over(below)))
			r->wrong++;
		deadline_release(odd ? child : below);
		deadline_release(odd ? below : child);
	}
	return NULL;
}

TEST_F(context, races)
{
	deadline_context *parent;
	struct racer racers[4];
	pthread_t threads[4];
	unsigned long round;
	int i;

	for (round = 0; round < rounds(50); round++) {
		ASSERT_EQ(0, deadline_with_cancel(self->root, &parent));
		for (i = 0; i < 4; i++) {
			racers[i].parent = parent;
			racers[i].wrong = 0;
			racers[i].seed = round * 4 + i + 1;
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    race_thread, &racers[i]));
		}
		for (i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			EXPECT_EQ(0, racers[i].wrong);
		}
		deadline_release(parent);
	}
	EXPECT_EQ(0, deadline_err(self->root));
}

/* A second canceller returns no sooner than the whole tree is over. */
static void *cancel_thread(void *arg)
{
	deadline_context **tree = arg;
	intptr_t i, left = 0;

	deadline_cancel(tree[0], 0);
	for (i = 1; i < 1000; i++)
		left += !word_over(tree[i]);
	return (void *)left;
}

TEST_F(context, second_canceller_waits)
{
	deadline_context *tree[1000];
	pthread_t threads[3];
	unsigned long round;
	void *left;
	int i;

	for (round = 0; round < rounds(100); round++) {
		ASSERT_EQ(0, deadline_with_cancel(self->root, &tree[0]));
		for (i = 1; i < 1000; i++)
			ASSERT_EQ(0, deadline_with_cancel(tree[(i - 1) / 2],
							  &tree[i]));
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    cancel_thread, tree));
		for (i = 0; i < 3; i++) {
			pthread_join(threads[i], &left);
			EXPECT_EQ(NULL, left);
		}
		for (i = 0; i < 1000; i++)
			deadline_release(tree[i]);
	}
}

TEST_HARNESS_MAIN
