// SPDX-License-Identifier: GPL-2.0
/*
 * A context below which many threads make others has stand-ins, of which nobody is to
 * know: each rule of contexts holds below them. This looks inside, to make a crowd of
 * two and to see that there is one.
 */
#include "library.h"
#include "context/context.h"

#define CAUSE 0xCA05Eul

static const char key;

FIXTURE(crowd) {
	deadline_context *root;
	deadline_context *parent;
	deadline_context *child;
};

static void *make_child(void *arg)
{
	deadline_context *child;

	if (deadline_with_cancel(arg, &child))
		return NULL;
	return child;
}

/* Another thread's child, which found the lock held, unless the parent is over */
static deadline_context *find_lock_held(deadline_context *parent)
{
	pthread_t thread;
	void *child;

	futex_lock(&parent->lock);
	if (pthread_create(&thread, NULL, make_child, parent))
		return NULL;
	while (!(__atomic_load_n(&parent->lock, __ATOMIC_RELAXED) &
		 LOCK_AWAITED) && deadline_now() < parent->when)
		sched_yield();
	futex_unlock(&parent->lock);
	return pthread_join(thread, &child) ? NULL : child;
}

static bool crowded(const deadline_context *node)
{
	return context_state(node) == CONTEXT_CROWDED;
}

FIXTURE_SETUP(crowd)
{
	deadline_context *first, *value;

	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &self->root));
	ASSERT_EQ(0, deadline_with_value(self->root, &key, self, &value));
	ASSERT_EQ(0, deadline_with_cancel(value, &self->parent));
	deadline_release(value);
	ASSERT_EQ(0, deadline_with_cancel(self->parent, &first));
	ASSERT_FALSE(crowded(self->parent));
	deadline_release(find_lock_held(self->parent));
	ASSERT_TRUE(crowded(self->parent));
	deadline_release(first);
	ASSERT_EQ(0, deadline_with_cancel(self->parent, &self->child));
	ASSERT_NE(self->parent, self->child->parent);
}

/* Nothing is left: not a reference, and not a stand-in. */
FIXTURE_TEARDOWN(crowd)
{
	deadline_release(self->child);
	deadline_release(self->parent);
	deadline_release(self->root);
	EXPECT_EQ(0, self->child->refs);
	EXPECT_EQ(0, self->parent->refs);
	EXPECT_EQ(0, self->root->refs);
	EXPECT_EQ(CONTEXT_BARE, self->parent->state);
	EXPECT_EQ(NULL, self->parent->crowd);
}

TEST_F(crowd, cancel)
{
	EXPECT_EQ(1, deadline_cancel(self->parent, CAUSE));
	EXPECT_TRUE(deadline_over(deadline_context_word(self->child)));
	EXPECT_EQ(-ECANCELED, deadline_err(self->child));
	EXPECT_EQ(CAUSE, deadline_cause(self->child));
}

TEST_F(crowd, cancel_from_above)
{
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE));
	EXPECT_TRUE(deadline_over(deadline_context_word(self->child)));
	EXPECT_EQ(CAUSE, deadline_cause(self->child));
}

TEST_F(crowd, value)
{
	EXPECT_EQ(self, deadline_value(self->child, &key));
}

TEST_F(crowd, deadline)
{
	deadline_context *parent, *child, *other;
	uint64_t when, ahead;

	/* On a slow machine a short one passes before the parent is crowded. */
	for (ahead = 20 * MS;; ahead *= 2) {
		when = deadline_now() + ahead;
		ASSERT_EQ(0, deadline_with_deadline(self->root, CAUSE, &parent,
						    when));
		ASSERT_EQ(0, deadline_with_cancel(parent, &child));
		other = find_lock_held(parent);
		deadline_release(child);
		if (crowded(parent))
			break;
		deadline_release(other);
		deadline_release(parent);
	}
	ASSERT_EQ(0, deadline_with_timeout(parent, 1, &child, SECOND));
	EXPECT_EQ(when, deadline_when(child));
	WAIT_FOR(deadline_over(deadline_context_word(child)));
	EXPECT_LE(when, deadline_now());
	EXPECT_EQ(-ETIME, deadline_err(child));
	EXPECT_EQ(CAUSE, deadline_cause(child));
	deadline_release(other);
	deadline_release(parent);
	deadline_release(child);
	EXPECT_EQ(0, parent->refs);
}

