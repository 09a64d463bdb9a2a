// SPDX-License-Identifier: MIT
/*
 * The product: the kernel, or the library's thread, changes the word, and the
 * task loads it.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <deadline_inline.h>
#include "peer_deadline.h"

void *slots_open(int backend, unsigned int timers)
{
	struct deadline_options options = {
		.slots = timers,
		.backend = backend,
	};
	struct slots *slots;
	int ret;

	slots = malloc(sizeof(*slots) + timers * sizeof(*slots->slots));
	if (!slots)
		return NULL;
	ret = deadline_queue_open(&slots->queue, &options);
	if (ret) {
		free(slots);
		errno = -ret;
		return NULL;
	}
	for (slots->count = 0; slots->count < timers; slots->count++)
		must(!deadline_slot_alloc(slots->queue, slots->count,
					  &slots->slots[slots->count]),
		     "deadline_slot_alloc");
	return slots;
}

static void *open_kernel(unsigned int timers)
{
	return slots_open(DEADLINE_BACKEND_KERNEL, timers);
}

static void *open_thread(unsigned int timers)
{
	return slots_open(DEADLINE_BACKEND_THREAD, timers);
}

void slots_close(void *self)
{
	struct slots *slots = self;

	while (slots->count)
		deadline_slot_free(slots->slots[--slots->count]);
	must(!deadline_queue_close(slots->queue), "deadline_queue_close");
	free(slots);
}

static void slots_start(void *self, const uint64_t *when, unsigned int n)
{
	struct slots *slots = self;

	must(!deadline_slot_arm_many(slots->slots, when, n),
	     "deadline_slot_arm_many");
}

static void slots_update(void *self, const uint32_t *which,
			 const uint64_t *when, unsigned int n)
{
	struct slots *slots = self;
	unsigned int i;

	#pragma GCC unroll 4
	for (i = 0; i < n; i++)
		deadline_slot_move(slots->slots[which[i]], when[i]);
}

static bool slots_over(void *self, unsigned int n)
{
	struct slots *slots = self;
	const deadline_word *word = deadline_slot_word(slots->slots[0]);
	bool over = false;
	unsigned int i;

	#pragma GCC unroll 8
	for (i = 0; i < n && !over; i++)
		over = deadline_over(word);
	return over;
}

/* Sleeps only if there is nothing yet. */
static unsigned int slots_take(void *self, uint64_t *ret_expired)
{
	struct deadline_record records[64];
	struct slots *slots = self;
	int got;

	while (!(got = deadline_queue_reap(slots->queue, records, 64)))
		deadline_queue_wait(slots->queue, DEADLINE_NEVER);
	must(got > 0, "deadline_queue_reap");
	*ret_expired = records[got - 1].expired_at;
	return got;
}

/* One by the device's read(2), which wakes sooner */
static unsigned int kernel_take(void *self, uint64_t *ret_expired)
{
	struct deadline_expiry expiry;
	struct slots *slots = self;

	if (slots->count > 1)
		return slots_take(self, ret_expired);
	must(read(deadline_queue_fd(slots->queue), &expiry, sizeof(expiry)) ==
	     sizeof(expiry), "read of the queue");
	*ret_expired = expiry.expired_at;
	return 1;
}

#define OPERATIONS				\
	.version	= deadline_version,	\
	.tells		= true,			\
	.steady		= true,			\
	.close		= slots_close,		\
	.start		= slots_start,		\
	.arm_cancel	= slots_arm_cancel,	\
	.update		= slots_update,		\
	.over		= slots_over

const struct peer peer_deadline = {
	.name	= "deadline",
	.use	= "a slot each, served by the kernel; inline; read(2) of one",
	.most	= 1000000,
	.open	= open_kernel,
	.take	= kernel_take,
	OPERATIONS,
};

const struct peer peer_deadline_thread = {
	.name	= "deadline-thread",
	.use	= "a slot each, served by the library's thread; inline",
	.most	= 100000,
	.open	= open_thread,
	.take	= slots_take,
	OPERATIONS,
};
