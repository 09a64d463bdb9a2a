// SPDX-License-Identifier: GPL-2.0
/*
 * What a process takes of slots for its contexts: a page first, more as it needs them,
 * fewer at a limit; and it gives back what it can do without. Where the kernel serves,
 * a limit of slots says so, else the queues that there are: each has a descriptor.
 */
#include <dirent.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include "library.h"
#include "../device/module.h"

#define MOST 1000000
#define PAGE_SLOTS 64

static deadline_context *contexts[MOST];

static bool kernel_serves(void)
{
	const char *wanted = getenv("DEADLINE_BACKEND");

	return wanted && !strcmp(wanted, "kernel");
}

/* Why make() made no more */
static int refused;

/* How many contexts can be made, of @n? Each has a timeout. */
static unsigned long make(unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		refused = deadline_with_timeout(deadline_background(), 0,
						&contexts[i], 1000 * SECOND);
		if (refused)
			break;
	}
	return i;
}

/* Release @n, one of every @step first, so that nothing is in order. */
static void release(unsigned long n, unsigned long step)
{
	unsigned long i, from;

	for (from = 0; from < step; from++) {
		for (i = from; i < n; i += step)
			deadline_release(contexts[i]);
	}
}

/* Descriptors of this process */
static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The user's limit of slots, for the time of a test */
FIXTURE(pool) {
	unsigned int before;
};

FIXTURE_SETUP(pool)
{
	if (kernel_serves())
		ASSERT_EQ(0, chmod("/dev/deadline", 0666));
	self->before = descriptors();
}

FIXTURE_TEARDOWN(pool)
{
	if (kernel_serves()) {
		set_parameter("user_slots", 1 << 20);
		chmod("/dev/deadline", 0600);
	}
}

/**
 * struct process - a child, which is a user that has limits
 * @pid: its number
 * @told: it says how many contexts it made, and later that it has none; read from here
 * @go: goes on when this is closed
 */
struct process {
	pid_t pid;
	int told;
	int go;
};

static void live(unsigned long n, int tell, int go)
{
	unsigned long made;
	char none;

	if (kernel_serves() && setresuid(65534, 65534, 65534))
		_exit(1);
	made = make(n);
	if (made < n && refused != -ENOSPC)
		_exit(4);
	if (write(tell, &made, sizeof(made)) != sizeof(made))
		_exit(2);
	if (made > PAGE_SLOTS) {
		release(made, 7);
		made = 0;
	}
	if (write(tell, &made, sizeof(made)) != sizeof(made))
		_exit(3);
	_exit(read(go, &none, 1));
}

/* A process that makes @n contexts, and releases them again if that is many */
static int start(struct process *process, unsigned long n)
{
	int tell[2], go[2];

	if (pipe2(tell, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		return -errno;
	process->pid = fork();
	if (!process->pid) {
		close(go[1]);
		live(n, tell[1], go[0]);
	}
	close(tell[1]);
	close(go[0]);
	process->told = tell[0];
	process->go = go[1];
	return process->pid < 0 ? -errno : 0;
}

static unsigned long told(const struct process *process)
{
	unsigned long made = MOST + 1;

	if (read(process->told, &made, sizeof(made)) != sizeof(made))
		return MOST + 1;
	return made;
}

static bool ended_well(const struct process *process)
{
	int status;

	close(process->go);
	close(process->told);
	return waitpid(process->pid, &status, 0) == process->pid &&
	       exited(status, 0);
}

/* As many processes as there are pages of slots for one user, with one each */
TEST_F(pool, a_page_each)
{
	unsigned long i, n = rounds(100);
	static struct process processes[1000];

	ASSERT_GE(1000, n);
	if (kernel_serves())
		ASSERT_EQ(0, set_parameter("user_slots", n * PAGE_SLOTS));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, start(&processes[i], 1));
		ASSERT_EQ(1, told(&processes[i]));
	}
	/* The last first: each has copies of what the earlier ones wait for. */
	while (n--)
		EXPECT_TRUE(ended_well(&processes[n]));
	ASSERT_EQ(1, make(1));
	EXPECT_GE(self->before + 1, descriptors());
	release(1, 1);
}

/* Nearly all that the limit allows, though the next queue would be far bigger */
TEST_F(pool, smaller_ones_at_a_limit)
{
	struct process process;

	if (!kernel_serves())
		return;
	ASSERT_EQ(0, set_parameter("user_slots", 50 * PAGE_SLOTS + 1));
	ASSERT_EQ(0, start(&process, MOST));
	EXPECT_EQ(50 * PAGE_SLOTS, told(&process));
	EXPECT_TRUE(ended_well(&process));
}

/* What who has none any more may keep: less than a process takes at once after that */
#define KEPT 4096

/* One has many and then none, but lives on; another one has as many. */
TEST_F(pool, many_then_none_then_anothers)
{
	unsigned long n = rounds(MOST / 5);
	struct process first, second;

	if (n > MOST)
		n = MOST;
	if (kernel_serves())
		ASSERT_EQ(0, set_parameter("user_slots", n + n / 20 + KEPT));
	ASSERT_EQ(0, start(&first, n));
	ASSERT_EQ(n, told(&first));
	ASSERT_EQ(0, told(&first));
	ASSERT_EQ(0, start(&second, n));
	EXPECT_EQ(n, told(&second));
	EXPECT_EQ(0, told(&second));
	EXPECT_TRUE(ended_well(&second));
	EXPECT_TRUE(ended_well(&first));
}

/* The pages of this process' own, in KiB */
static long resident(void)
{
	char line[256];
	long kib = -1;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "RssAnon: %ld", &kib);
	if (file)
		fclose(file);
	return kib;
}

