// SPDX-License-Identifier: GPL-2.0
/*
 * Any number of threads on the slots of any number of queues, two million
 * operations: every arm has exactly one end, no expiry comes early, none is
 * lost, none comes twice.
 *
 * A deadline's low bits carry the number under which it was set on its slot, so
 * that an expiry tells which of them it was. An expiry that the owner finds
 * unconsumed before it arms again is claimed, unless a reaper is quicker: then
 * it must be delivered. The two together must be all that expired. When the
 * numbers are used up, the threads end, the books are balanced, and others begin.
 *
 * The long form, 10^8 arms: DEADLINE_TEST_PERCENT=15000 lib_exact
 */
#include "library.h"

#define SLOTS 64
#define QUEUES 8
#define THREADS 8
/* Of all threads, after which the numbers are used up or nearly so */
#define LAP 400000ul
/* Deadlines of one slot that can be told apart, in units of 16 ns */
#define NUMBERS 4096
#define REAPED 1
#define CLAIMABLE 2

/* A slot as all threads know it; @lock is held by whoever owns it just now */
struct shared {
	deadline_slot *slot;
	bool lock;
	uint32_t number;
	uint64_t when[NUMBERS];
	unsigned char marks[NUMBERS];
};

struct work {
	struct deadline_queue *queues[QUEUES];
	unsigned int count;
	struct shared shared[SLOTS];
};

struct counts {
	uint64_t armed;
	uint64_t moved;
	uint64_t cancelled;
	uint64_t requested;
	uint64_t reaped;
	uint64_t claimed;
	uint64_t early;
	uint64_t twice;
	uint64_t unknown;
	uint64_t failed;
};

struct worker {
	struct work *work;
	unsigned long n;
	uint64_t seed;
	struct counts counts;
};

/* The next deadline for a slot that we own, about @from now, and its number */
static uint64_t next_deadline(struct shared *s, uint64_t from)
{
	uint64_t when = (clock_ns() + from) & ~(uint64_t)(NUMBERS * 16 - 1);

	when |= ++s->number * 16;
	__atomic_store_n(&s->when[s->number], when, __ATOMIC_RELEASE);
	return when;
}

/* Which deadline of the slot @when was; 0 if none of this lap's */
static uint32_t number_of(struct shared *s, uint64_t when)
{
	uint32_t number = when / 16 % NUMBERS;

	return __atomic_load_n(&s->when[number], __ATOMIC_ACQUIRE) == when ?
	       number : 0;
}

static unsigned char mark(struct shared *s, uint32_t number, unsigned char bit)
{
	return __atomic_fetch_or(&s->marks[number], bit, __ATOMIC_RELAXED);
}

static void arm(struct worker *w, struct shared *s, uint64_t from)
{
	uint64_t word = __atomic_load_n((const uint64_t *)
					deadline_slot_word(s->slot),
					__ATOMIC_ACQUIRE);

	if ((word & 7) == 2)
		mark(s, number_of(s, word & ~(uint64_t)15), CLAIMABLE);
	if (deadline_slot_arm(s->slot, 0, next_deadline(s, from)))
		w->counts.failed++;
	else
		w->counts.armed++;
}

static void move(struct worker *w, struct shared *s, uint64_t from)
{
	int ret = deadline_slot_move(s->slot, next_deadline(s, from));

	if (ret < 0)
		w->counts.failed++;
	else
		w->counts.moved += ret;
}

static void arm_or_move(struct worker *w, struct shared *s)
{
	uint64_t from = next_random(&w->seed) % (400 * US);

	if (__atomic_exchange_n(&s->lock, true, __ATOMIC_ACQUIRE))
		return;
	if (s->number == NUMBERS - 1)
		;
	else if (slot_is_over(s->slot))
		arm(w, s, from);
	else
		move(w, s, from);
	__atomic_store_n(&s->lock, false, __ATOMIC_RELEASE);
}

static void check_record(struct worker *w, const struct deadline_record *record)
{
	struct shared *s = &w->work->shared[record->user_data];
	uint32_t number = number_of(s, record->when);

	w->counts.reaped++;
	w->counts.unknown += record->slot != s->slot || !number;
	w->counts.early += record->expired_at < record->when ||
		clock_ns() < record->when;
	w->counts.twice += mark(s, number, REAPED) & REAPED;
}

static int reap(struct worker *w, deadline_queue *queue)
{
	struct deadline_record records[8];
	int i, n = deadline_queue_reap(queue, records, 8);

	for (i = 0; i < n; i++)
		check_record(w, &records[i]);
	return n;
}

static void *work_thread(void *arg)
{
	struct worker *w = arg;
	struct shared *s;
	unsigned long i;
	uint64_t dice;

	for (i = 0; i < w->n; i++) {
		dice = next_random(&w->seed);
		s = &w->work->shared[dice % SLOTS];
		dice = dice / SLOTS % 16;
		if (dice < 9)
			arm_or_move(w, s);
		else if (dice < 12)
			w->counts.cancelled += deadline_slot_cancel(s->slot);
		else if (dice < 13)
			w->counts.requested += deadline_slot_expire(s->slot);
		else
			reap(w, w->work->queues[i % w->work->count]);
	}
	return NULL;
}

