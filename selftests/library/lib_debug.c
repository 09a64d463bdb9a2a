// SPDX-License-Identifier: GPL-2.0
/* What the library says to people: errors in words, and with DEADLINE_DEBUG its log. */
#include "library.h"

/* A child process that opens a queue, has it grow to its limit, and opens none */
static int open_some(void *arg)
{
	struct deadline_options options = { .slots = 64, .slots_max = 128 };
	deadline_slot *slots[129];
	deadline_queue *queue;

	dup2(*(int *)arg, STDERR_FILENO);
	if (deadline_queue_open(&queue, &options) ||
	    slots_alloc(queue, slots, 128) ||
	    deadline_slot_alloc(queue, 0, &slots[128]) != -ENOSPC)
		return 1;
	options.backend = DEADLINE_BACKEND_THREAD;
	options.clock = DEADLINE_CLOCK_TAI;
	return deadline_queue_open(&queue, &options) != -EOPNOTSUPP;
}

static void said_with(const char *debug, char *text, size_t size)
{
	int fds[2];

	memset(text, 0, size);
	setenv("DEADLINE_DEBUG", debug, 1);
	if (pipe(fds) || !exited(in_child(open_some, &fds[1]), 0))
		return;
	close(fds[1]);
	if (read(fds[0], text, size - 1) < 0)
		text[0] = 0;
	close(fds[0]);
}

TEST(decisions)
{
	char text[8192], refused[64];

	snprintf(refused, sizeof(refused), "of 64 slots was refused: %s\n",
		 strerror(EOPNOTSUPP));
	said_with("leaks,log", text, sizeof(text));
	EXPECT_TRUE(strstr(text, "deadline: a thread serves a queue of 64 slots\n") ||
		    strstr(text, "deadline: the kernel serves a queue of 64 slots\n"));
	EXPECT_TRUE(strstr(text, "deadline: a queue of 64 slots grows: no error\n"));
	EXPECT_TRUE(strstr(text, "of 128 slots grows: No space left on device\n"));
	EXPECT_TRUE(strstr(text, refused));
}

TEST(silent)
{
	char text[8192];

	said_with("leaks", text, sizeof(text));
	EXPECT_STREQ("", text);
	said_with("logs", text, sizeof(text));
	EXPECT_STREQ("", text);
}

TEST(words)
{
	const int errors[] = { 0, -ETIME, -ETIMEDOUT, -ECANCELED, -ECHILD, -EBADF };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_NE(NULL, deadline_strerror(errors[i]));
		for (j = 0; j < i; j++)
			EXPECT_STRNE(deadline_strerror(errors[i]),
				     deadline_strerror(errors[j]));
	}
	EXPECT_STREQ(strerror(EBADF), deadline_strerror(-EBADF));
	EXPECT_STREQ(deadline_strerror(0), deadline_strerror(7));
	EXPECT_NE(NULL, deadline_strerror(-100000));
}

TEST_HARNESS_MAIN
