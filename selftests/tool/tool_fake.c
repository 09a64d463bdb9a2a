// SPDX-License-Identifier: GPL-2.0
/*
 * What list, top and metrics make of lines that are known: which queue is whose, in
 * what order, and every number where it belongs.
 */
#include <pty.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include "tool.h"

#define BEFORE_SETUP "pos:\t0\ndeadline-queue:\t%u\ndeadline-pid:\t%d\ndeadline-user:\t%u\n"
#define LINES BEFORE_SETUP						\
	"deadline-clock:\t11\ndeadline-slots:\t4096\ndeadline-planned:\t%u\n" \
	"deadline-pending:\t4\ndeadline-interrupts:\t5\ndeadline-expired:\t6\n" \
	"deadline-moved:\t7\ndeadline-dropped:\t8\ndeadline-contended:\t9\n" \
	"deadline-full:\t10\ndeadline-doorbells:\t11\ndeadline-longest:\t12000\n" \
	"deadline-throttled:\t13\ndeadline-clock_sets:\t14\n"		\
	"deadline-handed_in:\t15\ndeadline-refused:\t16\n"		\
	"deadline-late:\t0 0 0 0 0 0 0 0 0 60 39 0 0 1\n"

FIXTURE(proc) {
	struct fake proc;
};

/* A queue of users 0 and 12345 each, the first with two processes, and one new */
FIXTURE_SETUP(proc)
{
	char text[1024];

	ASSERT_TRUE(fake_open(&self->proc));
	snprintf(text, sizeof(text), LINES, 300, 10, 0, 1);
	ASSERT_TRUE(fake_fd(&self->proc, 11, "child\n", 5, text));
	ASSERT_TRUE(fake_fd(&self->proc, 10, "pa\033rent\n", 5, text));
	ASSERT_TRUE(fake_fd(&self->proc, 10, "pa\033rent\n", 6, text));
	snprintf(text, sizeof(text), LINES, 200, 12, 12345, 2);
	ASSERT_TRUE(fake_fd(&self->proc, 12, "a\"b c\\d\n", 5, text));
	snprintf(text, sizeof(text), BEFORE_SETUP, 100, 12, 12345);
	ASSERT_TRUE(fake_fd(&self->proc, 12, "a\"b c\\d\n", 7, text));
}

FIXTURE_TEARDOWN(proc)
{
	fake_close(&self->proc);
}

/* A line that is too long for one of ours */
static const char *both(const char *left, const char *right)
{
	static char line[512];

	snprintf(line, sizeof(line), "%s%s", left, right);
	return line;
}

#define RUN(...) tool_run(-1, __VA_ARGS__, "--proc", self->proc.dir, NULL)

/* The columns stay: programs cut them out of the lines. */
TEST_F(proc, list)
{
	struct said said = RUN("list", "-i", "1ns");
	/* A guest has no names of users. */
	const struct passwd *root = getpwuid(0);
	char left[128];

	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_EQ(4, count_lines(said.out));
	EXPECT_STREQ(both("     QUEUE USER     CLOCK       SLOTS PLANNED PENDING",
			  " EXPIRED/s    RUNG/s THROTT    P50    P99    MAX  PROCESSES"),
		     line_of(said.out, "     QUEUE"));
	snprintf(left, sizeof(left),
		 "       300 %-8s tai          4096       1       4         0",
		 root ? root->pw_name : "0");
	EXPECT_STREQ(both(left,
			  "         0     13  1.0us  2.0us   16us  pa?rent(10),child(11)"),
		     line_of(said.out, "       300"));
	EXPECT_STREQ(both("       200 12345    tai          4096       2       4",
			  "         0         0     13  1.0us  2.0us   16us  a\"b?c\\d(12)"),
		     line_of(said.out, "       200"));
	EXPECT_STREQ(both("       100 12345    -               0       0       0",
			  "         0         0      0      -      -      -  a\"b?c\\d(12)"),
		     line_of(said.out, "       100"));
	said_free(&said);
}

TEST_F(proc, of_process)
{
	struct said said = RUN("list", "-i", "1ns", "-p", "11");

	/* With the other process, too */
	EXPECT_EQ(2, count_lines(said.out));
	EXPECT_NE(NULL, strstr(said.out, "pa?rent(10),child(11)"));
	said_free(&said);
}

TEST_F(proc, of_user)
{
	struct said said = RUN("list", "-i", "1ns", "--user", "12345");

	EXPECT_EQ(3, count_lines(said.out));
	said_free(&said);
	said = RUN("list", "-i", "1ns", "--user", "54321");
	EXPECT_TRUE(exited(said.status, 1));
	EXPECT_STREQ("", said.out);
	said_free(&said);
}

