// SPDX-License-Identifier: GPL-2.0
/*
 * Opening a queue: each option refused alone, the rules of the structure's
 * size, and who serves: options, variable, what is there.
 */
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "filter.h"
#include "library.h"

#define MOST 1048576

/* The error of an open with @options; the result must stay untouched then. */
static int open_error(const void *options)
{
	deadline_queue *queue = POISON;
	int ret;

	errno = 4711;
	ret = deadline_queue_open(&queue, options);
	if (errno != 4711)
		return -1000;
	if (ret)
		return queue == POISON ? ret : -1001;
	return deadline_queue_close(queue);
}

/* Who serves a queue opened with @backend, or the error */
static int served_by(int backend)
{
	struct deadline_options options = { .backend = backend };
	deadline_queue *queue = POISON;
	int ret = deadline_queue_open(&queue, &options);

	if (ret)
		return queue == POISON ? ret : -1001;
	ret = deadline_queue_backend(queue);
	deadline_queue_close(queue);
	return ret;
}

static bool have_device(void)
{
	return !access("/dev/deadline", F_OK);
}

TEST(defaults)
{
	struct deadline_options options = {};
	deadline_queue *queue;

	EXPECT_EQ(0, open_error(NULL));
	EXPECT_EQ(0, open_error(&options));
	ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
	EXPECT_EQ(4096, stats_of(queue).slots);
	EXPECT_EQ(0, stats_of(queue).allocated);
	EXPECT_LE(4096 * 64, stats_of(queue).memory);
	EXPECT_EQ(0, deadline_queue_close(queue));
	EXPECT_EQ(0, deadline_queue_close(NULL));
}

TEST(slots)
{
	static const uint32_t wanted[] = { 1, 2, 63, 65, 5000, MOST };
	struct deadline_options options = {};
	deadline_queue *queue;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		options.slots = wanted[i];
		ASSERT_EQ(0, deadline_queue_open(&queue, &options));
		EXPECT_LE(wanted[i], stats_of(queue).slots);
		EXPECT_GE(wanted[i] + 64, stats_of(queue).slots);
		EXPECT_EQ(0, deadline_queue_close(queue));
	}
	options.slots = MOST + 1;
	EXPECT_EQ(-EINVAL, open_error(&options));
	options.slots = 0x80000000;
	EXPECT_EQ(-EINVAL, open_error(&options));
	options.slots = UINT32_MAX;
	EXPECT_EQ(-EINVAL, open_error(&options));
}

TEST(backend)
{
	struct deadline_options options = {};

	options.backend = -1;
	EXPECT_EQ(-EINVAL, open_error(&options));
	options.backend = DEADLINE_BACKEND_THREAD + 1;
	EXPECT_EQ(-EINVAL, open_error(&options));
	options.backend = INT32_MIN;
	EXPECT_EQ(-EINVAL, open_error(&options));
	options.backend = INT32_MAX;
	EXPECT_EQ(-EINVAL, open_error(&options));
}

TEST(size)
{
	struct {
		struct deadline_options known;
		unsigned char unknown[64];
	} options;
	size_t known = sizeof(options.known), i;

	memset(&options, 0, sizeof(options));
	options.known.size = known;
	EXPECT_EQ(0, open_error(&options));
	options.known.size = known + 64;
	EXPECT_EQ(0, open_error(&options));
	for (i = 0; i < 64; i++) {
		options.unknown[i] = 1;
		EXPECT_EQ(-E2BIG, open_error(&options));
		/* What is behind the size told is not looked at. */
		options.known.size = known + i;
		EXPECT_EQ(0, open_error(&options));
		options.known.size = known + 64;
		options.unknown[i] = 0;
	}
	options.known.size = 0;
	options.unknown[0] = 1;
	EXPECT_EQ(0, open_error(&options));
}

