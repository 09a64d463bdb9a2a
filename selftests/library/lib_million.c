// SPDX-License-Identifier: GPL-2.0
/*
 * 1,000,000 contexts are there at once (or fewer, see rounds()): half are cancelled
 * while the other half expire, at spread deadlines. None is lost or early.
 */
#include "library.h"

#define MILLION 1000000

#define CAUSE 0xCA05Eul

static deadline_context *contexts[MILLION];
static unsigned long million;

/* The odd ones expire after half a second to one and a half, in no order. */
static int create_all(void)
{
	unsigned long i;
	uint64_t ns;
	int ret = 0;

	for (i = 0; i < million && !ret; i++) {
		ns = SECOND / 2 + i * 2654435761u % SECOND;
		ret = deadline_with_timeout(deadline_background(), CAUSE + i,
					    &contexts[i],
					    i % 2 ? ns : DEADLINE_NEVER);
	}
	return ret;
}

static unsigned long cancel_even(void)
{
	unsigned long i, n = 0;

	for (i = 0; i < million; i += 2)
		n += deadline_cancel(contexts[i], CAUSE - i) == 1;
	return n;
}

/* Look at the odd ones again and again until all are over; how many were early? */
static unsigned long expire_odd(void)
{
	static bool over[MILLION];
	unsigned long i, left = million / 2, early = 0;

	while (left) {
		for (i = 1; i < million; i += 2) {
			const deadline_context *context = contexts[i];

			if (over[i] ||
			    !deadline_over(deadline_context_word(context)))
				continue;
			over[i] = true;
			left--;
			early += deadline_now() < deadline_when(context);
		}
		relax();
	}
	return early;
}

TEST(none_lost_none_early)
{
	unsigned long i, wrong = 0;

	million = rounds(MILLION);
	ASSERT_EQ(0, create_all());
	EXPECT_EQ((million + 1) / 2, cancel_even());
	EXPECT_EQ(0, expire_odd());
	for (i = 0; i < million; i++) {
		wrong += deadline_err(contexts[i]) !=
			 (i % 2 ? -ETIME : -ECANCELED);
		wrong += deadline_cause(contexts[i]) !=
			 (i % 2 ? CAUSE + i : CAUSE - i);
	}
	EXPECT_EQ(0, wrong);
	for (i = 0; i < million; i++)
		deadline_release(contexts[i]);
}

TEST_HARNESS_MAIN
