// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads, a million operations each, on the same slots: every arm has
 * exactly one end, no expiry comes early, none is lost, none comes twice.
 *
 * A deadline's low bits carry the number under which it was set on its slot, so
 * that an expiry tells which of them it was. An expiry that the owner finds
 * unconsumed before it arms again is claimed, unless a reaper is quicker: then
 * it must be delivered. The two together must be all that expired.
 */
#include "library.h"

#define SLOTS 64
#define THREADS 2
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
	unsigned char *marks;
};

struct work {
	deadline_queue *queue;
	struct shared shared[SLOTS];
	uint32_t most;
};

struct counts {
	uint64_t armed;
	uint64_t moved;
	uint64_t cancelled;
	uint64_t requested;
	uint64_t reaped;
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
	uint32_t number = s->number + 1;
	uint64_t when = (clock_ns() + from) & ~(uint64_t)(NUMBERS * 16 - 1);

	when |= number % NUMBERS * 16;
	__atomic_store_n(&s->when[number % NUMBERS], when, __ATOMIC_RELAXED);
	__atomic_store_n(&s->number, number, __ATOMIC_RELEASE);
	return when;
}

/* Which deadline of the slot @when was; 0 if none of the last ones */
static uint32_t number_of(struct shared *s, uint64_t when)
{
	uint32_t last = __atomic_load_n(&s->number, __ATOMIC_ACQUIRE);
	uint32_t back = (last - when / 16) % NUMBERS;

	if (back >= last || __atomic_load_n(&s->when[when / 16 % NUMBERS],
					    __ATOMIC_RELAXED) != when)
		return 0;
	return last - back;
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
	if (s->number >= w->work->most)
		w->counts.failed++;
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

static int reap(struct worker *w)
{
	struct deadline_record records[8];
	int i, n = deadline_queue_reap(w->work->queue, records, 8);

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
			w->counts.requested += deadline_slot_request(s->slot);
		else
			reap(w);
	}
	return NULL;
}

static int set_up(struct work *work, unsigned long n)
{
	unsigned int i;

	memset(work, 0, sizeof(*work));
	if (deadline_queue_open(&work->queue, NULL))
		return -1;
	work->most = 4 * THREADS * n / SLOTS + 1000;
	for (i = 0; i < SLOTS; i++) {
		work->shared[i].marks = calloc(work->most + 1, 1);
		if (!work->shared[i].marks ||
		    deadline_slot_alloc(work->queue, i, &work->shared[i].slot))
			return -1;
	}
	return 0;
}

/* Cancel what is still armed, and reap what has expired, all of it. */
static void finish(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		w->counts.cancelled +=
			deadline_slot_cancel(w->work->shared[i].slot);
	do {
		WAIT_FOR(reap(w) == 0);
	} while (deadline_queue_pending(w->work->queue));
}

static void sum_up(struct counts *sum, const struct counts *counts)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)counts;
	unsigned int i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

/* Expiries that nobody reaped and an owner found in its way */
static uint64_t claimed(const struct work *work)
{
	uint64_t n = 0;
	uint32_t i, j;

	for (i = 0; i < SLOTS; i++) {
		for (j = 0; j <= work->most; j++)
			n += work->shared[i].marks[j] == CLAIMABLE;
	}
	return n;
}

static void check(struct __test_metadata *_metadata, const struct work *work,
		  const struct counts *sum)
{
	uint64_t expired = sum->armed - sum->cancelled - sum->requested;

	EXPECT_EQ(0, sum->failed);
	EXPECT_EQ(0, sum->early);
	EXPECT_EQ(0, sum->twice);
	EXPECT_EQ(0, sum->unknown);
	WAIT_FOR(stats_of(work->queue).expired >= expired);
	EXPECT_EQ(expired, stats_of(work->queue).expired);
	EXPECT_EQ(expired, sum->reaped + claimed(work));
	/* All of it must have happened, or nothing was tested. */
	EXPECT_LT(0, sum->moved);
	EXPECT_LT(0, sum->cancelled);
	EXPECT_LT(0, sum->requested);
	EXPECT_LT(0, sum->reaped);
	TH_LOG("armed %ju moved %ju cancelled %ju requested %ju reaped %ju",
	       sum->armed, sum->moved, sum->cancelled, sum->requested,
	       sum->reaped);
}

static void tear_down(struct __test_metadata *_metadata, struct work *work)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		deadline_slot_free(work->shared[i].slot);
		free(work->shared[i].marks);
	}
	EXPECT_EQ(0, deadline_queue_close(work->queue));
}

TEST(every_arm_ends_once)
{
	struct worker workers[THREADS] = {};
	pthread_t threads[THREADS];
	static struct work work;
	struct counts sum = {};
	unsigned int i;

	ASSERT_EQ(0, set_up(&work, rounds(1000000)));
	for (i = 0; i < THREADS; i++) {
		workers[i].work = &work;
		workers[i].n = rounds(1000000);
		workers[i].seed = i + 1;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work_thread,
					    &workers[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	finish(&workers[0]);
	for (i = 0; i < THREADS; i++)
		sum_up(&sum, &workers[i].counts);
	check(_metadata, &work, &sum);
	tear_down(_metadata, &work);
}

TEST_HARNESS_MAIN
