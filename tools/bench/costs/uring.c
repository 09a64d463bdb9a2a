// SPDX-License-Identifier: MIT
/* Beside io_uring: deadlines moved by memory, expiries as completions. */
#include "costs.h"

#if HAVE_URING
#include <errno.h>
#include <stdio.h>
#include <deadline_uring.h>

#define MANY	100000u
#define MOVES	200u
#define EACH	16
#define ROUNDS	400u
#define AHEAD	(1 * MS)
#define FAR	(1000000 * MS)

typedef double move_fn(unsigned int n);

static struct io_uring ring;
static deadline_slot *slots[MANY];

static void ring_open(unsigned int entries, unsigned int mode)
{
	must(!io_uring_queue_init(entries, &ring, mode), "io_uring_queue_init");
	io_uring_register_ring_fd(&ring);
}

static struct io_uring_sqe *next_sqe(void)
{
	if (!io_uring_sq_space_left(&ring))
		must(io_uring_submit(&ring) > 0, "io_uring_submit");
	return io_uring_get_sqe(&ring);
}

static struct __kernel_timespec timespec_of(uint64_t ns)
{
	struct __kernel_timespec time = {
		.tv_sec = ns / (1000 * MS),
		.tv_nsec = ns % (1000 * MS),
	};

	return time;
}

/* Submit, and wait for one completion. */
static int one(void)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait(&ring, 1);

	must(ret >= 0 && !io_uring_wait_cqe(&ring, &cqe), "a completion");
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return ret;
}

/* One of @n that is not the one before */
static unsigned int another(unsigned int i, unsigned int n)
{
	return i * 7919ull % n;
}

/* Some moves of one, then of another */
static double move_slots(unsigned int n)
{
	uint64_t start, when = deadline_in(FAR);
	deadline_slot *slot;
	unsigned int i, j;

	start = deadline_now();
	for (i = 0; i < MOVES; i++) {
		slot = slots[another(i, n)];
		#pragma GCC unroll 16
		for (j = 0; j < EACH; j++)
			deadline_slot_move(slot, when += DEADLINE_GRAIN);
	}
	return (double)(deadline_now() - start) / MOVES / EACH;
}

static double move_timeouts(unsigned int n)
{
	struct __kernel_timespec far = timespec_of(deadline_in(FAR));
	struct io_uring_sqe *sqe;
	uint64_t start;
	unsigned int i;

	ring_open(64, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	for (i = 0; i < n; i++) {
		sqe = next_sqe();
		io_uring_prep_timeout(sqe, &far, 0, IORING_TIMEOUT_ABS);
		io_uring_sqe_set_data64(sqe, i);
	}
	must(io_uring_submit(&ring) >= 0, "io_uring_submit");
	far.tv_sec++;
	start = deadline_now();
	for (i = 0; i < MOVES; i++) {
		sqe = next_sqe();
		io_uring_prep_timeout_update(sqe, &far, another(i, n),
					     IORING_TIMEOUT_ABS);
		must(!one(), "moving a timeout");
	}
	start = deadline_now() - start;
	io_uring_queue_exit(&ring);
	return (double)start / MOVES;
}

/* The least of several runs: the kernel's tick may come into one. */
static double least(move_fn *move, unsigned int n)
{
	double best = move(n), next;
	int tries;

	for (tries = 0; tries < 3; tries++) {
		next = move(n);
		if (next < best)
			best = next;
	}
	return best;
}

static void moves(void)
{
	static const unsigned int sizes[] = { 10, 1000, 10000, MANY };
	deadline_queue *queue = queue_of(MANY);
	uint64_t when = deadline_in(FAR);
	unsigned int i, n = 0;
	char name[80];

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (; n < sizes[i]; n++) {
			slots[n] = slot_of(queue);
			must(!deadline_slot_arm(slots[n], 0, when), "arm");
		}
		snprintf(name, sizeof(name), "move one of %u to a later time",
			 n);
		figure(name, least(move_slots, n), 17, "instructions");
		figure("the same by IORING_OP_TIMEOUT_UPDATE",
		       least(move_timeouts, n), 0, "instructions");
	}
	while (n--)
		deadline_slot_free(slots[n]);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

/* From a timeout, and from an expiry, to who sleeps in the ring until then */
static uint64_t woken_by_timeout(void)
{
	struct __kernel_timespec time;
	uint64_t woken[ROUNDS], when;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		when = deadline_in(AHEAD);
		time = timespec_of(when);
		io_uring_prep_timeout(next_sqe(), &time, 0,
				      IORING_TIMEOUT_ABS);
		must(one() == -ETIME, "a timeout");
		woken[i] = deadline_now() - when;
	}
	return percentile(woken, ROUNDS, 50);
}

static uint64_t woken_by_wait(deadline_queue *queue, deadline_slot *slot)
{
	struct deadline_record record;
	uint64_t woken[ROUNDS], now;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		must(!deadline_slot_arm(slot, 0, deadline_in(AHEAD)), "arm");
		deadline_uring_prep_wait(next_sqe(), queue, 0);
		must(one() >= 0, "a wait");
		now = deadline_now();
		must(deadline_queue_reap(queue, &record, 1) == 1, "reap");
		woken[i] = now - record.when;
	}
	return percentile(woken, ROUNDS, 50);
}

static void wakeups(unsigned int mode, const char *name)
{
	deadline_queue *queue = queue_of(0);
	deadline_slot *slot = slot_of(queue);
	uint64_t timeout;
	char text[80];

	must(!!(deadline_queue_features_(queue) & DEADLINE_FEATURE_URING_WAIT),
	     "a kernel with waits");
	ring_open(8, mode);
	timeout = woken_by_timeout();
	snprintf(text, sizeof(text), "%s ring: woken by IORING_OP_TIMEOUT",
		 name);
	figure(text, timeout, 0, "instructions");
	snprintf(text, sizeof(text), "%s ring: woken by a wait for expiry",
		 name);
	figure(text, woken_by_wait(queue, slot), 1.1 * timeout, "instructions");
	io_uring_queue_exit(&ring);
	deadline_slot_free(slot);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

void costs_uring(void)
{
	/* So soon after the boot, the kernel is still busy with itself. */
	must(!deadline_sleep(deadline_background(), deadline_in(2000 * MS)),
	     "deadline_sleep");
	wakeups(0, "default");
	wakeups(IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN");
	wakeups(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		"DEFER_TASKRUN");
	moves();
}
#else

void costs_uring(void)
{
	must(0, "liburing");
}
#endif
