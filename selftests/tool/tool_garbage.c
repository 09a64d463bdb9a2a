// SPDX-License-Identifier: GPL-2.0
/*
 * The tool reads what others may have made up: fdinfo of whatever bytes, names of
 * processes, requests. Built with AddressSanitizer and UndefinedBehaviorSanitizer, the
 * tool's own code gets such, made of what is right by changes at random.
 */
#include "tool.h"
#include "queues.h"

#define ROUNDS 20000

static const char good[] =
	"pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t12\n"
	"deadline-queue:\t1234567\ndeadline-pid:\t12\ndeadline-user:\t1000\n"
	"deadline-clock:\t1\ndeadline-slots:\t4096\ndeadline-planned:\t3\n"
	"deadline-pending:\t0\ndeadline-interrupts:\t17\ndeadline-expired:\t18446744073709551615\n"
	"deadline-longest:\t40000\ndeadline-late:\t0 0 5 18446744073709551615 7\n";

static const char *const pieces[] = {
	"deadline-late:\t", "deadline-queue:\t", "deadline-", ":\t", "\n", " ", "\t",
	"-1", "18446744073709551616", "99999999999999999999999999999999", "0x10",
	"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70",
	"\033[2J", "\377\376", "%n%s",
};

/* Change some bytes, drop some, and put pieces between; @room is for all of it */
static size_t spoil(char *text, size_t size, size_t room, uint64_t *seed)
{
	unsigned int n = 1 + next_random(seed) % 8;
	const char *piece;
	size_t at, length;

	while (n--) {
		at = next_random(seed) % (size + 1);
		switch (next_random(seed) % 3) {
		case 0:
			if (at < size)
				text[at] = next_random(seed);
			break;
		case 1:
			length = next_random(seed) % 20;
			if (at + length > size)
				length = size - at;
			memmove(text + at, text + at + length, size - at - length);
			size -= length;
			break;
		case 2:
			piece = pieces[next_random(seed) % ARRAY_SIZE(pieces)];
			length = strlen(piece);
			if (size + length > room)
				break;
			memmove(text + at + length, text + at, size - at);
			memcpy(text + at, piece, length);
			size += length;
			break;
		}
	}
	return size;
}

/* One that is right is read right, and so on in each round; none crashes. */
TEST(fdinfo)
{
	unsigned long i, n = rounds(ROUNDS), queues = 0;
	uint64_t seed = 42;
	struct queue queue;
	char *text;
	size_t size;

	for (i = 0; i < n; i++) {
		/* Of its own size, so that a byte too many is seen */
		char spoilt[4096];

		size = sizeof(good) - 1;
		memcpy(spoilt, good, size);
		if (i)
			size = spoil(spoilt, size, sizeof(spoilt), &seed);
		text = malloc(size + 1);
		memcpy(text, spoilt, size);
		text[size] = 0;
		queues += fdinfo_parse(text, &queue);
		free(text);
		late_below(queue.late, 50);
		late_below(queue.late, 100);
		if (i)
			continue;
		ASSERT_EQ(1, queues);
		EXPECT_EQ(1234567, queue.queue);
		EXPECT_EQ(1000, queue.user);
		EXPECT_EQ(UINT64_MAX, queue.expired);
		EXPECT_EQ(UINT64_MAX, queue.late[3]);
		EXPECT_EQ(7, queue.late[4]);
		EXPECT_EQ(0, queue.late[5]);
	}
	/* The number is found in most, and not in all. */
	EXPECT_LT(n / 4, queues);
	EXPECT_GT(n, queues);
}

/* A line that is misshapen counts as not there; the last of two counts. */
TEST(lines)
{
	struct queue queue;
	char text[] = "deadline-queue:\t5\ndeadline-slots:\t-1\ndeadline-pid:\t 7\n"
		"deadline-user:\t12x\ndeadline-clock:\t\ndeadline-moved: 3\n"
		"deadline-full:\t18446744073709551616\ndeadline-new:\t9\n"
		"xdeadline-expired:\t4\ndeadline-dropped:\t1\ndeadline-dropped:\t2\n"
		"deadline-late:\t1 2 x 4";
	char none[] = "deadline-slots:\t64\ndeadline-queue:\t0\n", empty[] = "";

	EXPECT_TRUE(fdinfo_parse(text, &queue));
	EXPECT_EQ(5, queue.queue);
	EXPECT_EQ(0, queue.slots | queue.pid | queue.user | queue.clock |
		  queue.moved | queue.full | queue.expired);
	EXPECT_EQ(2, queue.dropped);
	EXPECT_EQ(1, queue.late[0]);
	EXPECT_EQ(2, queue.late[1]);
	EXPECT_EQ(0, queue.late[2] | queue.late[3]);
	EXPECT_FALSE(fdinfo_parse(none, &queue));
	EXPECT_FALSE(fdinfo_parse(empty, &queue));
}

