// SPDX-License-Identifier: GPL-2.0
/*
 * With DEADLINE_DEBUG=leaks a program that ends tells which contexts it never released,
 * of each kind, and where it made them.
 */
#include <link.h>
#include "library.h"

static const char key;

/* In a section of its own, so that one knows where it begins and ends */
extern const char __start_leaks_here[], __stop_leaks_here[];

static __attribute__((noinline, section("leaks_here")))
int make(deadline_context *contexts[4])
{
	deadline_context *root = deadline_background();

	return deadline_with_cancel(root, &contexts[0]) ||
	       deadline_with_timeout(root, 0, &contexts[1], SECOND) ||
	       deadline_with_value(root, &key, NULL, &contexts[2]) ||
	       deadline_without_cancel(root, &contexts[3]);
}

static __attribute__((noinline, section("leaks_here")))
int make_one(deadline_context *parent, deadline_context **ret_context)
{
	/* No tail call: it would return elsewhere. */
	return deadline_with_timeout(parent, 0, ret_context, SECOND) != 0;
}

/* A child process that makes two of each kind, and releases one */
static int leak(void *arg)
{
	deadline_context *contexts[4], *released[4];
	int i;

	setenv("DEADLINE_DEBUG", "leaks", 1);
	dup2(*(int *)arg, STDERR_FILENO);
	if (make(released) || make(contexts))
		return 1;
	for (i = 0; i < 4; i++)
		deadline_release(released[i]);
	exit(0);
}

/* A chain of which all is released but the last, and one that was released too seldom */
static int leak_a_leaf(void *arg)
{
	deadline_context *root, *value, *loose, *first, *leaf;

	setenv("DEADLINE_DEBUG", "leaks", 1);
	dup2(*(int *)arg, STDERR_FILENO);
	if (deadline_with_cancel(deadline_background(), &root) ||
	    deadline_with_value(root, &key, NULL, &value) ||
	    deadline_without_cancel(value, &loose) ||
	    deadline_with_cancel(loose, &first) || make_one(first, &leaf))
		return 1;
	deadline_release(first);
	deadline_release(root);
	deadline_release(loose);
	deadline_release(value);
	if (make_one(leaf, &first))
		return 1;
	deadline_ref(first);
	deadline_release(first);
	exit(0);
}

/* A parent that many threads made children of, as lib_crowd has it */
static void *make_children(void *arg)
{
	deadline_context *child;
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		if (deadline_with_cancel(arg, &child))
			return NULL;
		deadline_release(child);
	}
	return make_one(arg, &child) ? NULL : child;
}

static int leak_from_a_crowd(int fd, bool release)
{
	deadline_context *parent;
	pthread_t threads[4];
	void *child;
	int i;

	setenv("DEADLINE_DEBUG", "leaks", 1);
	dup2(fd, STDERR_FILENO);
	if (make_one(deadline_background(), &parent))
		return 1;
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, make_children, parent);
	for (i = 0; i < 4; i++) {
		if (pthread_join(threads[i], &child) || !child)
			return 1;
		if (i > 1)
			deadline_release(child);
	}
	if (release)
		deadline_release(parent);
	exit(0);
}

static int leak_in_a_crowd(void *arg)
{
	return leak_from_a_crowd(*(int *)arg, true);
}

static int leak_a_crowd(void *arg)
{
	return leak_from_a_crowd(*(int *)arg, false);
}

static int have_none(void *arg)
{
	deadline_context *contexts[4];
	int i;

	setenv("DEADLINE_DEBUG", "leaks", 1);
	dup2(*(int *)arg, STDERR_FILENO);
	if (make(contexts))
		return 1;
	for (i = 3; i >= 0; i--)
		deadline_release(contexts[i]);
	exit(0);
}

/* What a child says on stderr */
static int said(int (*child)(void *arg), char *text, size_t size)
{
	int fds[2];

	memset(text, 0, size);
	if (pipe(fds) || !exited(in_child(child, &fds[1]), 0))
		return -1;
	close(fds[1]);
	if (read(fds[0], text, size - 1) < 0)
		return -1;
	close(fds[0]);
	return 0;
}

static int take_first(struct dl_phdr_info *info, size_t size, void *bias)
{
	(void)size;
	*(uintptr_t *)bias = info->dlpi_addr;
	return 1;
}

/* How many does a child tell of, all of them made where we know? */
static int told(struct __test_metadata *_metadata, int (*child)(void *arg))
{
	char text[4096], *line, *rest = text;
	unsigned long offset;
	uintptr_t bias;
	int n = 0;

	dl_iterate_phdr(take_first, &bias);
	EXPECT_EQ(0, said(child, text, sizeof(text)));
	while ((line = strsep(&rest, "\n")) && *line) {
		n++;
		EXPECT_NE(NULL, strstr(line, "never released"));
		line = strstr(line, program_invocation_short_name);
		line = line ? strrchr(line, '+') : NULL;
		offset = line ? strtoul(line + 1, NULL, 16) : 0;
		EXPECT_LE((uintptr_t)__start_leaks_here, bias + offset);
		EXPECT_GT((uintptr_t)__stop_leaks_here, bias + offset);
	}
	return n;
}

TEST(all_kinds_are_told)
{
	EXPECT_EQ(4, told(_metadata, leak));
}

/* What was released lives on for its children; it is not told of. */
TEST(what_was_released_is_not_told)
{
	EXPECT_EQ(2, told(_metadata, leak_a_leaf));
	EXPECT_EQ(2, told(_metadata, leak_in_a_crowd));
	EXPECT_EQ(3, told(_metadata, leak_a_crowd));
}

TEST(nothing_is_told)
{
	char text[4096];

	ASSERT_EQ(0, said(have_none, text, sizeof(text)));
	EXPECT_STREQ("", text);
}

TEST_HARNESS_MAIN
