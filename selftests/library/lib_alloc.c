// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts allocate nothing once a program is warm. The Makefile has the linker put
 * the functions below in the place of those that allocate, for all that is linked
 * here: the library, not libc.
 */
#include <sys/mman.h>
#include "library.h"

static unsigned long allocations;
static bool none_left;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset);

static void count(void)
{
	__atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
}

void *__wrap_malloc(size_t size)
{
	count();
	return none_left ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	count();
	return none_left ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	count();
	return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	count();
	return __real_aligned_alloc(align, size);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd,
		  off_t offset)
{
	count();
	return __real_mmap(at, size, prot, flags, fd, offset);
}

static int make(deadline_context **ret_context)
{
	return deadline_with_timeout(deadline_background(), 0, ret_context,
				     1000 * SECOND);
}

static unsigned long counted(void)
{
	return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

/* Make and cancel contexts with various timeouts, each below a parent of its own. */
static unsigned long use_contexts(unsigned long n)
{
	deadline_context *parent, *child;
	unsigned long i, wrong = 0;

	for (i = 0; i < n; i++) {
		if (deadline_with_cancel(deadline_background(), &parent))
			return n;
		if (deadline_with_timeout(parent, 0, &child,
					  SECOND << (i % 8)))
			return n;
		wrong += deadline_cancel(child, 0) != 1;
		deadline_release(child);
		deadline_release(parent);
	}
	return wrong;
}

TEST(no_allocation_when_warm)
{
	unsigned long before = counted();

	EXPECT_EQ(0, use_contexts(1000));
	EXPECT_LT(before, counted());
	before = counted();
	EXPECT_EQ(0, use_contexts(rounds(100000)));
	EXPECT_EQ(before, counted());
}

#define HANDED 100

struct handover {
	deadline_context *contexts[HANDED];
	pthread_barrier_t barrier;
	unsigned long n;
};

/* Releases what the other thread creates */
static void *release_thread(void *arg)
{
	struct handover *h = arg;
	unsigned long round;
	int i;

	for (round = 0; round < h->n; round++) {
		pthread_barrier_wait(&h->barrier);
		for (i = 0; i < HANDED; i++) {
			deadline_cancel(h->contexts[i], 0);
			deadline_release(h->contexts[i]);
		}
		pthread_barrier_wait(&h->barrier);
	}
	return NULL;
}

/*
 * One thread creates contexts and another releases them: the memory goes back to
 * the first, and nothing is allocated.
 */
TEST(no_allocation_where_another_releases)
{
	struct handover h = { .n = rounds(1000) };
	unsigned long round, before = 0;
	pthread_t thread;
	int i;

	pthread_barrier_init(&h.barrier, NULL, 2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, release_thread, &h));
	for (round = 0; round < h.n; round++) {
		for (i = 0; i < HANDED; i++)
			ASSERT_EQ(0, make(&h.contexts[i]));
		if (!round)
			before = counted();
		pthread_barrier_wait(&h.barrier);
		pthread_barrier_wait(&h.barrier);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(before, counted());
	pthread_barrier_destroy(&h.barrier);
}

/* Where malloc(3) fails, it is said, and nothing is handed over. */
TEST(no_memory)
{
	deadline_context *context, *light = POISON;

	ASSERT_EQ(0, make(&context));
	none_left = true;
	errno = 4711;
	EXPECT_EQ(-ENOMEM, deadline_with_value(context, &light, NULL, &light));
	EXPECT_EQ(-ENOMEM, deadline_without_cancel(context, &light));
	EXPECT_EQ(4711, errno);
	none_left = false;
	EXPECT_EQ(POISON, light);
	ASSERT_EQ(0, deadline_without_cancel(context, &light));
	deadline_release(light);
	deadline_release(context);
}

TEST_HARNESS_MAIN
