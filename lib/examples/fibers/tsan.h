/* SPDX-License-Identifier: MIT */
/* ThreadSanitizer wants to be told which stack comes next; others want nothing. */
#ifndef FIBERS_TSAN_H
#define FIBERS_TSAN_H

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define tsan_current()		__tsan_get_current_fiber()
#define tsan_create()		__tsan_create_fiber(0)
#define tsan_switch(fiber)	__tsan_switch_to_fiber(fiber, 0)
#define tsan_destroy(fiber)	__tsan_destroy_fiber(fiber)
#else
#define tsan_current()		NULL
#define tsan_create()		NULL
#define tsan_switch(fiber)	((void)(fiber))
#define tsan_destroy(fiber)	((void)(fiber))
#endif

#endif