/* A program built against less than there is now: the rest is default. */
TEST(smaller_size)
{
	struct deadline_options options = {
		.size = offsetof(struct deadline_options, backend),
		.slots = 64,
		.backend = 77,
	};
	deadline_queue *queue;

	EXPECT_EQ(0, open_error(&options));
	options.size = offsetof(struct deadline_options, slots);
	options.slots = UINT32_MAX;
	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	EXPECT_EQ(4096, stats_of(queue).slots);
	EXPECT_EQ(0, deadline_queue_close(queue));
}

TEST(found)
{
	unsetenv("DEADLINE_BACKEND");
	EXPECT_EQ(DEADLINE_BACKEND_THREAD, served_by(DEADLINE_BACKEND_THREAD));
	if (have_device()) {
		EXPECT_EQ(DEADLINE_BACKEND_KERNEL,
			  served_by(DEADLINE_BACKEND_AUTO));
		EXPECT_EQ(DEADLINE_BACKEND_KERNEL,
			  served_by(DEADLINE_BACKEND_KERNEL));
	} else {
		EXPECT_EQ(DEADLINE_BACKEND_THREAD,
			  served_by(DEADLINE_BACKEND_AUTO));
		EXPECT_EQ(-ENOENT, served_by(DEADLINE_BACKEND_KERNEL));
	}
}

TEST(variable)
{
	int kernel = have_device() ? DEADLINE_BACKEND_KERNEL : -ENOENT;

	setenv("DEADLINE_BACKEND", "thread", 1);
	EXPECT_EQ(DEADLINE_BACKEND_THREAD, served_by(DEADLINE_BACKEND_AUTO));
	/* An explicit option is stronger. */
	EXPECT_EQ(kernel, served_by(DEADLINE_BACKEND_KERNEL));
	setenv("DEADLINE_BACKEND", "kernel", 1);
	EXPECT_EQ(kernel, served_by(DEADLINE_BACKEND_AUTO));
	EXPECT_EQ(DEADLINE_BACKEND_THREAD, served_by(DEADLINE_BACKEND_THREAD));
	setenv("DEADLINE_BACKEND", "", 1);
	EXPECT_LT(0, served_by(DEADLINE_BACKEND_AUTO));
}

TEST(variable_refused)
{
	static const char *const wrong[] = { "Kernel", "threads", "auto", " ",
		"1", "kernel " };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		setenv("DEADLINE_BACKEND", wrong[i], 1);
		EXPECT_EQ(-EINVAL, served_by(DEADLINE_BACKEND_AUTO));
		EXPECT_EQ(DEADLINE_BACKEND_THREAD,
			  served_by(DEADLINE_BACKEND_THREAD));
	}
}

/* A device that is there, but not for this user, is as one that is not there. */
TEST(no_permission)
{
	int kernel = have_device() ? -EACCES : -ENOENT;

	unsetenv("DEADLINE_BACKEND");
	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(DEADLINE_BACKEND_THREAD, served_by(DEADLINE_BACKEND_AUTO));
	EXPECT_EQ(kernel, served_by(DEADLINE_BACKEND_KERNEL));
	EXPECT_EQ(DEADLINE_BACKEND_THREAD, served_by(DEADLINE_BACKEND_THREAD));
}

/* What open(2) of the device says, and whether a thread takes over then */
static const struct {
	int error;
	bool none;
} opened[] = {
	{ ENOENT, true }, { ENODEV, true }, { ENXIO, true }, { EACCES, true },
	{ EPERM, true }, { EMFILE, false }, { ENFILE, false }, { EBUSY, false },
	{ EINTR, false }, { EIO, false }, { EOVERFLOW, false },
};

static int open_says(void *arg)
{
	int error = opened[(intptr_t)arg].error;
	int taken = opened[(intptr_t)arg].none ? DEADLINE_BACKEND_THREAD : -error;

	unsetenv("DEADLINE_BACKEND");
#ifdef SYS_open
	filter_call(SYS_open, SECCOMP_RET_ERRNO | error);
#endif
	filter_call(SYS_openat, SECCOMP_RET_ERRNO | error);
	if (served_by(DEADLINE_BACKEND_KERNEL) != -error)
		return 1;
	return served_by(DEADLINE_BACKEND_AUTO) != taken;
}

