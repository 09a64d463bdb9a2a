// SPDX-License-Identifier: GPL-2.0
/*
 * After-functions that block or compute, on the library's threads: what comes after them
 * waits for none of them, and there are no more threads than that takes.
 */
#include <dirent.h>
#include <semaphore.h>
#include "library.h"

/* As many as there are at most at once in a test */
#define MANY	200

struct function {
	deadline_context *context;
	deadline_hook *hook;
	bool began;
	pid_t thread;
};

/* What those that block wait for */
static sem_t go;
/* Threads that have run a function of a test */
static unsigned int threads;
static __thread bool counted;
/* How many compute, and how many did at most */
static unsigned int computing, most;

static void begins(void *arg)
{
	struct function *f = arg;

	if (!counted)
		__atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST);
	counted = true;
	f->thread = thread_id();
	__atomic_store_n(&f->began, true, __ATOMIC_SEQ_CST);
}

static void blocks(void *arg)
{
	begins(arg);
	while (sem_wait(&go))
		;
}

static void lets_go(void *arg)
{
	begins(arg);
	sem_post(&go);
}

static void computes(void *arg)
{
	uint64_t end = ns_of(CLOCK_THREAD_CPUTIME_ID) + 5 * MS;
	unsigned int now = __atomic_add_fetch(&computing, 1, __ATOMIC_SEQ_CST);

	begins(arg);
	if (__atomic_load_n(&most, __ATOMIC_RELAXED) < now)
		__atomic_store_n(&most, now, __ATOMIC_RELAXED);
	while (ns_of(CLOCK_THREAD_CPUTIME_ID) < end)
		;
	__atomic_sub_fetch(&computing, 1, __ATOMIC_SEQ_CST);
}

static bool has_begun(const struct function *f)
{
	return __atomic_load_n(&f->began, __ATOMIC_SEQ_CST);
}

FIXTURE(blocked) {
	struct function functions[MANY];
	deadline_context *context;
	unsigned int n;
};

FIXTURE_SETUP(blocked)
{
	ASSERT_EQ(0, sem_init(&go, 0, 0));
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
					  &self->context));
}

FIXTURE_TEARDOWN(blocked)
{
	unsigned int i;

	for (i = 0; i < self->n; i++) {
		EXPECT_EQ(0, deadline_hook_stop_wait(self->functions[i].hook));
		EXPECT_TRUE(has_begun(&self->functions[i]));
		deadline_hook_free(self->functions[i].hook);
		deadline_release(self->functions[i].context);
	}
	deadline_release(self->context);
}

/* One more function that is called when the fixture's context is over */
static int add(struct _test_data_blocked *self, void (*fn)(void *arg))
{
	struct function *f = &self->functions[self->n++];

	return deadline_after(self->context, fn, f, &f->hook);
}

/* One more that has a context of its own, which is over now */
static int start(struct _test_data_blocked *self, void (*fn)(void *arg))
{
	struct function *f = &self->functions[self->n++];
	int ret = deadline_with_cancel(deadline_background(), &f->context);

	if (!ret)
		ret = deadline_after(f->context, fn, f, &f->hook);
	if (!ret)
		deadline_cancel(f->context, 0);
	return ret;
}

static void wait_asleep(const struct function *f)
{
	WAIT_FOR(has_begun(f) && is_asleep(f->thread));
}

/* Those that sleep all the time of a test, and rounds of it */
#define SLEEP	60
#define ROUNDS	30

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * One of those that sleep, perhaps another than began last. The next one must not find
 * the semaphore up: its function would end, and its thread with it.
 */
static void let_one_go(void)
{
	int value;

	sem_post(&go);
	do {
		relax();
		sem_getvalue(&go, &value);
	} while (value);
}

/*
 * How long one takes: alone, the quickest, for one that had to wait for a time would
 * wait each time; behind one that blocks, the median, for that may have begun long ago.
 */
static uint64_t time_of_one(struct _test_data_blocked *self, bool behind)
{
	uint64_t times[ROUNDS], start_at;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (behind) {
			if (start(self, blocks))
				return DEADLINE_NEVER;
			wait_asleep(&self->functions[self->n - 1]);
		}
		start_at = clock_ns();
		if (start(self, begins))
			return DEADLINE_NEVER;
		deadline_hook_stop_wait(self->functions[self->n - 1].hook);
		times[i] = clock_ns() - start_at;
		if (behind)
			let_one_go();
	}
	qsort(times, ROUNDS, sizeof(times[0]), compare);
	return times[behind ? ROUNDS / 2 : 0];
}

/*
 * One that sleeps costs those that come after it nothing, however many there were that
 * sleep still.
 */
