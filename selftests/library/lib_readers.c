// SPDX-License-Identifier: GPL-2.0
/*
 * 64 threads read one context and write nothing that they share: the pages that
 * hold the context and its word can be read only, meanwhile.
 */
#include <sys/mman.h>
#include "library.h"

#define READERS 64
#define CAUSE 0xCA05Eul

struct reader {
	const deadline_context *context;
	unsigned long n;
	int err;
	uintptr_t cause;
	unsigned long wrong;
};

static void *read_thread(void *arg)
{
	struct reader *r = arg;
	const deadline_word *word = deadline_context_word(r->context);
	uint64_t when = deadline_when(r->context);
	unsigned long i;

	for (i = 0; i < r->n; i++) {
		r->wrong += deadline_over(word) != (r->err != 0);
		r->wrong += deadline_err(r->context) != r->err;
		r->wrong += deadline_cause(r->context) != r->cause;
		r->wrong += deadline_when(r->context) != when;
	}
	return NULL;
}

/* The page that @at is in */
static int protect(const volatile void *at, int protection)
{
	uintptr_t size = sysconf(_SC_PAGESIZE);

	return mprotect((void *)((uintptr_t)at & -size), size, protection);
}

static int protect_all(const deadline_context *context, int protection)
{
	int ret = protect(context, protection);

	return ret ? ret : protect(deadline_context_word(context), protection);
}

/* How many readers were told other than this? */
static unsigned int readers(const deadline_context *context, int err,
			    uintptr_t cause)
{
	static struct reader all[READERS];
	pthread_t threads[READERS];
	unsigned int i, wrong = 0;

	for (i = 0; i < READERS; i++) {
		all[i] = (struct reader){
			.context = context,
			.n = rounds(10000),
			.err = err,
			.cause = cause,
		};
		if (pthread_create(&threads[i], NULL, read_thread, &all[i]))
			return READERS;
	}
	for (i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		wrong += all[i].wrong != 0;
	}
	return wrong;
}

static void check(struct __test_metadata *_metadata, deadline_context *context,
		  int err, uintptr_t cause)
{
	ASSERT_EQ(0, protect_all(context, PROT_READ));
	EXPECT_EQ(0, readers(context, err, cause));
	ASSERT_EQ(0, protect_all(context, PROT_READ | PROT_WRITE));
}

TEST(no_shared_write)
{
	deadline_context *context, *child;

	/* One that has a child is over only when that is, and then as cheap. */
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));
	ASSERT_EQ(0, deadline_with_cancel(context, &child));
	check(_metadata, context, 0, 0);
	EXPECT_EQ(1, deadline_cancel(context, CAUSE));
	check(_metadata, context, -ECANCELED, CAUSE);
	check(_metadata, child, -ECANCELED, CAUSE);
	deadline_release(child);
	deadline_release(context);
}

TEST_HARNESS_MAIN
