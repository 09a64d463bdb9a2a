// SPDX-License-Identifier: GPL-2.0
/*
 * A C++ program: the headers compile, the inline forms work, and the shared
 * library has every function that the header declares.
 */
#include <cerrno>
#include <deadline.h>
#include <deadline_inline.h>
#include "kselftest.h"

static deadline_queue *queue;
static deadline_slot *slot;

static bool opens()
{
	deadline_options options = {};

	options.size = sizeof(options);
	options.slots = 64;
	return deadline_queue_open(&queue, &options) == 0 &&
		deadline_slot_alloc(queue, 42, &slot) == 0;
}

static bool expires()
{
	uint64_t when = deadline_in(2000000);
	deadline_record record = {};

	return deadline_slot_arm(slot, 0, when) == 0 &&
		deadline_queue_wait(queue, DEADLINE_NEVER) == 0 &&
		deadline_queue_pending(queue) &&
		deadline_over(deadline_slot_word(slot)) &&
		deadline_queue_reap(queue, &record, 1) == 1 &&
		record.slot == slot && record.user_data == 42 &&
		record.expired_at >= record.when && record.when >= when;
}

static bool cancels()
{
	const uint64_t never = DEADLINE_NEVER;

	return deadline_slot_arm(slot, 0, DEADLINE_NEVER) == 0 &&
		!deadline_over(deadline_slot_word(slot)) &&
		deadline_slot_arm(slot, 0, 1) == -EBUSY &&
		deadline_slot_move(slot, deadline_in(1000000000000)) == 1 &&
		deadline_slot_cancel(slot) == 1 &&
		deadline_slot_cancel(slot) == 0 &&
		deadline_slot_arm_many(&slot, &never, 1) == 0 &&
		deadline_slot_expire(slot) == 1;
}

/* The words' operations as functions: out of the library, not inlined */
static bool exported()
{
	int (*volatile arm)(deadline_slot *, uint32_t, uint64_t) =
		deadline_slot_arm;
	int (*volatile cancel)(deadline_slot *) = deadline_slot_cancel;
	bool (*volatile over)(const deadline_word *) = deadline_over;

	return arm(slot, 0, DEADLINE_NEVER) == 0 &&
		!over(deadline_slot_word(slot)) && cancel(slot) == 1 &&
		over(deadline_slot_word(slot));
}

static bool reports()
{
	deadline_stats stats = {};

	return deadline_queue_stats(queue, &stats) == 0 && stats.slots >= 64 &&
		stats.allocated == 1 && stats.expired == 1 &&
		deadline_queue_backend(queue) > 0 &&
		deadline_queue_fd(queue) >= 0 && deadline_version() &&
		deadline_now() > 0;
}

static bool closes()
{
	bool busy = deadline_queue_close(queue) == -EBUSY;

	deadline_slot_free(slot);
	return busy && deadline_queue_close(queue) == 0;
}

int main()
{
	const char *wanted = getenv("DEADLINE_BACKEND");

	ksft_print_header();
	if (wanted && wanted[0] == 'k' && access("/dev/deadline", F_OK))
		ksft_exit_skip("no /dev/deadline\n");
	ksft_set_plan(6);
	ksft_test_result(opens(), "opens\n");
	ksft_test_result(expires(), "expires\n");
	ksft_test_result(cancels(), "cancels\n");
	ksft_test_result(exported(), "exported\n");
	ksft_test_result(reports(), "reports\n");
	ksft_test_result(closes(), "closes\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
