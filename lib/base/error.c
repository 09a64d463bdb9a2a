// SPDX-License-Identifier: MIT
/* What the library returns, for people. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include "base/base.h"

/* musl's strerror(3) is that: its texts stay. */
#ifndef __GLIBC__
#define strerrordesc_np strerror
#endif

const char *deadline_strerror(int ret)
{
	const char *text;

	switch (ret) {
	case -ETIME:
		return "the deadline came";
	case -ETIMEDOUT:
		return "the limit of the call came";
	case -ECANCELED:
		return "canceled";
	case -ECHILD:
		return "it belongs to the parent of this process";
	}
	text = ret < 0 ? strerrordesc_np(-ret) : "no error";
	return text ? text : "unknown error";
}
