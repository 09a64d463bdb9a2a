// SPDX-License-Identifier: MIT
/*
 * State Threads with its timeouts in a queue of deadlines, as TAP. Its own clock
 * stands still until it is measured: no timer of its own can expire before that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "tests.h"

#define US		1000ull
#define MS		1000000ull
#define SLEEPERS	1000u
#define SLEEPS		10u
#define RACES		300u

static bool clock_runs;

static st_utime_t library_clock(void)
{
	return clock_runs ? deadline_now() / US : 0;
}

void die(const char *what)
{
	fprintf(stderr, "state-threads: %s failed: %s\n", what,
		strerror(errno));
	exit(1);
}

st_thread_t start(void *(*fn)(void *arg), void *arg)
{
	st_thread_t thread = st_thread_create(fn, arg, 1, 32 << 10);

	must(thread, "st_thread_create");
	return thread;
}

static void tell(bool ok, unsigned int n)
{
	printf("%sok %u - ", ok ? "" : "not ", n);
}

static struct {
	unsigned int slept, early;
	uint64_t latest;
} sleeps;

static void *sleeper(void *arg)
{
	struct timeout timeout;
	uint64_t until, now;
	unsigned int i;

	must(!timeout_open(&timeout), "timeout_open");
	for (i = 0; i < SLEEPS; i++) {
		until = deadline_in(MS + ((uintptr_t)arg * 50021 +
					  7919 * US * i) % (49 * MS));
		must(!timeout_sleep(&timeout, until), "timeout_sleep");
		now = deadline_now();
		sleeps.slept++;
		sleeps.early += now < until;
		if (now > until && sleeps.latest < now - until)
			sleeps.latest = now - until;
	}
	timeout_close(&timeout);
	return NULL;
}

static bool test_sleep(void)
{
	static st_thread_t threads[SLEEPERS];
	uintptr_t i;
	bool ok;

	for (i = 0; i < SLEEPERS; i++)
		threads[i] = start(sleeper, (void *)i);
	for (i = 0; i < SLEEPERS; i++)
		st_thread_join(threads[i], NULL);
	ok = sleeps.slept == SLEEPERS * SLEEPS && !sleeps.early;
	tell(ok, 1);
	printf("%u sleeps of %u coroutines, %u early, the latest by %llu us\n",
	       sleeps.slept, SLEEPERS, sleeps.early, sleeps.latest / US);
	return ok;
}

/* A byte is written after its reader gives up, at about that time, or before. */
static const int64_t patience[] = { -500 * (int64_t)US, 0, 10000 * MS };

static struct {
	st_netfd_t reader, writer;
	st_cond_t go;
	uint64_t write_at;
} race;

static void *writer(void *unused)
{
	struct timeout timeout;
	unsigned int i;

	must(!timeout_open(&timeout), "timeout_open");
	for (i = 0; i < RACES; i++) {
		while (!race.write_at)
			st_cond_wait(race.go);
		must(!timeout_sleep(&timeout, race.write_at), "timeout_sleep");
		race.write_at = 0;
		must(st_write(race.writer, "", 1, ST_UTIME_NO_TIMEOUT) == 1,
		     "st_write");
	}
	timeout_close(&timeout);
	return unused;
}

/* Returns whether it gave up; then the byte has to come all the same. */
static bool read_in_time(struct timeout *timeout, uint64_t until)
{
	ssize_t got;
	bool over;
	char byte;

	must(!timeout_begin(timeout, until), "timeout_begin");
	got = st_read(race.reader, &byte, 1, ST_UTIME_NO_TIMEOUT);
	over = timeout_end(timeout);
	if (got == 1)
		return false;
	must(errno == EINTR && over && deadline_now() >= until, "waiting");
	must(st_read(race.reader, &byte, 1, ST_UTIME_NO_TIMEOUT) == 1,
	     "st_read without a timeout");
	return true;
}

