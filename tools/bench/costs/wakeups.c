// SPDX-License-Identifier: MIT
/* From the deadline to whoever sees it: one that spins, one that sleeps. */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <deadline_inline.h>
#include "costs.h"

#define ROUNDS	400u
#define AHEAD	(1 * MS)

static void spinning(deadline_queue *queue, deadline_slot *slot)
{
	const deadline_word *word = deadline_slot_word(slot);
	uint64_t stamped[ROUNDS], noticed[ROUNDS], now;
	struct deadline_record record;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		deadline_slot_arm(slot, 0, deadline_in(AHEAD));
		while (!deadline_over(word))
			;
		now = deadline_now();
		must(deadline_queue_reap(queue, &record, 1) == 1, "reap");
		must(record.expired_at >= record.when, "never early");
		stamped[i] = record.expired_at - record.when;
		noticed[i] = now - record.when;
	}
	figure("stamped after the deadline, median",
	       percentile(stamped, ROUNDS, 50), 500, "instructions");
	figure("stamped after the deadline, maximum",
	       percentile(stamped, ROUNDS, 100), 0, "instructions");
	figure("noticed by a spinning thread, with its clock read, median",
	       percentile(noticed, ROUNDS, 50), 1400, "instructions");
	figure("noticed by a spinning thread, with its clock read, maximum",
	       percentile(noticed, ROUNDS, 100), 0, "instructions");
}

static uint64_t blocked_read(deadline_queue *queue, deadline_slot *slot)
{
	int fd = deadline_queue_fd(queue);
	struct deadline_expiry expiry;
	uint64_t woken[ROUNDS];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		deadline_slot_arm(slot, 0, deadline_in(AHEAD));
		must(read(fd, &expiry, sizeof(expiry)) == sizeof(expiry),
		     "read of the queue");
		woken[i] = deadline_now() - expiry.deadline;
	}
	return percentile(woken, ROUNDS, 50);
}

/* By the library's call, which reaps nothing, and then its other */
static uint64_t blocked_wait(deadline_queue *queue, deadline_slot *slot)
{
	struct deadline_record record;
	uint64_t woken[ROUNDS];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		deadline_slot_arm(slot, 0, deadline_in(AHEAD));
		must(!deadline_queue_wait(queue, DEADLINE_NEVER), "wait");
		must(deadline_queue_reap(queue, &record, 1) == 1, "reap");
		woken[i] = deadline_now() - record.when;
	}
	return percentile(woken, ROUNDS, 50);
}

static uint64_t blocked_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec spec = {};
	uint64_t woken[ROUNDS], when, count;
	unsigned int i;

	must(fd >= 0, "timerfd_create");
	for (i = 0; i < ROUNDS; i++) {
		when = deadline_in(AHEAD);
		spec.it_value.tv_sec = when / (1000 * MS);
		spec.it_value.tv_nsec = when % (1000 * MS);
		must(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL),
		     "timerfd_settime");
		must(read(fd, &count, sizeof(count)) == sizeof(count),
		     "read of a timerfd");
		woken[i] = deadline_now() - when;
	}
	close(fd);
	return percentile(woken, ROUNDS, 50);
}

/* How a timerfd is moved to a later time, as each request of a server would */
static double settime_later(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec spec = {};
	uint64_t begin = deadline_now();
	unsigned int i;

	must(fd >= 0, "timerfd_create");
	for (i = 0; i < ROUNDS; i++) {
		spec.it_value.tv_sec = begin / (1000 * MS) + 1000 + i;
		must(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL),
		     "timerfd_settime");
	}
	begin = deadline_now() - begin;
	close(fd);
	return (double)begin / ROUNDS;
}

/**
 * struct relay - timerfd's calls over a queue, as a library preloaded could have them
 * @queue: the one queue of all timers
 * @fd: the eventfd that a program has in place of a timerfd, as it must have one for
 *	each
 */
struct relay {
	deadline_queue *queue;
	int fd;
};

