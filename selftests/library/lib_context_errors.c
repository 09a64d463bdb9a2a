// SPDX-License-Identifier: GPL-2.0
/*
 * What contexts say where the system does not give what they need: descriptors, a
 * doorbell that rings. Nothing is handed over then, and it can be tried again.
 */
#include <sys/resource.h>
#include "library.h"

static bool kernel_serves(void)
{
	const char *wanted = getenv("DEADLINE_BACKEND");

	return wanted && !strcmp(wanted, "kernel");
}

/* A limit below what is open already: none can be opened. */
static void allow_descriptors(struct __test_metadata *_metadata, bool allow)
{
	static struct rlimit before;
	struct rlimit none;

	if (!before.rlim_max)
		ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
	none = before;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, allow ? &before : &none));
}

/* A queue is one, what a thread sleeps with is another, and what others poll a third. */
TEST(no_descriptors)
{
	deadline_context *context = POISON;

	errno = 4711;
	allow_descriptors(_metadata, false);
	EXPECT_EQ(-EMFILE, deadline_prepare());
	EXPECT_EQ(-EMFILE, deadline_with_cancel(deadline_background(),
						&context));
	EXPECT_EQ(POISON, context);
	allow_descriptors(_metadata, true);
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &context));

	allow_descriptors(_metadata, false);
	EXPECT_EQ(-EMFILE, deadline_prepare());
	EXPECT_EQ(-EMFILE, deadline_done_fd(context));
	allow_descriptors(_metadata, true);
	EXPECT_EQ(0, deadline_prepare());
	EXPECT_LE(0, deadline_done_fd(context));
	EXPECT_EQ(4711, errno);
	deadline_release(context);
}

/* The program has closed the library's descriptors: it is told, and nothing runs on. */
TEST(no_doorbell)
{
	deadline_context *context, *earlier = POISON;
	int fd, expected = kernel_serves() ? -EBADF : 1;

	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0, &context,
					   1000 * SECOND));
	for (fd = 3; fd < 64; fd++)
		close(fd);
	ASSERT_EQ(expected, deadline_move(context, deadline_in(100 * SECOND)));
	EXPECT_EQ(expected < 0 ? -ECANCELED : 0, deadline_err(context));
	if (expected < 0) {
		EXPECT_EQ(-EBADF, deadline_with_timeout(deadline_background(),
							0, &earlier,
							10 * SECOND));
		EXPECT_EQ(POISON, earlier);
	}
	deadline_release(context);
}

TEST_HARNESS_MAIN
