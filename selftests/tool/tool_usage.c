// SPDX-License-Identifier: GPL-2.0
/*
 * What the program says of itself and of mistakes: --help is a screen, an error names
 * what is wrong, and the exit statuses are those of deadline(1).
 */
#include <sys/mount.h>
#include "tool.h"

static const char *const commands[] = {
	"list", "top", "metrics", "bench", "trace", "why"
};

FIXTURE(tool) {
	struct fake proc;
};

FIXTURE_SETUP(tool)
{
	ASSERT_TRUE(fake_open(&self->proc));
}

FIXTURE_TEARDOWN(tool)
{
	fake_close(&self->proc);
}

/* Is it no more than a screen of 80 by 24? */
static bool is_screen(const char *text)
{
	size_t n;

	if (count_lines(text) > 24)
		return false;
	for (; *text; text += n + 1) {
		n = strcspn(text, "\n");
		if (n > 80)
			return false;
	}
	return true;
}

TEST(help)
{
	struct said said = tool_run(-1, "--help", NULL), own;
	unsigned int i;
	char name[32];

	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_TRUE(is_screen(said.out));
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		snprintf(name, sizeof(name), "  %s ", commands[i]);
		EXPECT_STRNE("", line_of(said.out, name));
		own = tool_run(-1, commands[i], "--help", NULL);
		EXPECT_TRUE(exited(own.status, 0));
		EXPECT_TRUE(is_screen(own.out));
		EXPECT_STREQ("", own.err);
		snprintf(name, sizeof(name), "Usage: deadline %s ", commands[i]);
		EXPECT_STRNE("", line_of(own.out, name));
		EXPECT_STRNE("", line_of(own.out, "Example: "));
		said_free(&own);
	}
	said_free(&said);
}

/* One line on stderr that begins so and has @part; nothing on stdout; status 2 */
#define EXPECT_USAGE(part, ...) do {					\
	struct said said = tool_run(-1, __VA_ARGS__, NULL);		\
									\
	EXPECT_TRUE(exited(said.status, 2));				\
	EXPECT_STREQ("", said.out);					\
	EXPECT_EQ(1, count_lines(said.err));				\
	EXPECT_STRNE("", line_of(said.err, "deadline: "));		\
	EXPECT_NE(NULL, strstr(said.err, part)) TH_LOG("%s", said.err);	\
	said_free(&said);						\
} while (0)

TEST(usage)
{
	EXPECT_USAGE("which command", NULL);
	EXPECT_USAGE("'lsit'", "lsit");
	EXPECT_USAGE("--foo", "list", "--foo");
	EXPECT_USAGE("'p'", "list", "-p");
	EXPECT_USAGE("'0'", "list", "-p", "0");
	EXPECT_USAGE("'-1'", "list", "-p", "-1");
	EXPECT_USAGE("'99999999999999999999'", "list", "-p",
		     "99999999999999999999");
	EXPECT_USAGE("'4x'", "list", "-p", "4x");
	EXPECT_USAGE("'no such user'", "list", "-u", "no such user");
	EXPECT_USAGE("'3'", "list", "-i", "3");
	EXPECT_USAGE("'3m'", "list", "-i", "3m");
	EXPECT_USAGE("'9999999999999s'", "list", "-i", "9999999999999s");
	EXPECT_USAGE("'word'", "list", "word");
	EXPECT_USAGE("'fast'", "top", "--batch", "--sort", "fast");
	EXPECT_USAGE("'0'", "top", "--batch", "--count", "0");
	EXPECT_USAGE("--batch", "top");
	EXPECT_USAGE("--json", "top", "--batch", "--json");
	EXPECT_USAGE("--json", "metrics", "--json");
	EXPECT_USAGE("exclude", "metrics", "--http", "--output", "x");
	EXPECT_USAGE("'0'", "bench", "-s", "0");
	EXPECT_USAGE("'5'", "why", "--late", "5");
	EXPECT_USAGE("--svg", "trace", "--svg", "x");
	EXPECT_USAGE("--from", "why", "--from", "x", "--record", "y");
	EXPECT_USAGE("--from", "why", "--from", "x", "--", "true");
	EXPECT_USAGE("--pid", "trace", "-p", "1", "--", "true");
}

/* Nothing there is another thing than something wrong. */
TEST_F(tool, nothing)
{
	struct said said = tool_run(-1, "list", "--proc", self->proc.dir, NULL);

	EXPECT_TRUE(exited(said.status, 1));
	EXPECT_STREQ("", said.out);
	EXPECT_STREQ("deadline: no queues\n", said.err);
	said_free(&said);

	/* A program reads an empty array. */
	said = tool_run(-1, "list", "--json", "--proc", self->proc.dir, NULL);
	EXPECT_TRUE(exited(said.status, 1));
	EXPECT_STREQ("{\"queues\":[]}\n", said.out);
	said_free(&said);

	/* And a scrape is none that failed. */
	said = tool_run(-1, "metrics", "--proc", self->proc.dir, NULL);
	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_STRNE("", line_of(said.out, "# EOF"));
	said_free(&said);
}