/* All that is there, in its order, as programs find it */
TEST_F(proc, json)
{
	static const char *const parts[] = {
		"{\"queues\":[{\"queue\":100,\"opener\":12,\"user\":12345,",
		"\"user_name\":\"12345\",\"clock\":\"-\",\"slots\":0,",
		"},{\"queue\":200,\"opener\":12,\"user\":12345,",
		"\"user_name\":\"12345\",\"clock\":\"tai\",\"slots\":4096,",
		"\"planned\":2,\"pending\":4,\"expired_per_second\":0.0,",
		"\"doorbells_per_second\":0.0,\"interrupts\":5,\"expired\":6,",
		"\"moved\":7,\"dropped\":8,\"contended\":9,\"full\":10,",
		"\"doorbells\":11,\"longest_ns\":12000,\"throttled\":13,",
		"\"clock_sets\":14,\"handed_in\":15,\"refused\":16,",
		"\"late_ns\":{\"p50\":1024,\"p99\":2048,\"max\":16384},",
		"\"late\":[0,0,0,0,0,0,0,0,0,60,39,0,0,1,0,",
		"\"processes\":[{\"pid\":12,\"name\":\"a\\\"b?c\\\\d\"}]}]}\n",
	};
	struct said said = RUN("list", "-i", "1ns", "--json", "--user", "12345");
	const char *at = said.out;
	unsigned int i;

	EXPECT_TRUE(exited(said.status, 0));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		at = strstr(at, parts[i]);
		ASSERT_NE(NULL, at) {
			TH_LOG("%s is not in its place", parts[i]);
		}
	}
	EXPECT_EQ(1, count_lines(said.out));
	said_free(&said);
}

/* The labels of queue 200 */
#define LABELS	"queue=\"200\",pid=\"12\",process=\"a\\\"b?c\\\\d\"," \
		"user=\"12345\",clock=\"tai\""

/* The rest of the line of this sample of queue 200 */
static const char *sample(const char *text, const char *name)
{
	char begin[256];

	snprintf(begin, sizeof(begin), "deadline_queue_%s{" LABELS, name);
	return rest_of(text, begin);
}

TEST_F(proc, metrics)
{
	struct said said = RUN("metrics");

	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_STREQ("} 4096", sample(said.out, "slots"));
	EXPECT_STREQ("} 2", sample(said.out, "planned"));
	EXPECT_STREQ("} 4", sample(said.out, "pending"));
	EXPECT_STREQ("} 5", sample(said.out, "interrupts_total"));
	EXPECT_STREQ("} 6", sample(said.out, "expired_total"));
	EXPECT_STREQ("} 7", sample(said.out, "moved_total"));
	EXPECT_STREQ("} 8", sample(said.out, "dropped_total"));
	EXPECT_STREQ("} 9", sample(said.out, "contended_total"));
	EXPECT_STREQ("} 10", sample(said.out, "full_total"));
	EXPECT_STREQ("} 11", sample(said.out, "doorbells_total"));
	EXPECT_STREQ("} 13", sample(said.out, "throttled_total"));
	EXPECT_STREQ("} 14", sample(said.out, "clock_sets_total"));
	EXPECT_STREQ("} 15", sample(said.out, "handed_in_total"));
	EXPECT_STREQ("} 16", sample(said.out, "refused_total"));
	EXPECT_STREQ("} 0.000012000", sample(said.out, "longest_interrupt_seconds"));
	EXPECT_STREQ("deadline_user_slots{user=\"12345\"} 4096",
		     line_of(said.out, "deadline_user_slots{user=\"12345\"}"));
	EXPECT_STREQ("deadline_user_queues{user=\"12345\"} 2",
		     line_of(said.out, "deadline_user_queues{user=\"12345\"}"));
	/* A counter's family has no _total, its samples have. */
	EXPECT_STRNE("", line_of(said.out, "# TYPE deadline_queue_expired counter"));
	EXPECT_STREQ("# EOF\n", strstr(said.out, "# EOF"));
	said_free(&said);
}

/* What is below each bound, and no two bounds the same */
TEST_F(proc, buckets)
{
	static const struct {
		const char *le;
		unsigned int count;
	} expected[] = {
		{ "0.000000256", 0 }, { "0.000000512", 0 }, { "0.000001024", 60 },
		{ "0.000002048", 99 }, { "0.000004096", 99 }, { "0.000008192", 99 },
		{ "0.000016384", 100 }, { "1.073741824", 100 }, { "+Inf", 100 },
	};
	struct said said = RUN("metrics");
	char name[256], value[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		snprintf(name, sizeof(name), "deadline_queue_lateness_seconds_bucket{"
			 LABELS ",le=\"%s\"} ", expected[i].le);
		snprintf(value, sizeof(value), "%u", expected[i].count);
		EXPECT_STREQ(value, rest_of(said.out, name));
	}
	EXPECT_STREQ("} 100", sample(said.out, "lateness_seconds_count"));
	said_free(&said);
}

/* Into a file at once, in the older format; nothing is left beside it */
TEST_F(proc, output)
{
	char path[64], beside[80];
	struct said said;
	FILE *file;

	snprintf(path, sizeof(path), "%s/deadline.prom", self->proc.dir);
	snprintf(beside, sizeof(beside), "%s.new", path);
	said = RUN("metrics", "--output", path);
	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_STREQ("", said.out);
	said_free(&said);
	file = fopen(path, "re");
	ASSERT_NE(NULL, file);
	said.out = said_text(file);
	said.err = NULL;
	EXPECT_STRNE("", line_of(said.out, "# TYPE deadline_queue_expired_total counter"));
	EXPECT_STREQ("} 6", sample(said.out, "expired_total"));
	said_free(&said);
	EXPECT_EQ(-1, access(beside, F_OK));

	said = RUN("metrics", "--output", "/nowhere/deadline.prom");
	EXPECT_TRUE(exited(said.status, 3));
	EXPECT_STRNE("", line_of(said.err, "deadline: /nowhere/deadline.prom"));
	said_free(&said);
}