static int set_up(struct work *work, unsigned int queues)
{
	unsigned int i;

	memset(work, 0, sizeof(*work));
	for (work->count = 0; work->count < queues; work->count++) {
		if (deadline_queue_open(&work->queues[work->count], NULL))
			return -1;
	}
	for (i = 0; i < SLOTS; i++) {
		if (deadline_slot_alloc(work->queues[i % queues], i,
					&work->shared[i].slot))
			return -1;
	}
	return 0;
}

/*
 * Cancel half of what is still armed, wait for the rest to expire, and reap what
 * has expired, all of it.  Where threads take turns, as under valgrind, the lap
 * may have been one turn, and nothing has expired before.
 */
static void finish(struct worker *w)
{
	deadline_queue *queue;
	unsigned int i;

	for (i = 0; i < SLOTS / 2; i++)
		w->counts.cancelled +=
			deadline_slot_cancel(w->work->shared[i].slot);
	for (; i < SLOTS; i++)
		WAIT_FOR(slot_is_over(w->work->shared[i].slot));
	for (i = 0; i < w->work->count; i++) {
		queue = w->work->queues[i];
		do {
			WAIT_FOR(reap(w, queue) == 0);
		} while (deadline_queue_pending(queue));
	}
}

static void sum_up(struct counts *sum, const struct counts *counts)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)counts;
	unsigned int i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

/* Expiries that nobody reaped and an owner found in its way; forget the lap. */
static uint64_t claimed(struct work *work)
{
	struct shared *s;
	uint64_t n = 0;
	uint32_t i, j;

	for (i = 0; i < SLOTS; i++) {
		s = &work->shared[i];
		for (j = 1; j <= s->number; j++)
			n += s->marks[j] == CLAIMABLE;
		memset(s->marks, 0, sizeof(s->marks));
		memset(s->when, 0, sizeof(s->when));
		s->number = 0;
	}
	return n;
}

static uint64_t all_expired(const struct work *work)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < work->count; i++)
		n += stats_of(work->queues[i]).expired;
	return n;
}

FIXTURE(exact) {
	struct work *work;
};

FIXTURE_VARIANT(exact) {
	unsigned int threads;
	unsigned int queues;
};

FIXTURE_VARIANT_ADD(exact, one_thread) {
	.threads = 1,
	.queues = 1,
};

FIXTURE_VARIANT_ADD(exact, threads_on_a_queue) {
	.threads = 2,
	.queues = 1,
};

FIXTURE_VARIANT_ADD(exact, thread_with_queues) {
	.threads = 1,
	.queues = 4,
};

FIXTURE_VARIANT_ADD(exact, threads_on_queues) {
	.threads = 4,
	.queues = 2,
};

FIXTURE_VARIANT_ADD(exact, many_of_both) {
	.threads = THREADS,
	.queues = QUEUES,
};

FIXTURE_SETUP(exact)
{
	self->work = malloc(sizeof(*self->work));
	ASSERT_NE(NULL, self->work);
	ASSERT_EQ(0, set_up(self->work, variant->queues));
}

FIXTURE_TEARDOWN(exact)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		deadline_slot_free(self->work->shared[i].slot);
	for (i = 0; i < self->work->count; i++)
		EXPECT_EQ(0, deadline_queue_close(self->work->queues[i]));
	free(self->work);
}

/* As many operations, by so many threads, to their end; adds what came of them. */
static int lap(struct work *work, unsigned int threads, unsigned long n,
	       uint64_t seed, struct counts *sum)
{
	struct worker workers[THREADS] = {};
	pthread_t ids[THREADS];
	unsigned int i;

	for (i = 0; i < threads; i++) {
		workers[i].work = work;
		workers[i].n = n / threads;
		workers[i].seed = seed * THREADS + i;
		if (pthread_create(&ids[i], NULL, work_thread, &workers[i]))
			return -1;
	}
	for (i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	finish(&workers[0]);
	for (i = 0; i < threads; i++)
		sum_up(sum, &workers[i].counts);
	sum->claimed += claimed(work);
	return 0;
}

static void check(struct __test_metadata *_metadata, const struct work *work,
		  const struct counts *sum)
{
	uint64_t expired = sum->armed - sum->cancelled - sum->requested;

	ASSERT_EQ(0, sum->failed);
	ASSERT_EQ(0, sum->early);
	ASSERT_EQ(0, sum->twice);
	ASSERT_EQ(0, sum->unknown);
	WAIT_FOR(all_expired(work) >= expired);
	ASSERT_EQ(expired, all_expired(work));
	ASSERT_EQ(expired, sum->reaped + sum->claimed);
}

/* The long form takes hours where a CPU is emulated. */
TEST_F_TIMEOUT(exact, every_arm_ends_once, 24 * 3600)
{
	unsigned long n, left = rounds(LAP);
	struct counts sum = {};

	for (; left; left -= n) {
		n = left < LAP ? left : LAP;
		ASSERT_EQ(0, lap(self->work, variant->threads, n, left, &sum));
		check(_metadata, self->work, &sum);
	}
	/* All of it must have happened, or nothing was tested. */
	EXPECT_LT(0, sum.moved);
	EXPECT_LT(0, sum.cancelled);
	EXPECT_LT(0, sum.requested);
	EXPECT_LT(0, sum.reaped);
	TH_LOG("armed %ju: cancelled %ju requested %ju reaped %ju claimed %ju; moved %ju",
	       sum.armed, sum.cancelled, sum.requested, sum.reaped,
	       sum.claimed, sum.moved);
}

TEST_HARNESS_MAIN