TEST_F(tool, no_process)
{
	struct said said = tool_run(-1, "list", "-p", "77", "--proc", self->proc.dir,
				    NULL);

	EXPECT_TRUE(exited(said.status, 1));
	EXPECT_STREQ("deadline: process 77: there is none\n", said.err);
	said_free(&said);
}

TEST_F(tool, no_directory)
{
	struct said said = tool_run(-1, "list", "--proc", "/nowhere", NULL);

	EXPECT_TRUE(exited(said.status, 3));
	EXPECT_STREQ("deadline: /nowhere: No such file or directory\n", said.err);
	said_free(&said);
}

/* A file is named that cannot be read, is no trace, or cannot be written. */
static void try_file(struct __test_metadata *_metadata, const char *command,
		     const char *option, const char *file, const char *message)
{
	char path[] = "/tmp/deadline-XXXXXX";
	FILE *from = fdopen(mkstemp(path), "w");
	struct said said;

	fputs("# deadline-trace 1\n1 0 0 wake queue=1\n", from);
	fclose(from);
	if (strcmp(option, "--from"))
		said = tool_run(-1, command, "--from", path, option, file, NULL);
	else
		said = tool_run(-1, command, option, file, NULL);
	EXPECT_TRUE(exited(said.status, 3));
	EXPECT_STREQ(message, said.err);
	said_free(&said);
	unlink(path);
}

TEST(files)
{
	static const char none[] = "deadline: /nowhere/x: No such file or directory\n";

	try_file(_metadata, "why", "--from", "/nowhere/x", none);
	try_file(_metadata, "trace", "--from", "/nowhere/x", none);
	try_file(_metadata, "trace", "--from", "/dev/null",
		 "deadline: /dev/null:0: is empty\n");
	try_file(_metadata, "why", "--svg", "/nowhere/x", none);
}

/* Root's process, for somebody else */
static int list_as_nobody(void *arg)
{
	struct said said;
	bool ok;

	(void)arg;
	if (!getuid() && (setresgid(65534, 65534, 65534) ||
			  setresuid(65534, 65534, 65534)))
		return 2;
	said = tool_run(-1, "list", "-p", "1", NULL);
	ok = exited(said.status, 3) && strstr(said.err, "it is not yours");
	return !ok;
}

TEST(not_yours)
{
	EXPECT_TRUE(exited(in_child(list_as_nobody, NULL), 0));
}

/* Does each command that traces exit with 3, and say @part, having traced nothing? */
static bool none_traces(const char *part)
{
	static const char *const commands[] = { "trace", "why" };
	unsigned int i, good = 0;
	struct said said;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		said = tool_run(-1, commands[i], "--for", "1ms", "--", "/bin/true", NULL);
		good += exited(said.status, 3) && count_lines(said.err) == 1 &&
			strstr(said.err, part) && !*said.out;
		said_free(&said);
	}
	return good == ARRAY_SIZE(commands);
}

/* Where nobody has used it, tracefs is not mounted. */
static int trace_as_nobody(void *arg)
{
	(void)arg;
	if (!getuid() && (unshare(CLONE_NEWNS) ||
			  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			  (mount("none", "/sys/kernel/tracing", "tracefs", 0, NULL) &&
			   errno != EBUSY) ||
			  setresgid(65534, 65534, 65534) ||
			  setresuid(65534, 65534, 65534)))
		return 2;
	return !none_traces("only root may trace");
}

TEST(only_root)
{
	int status = in_child(trace_as_nobody, NULL);

	if (exited(status, 2))
		SKIP(return, "may not mount");
	EXPECT_TRUE(exited(status, 0));
}

/* As of a kernel without it, or of a container that was given none */
static int trace_without_tracefs(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 2;
	umount2("/sys/kernel/tracing", MNT_DETACH);
	umount2("/sys/kernel/debug", MNT_DETACH);
	if (mount("none", "/sys/kernel", "tmpfs", 0, NULL))
		return 2;
	return !none_traces("there is no tracefs");
}

TEST(no_tracefs)
{
	int status = in_child(trace_without_tracefs, NULL);

	if (exited(status, 2))
		SKIP(return, "may not mount");
	EXPECT_TRUE(exited(status, 0));
}

/* Without the module there is nothing to be found, and that is told. */
TEST(module)
{
	bool loaded = !access("/sys/module/deadline", F_OK);
	struct said said = tool_run(-1, "list", "-u", "4294967294", NULL);

	EXPECT_TRUE(exited(said.status, loaded ? 1 : 3));
	EXPECT_STRNE("", line_of(said.err, loaded ? "deadline: no queues" :
				 "deadline: the module is not loaded"));
	said_free(&said);
}

TEST(bench)
{
	struct said said = tool_run(-1, "bench", "-s", "1", NULL);
	const char *sentence = strstr(said.out, "\nIn 1 s, ");

	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_STRNE("", line_of(said.out, "the word turned over"));
	EXPECT_STRNE("", line_of(said.out, "a sleeper noticed"));
	EXPECT_STRNE("", line_of(said.out, "a sleeper on a timerfd"));
	ASSERT_NE(NULL, sentence);
	EXPECT_EQ(2, count_lines(sentence + 1));
	said_free(&said);
}

TEST_HARNESS_MAIN
