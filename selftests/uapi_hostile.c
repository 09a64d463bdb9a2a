// SPDX-License-Identifier: GPL-2.0
/*
 * A program that writes whatever it likes over the shared memory harms nobody but
 * itself: threads scribble while others arm, ring, reap, read, poll, map, open,
 * close, fork, exec and are killed, and beside them an honest queue goes on, on
 * time. That the kernel stays clean is for the log to say, which every guest run
 * ends with.
 *
 * The choices follow from DEADLINE_TEST_SEED (1), which each run prints; how the
 * threads interleave does not. A run has some ten million writes.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include "queue.h"

#define CALLS 3000ul
#define SLOTS 512u
#define SCRIBBLERS 2
#define CALLERS 2
#define CHILDREN 2

struct hostile {
	struct queue q;
	uint64_t seed;
	unsigned long writes;
	unsigned long calls;
	bool stop;
};

static bool stopped(const struct hostile *h)
{
	return __atomic_load_n(&h->stop, __ATOMIC_RELAXED);
}

/* A value that somebody might have forgotten to think of */
static uint64_t nasty(uint64_t *seed)
{
	static const uint64_t ends[] = {
		0, 1, 2, 3, 4, 8, 15, 16, 17, INT32_MAX, UINT32_MAX,
		INT64_MAX, INT64_MAX - 15, 1ull << 63, UINT64_MAX,
		UINT64_MAX - 1, DEADLINE_TIME_NEVER, SLOTS, SLOTS - 1,
	};
	uint64_t pick = next_random(seed);

	switch (pick % 4) {
	case 0:
		return ends[pick / 4 % ARRAY_SIZE(ends)];
	case 1:
		return due(clock_ns() + pick / 4 % (2 * MS) - MS) |
		       (pick >> 32) % 16;
	case 2:
		return ends[pick / 4 % ARRAY_SIZE(ends)] | (pick >> 32) % 16;
	default:
		return next_random(seed);
	}
}

/* Over the header and the slots, in pieces of any size, aligned or not */
static void scribble_once(struct queue *q, uint64_t *seed)
{
	unsigned char *at = (unsigned char *)q->header;
	uint64_t value = nasty(seed), where = next_random(seed);
	size_t size = 1u << where % 4;

	if (where / 4 % 8 == 0)
		at += where / 64 % sizeof(*q->header);
	else
		at = (unsigned char *)q->slots +
		     where / 64 % (SLOTS * sizeof(*q->slots));
	if (where / 32 % 2)
		at = (unsigned char *)((uintptr_t)at & ~7ul);
	else if (at + size > (unsigned char *)(q->slots + SLOTS))
		size = 1;
	memcpy(at, &value, size);
}

static void ring_some(struct queue *q, uint64_t *seed)
{
	uint32_t list[200], i, n = next_random(seed) % ARRAY_SIZE(list);

	for (i = 0; i < n; i++)
		list[i] = next_random(seed) % (SLOTS + 1);
	ring_list(q, list, n);
}

static void read_some(struct queue *q, uint64_t *seed)
{
	struct deadline_expiry got[16];
	struct pollfd pollfd = { .fd = q->fd, .events = POLLIN | POLLPRI };

	if (poll(&pollfd, 1, 0) < 0)
		abort();
	if (read(q->fd, got, next_random(seed) % sizeof(got)) < 0 &&
	    errno != EAGAIN && errno != EINVAL)
		abort();
}

static void reap_some(struct queue *q)
{
	uint32_t slot, n = 64;

	while (n-- && ring_take(q, &slot)) {
		if (slot < SLOTS)
			slot_claim(q, slot);
	}
}

static void arm_some(struct queue *q, uint64_t *seed)
{
	uint64_t pick = next_random(seed);
	uint32_t i = pick % SLOTS;

	q->slots[i].flags = pick / SLOTS % 4;
	q->slots[i].period = MS / 10 + pick / SLOTS % MS;
	q->slots[i].slack = pick / SLOTS % 16 ? 0 : pick >> 40;
	slot_arm(q, i, clock_ns() + pick / SLOTS % (4 * MS));
}

/* A second view of the queue, and everything else that hangs on the file */
static void map_some(struct queue *q)
{
	struct queue again = { .fd = q->fd, .setup = q->setup };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (!queue_map(&again))
		queue_unmap(&again);
	if (fd >= 0) {
		ioctl(q->fd, DEADLINE_IOC_EVENTFD, fd);
		close(fd);
	}
}