static bool test_read(void)
{
	struct timeout timeout;
	unsigned int i, late = 0;
	st_thread_t thread;
	int fds[2];
	bool ok;

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair");
	race.reader = st_netfd_open_socket(fds[0]);
	race.writer = st_netfd_open_socket(fds[1]);
	race.go = st_cond_new();
	must(!timeout_open(&timeout), "timeout_open");
	thread = start(writer, NULL);
	for (i = 0; i < RACES; i++) {
		race.write_at = deadline_in(MS);
		st_cond_signal(race.go);
		late += read_in_time(&timeout, race.write_at + patience[i % 3] +
				     US * (i % 7));
	}
	st_thread_join(thread, NULL);
	timeout_close(&timeout);
	st_netfd_close(race.reader);
	st_netfd_close(race.writer);
	ok = late && late < RACES;
	tell(ok, 2);
	printf("%u of %u reads gave up, all bytes came\n", late, RACES);
	return ok;
}

static void *signal_once(void *cond)
{
	st_cond_signal(cond);
	return NULL;
}

/* It expires, and before anybody looks the coroutine waits for something else. */
static bool test_stale(void)
{
	st_cond_t cond = st_cond_new();
	struct timeout timeout;
	st_thread_t thread;
	bool ok;

	must(!timeout_open(&timeout), "timeout_open");
	must(!timeout_begin(&timeout, deadline_in(100 * US)), "timeout_begin");
	while (!deadline_over(deadline_slot_word(timeout.slot)))
		;
	ok = timeout_end(&timeout);
	thread = start(signal_once, cond);
	ok &= !st_cond_wait(cond);
	st_thread_join(thread, NULL);
	st_cond_destroy(cond);
	timeout_close(&timeout);
	tell(ok, 3);
	printf("an expiry seen late ends no other wait\n");
	return ok;
}

/* Two that wake each other, so that one is always ready, until that time */
static struct {
	st_cond_t turn;
	uint64_t until;
} busy;

static void *be_busy(void *unused)
{
	while (deadline_now() < busy.until) {
		st_cond_signal(busy.turn);
		st_cond_wait(busy.turn);
	}
	st_cond_signal(busy.turn);
	return unused;
}

/* Returns how late somebody who sleeps for 1 ms wakes beside them. */
static uint64_t sleep_beside(struct timeout *timeout, uint64_t ns)
{
	uint64_t now, until = deadline_in(MS);
	st_thread_t two[2];

	busy.until = deadline_in(ns);
	two[0] = start(be_busy, NULL);
	two[1] = start(be_busy, NULL);
	if (timeout)
		must(!timeout_sleep(timeout, until), "timeout_sleep");
	else
		st_usleep(MS / US);
	now = deadline_now();
	busy.until = 0;
	st_thread_join(two[0], NULL);
	st_thread_join(two[1], NULL);
	return now - until;
}

static bool test_busy(void)
{
	struct timeout timeout;
	uint64_t ours, own;
	bool ok;

	must(!timeout_open(&timeout), "timeout_open");
	busy.turn = st_cond_new();
	ours = sleep_beside(&timeout, 10000 * MS);
	clock_runs = true;
	own = sleep_beside(NULL, 20 * MS);
	timeout_close(&timeout);
	ok = ours < 9000 * MS;
	tell(ok, 4);
	printf("beside two, one always ready: 1 ms ends %llu us late\n",
	       ours / US);
	printf("# the library's own 1 ms, while they run for 20: %llu us\n",
	       own / US);
	return ok;
}

int main(void)
{
	bool ok, exact = getenv("DEADLINE_ICOUNT");

	st_set_eventsys(ST_EVENTSYS_POLL);
	st_set_utime_function(library_clock);
	must(!st_init(), "st_init");
	errno = -timeouts_start(COSTS_MOST + 1);
	must(!errno, "timeouts_start");
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%u\n", exact ? 5 : 4);
	ok = test_sleep();
	ok &= test_read();
	ok &= test_stale();
	ok &= test_busy();
	return !(ok & test_costs(exact));
}