/* Its deadline can be moved while nothing is below it; stand-ins are nothing. */
TEST_F(crowd, move)
{
	uint64_t far = deadline_in(1000 * SECOND), when;
	deadline_context *value, *direct;

	EXPECT_EQ(-EBUSY, deadline_move(self->parent, far));
	EXPECT_EQ(DEADLINE_NEVER, deadline_when(self->parent));
	deadline_release(self->child);
	ASSERT_EQ(1, deadline_move(self->parent, far));
	EXPECT_EQ(far, deadline_when(self->parent));

	/* One below a value is below the parent itself. */
	ASSERT_EQ(0, deadline_with_value(self->parent, self, NULL, &value));
	ASSERT_EQ(0, deadline_with_cancel(value, &direct));
	EXPECT_EQ(-EBUSY, deadline_move(self->parent, 1));
	deadline_release(direct);
	deadline_release(value);

	when = deadline_in(20 * MS);
	ASSERT_EQ(1, deadline_move(self->parent, when));
	ASSERT_EQ(0, deadline_with_timeout(self->parent, 1, &self->child,
					   SECOND));
	EXPECT_EQ(when, deadline_when(self->child));
	EXPECT_EQ(-EBUSY, deadline_move(self->parent, far));
	WAIT_FOR(deadline_over(deadline_context_word(self->child)));
	EXPECT_LE(when, deadline_now());
	EXPECT_EQ(-ETIME, deadline_err(self->child));
	WAIT_FOR(deadline_over(deadline_context_word(self->parent)));
	EXPECT_EQ(0, deadline_move(self->parent, far));
}

/* Stand-ins are not over at the time before. */
TEST_F(crowd, move_later)
{
	uint64_t far = deadline_in(1000 * SECOND), when, ahead;
	deadline_context *parent, *child, *other;

	/* On a slow machine a short time passes before the move. */
	for (ahead = 20 * MS;; ahead *= 2) {
		when = deadline_in(ahead);
		ASSERT_EQ(0, deadline_with_deadline(self->root, CAUSE, &parent,
						    when));
		ASSERT_EQ(0, deadline_with_cancel(parent, &child));
		other = find_lock_held(parent);
		deadline_release(child);
		deadline_release(other);
		if (crowded(parent) && deadline_move(parent, far) == 1)
			break;
		deadline_release(parent);
	}
	WAIT_FOR(deadline_now() > when + MS);
	ASSERT_EQ(0, deadline_with_cancel(parent, &child));
	EXPECT_EQ(0, deadline_err(child));
	EXPECT_EQ(far, deadline_when(child));
	deadline_release(child);
	deadline_release(parent);
}

/* The cause is the crowded one's, whose deadline it is, or the child's own. */
TEST_F(crowd, cause_after_moves)
{
	deadline_context *parent, *first, *child;
	uint64_t far = deadline_in(1000 * SECOND);

	ASSERT_EQ(0, deadline_with_deadline(self->root, CAUSE, &parent, far));
	ASSERT_EQ(0, deadline_with_cancel(parent, &first));
	deadline_release(find_lock_held(parent));
	ASSERT_TRUE(crowded(parent));
	deadline_release(first);
	ASSERT_EQ(1, deadline_move(parent, far + SECOND));
	ASSERT_EQ(0, deadline_with_timeout(parent, 1, &child, 5000 * SECOND));
	EXPECT_EQ(far + SECOND, deadline_when(child));
	ASSERT_EQ(1, deadline_move(child, far));
	ASSERT_EQ(1, deadline_move(child, 1));
	EXPECT_EQ(1, deadline_cause(child));
	deadline_release(child);
	ASSERT_EQ(1, deadline_move(parent, deadline_in(5 * MS)));
	ASSERT_EQ(0, deadline_with_timeout(parent, 1, &child, 5000 * SECOND));
	WAIT_FOR(deadline_over(deadline_context_word(child)));
	EXPECT_EQ(-ETIME, deadline_err(child));
	EXPECT_EQ(CAUSE, deadline_cause(child));
	deadline_release(child);
	deadline_release(parent);
}

/* As a cancel does that gets no further for now */
static void end_only(deadline_context *node)
{
	__atomic_fetch_and(&context_slot(node)->word, ~DEADLINE_WORD_STATE,
			   __ATOMIC_SEQ_CST);
}

TEST_F(crowd, child_of_one_that_is_over)
{
	deadline_context *late;

	end_only(self->parent);
	ASSERT_EQ(0, deadline_with_cancel(self->parent, &late));
	EXPECT_EQ(-ECANCELED, deadline_err(late));
	deadline_release(late);
}

TEST_F(crowd, child_after_cancel)
{
	deadline_context *late;

	EXPECT_EQ(1, deadline_cancel(self->parent, CAUSE));
	ASSERT_EQ(0, deadline_with_cancel(self->parent, &late));
	EXPECT_EQ(CAUSE, deadline_cause(late));
	deadline_release(late);
}