static void *relay_thread(void *arg)
{
	const struct relay *relay = arg;
	struct deadline_record record;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		must(!deadline_queue_wait(relay->queue, DEADLINE_NEVER), "wait");
		must(deadline_queue_reap(relay->queue, &record, 1) == 1, "reap");
		must(!eventfd_write(relay->fd, 1), "write of an eventfd");
	}
	return NULL;
}

static uint64_t blocked_eventfd(deadline_queue *queue, deadline_slot *slot)
{
	struct relay relay = { .queue = queue, .fd = eventfd(0, EFD_CLOEXEC) };
	uint64_t woken[ROUNDS], when;
	pthread_t thread;
	eventfd_t count;
	unsigned int i;

	must(relay.fd >= 0, "eventfd");
	must(!pthread_create(&thread, NULL, relay_thread, &relay), "a thread");
	for (i = 0; i < ROUNDS; i++) {
		when = deadline_in(AHEAD);
		deadline_slot_arm(slot, 0, when);
		must(!eventfd_read(relay.fd, &count), "read of an eventfd");
		woken[i] = deadline_now() - when;
	}
	must(!pthread_join(thread, NULL), "join");
	close(relay.fd);
	return percentile(woken, ROUNDS, 50);
}

/* The same with one arming for all: each read finds one period more. */
static uint64_t periodic_read(deadline_queue *queue, deadline_slot *slot)
{
	int fd = deadline_queue_fd(queue);
	struct deadline_expiry expiry;
	uint64_t woken[ROUNDS];
	unsigned int i;

	must(!deadline_slot_set_period(slot, AHEAD), "set_period");
	deadline_slot_arm(slot, 0, deadline_in(AHEAD));
	for (i = 0; i < ROUNDS; i++) {
		must(read(fd, &expiry, sizeof(expiry)) == sizeof(expiry),
		     "read of the queue");
		must(!expiry.overruns, "reading each period");
		woken[i] = deadline_now() - expiry.deadline;
	}
	deadline_slot_cancel(slot);
	return percentile(woken, ROUNDS, 50);
}

static uint64_t periodic_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t woken[ROUNDS], when = deadline_in(AHEAD), count;
	struct itimerspec spec = {
		.it_value.tv_sec = when / (1000 * MS),
		.it_value.tv_nsec = when % (1000 * MS),
		.it_interval.tv_nsec = AHEAD,
	};
	unsigned int i;

	must(fd >= 0, "timerfd_create");
	must(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL),
	     "timerfd_settime");
	for (i = 0; i < ROUNDS; i++) {
		must(read(fd, &count, sizeof(count)) == sizeof(count) &&
		     count == 1, "read of a timerfd");
		woken[i] = deadline_now() - when;
		when += AHEAD;
	}
	close(fd);
	return percentile(woken, ROUNDS, 50);
}

void costs_wakeups(void)
{
	deadline_queue *queue = queue_of(0);
	deadline_slot *slot = slot_of(queue);
	uint64_t timerfd, ours, waited;

	spinning(queue, slot);
	timerfd = blocked_timerfd();
	ours = blocked_read(queue, slot);
	waited = blocked_wait(queue, slot);
	figure("blocked read of a timerfd, median", timerfd, 0,
	       "instructions");
	figure("blocked read of the queue, median", ours, 1.095 * timerfd,
	       "instructions");
	figure("deadline_queue_wait and reap, median", waited, 1.15 * timerfd,
	       "instructions");
	timerfd = periodic_timerfd();
	ours = periodic_read(queue, slot);
	figure("read of each interval of a timerfd, median", timerfd, 0,
	       "instructions");
	figure("read of each period of a slot, median", ours, 1.2 * timerfd,
	       "instructions");
	deadline_slot_free(slot);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}

void costs_relay(void)
{
	deadline_queue *queue = queue_of(0);
	deadline_slot *slot = slot_of(queue);

	figure("timerfd_settime to a later time", settime_later(), 0,
	       "instructions");
	figure("read of an eventfd that a thread writes which waits for the queue",
	       blocked_eventfd(queue, slot), 0, "instructions");
	deadline_slot_free(slot);
	must(!deadline_queue_close(queue), "deadline_queue_close");
}
