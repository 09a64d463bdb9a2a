/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue on a clock that the test sets, in a guest: the fixture puts the clock
 * right again. Each test waits until the kernel has told the queue of a set before
 * it goes on, so that the work behind it does not run into the next test.
 */
#ifndef SELFTESTS_CLOCK_SET_H
#define SELFTESTS_CLOCK_SET_H

#include "clocks.h"
#include "module.h"

FIXTURE(settable) {
	struct queue q;
	uint64_t ahead;
	long share;
};

FIXTURE_VARIANT(settable) {
	clockid_t clock;
};

FIXTURE_VARIANT_ADD(settable, realtime) { .clock = CLOCK_REALTIME };
FIXTURE_VARIANT_ADD(settable, tai) { .clock = CLOCK_TAI };

FIXTURE_SETUP(settable)
{
	self->ahead = ns_of(CLOCK_REALTIME) - clock_ns();
	self->share = parameter("user_share");
	ASSERT_EQ(0, queue_open_on(&self->q, variant->clock, 1024, O_CLOEXEC));
}

/* What is left of the test's own steps is put right by MONOTONIC. */
FIXTURE_TEARDOWN(settable)
{
	int64_t off = clock_ns() + self->ahead - ns_of(CLOCK_REALTIME);

	EXPECT_EQ(0, set_parameter("user_share", self->share));
	EXPECT_EQ(0, step(&self->q, off));
	queue_close(&self->q);
}

#endif