/* Which is no end, and the child still finds what is above. */
TEST_F(crowd, release_of_the_parent)
{
	deadline_release(deadline_ref(self->parent));
	EXPECT_TRUE(crowded(self->parent));
	deadline_release(self->parent);
	EXPECT_EQ(0, deadline_err(self->child));
	EXPECT_EQ(self, deadline_value(self->child, &key));
	EXPECT_EQ(1, deadline_cancel(self->root, CAUSE));
	EXPECT_EQ(-ECANCELED, deadline_err(self->child));
	deadline_release(self->child);
	EXPECT_EQ(0, self->parent->refs);
	self->parent = NULL;
	ASSERT_EQ(0, deadline_with_cancel(self->root, &self->child));
	self->parent = deadline_ref(self->child);
}

/* It ends when nobody has a reference to it, so that nobody can complete it. */
TEST_F(crowd, end_between_references)
{
	deadline_context *child = deadline_ref(self->child);

	end_only(self->parent);
	deadline_release(self->parent);
	EXPECT_TRUE(deadline_over(deadline_context_word(child)));
	deadline_release(child);
	ASSERT_EQ(0, deadline_with_cancel(self->root, &self->parent));
}

/* Below a value of the crowded one, and below a child */
TEST_F(crowd, further_down)
{
	deadline_context *value, *down[2];

	ASSERT_EQ(0, deadline_with_value(self->parent, &value, self, &value));
	ASSERT_EQ(0, deadline_with_cancel(value, &down[0]));
	ASSERT_EQ(0, deadline_with_cancel(self->child, &down[1]));
	deadline_release(value);
	EXPECT_EQ(1, deadline_cancel(self->parent, CAUSE));
	EXPECT_EQ(CAUSE, deadline_cause(down[0]));
	EXPECT_EQ(CAUSE, deadline_cause(down[1]));
	deadline_release(down[0]);
	deadline_release(down[1]);
}

/* A stand-in is never crowded itself. */
TEST_F(crowd, of_a_stand_in)
{
	deadline_context *stand_in = self->child->parent;

	futex_lock(&stand_in->lock);
	futex_unlock(&stand_in->lock);
	crowd_form(stand_in);
	EXPECT_FALSE(crowded(stand_in));
}

static int release_in_child(void *arg)
{
	struct _test_data_crowd *self = arg;

	deadline_release(self->parent);
	deadline_release(self->child);
	deadline_release(self->root);
	return 0;
}

TEST_F(crowd, fork)
{
	EXPECT_TRUE(exited(in_child(release_in_child, self), 0));
	EXPECT_EQ(0, deadline_err(self->child));
}

#define THREADS 4
#define KEPT 8

struct member {
	deadline_context *parent;
	uint64_t seed;
	unsigned int made;
	bool failed;
	deadline_context *kept[KEPT];
};

/* Make and release, keeping some, until the parent is over. */
static void *crowd_thread(void *arg)
{
	struct member *m = arg;
	deadline_context *child, **at;

	do {
		if (deadline_with_timeout(m->parent, 1, &child, 3600 * SECOND)) {
			m->failed = true;
			break;
		}
		at = &m->kept[next_random(&m->seed) % KEPT];
		deadline_release(*at);
		*at = child;
		m->made++;
	} while (!deadline_over(deadline_context_word(m->parent)));
	deadline_release(m->parent);
	return NULL;
}

/* A cancel comes back: whatever was made before or meanwhile is over. */
TEST(race)
{
	unsigned long round, n = rounds(1000), crowds = 0, made = 0;
	static struct member members[THREADS];
	pthread_t threads[THREADS];
	deadline_context *parent;
	unsigned int i, k;
	uint64_t seed = 7;

	for (round = 0; round < n; round++) {
		ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
						  &parent));
		for (i = 0; i < THREADS; i++) {
			members[i] = (struct member){
				.parent = deadline_ref(parent),
				.seed = next_random(&seed),
			};
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    crowd_thread,
						    &members[i]));
		}
		usleep(next_random(&seed) % 300);
		ASSERT_EQ(1, deadline_cancel(parent, CAUSE));
		for (i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		crowds += !!parent->crowd;
		/* The last reference goes before the children do. */
		deadline_release(parent);
		for (i = 0; i < THREADS; i++) {
			ASSERT_FALSE(members[i].failed);
			made += members[i].made;
			for (k = 0; k < KEPT; k++) {
				if (!members[i].kept[k])
					continue;
				ASSERT_EQ(CAUSE,
					  deadline_cause(members[i].kept[k]));
				deadline_release(members[i].kept[k]);
			}
		}
		ASSERT_EQ(0, parent->refs);
	}
	TH_LOG("%lu contexts below %lu, %lu of those crowded", made, n, crowds);
}

TEST_HARNESS_MAIN
