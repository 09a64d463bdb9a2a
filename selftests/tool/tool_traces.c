// SPDX-License-Identifier: GPL-2.0
/*
 * What deadline trace and why make of traces that no kernel would write, with the
 * sanitizers: random events, each of which may follow any other, and files of them with
 * bytes changed. Whatever comes, the parts of an observation's time are all of it, one
 * after the other; and garbage is refused.
 */
#include "harness.h"
#include <string.h>
#include <sys/mman.h>
#include "cause.h"
#include "picture.h"
#include "probes.h"

static uint64_t seed;

static uint64_t below(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

/* Few of everything, so that events have to do with each other; and now and then any */
static uint64_t few(uint64_t n, uint64_t most)
{
	return below(50) ? below(n) : below(most);
}

static bool is(const struct event *event, enum event_kind a, enum event_kind b,
	       enum event_kind c)
{
	return event->kind == a || event->kind == b || event->kind == c;
}

static void random_event(struct event *event, uint64_t *time)
{
	static const char *const texts[] = {
		"local_timer", "user", "/a", "/a/b", "x y", "hog", "",
	};

	memset(event, 0, sizeof(*event));
	*time += below(4) ? below(30) * US : below(50) ? below(2) * MS : below(3 * SECOND);
	event->time = *time;
	event->cpu = few(2, EVENT_CPUS);
	event->pid = few(4, EVENT_PIDS);
	event->kind = below(EVENT_KINDS);
	switch (event->kind) {
	case EVENT_EXPIRE:
		event->slot = few(3, UINT32_MAX);
		event->late = below(5) ? below(5 * MS) : few(2, INT64_MAX);
		event->slack = below(3) ? 0 : few(1 + MS, UINT32_MAX);
		event->owner = few(4, EVENT_PIDS);
		event->user = few(2, UINT32_MAX);
		event->irq = below(4) != 0;
		break;
	case EVENT_SWITCH:
		event->state = "RSDTI"[below(5)];
		break;
	case EVENT_RUNNABLE:
		event->on = few(2, EVENT_CPUS);
		break;
	case EVENT_IDLE:
	case EVENT_IDLE_END:
		event->state = few(4, UINT32_MAX);
		break;
	case EVENT_TURN:
	case EVENT_STOLEN:
	case EVENT_LOST:
		event->ns = few(10 * MS, INT64_MAX);
		break;
	default:
		break;
	}
	if (is(event, EVENT_EXPIRE, EVENT_REAPED, EVENT_NOTICED)) {
		event->deadline = few(4, UINT64_MAX);
		event->data = few(2, UINT64_MAX);
	}
	if (is(event, EVENT_EXPIRE, EVENT_THROTTLE, EVENT_TURN) || event->kind == EVENT_WAKE)
		event->queue = few(2, UINT32_MAX);
	if (is(event, EVENT_SWITCH, EVENT_WAKING, EVENT_FORK) ||
	    is(event, EVENT_RUNNABLE, EVENT_NAME, EVENT_QUOTA) ||
	    event->kind == EVENT_STOP)
		event->thread = few(4, EVENT_PIDS);
	if (is(event, EVENT_STOP, EVENT_GO, EVENT_GO))
		event->group = few(3, UINT64_MAX);
	if (is(event, EVENT_IRQ, EVENT_SOFT, EVENT_STACK) ||
	    is(event, EVENT_IRQ_END, EVENT_SOFT_END, EVENT_NAME) ||
	    event->kind == EVENT_QUOTA)
		event_set_text(event, texts[below(7)]);
}

/* All that is given events, and what came of it */
struct run {
	struct history *history;
	struct expiries *expiries;
	struct picture *picture;
	struct parts parts;
	uint64_t observed, wrong;
};

static void take_expiry(const struct expiry *x, void *arg)
{
	struct run *run = arg;
	uint64_t at = x->due;
	char text[160];
	size_t i;

	if (x->how == OBSERVED_NEVER)
		return;
	run->observed++;
	run->wrong += x->seen < x->at || x->at < x->due;
	cause_find(run->history, x, &run->parts);
	for (i = 0; i < run->parts.n; i++) {
		run->wrong += run->parts.part[i].from != at;
		at = run->parts.part[i].to;
		cause_text(run->history, x, &run->parts.part[i], text, sizeof(text));
		run->wrong += !*text || run->parts.part[i].cause >= CAUSES;
	}
	run->wrong += at != x->seen;
	picture_add(run->picture, run->history, x, &run->parts);
}

static void take_event(const struct event *event, void *arg)
{
	struct run *run = arg;

	expiries_add(run->expiries, event);
}

FIXTURE(traces) {
	struct run run;
};

FIXTURE_SETUP(traces)
{
	const struct wanted all = { .root = 0 };

	self->run.history = history_new();
	ASSERT_NE(NULL, self->run.history);
	self->run.expiries = expiries_new(&all, self->run.history, take_expiry, &self->run);
	ASSERT_NE(NULL, self->run.expiries);
	self->run.picture = picture_new();
	ASSERT_NE(NULL, self->run.picture);
}

FIXTURE_TEARDOWN(traces)
{
	expiries_end(self->run.expiries);
	EXPECT_EQ(0, self->run.wrong);
	expiries_free(self->run.expiries);
	history_free(self->run.history);
	picture_free(self->run.picture);
}

/* All of an observation's time has a cause, once. */
TEST_F(traces, random_events)
{
	struct event event;
	uint64_t time = 0;
	unsigned int i;

	for (i = 0; i < 60000; i++) {
		if (i % 2000 == 0)
			seed = i;
		random_event(&event, &time);
		expiries_add(self->run.expiries, &event);
	}
	EXPECT_LT(1000, self->run.observed);
	EXPECT_TRUE(picture_write(self->run.picture, "/dev/null"));
}

/* What was printed is read as it was. */
TEST_F(traces, print_and_parse)
{
	struct event event, again;
	uint64_t time = 0;
	unsigned int i;
	char *line;
	size_t size;
	FILE *to;

	for (i = 0; i < 5000; i++) {
		random_event(&event, &time);
		to = open_memstream(&line, &size);
		event_print(&event, to);
		fclose(to);
		ASSERT_EQ('\n', line[size - 1]);
		line[size - 1] = 0;
		ASSERT_EQ(NULL, event_parse(&again, line));
		ASSERT_EQ(0, memcmp(&event, &again, sizeof(event)));
		free(line);
	}
}

/* A file of @events, with some bytes of it changed; its name is in @path. */
static int write_trace(char path[static 32], unsigned int events, unsigned int changes)
{
	int fd = memfd_create("trace", 0);
	struct event event;
	uint64_t time = 0;
	off_t size;
	FILE *to;
	char c;

	snprintf(path, 32, "/dev/fd/%d", fd);
	to = fdopen(dup(fd), "w");
	fputs(EVENT_HEADER "\n", to);
	while (events--) {
		random_event(&event, &time);
		event_print(&event, to);
	}
	size = ftell(to);
	fclose(to);
	while (changes--) {
		c = below(256);
		if (below(3))
			c = "0123456789 =\n#abcxyz-"[below(20)];
		pwrite(fd, &c, 1, sizeof(EVENT_HEADER) + below(size - sizeof(EVENT_HEADER)));
	}
	return fd;
}

TEST_F(traces, changed_files)
{
	const struct wanted all = { .root = 0 };
	unsigned int i, refused = 0;
	char path[32];
	int fd, err;

	/* What it says of each would be long. */
	err = dup(2);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
	for (i = 0; i < 100; i++) {
		fd = write_trace(path, 60, below(4));
		refused += !events_read(path, take_event, &self->run);
		close(fd);
		/* Its time begins anew. */
		expiries_end(self->run.expiries);
		expiries_free(self->run.expiries);
		history_free(self->run.history);
		self->run.history = history_new();
		self->run.expiries = expiries_new(&all, self->run.history, take_expiry,
						  &self->run);
	}
	dup2(err, 2);
	EXPECT_LT(20, refused);
	EXPECT_LT(refused, 95);
}

/* Each line that is refused, and why */
TEST(refused)
{
	static const char *const lines[] = {
		"", "x", "1", "1 2", "1 2 3", "1 2 3 nothing", "-1 0 0 wake queue=1",
		"9223372036854775808 0 0 wake queue=1", "1 8192 0 wake queue=1",
		"1 0 4194304 wake queue=1", "1 0 0 wake", "1 0 0 wake queue=",
		"1 0 0 wake queue=4294967296", "1 0 0 wake queue=1x", "1 0 0 wake queue=-1",
		"1 0 0 wake queue=1 queue=2", "1 0 0 wake slot=1", "1 0 0 wakes queue=1",
		"1 0 0 switch thread=1 state=", "1 0 0 switch thread=1 state=7",
		"1 0 0 switch thread=1 state=RR", "1 0 0 switch thread=4194304 state=R",
		"1 0 0 runnable thread=1 on=8192", "1 0 0 name thread=1",
		"1 0 0 irq", "1 0 0 idle state=x",
		"1 0 0 expire queue=1 slot=1 deadline=1 late=9223372036854775808 slack=0 data=1 owner=1 user=0 irq=1",
		"1 0 0 expire queue=1 slot=1 deadline=1 late=1 slack=0 data=1 owner=1 user=0 irq=2",
		"1 0 0 expire queue=1 slot=1 deadline=1 late=1 slack=0 data=1 owner=1 user=4294967296 irq=1",
		"1 0 0 expire queue=1 slot=1 deadline=1 late=1 slack=0 data=1 owner=1 irq=1",
	};
	struct event event;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		EXPECT_NE(NULL, event_parse(&event, lines[i]));
	EXPECT_EQ(NULL, event_parse(&event, "1 0 0 wake queue=1"));
}

static void take_probe(const char *name, uint64_t offset, const char *args, void *arg)
{
	char text[256];

	(void)offset;
	/* All of it can be read. */
	*(size_t *)arg += strlen(name) + strlen(args);
	probes_fetch(args, text, sizeof(text));
}

/* Files with notes, such as this program is, with bytes changed and cut short */
TEST(probes_of_changed_files)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END), cut;
	unsigned int i, changes;
	char *from, *bytes;
	size_t all = 0;

	from = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, from);
	for (i = 0; i < 60; i++) {
		cut = below(3) ? size : (off_t)below(size);
		/* A copy of its own, so that the sanitizer sees its end */
		bytes = malloc(cut);
		memcpy(bytes, from, cut);
		for (changes = below(20); cut && changes; changes--)
			bytes[below(2) ? below(cut) : below(cut < 64 ? cut : 64)] = below(256);
		probes_find(bytes, cut, take_probe, &all);
		free(bytes);
	}
	munmap(from, size);
	close(fd);
}

TEST(arguments_of_probes)
{
	char text[256];

	EXPECT_EQ(0, probes_fetch("8@%rbx 8@16(%rbp) 8@-8(%r12) 8@(%rax) 8@$-5", text,
				  sizeof(text)));
	EXPECT_STREQ(" a0=%bx:u64 a1=+16(%bp):u64 a2=-8(%r12):u64 a3=+0(%ax):u64 a4=\\-5:u64",
		     text);
	EXPECT_EQ(0, probes_fetch("", text, sizeof(text)));
	EXPECT_EQ(-1, probes_fetch("4@%ebx", text, sizeof(text)));
	EXPECT_EQ(-1, probes_fetch("8@%rbx8@%rbx", text, sizeof(text)));
	EXPECT_EQ(-1, probes_fetch("8@8(%rax,%rbx,8)", text, sizeof(text)));
	EXPECT_EQ(-1, probes_fetch("8@name(%rip)", text, sizeof(text)));
}

TEST_HARNESS_MAIN