static int can_filter(void *arg)
{
	(void)arg;
	filter_call(SYS_acct, NO_SUCH_CALL);
	return 0;
}

TEST(no_device_or_an_error)
{
	unsigned int i;

	if (!exited(in_child(can_filter, NULL), 0))
		SKIP(return, "system calls cannot be filtered here");
	for (i = 0; i < ARRAY_SIZE(opened); i++)
		EXPECT_TRUE(exited(in_child(open_says, (void *)(intptr_t)i), 0))
			TH_LOG("error %d", opened[i].error);
}

#define AS_ANOTHER "LIB_OPTIONS_AS_ANOTHER"

/* In the copy of this program that runs as another user */
static __attribute__((constructor)) void as_another(void)
{
	if (getenv(AS_ANOTHER))
		_exit(getauxval(AT_SECURE) ? served_by(DEADLINE_BACKEND_AUTO) :
					     100);
}

/*
 * Where the file system has no such programs, it is not another user: 100. valgrind
 * executes none, nor does an emulator of another processor.
 */
TEST(variable_of_a_set_user_id_program)
{
	char path[] = "/tmp/lib_options.XXXXXX", buffer[4096];
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), out, status;
	ssize_t n;
	pid_t pid;

	out = mkostemp(path, O_CLOEXEC);
	ASSERT_LE(0, out);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		ASSERT_EQ(n, write(out, buffer, n));
	ASSERT_EQ(0, fchown(out, 65534, 65534));
	ASSERT_EQ(0, fchmod(out, 04755));
	close(in);
	close(out);
	setenv(AS_ANOTHER, "1", 1);
	setenv("DEADLINE_BACKEND", "nonsense", 1);
	pid = fork();
	if (!pid) {
		execl(path, path, NULL);
		_exit(errno == EACCES || errno == ENOEXEC ? 100 : 101);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	unlink(path);
	EXPECT_TRUE(exited(status, DEADLINE_BACKEND_THREAD) ||
		    exited(status, 100))
		TH_LOG("status %x", status);
}

/* A limit is an error, and no thread takes over: here the slots of one user. */
TEST(limit)
{
	struct deadline_options options = { .slots = MOST };
	deadline_queue *queue;

	if (!have_device())
		return;
	unsetenv("DEADLINE_BACKEND");
	ASSERT_EQ(0, chmod("/dev/deadline", 0666));
	ASSERT_EQ(0, seteuid(65534));
	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	EXPECT_EQ(DEADLINE_BACKEND_KERNEL, deadline_queue_backend(queue));
	EXPECT_EQ(-ENOSPC, open_error(&options));
	EXPECT_EQ(0, deadline_queue_close(queue));
	EXPECT_EQ(0, seteuid(0));
	EXPECT_EQ(0, chmod("/dev/deadline", 0600));
}

TEST_F(lib, close_while_allocated)
{
	EXPECT_EQ(-EBUSY, deadline_queue_close(self->queue));
	EXPECT_EQ(64, stats_of(self->queue).allocated);
	ASSERT_EQ(0, deadline_slot_arm(self->slots[0], 0, deadline_in(MS)));
	WAIT_FOR(slot_is_over(self->slots[0]));
}

/* Open and close leave nothing behind: descriptors, threads. */
TEST(no_leak)
{
	int before = dup(0), after, i;
	deadline_queue *queue;

	ASSERT_LE(0, before);
	close(before);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, deadline_queue_open(&queue, NULL));
		ASSERT_LE(0, deadline_queue_fd(queue));
		ASSERT_EQ(0, deadline_queue_close(queue));
	}
	after = dup(0);
	EXPECT_EQ(before, after);
	close(after);
}

TEST_HARNESS_MAIN