/* What the answer to @request is */
static struct said ask(const char *dir, const char *request)
{
	int ends[2];
	struct said said;

	if (pipe(ends) || write(ends[1], request, strlen(request)) < 0)
		exit(1);
	close(ends[1]);
	said = tool_run(ends[0], "metrics", "--http", "--proc", dir, NULL);
	close(ends[0]);
	return said;
}

TEST_F(proc, http)
{
	static const struct {
		const char *request, *status;
	} others[] = {
		{ "HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r" },
		{ "GET /metrics?x=y HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r" },
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r" },
		{ "GET /metricsx HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r" },
		{ "PUT /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r" },
		{ "GET /metrics HTTP/1.1\r\n", "HTTP/1.1 400 Bad Request\r" },
		{ "", "HTTP/1.1 400 Bad Request\r" },
	};
	struct said said = ask(self->proc.dir,
			       "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	const char *body = strstr(said.out, "\r\n\r\n");
	unsigned int i;

	EXPECT_STREQ("HTTP/1.1 200 OK\r", line_of(said.out, "HTTP"));
	EXPECT_STREQ("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r",
		     line_of(said.out, "Content-Type"));
	ASSERT_NE(NULL, body);
	EXPECT_EQ(strlen(body + 4),
		  strtoul(rest_of(said.out, "Content-Length: "), NULL, 10));
	EXPECT_STREQ("} 6", sample(said.out, "expired_total"));
	said_free(&said);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		said = ask(self->proc.dir, others[i].request);
		EXPECT_TRUE(exited(said.status, 0));
		EXPECT_STREQ(others[i].status, line_of(said.out, "HTTP"));
		said_free(&said);
	}
}

/* The largest first; so many tables */
TEST_F(proc, batch)
{
	struct said said = RUN("top", "--batch", "-n", "2", "-d", "1ms", "--sort",
			       "planned");
	const char *first = strstr(said.out, "       200 ");
	const char *second = strstr(said.out, "       300 ");
	const char *third = strstr(said.out, "       100 ");

	EXPECT_TRUE(exited(said.status, 0));
	EXPECT_EQ(2 * 5, count_lines(said.out));
	ASSERT_TRUE(first && second && third);
	EXPECT_TRUE(first < second && second < third);
	said_free(&said);
}

/* Read as far as @text; false if the program ends before. What follows is kept. */
static bool screen_has(int fd, const char *text)
{
	static char seen[1 << 20];
	static size_t n;
	const char *at;
	ssize_t got;

	while (!(at = memmem(seen, n, text, strlen(text)))) {
		got = read(fd, seen + n, sizeof(seen) - n);
		if (got <= 0)
			return false;
		n += got;
	}
	at += strlen(text);
	n -= at - seen;
	memmove(seen, at, n);
	return true;
}

/* A guest has no descriptions of terminals. */
static bool has_terminal(void)
{
	return !access("/lib/terminfo/v/vt100", F_OK) ||
	       !access("/usr/share/terminfo/v/vt100", F_OK);
}

/*
 * On a terminal: the cursor's histogram, another queue's after a key, all of it again
 * where there is more room, and the end
 */
TEST_F(proc, screen)
{
	struct winsize size = { .ws_row = 24, .ws_col = 130 };
	int terminal, status;
	pid_t pid;

	pid = forkpty(&terminal, NULL, NULL, &size);
	ASSERT_LE(0, pid);
	if (pid == 0) {
		setenv("TERM", has_terminal() ? "vt100" : "nothing", 1);
		unsetenv("LINES");
		unsetenv("COLUMNS");
		execl(tool_path(), "deadline", "top", "-s", "planned", "-d", "10s",
		      "--proc", self->proc.dir, NULL);
		_exit(127);
	}
	if (!has_terminal()) {
		EXPECT_TRUE(screen_has(terminal, "TERM 'nothing': not known"));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(exited(status, 3));
		return;
	}
	EXPECT_TRUE(screen_has(terminal, "3 queues, 8192 slots"));
	EXPECT_TRUE(screen_has(terminal, "Queue 200: lateness of 100 expiries"));
	ASSERT_EQ(3, write(terminal, "\033OB", 3));
	/* What changes on a screen are single letters, until all is shown anew. */
	size.ws_row = 40;
	ASSERT_EQ(0, ioctl(terminal, TIOCSWINSZ, &size));
	EXPECT_TRUE(screen_has(terminal, "Queue 300: lateness of 100 expiries"));
	ASSERT_EQ(1, write(terminal, "q", 1));
	while (screen_has(terminal, "never"))
		;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(exited(status, 0));
	close(terminal);
}

TEST_HARNESS_MAIN
