// SPDX-License-Identifier: MIT
/*
 * A task whose process has a CPU quota, 20 ms in each 100, and uses it up: most of
 * its deadlines fall while it is throttled. Whose is the lateness then? When it was
 * found due, by whoever does that; when the task itself saw it; and how much of
 * that the cgroup was throttled, by its own account.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

#define ROOT	"/sys/fs/cgroup"
#define GROUP	ROOT "/deadline-bench"
#define PERIOD	(100 * MS)
#define ROUNDS	20u
/* Longer than an interrupt and less than any throttling */
#define AWAY	(50 * US)

static const unsigned int one[] = { 1, NUMBERS_END };

/**
 * struct lot - what became of one deadline, in ns
 * @expired: from it to when it was found due
 * @seen: from it to when the task saw that
 * @throttled: how much of @seen its cgroup was throttled
 * @rest: how much of @seen it was not
 */
struct lot {
	uint64_t expired, seen, throttled, rest;
};

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

int quota_enter(void)
{
	if (!put(ROOT "/cgroup.subtree_control", "+cpu") ||
	    (mkdir(GROUP, 0755) && errno != EEXIST) ||
	    !put(GROUP "/cpu.max", "20000 100000") ||
	    !put(GROUP "/cgroup.procs", "0"))
		not_here("a cgroup with a quota");
	return open(GROUP "/cpu.stat", O_RDONLY | O_CLOEXEC);
}

void quota_leave(int stat)
{
	close(stat);
	must(put(ROOT "/cgroup.procs", "0") && !rmdir(GROUP),
	     "leaving the cgroup");
}

/* For how many ns the cgroup was throttled until now */
static uint64_t throttled(int stat)
{
	static const char name[] = "throttled_usec ";
	char text[1024] = "", *at;

	must(pread(stat, text, sizeof(text) - 1, 0) > 0, "reading cpu.stat");
	at = strstr(text, name);
	must(at, "finding throttled_usec");
	return strtoull(at + strlen(name), NULL, 10) * US;
}

/*
 * Look until it is over. Where the task was away, the account says for how long of
 * that it was throttled: from when it went.
 */
static void look(struct lot *lot, const struct peer *peer, void *self,
		 uint64_t when, int stat)
{
	uint64_t before, until, was = throttled(stat), is;
	uint64_t now = deadline_now();
	bool over;

	do {
		before = now;
		over = peer->over(self, 1);
		now = deadline_now();
		if (now < before + AWAY)
			continue;
		is = throttled(stat);
		until = before + is - was;
		must(until <= now, "throttling no more than this task");
		if (before < when)
			before = when;
		if (until > before)
			lot->throttled += until - before;
		was = is;
	} while (!over);
	must(now >= when, "being never early");
	lot->seen = now - when;
	lot->rest = lot->seen - lot->throttled;
}

/* Use the quota up: returns when the next period has begun. */
static void next_period(int stat)
{
	uint64_t before = throttled(stat), end = deadline_in(10 * PERIOD);

	while (throttled(stat) == before)
		must(deadline_now() < end, "being throttled");
}

/*
 * So long into a period: just before a twentieth of it ends. The task runs during
 * the first four, and for what is left until the tick that throttles it.
 */
static uint64_t into_period(unsigned int i)
{
	return PERIOD / ROUNDS * (i * 7 % ROUNDS + 1) - 100 * US;
}

/* Of each lot, the value that lies at this offset */
static void watch(struct histogram *result, const struct peer *peer,
		  unsigned int n, unsigned int percent, size_t offset)
{
	uint64_t when, expired = 0;
	unsigned int i;
	struct lot lot;
	void *self;
	int stat;

	stat = quota_enter();
	self = peer_open(peer, n);
	for (i = 0; i < ROUNDS * percent / 100; i++) {
		next_period(stat);
		lot = (struct lot){ };
		when = deadline_in(into_period(i)) & ~15ull;
		peer->start(self, &when, 1);
		look(&lot, peer, self, when, stat);
		if (peer->take)
			peer->take(self, &expired);
		lot.expired = expired - when;
		histogram_add(result, *(uint64_t *)((char *)&lot + offset));
	}
	peer->close(self);
	quota_leave(stat);
}

static void run_expired(struct histogram *result, const struct peer *peer,
			unsigned int n, unsigned int percent)
{
	watch(result, peer, n, percent, offsetof(struct lot, expired));
}

static void run_seen(struct histogram *result, const struct peer *peer,
		     unsigned int n, unsigned int percent)
{
	watch(result, peer, n, percent, offsetof(struct lot, seen));
}

static void run_throttled(struct histogram *result, const struct peer *peer,
			  unsigned int n, unsigned int percent)
{
	watch(result, peer, n, percent, offsetof(struct lot, throttled));
}

static void run_rest(struct histogram *result, const struct peer *peer,
		     unsigned int n, unsigned int percent)
{
	watch(result, peer, n, percent, offsetof(struct lot, rest));
}

const struct scenario scenario_quota_expired = {
	.name	 = "quota-expired",
	.what	 = "beside a CPU quota of 20 %: it is found due",
	.numbers = one,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_stamp,
	.run	 = run_expired,
};

const struct scenario scenario_quota_seen = {
	.name	 = "quota-seen",
	.what	 = "the same: the task that works notices, by the wall clock",
	.numbers = one,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_notice,
	.run	 = run_seen,
};

const struct scenario scenario_quota_throttled = {
	.name	 = "quota-throttled",
	.what	 = "the same: of which it was throttled",
	.numbers = one,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_notice,
	.run	 = run_throttled,
};

const struct scenario scenario_quota_rest = {
	.name	 = "quota-rest",
	.what	 = "the same: of which it was not",
	.numbers = one,
	.scale	 = 1,
	.spread	 = true,
	.can	 = peer_can_notice,
	.run	 = run_rest,
};
