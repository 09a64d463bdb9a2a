// SPDX-License-Identifier: MIT
/* No deadlines: what the server costs without. */
#include "echo.h"

static void none_open(unsigned int n)
{
	(void)n;
}

static void none_prepare(unsigned int i, struct io_uring_sqe *sqe)
{
	(void)i;
	(void)sqe;
}

static void none_gone(unsigned int i)
{
	(void)i;
}

static void none(void)
{
}

const struct timing timing_none = {
	.name		= "none",
	.open		= none_open,
	.idle		= none_prepare,
	.request	= none_prepare,
	.completed	= none,
	.gone		= none_gone,
	.close		= none,
};
