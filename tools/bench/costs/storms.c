// SPDX-License-Identifier: MIT
/* What one user's storms of interrupts take from everybody else. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <deadline_inline.h>
#include "costs.h"

#define QUEUES	64u
#define EACH	1024u
/* One queue's longest interrupt, as crowds.c has it */
#define LONGEST	50000.0
/* In percent: the parameter user_share as it is by itself, and what is not timed */
#define SHARE	22.0

/* The user whose limits are tried */
#define NOBODY	65534
/* As many as one user may have: the parameter user_queues as it is by itself */
#define MOST	16384u

static deadline_queue *queues[MOST];
static deadline_slot *slots[QUEUES * EACH];

/* The longest that a running thread is kept from running by many queues */
static void crowd(void)
{
	uint64_t when, last, now, longest = 0, own = 0;
	struct deadline_stats stats;
	unsigned int i, at = 0;

	for (i = 0; i < QUEUES * EACH; i++) {
		if (i % EACH == 0)
			queues[i / EACH] = queue_of(EACH);
		slots[i] = slot_of(queues[i / EACH]);
	}
	when = deadline_in(200 * MS);
	arm_all(slots, QUEUES * EACH, when);
	last = deadline_now();
	must(last < when, "arming in time");
	while (at < QUEUES) {
		now = deadline_now();
		if (now - last > longest)
			longest = now - last;
		last = now;
		must(!deadline_queue_stats(queues[at], &stats), "stats");
		at += stats.expired == EACH;
		if (stats.longest_ns > own)
			own = stats.longest_ns;
	}
	figure("longest interrupt, 64 queues of 1024 due at one instant",
	       longest, QUEUES * LONGEST, "instructions");
	figure("of that, the longest for one of the queues", own, LONGEST,
	       "instructions");
	for (i = 0; i < QUEUES * EACH; i++)
		deadline_slot_free(slots[i]);
	for (i = 0; i < QUEUES; i++)
		must(!deadline_queue_close(queues[i]), "deadline_queue_close");
}

/* The longest that a running thread is kept from running until all of these are over */
static uint64_t longest_of(deadline_slot *const *some, unsigned int n)
{
	uint64_t last = deadline_now(), now, longest = 0;
	unsigned int at = 0;

	while (at < n) {
		now = deadline_now();
		if (now - last > longest)
			longest = now - last;
		last = now;
		at += deadline_over(deadline_slot_word(some[at]));
	}
	return longest;
}

/* One user's, of one slot each, so that nearly all have to be put off at that instant */
static void most_queues(void)
{
	const struct rlimit files = { MOST + 100, MOST + 100 };
	long before = memory_used();
	uint64_t when;
	unsigned int i;

	must(!setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	must(!setreuid(NOBODY, 0), "setreuid");
	for (i = 0; i < MOST; i++) {
		queues[i] = queue_of(1);
		slots[i] = slot_of(queues[i]);
	}
	must(!setreuid(0, 0), "setreuid");
	figure("memory per queue of 64 slots, kernel and mappings",
	       (memory_used() - before) * 1024.0 / MOST, 20000, "bytes");
	when = deadline_in(200 * MS);
	arm_all(slots, MOST, when);
	must(deadline_now() < when, "arming in time");
	figure("longest interrupt, 16384 queues of one user due at one instant",
	       longest_of(slots, MOST), 9000000, "instructions");
	for (i = 0; i < MOST; i++) {
		deadline_slot_free(slots[i]);
		must(!deadline_queue_close(queues[i]), "deadline_queue_close");
	}
}

/*
 * Somebody else spins and moves his deadline on and on, always a little ahead of
 * now, by plain stores: each interrupt finds it moved and plans the next one.
 */
#define AHEAD	2000u
#define ROUNDS	300u

struct mover {
	deadline_slot *slot;
	bool storm;
	bool stop;
	uint64_t turns;
};

static void *move_on(void *arg)
{
	struct mover *m = arg;
	uint64_t when;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED)) {
		when = deadline_in(AHEAD) & ~DEADLINE_WORD_STATE;
		__atomic_store_n(&m->slot->word, when | DEADLINE_WORD_ARMED,
				 __ATOMIC_SEQ_CST);
		/* First of all, and where it came too late once */
		if (m->storm && m->slot->queued == DEADLINE_QUEUED_NEVER)
			deadline_slot_hand_in_(m->slot, 1);
		__atomic_fetch_add(&m->turns, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Sleep until one deadline after the other, and tell how late each was. Returns
 * how many turns a ms the mover took meanwhile.
 */
static double beside(struct mover *m, deadline_queue *queue, uint64_t *late)
{
	deadline_slot *slot = slot_of(queue);
	int fd = deadline_queue_fd(queue);
	struct deadline_expiry expiry;
	uint64_t start, turns;
	pthread_t thread;
	unsigned int i;

	m->stop = false;
	must(!pthread_create(&thread, NULL, move_on, m), "pthread_create");
	turns = __atomic_load_n(&m->turns, __ATOMIC_RELAXED);
	start = deadline_now();
	for (i = 0; i < ROUNDS; i++) {
		deadline_slot_arm(slot, 0, deadline_in(MS));
		must(read(fd, &expiry, sizeof(expiry)) == sizeof(expiry),
		     "read of the queue");
		late[i] = expiry.expired_at - expiry.deadline;
	}
	start = deadline_now() - start;
	turns = __atomic_load_n(&m->turns, __ATOMIC_RELAXED) - turns;
	__atomic_store_n(&m->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	deadline_slot_free(slot);
	return (double)turns * MS / start;
}

static void mover(void)
{
	deadline_queue *ours = queue_of(0), *theirs;
	uint64_t late[ROUNDS];
	struct mover m = {};
	double calm, storm;

	/* The limit is the user's who opened it. */
	must(!setreuid(NOBODY, 0), "setreuid");
	theirs = queue_of(0);
	must(!setreuid(0, 0), "setreuid");
	m.slot = slot_of(theirs);
	calm = beside(&m, ours, late);
	m.storm = true;
	storm = beside(&m, ours, late);
	figure("a deadline moved on for ever: another user's, lateness max",
	       percentile(late, ROUNDS, 100), 100000, "instructions");
	figure("the same: its interrupts take of the CPU",
	       100 * (1 - storm / calm), SHARE, "percent");
	deadline_slot_free(m.slot);
	must(!deadline_queue_close(theirs), "deadline_queue_close");
	must(!deadline_queue_close(ours), "deadline_queue_close");
}

void costs_storms(void)
{
	crowd();
	most_queues();
	mover();
}
