// SPDX-License-Identifier: MIT
/* A heap in the program, and one timerfd for the first of it. */
#include <sys/timerfd.h>
#include <unistd.h>
#include "echo.h"

/* One of a connection's two deadlines, at place - 1 in the heap; 0 = not there */
struct timer {
	uint64_t when;
	unsigned int place;
};

static struct timer *timers, **heap;
static unsigned int heaped, count;
static uint64_t planned, expirations;
static int fd;

static void put(struct timer *timer, unsigned int place)
{
	heap[place - 1] = timer;
	timer->place = place;
}

/* Find the place for @timer, from @place up or down. */
static void sift(struct timer *timer, unsigned int place)
{
	unsigned int child;

	while (place > 1 && heap[place / 2 - 1]->when > timer->when) {
		put(heap[place / 2 - 1], place);
		place /= 2;
	}
	while ((child = 2 * place) <= heaped) {
		if (child < heaped && heap[child]->when < heap[child - 1]->when)
			child++;
		if (heap[child - 1]->when >= timer->when)
			break;
		put(heap[child - 1], place);
		place = child;
	}
	put(timer, place);
}

/* The timer runs for @planned, which may be too early, never too late. */
static void plan(uint64_t when)
{
	struct itimerspec spec = {
		.it_value.tv_sec = when / (1000 * MS),
		.it_value.tv_nsec = when % (1000 * MS),
	};

	planned = when;
	must(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL),
	     "timerfd_settime");
}

static void set(struct timer *timer, uint64_t when)
{
	timer->when = when;
	sift(timer, timer->place ? timer->place : ++heaped);
	if (when < planned)
		plan(when);
}

static void unset(struct timer *timer)
{
	struct timer *last;
	unsigned int place = timer->place;

	if (!place)
		return;
	timer->place = 0;
	last = heap[--heaped];
	if (last != timer)
		sift(last, place);
}

static void wait_for_timer(void)
{
	struct io_uring_sqe *sqe = server_sqe();

	io_uring_prep_read(sqe, fd, &expirations, sizeof(expirations), 0);
	io_uring_sqe_set_data64(sqe, TIMING);
}

static void heap_open(unsigned int n)
{
	count = n;
	timers = calloc(2 * (size_t)n, sizeof(*timers));
	heap = calloc(2 * (size_t)n, sizeof(*heap));
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	must(timers && heap && fd >= 0, "timerfd_create");
	planned = UINT64_MAX;
	wait_for_timer();
}

static void heap_idle(unsigned int i, struct io_uring_sqe *sqe)
{
	(void)sqe;
	unset(&timers[count + i]);
	set(&timers[i], now + idle_ns);
}

static void heap_request(unsigned int i, struct io_uring_sqe *sqe)
{
	(void)sqe;
	set(&timers[count + i], now + REQUEST_NS);
}

static void heap_completed(void)
{
	struct timer *timer;

	while (heaped && heap[0]->when <= now) {
		timer = heap[0];
		unset(timer);
		server_expire((timer - timers) % count);
	}
	planned = UINT64_MAX;
	if (heaped)
		plan(heap[0]->when);
	wait_for_timer();
}

static void heap_gone(unsigned int i)
{
	unset(&timers[i]);
	unset(&timers[count + i]);
}

static void heap_close(void)
{
	heaped = 0;
	close(fd);
	free(heap);
	free(timers);
}

const struct timing timing_heap = {
	.name		= "timerfd + heap",
	.open		= heap_open,
	.idle		= heap_idle,
	.request	= heap_request,
	.completed	= heap_completed,
	.gone		= heap_gone,
	.close		= heap_close,
};