/**
 * struct sleeper - a thread that had many contexts, and does nothing for long
 * @from: which, of all
 * @n: how many
 * @barrier: between all
 */
struct sleeper {
	unsigned long from;
	unsigned long n;
	pthread_barrier_t *barrier;
};

static void *be_busy_then_sleep(void *arg)
{
	struct sleeper *s = arg;
	unsigned long i, end = s->from + s->n;

	for (i = s->from; i < end; i++) {
		if (deadline_with_timeout(deadline_background(), 0,
					  &contexts[i], 1000 * SECOND))
			return NULL;
	}
	pthread_barrier_wait(s->barrier);
	pthread_barrier_wait(s->barrier);
	for (i = s->from; i < end - s->n / 10; i++)
		deadline_release(contexts[i]);
	pthread_barrier_wait(s->barrier);
	for (; i < end; i++)
		deadline_release(contexts[i]);
	pthread_barrier_wait(s->barrier);
	pthread_barrier_wait(s->barrier);
	return s;
}

#define SLEEPERS 4

/* What threads keep for later, though they sleep, does not keep queues of many. */
TEST_F(pool, sleeping_threads_keep_little)
{
	unsigned long i, n = rounds(25000);
	struct sleeper sleepers[SLEEPERS];
	pthread_t threads[SLEEPERS];
	pthread_barrier_t barrier;
	unsigned int many;
	long most;
	void *ret;

	if (n > MOST / SLEEPERS)
		n = MOST / SLEEPERS;
	memset(contexts, 0xA5, SLEEPERS * n * sizeof(*contexts));
	pthread_barrier_init(&barrier, NULL, SLEEPERS + 1);
	for (i = 0; i < SLEEPERS; i++) {
		sleepers[i] = (struct sleeper){ i * n, n, &barrier };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL,
					    be_busy_then_sleep, &sleepers[i]));
	}
	pthread_barrier_wait(&barrier);
	most = resident();
	many = descriptors();
	for (i = 0; i < 3; i++)
		pthread_barrier_wait(&barrier);
	if (n >= 5000) {
		EXPECT_LT(descriptors(), many);
		/* Half of the contexts, each of which is 16 pointers or more */
		EXPECT_LT(resident(), most - (long)(n * SLEEPERS / 2 * 16 *
						    sizeof(void *) / 1024));
	}
	pthread_barrier_wait(&barrier);
	for (i = 0; i < SLEEPERS; i++) {
		pthread_join(threads[i], &ret);
		EXPECT_EQ(&sleepers[i], ret);
	}
	pthread_barrier_destroy(&barrier);
}

static void *have_some(void *arg)
{
	deadline_context *some[PAGE_SLOTS];
	int i;

	for (i = 0; i < PAGE_SLOTS; i++) {
		if (deadline_with_cancel(deadline_background(), &some[i]))
			return NULL;
	}
	for (i = 0; i < PAGE_SLOTS; i++)
		deadline_release(some[i]);
	return arg;
}

/* A thread that ends leaves to others what it kept. */
TEST_F(pool, threads_that_end_keep_nothing)
{
	unsigned long i, n = rounds(1000);
	pthread_t thread;
	void *ret;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, have_some, self));
		ASSERT_EQ(0, pthread_join(thread, &ret));
		ASSERT_EQ(self, ret);
	}
	EXPECT_GE(self->before + 1, descriptors());
}

static void count_call(void *arg)
{
	__atomic_fetch_add((unsigned int *)arg, 1, __ATOMIC_RELAXED);
}

#define HOOKS 8

/*
 * The handle of a function outlives its context, and the memory that was the
 * context's. That is given back when there are no handles any more.
 */
TEST_F(pool, handles_outlive_contexts)
{
	unsigned long i, n = 20000;
	unsigned int many, calls = 0;
	deadline_hook *hooks[HOOKS];

	ASSERT_EQ(n, make(n));
	for (i = 0; i < HOOKS; i++)
		ASSERT_EQ(0, deadline_after(contexts[n - 1 - i * n / HOOKS],
					    count_call, &calls, &hooks[i]));
	ASSERT_EQ(1, deadline_hook_stop(hooks[0]));
	many = descriptors();
	release(n, 3);
	WAIT_FOR(__atomic_load_n(&calls, __ATOMIC_RELAXED) == HOOKS - 1);
	for (i = 0; i < HOOKS; i++) {
		EXPECT_EQ(0, deadline_hook_stop(hooks[i]));
		EXPECT_EQ(0, deadline_hook_stop_wait(hooks[i]));
	}
	for (i = 0; i < HOOKS; i++)
		deadline_hook_free(hooks[i]);
	WAIT_FOR(descriptors() <= many - 2);
	/* All works as before. */
	ASSERT_EQ(n, make(n));
	ASSERT_EQ(0, deadline_after(contexts[n - 1], count_call, &calls,
				    &hooks[0]));
	release(n, 3);
	WAIT_FOR(__atomic_load_n(&calls, __ATOMIC_RELAXED) == HOOKS);
	deadline_hook_free(hooks[0]);
}

/* Contexts of one kind of timeout serve those of another: nothing more is taken. */
TEST_F(pool, another_kind_of_timeout)
{
	unsigned long i, n = 20000;
	unsigned int many;

	ASSERT_EQ(n, make(n));
	many = descriptors();
	release(n, 1);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0,
						   &contexts[i],
						   i * SECOND));
	EXPECT_GE(many, descriptors());
	for (i = 0; i < n; i++)
		deadline_release(contexts[i]);
}

TEST_HARNESS_MAIN