/* A queue that is closed with everything under way in it */
static void open_and_close(uint64_t *seed)
{
	struct queue q;
	int i;

	if (queue_open(&q, SLOTS, O_CLOEXEC | O_NONBLOCK))
		return;
	for (i = 0; i < 64; i++) {
		arm_some(&q, seed);
		scribble_once(&q, seed);
	}
	ring_some(&q, seed);
	queue_close(&q);
}

static void *scribbler(void *arg)
{
	struct hostile *h = arg;
	uint64_t seed = __atomic_add_fetch(&h->seed, 1, __ATOMIC_RELAXED);

	while (!stopped(h)) {
		scribble_once(&h->q, &seed);
		__atomic_add_fetch(&h->writes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *caller(void *arg)
{
	struct hostile *h = arg;
	uint64_t seed = __atomic_add_fetch(&h->seed, 1, __ATOMIC_RELAXED);

	while (!stopped(h)) {
		switch (next_random(&seed) % 16) {
		case 0:
			map_some(&h->q);
			break;
		case 1:
			open_and_close(&seed);
			break;
		case 2 ... 3:
			ring_some(&h->q, &seed);
			break;
		case 4 ... 5:
			read_some(&h->q, &seed);
			break;
		case 6 ... 8:
			reap_some(&h->q);
			break;
		default:
			arm_some(&h->q, &seed);
		}
		__atomic_add_fetch(&h->calls, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Another process with the same queue, which ends anywhere in the midst of it */
static pid_t start_child(struct hostile *h)
{
	struct queue q = { .fd = h->q.fd, .setup = h->q.setup };
	uint64_t seed = __atomic_add_fetch(&h->seed, 1, __ATOMIC_RELAXED);
	pid_t pid = fork();

	if (pid)
		return pid;
	if (queue_map(&q))
		_exit(1);
	for (;;) {
		scribble_once(&q, &seed);
		arm_some(&q, &seed);
		if (next_random(&seed) % 64 == 0)
			ring_some(&q, &seed);
		if (next_random(&seed) % 4096 == 0)
			execl("/bin/true", "true", NULL);
	}
}

/* One honest deadline: early? how late? */
static uint64_t honest_round(struct queue *q, uint64_t *early)
{
	uint64_t when = due(clock_ns() + MS);

	slot_arm(q, 0, when);
	WAIT_FOR(slot_over(q, 0));
	*early += q->slots[0].expired_at < when;
	return q->slots[0].expired_at - when;
}

TEST(scribbled_over)
{
	const char *from = getenv("DEADLINE_TEST_SEED");
	struct hostile h = { .seed = from ? strtoull(from, NULL, 10) : 1 };
	pthread_t threads[SCRIBBLERS + CALLERS];
	unsigned long i, honest = 0, n = rounds(CALLS);
	uint64_t early = 0, late, latest = 0, seed = h.seed;
	pid_t children[CHILDREN];
	struct queue q;
	int status;

	TH_LOG("seed %llu", (unsigned long long)h.seed);
	ASSERT_EQ(0, queue_open(&q, 64, O_CLOEXEC));
	ASSERT_EQ(0, queue_open(&h.q, SLOTS, O_NONBLOCK));
	for (i = 0; i < CHILDREN; i++)
		children[i] = start_child(&h);
	for (i = 0; i < SCRIBBLERS + CALLERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL,
					    i < SCRIBBLERS ? scribbler : caller,
					    &h));
	while (__atomic_load_n(&h.calls, __ATOMIC_RELAXED) < n) {
		late = honest_round(&q, &early);
		if (late > latest)
			latest = late;
		if (++honest % 8 == 0) {
			i = next_random(&seed) % CHILDREN;
			kill(children[i], SIGKILL);
			ASSERT_EQ(children[i], waitpid(children[i], &status, 0));
			children[i] = start_child(&h);
		}
	}
	__atomic_store_n(&h.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < SCRIBBLERS + CALLERS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < CHILDREN; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], &status, 0);
	}
	TH_LOG("%lu writes, %lu calls", h.writes, h.calls);
	TH_LOG("honest: %lu deadlines, the latest by %llu ns", honest,
	       (unsigned long long)latest);
	TH_LOG("hostile: %llu interrupts, %llu expired, %llu pauses",
	       status_of(&h.q.status->interrupts),
	       status_of(&h.q.status->expired),
	       status_of(&h.q.status->throttled) +
	       status_of(&h.q.status->full));
	EXPECT_EQ(0, early);
	EXPECT_LT(0, honest);
	EXPECT_GT(2 * SECOND, latest);
	EXPECT_LT(0, status_of(&h.q.status->expired));
	queue_close(&h.q);
	queue_close(&q);
}

TEST_HARNESS_MAIN
