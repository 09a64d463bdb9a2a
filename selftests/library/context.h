/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of contexts share: a root that can be cancelled */
#ifndef SELFTESTS_CONTEXT_H
#define SELFTESTS_CONTEXT_H

#include "library.h"

#define CAUSE 0xCA05Eul

FIXTURE(context) {
	deadline_context *root;
};

FIXTURE_SETUP(context)
{
	ASSERT_EQ(0, deadline_with_cancel(deadline_background(), &self->root));
}

FIXTURE_TEARDOWN(context)
{
	deadline_release(self->root);
}

static inline bool word_over(const deadline_context *context)
{
	return deadline_over(deadline_context_word(context));
}

#endif