TEST_F(blocked, by_one)
{
	uint64_t alone = time_of_one(self, false), later, behind;
	unsigned int i;

	for (i = 0; i < SLEEP; i++) {
		ASSERT_EQ(0, start(self, blocks));
		wait_asleep(&self->functions[self->n - 1]);
	}
	later = time_of_one(self, false);
	/* Behind one that has begun only now, another thread is needed. */
	behind = time_of_one(self, true);
	TH_LOG("%lu us alone, %lu us after those that sleep, %lu us behind one",
	       (unsigned long)(alone / US), (unsigned long)(later / US),
	       (unsigned long)(behind / US));
	EXPECT_GT(2 * alone + MS / 2, later);
	EXPECT_GT(2 * alone + SLEEP * MS / 3, behind);
	for (i = 0; i < SLEEP; i++)
		sem_post(&go);
}

static void *is_thread(void *arg)
{
	blocks(arg);
	return NULL;
}

/* Until so many threads that block have begun, one after the other */
static uint64_t time_of_threads(struct function *functions, unsigned int n)
{
	uint64_t start = clock_ns(), end;
	pthread_t ids[MANY];
	unsigned int i;

	for (i = 0; i < n; i++) {
		functions[i].began = false;
		if (pthread_create(&ids[i], NULL, is_thread, &functions[i]))
			return 0;
		WAIT_FOR(has_begun(&functions[i]));
	}
	end = clock_ns();
	for (i = 0; i < n; i++)
		sem_post(&go);
	for (i = 0; i < n; i++) {
		pthread_join(ids[i], NULL);
		functions[i].began = false;
	}
	return end - start;
}

/* Nor does the last of many wait for a time for each: little more than for a thread. */
TEST_F(blocked, by_many)
{
	unsigned int i, n = rounds(64);
	uint64_t start, plain = time_of_threads(self->functions, n);

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, add(self, blocks));
	start = clock_ns();
	deadline_cancel(self->context, 0);
	for (i = 0; i < n; i++)
		WAIT_FOR(has_begun(&self->functions[i]));
	/* Where CPUs are emulated, it is six times that. */
	EXPECT_GT(10 * plain + n * MS / 4, clock_ns() - start);
	for (i = 0; i < n; i++)
		sem_post(&go);
}

/* They come at once, and the first waits for the second. */
TEST_F(blocked, by_one_of_its_own_context)
{
	unsigned long i, n = rounds(50);

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, add(self, blocks));
		ASSERT_EQ(0, add(self, lets_go));
		deadline_cancel(self->context, 0);
		while (self->n) {
			self->n--;
			deadline_hook_stop_wait(self->functions[self->n].hook);
			deadline_hook_free(self->functions[self->n].hook);
		}
		deadline_release(self->context);
		ASSERT_EQ(0, deadline_with_cancel(deadline_background(),
						  &self->context));
	}
}

static int run_all(struct _test_data_blocked *self, void (*fn)(void *arg))
{
	unsigned int i, n = rounds(MANY);
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = add(self, fn);
	deadline_cancel(self->context, 0);
	/* Without a loop that spins, which would have a CPU */
	for (i = 0; i < self->n; i++)
		deadline_hook_stop_wait(self->functions[i].hook);
	return ret;
}

TEST_F(blocked, short_ones_take_few_threads)
{
	ASSERT_EQ(0, run_all(self, begins));
	EXPECT_GT(MANY / 10, threads);
}

/*
 * A second of CPU time. One more thread for each millisecond would be as many as there
 * are functions; one after so many milliseconds as there are is the root of twice that.
 */
TEST_F(blocked, computing_ones_take_few_threads)
{
	uint64_t start = clock_ns(), ms;

	ASSERT_EQ(0, run_all(self, computes));
	ms = (clock_ns() - start) / MS;
	TH_LOG("%u at once in %lu ms", most, (unsigned long)ms);
	/* And some that slept, as at a page fault */
	most -= most > 15 ? 15 : most;
	EXPECT_GE(2 * ms, (uint64_t)most * most);
}

/* Threads of this process that have the name */
static unsigned int count_threads(const char *name)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	unsigned int n = 0;
	char path[300], is[32];
	FILE *file;

	while (tasks && (task = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 task->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(is, sizeof(is), file) &&
		    !strncmp(is, name, strlen(name)))
			n++;
		fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return n;
}

TEST_F(blocked, threads_end)
{
	unsigned int i, n = rounds(50);

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, add(self, blocks));
	deadline_cancel(self->context, 0);
	for (i = 0; i < n; i++)
		WAIT_FOR(has_begun(&self->functions[i]));
	EXPECT_LE(n, count_threads("deadline-after"));
	for (i = 0; i < n; i++)
		sem_post(&go);
	WAIT_FOR(count_threads("deadline-after") <= 2);
}

TEST_HARNESS_MAIN