/* Run a command of this very build; its output goes nowhere. The wait status */
static int run_here(const struct command *command, char **argv, int in)
{
	int status = -1, argc = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (in >= 0)
			dup2(in, 0);
		if (!freopen("/dev/null", "w", stdout))
			_exit(99);
		while (argv[argc])
			argc++;
		exit(command->run(argc, argv));
	}
	waitpid(pid, &status, 0);
	return status;
}

/* Some processes at a time, of which each has such a file; and odd names */
TEST(directories)
{
	char *list[6] = { "deadline", "-i", "1ns", "--proc", NULL, NULL };
	char *json[7] = { "deadline", "-i", "1ns", "--json", "--proc", NULL, NULL };
	char *top[9] = { "deadline", "-b", "-n", "1", "-d", "1ns", "--proc", NULL, NULL };
	char *metrics[4] = { "deadline", "--proc", NULL, NULL };
	unsigned long i, n = rounds(20);
	char spoilt[4096], comm[32], huge[9000];
	uint64_t seed = 7, word;
	struct fake proc;
	int pid;

	memset(huge, '9', sizeof(huge));
	for (i = 0; i < n; i++) {
		ASSERT_TRUE(fake_open(&proc));
		list[4] = proc.dir;
		json[5] = proc.dir;
		top[7] = proc.dir;
		metrics[2] = proc.dir;
		for (pid = 1; pid <= 8; pid++) {
			word = next_random(&seed);
			memset(comm, 0, sizeof(comm));
			memcpy(comm, &word, sizeof(word));
			ASSERT_TRUE(fake_fd(&proc, pid, comm, 3, ""));
			memcpy(spoilt, good, sizeof(good));
			ASSERT_TRUE(fake_file(&proc, pid, "fdinfo/3", spoilt,
					      spoil(spoilt, sizeof(good) - 1,
						    sizeof(spoilt), &seed)));
		}
		ASSERT_TRUE(fake_fd(&proc, 9, "huge", 3, ""));
		ASSERT_TRUE(fake_file(&proc, 9, "fdinfo/3", huge, sizeof(huge)));
		EXPECT_TRUE(exited(run_here(&list_command, list, -1), 0));
		EXPECT_TRUE(exited(run_here(&list_command, json, -1), 0));
		EXPECT_TRUE(exited(run_here(&top_command, top, -1), 0));
		EXPECT_TRUE(exited(run_here(&metrics_command, metrics, -1), 0));
		fake_close(&proc);
	}
}

/* Requests of whatever bytes: an answer each, and no failure */
TEST(requests)
{
	static const char right[] = "GET /metrics HTTP/1.1\r\nHost: localhost:9970\r\n\r\n";
	char *metrics[5] = { "deadline", "--http", "--proc", NULL, NULL };
	unsigned long i, n = rounds(100);
	uint64_t seed = 3;
	char spoilt[1024];
	struct fake proc;
	int ends[2];
	size_t size;

	ASSERT_TRUE(fake_open(&proc));
	metrics[3] = proc.dir;
	for (i = 0; i < n; i++) {
		memcpy(spoilt, right, sizeof(right));
		size = spoil(spoilt, sizeof(right) - 1, sizeof(spoilt), &seed);
		ASSERT_EQ(0, pipe(ends));
		ASSERT_EQ(size, write(ends[1], spoilt, size));
		close(ends[1]);
		EXPECT_TRUE(exited(run_here(&metrics_command, metrics, ends[0]), 0));
		close(ends[0]);
	}
	fake_close(&proc);
}

TEST_HARNESS_MAIN
