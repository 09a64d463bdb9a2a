// SPDX-License-Identifier: MIT
/*
 * A call out of which no exception comes: for functions of the program's on threads of
 * the library's, above which there is nobody who could catch one, so that the language
 * would end the process.
 *
 * An exception looks first for a frame that wants it: it asks the personality routine of
 * each (Itanium C++ ABI, 1.3). C has none that says yes, so call() below is given one.
 * The frames above it are unwound, with their cleanups, before it is asked again, and
 * then leaves by longjmp(3). What ends the thread (pthread_exit(3)) passes through.
 */
#include <setjmp.h>
#include <unwind.h>
#include "base/base.h"

/**
 * struct catcher - one call
 * @here: where it goes on if an exception comes
 */
struct catcher {
	jmp_buf here;
};

/* The innermost of this thread's */
static __thread struct catcher *catcher
	__attribute__((tls_model("initial-exec")));

#if defined(__ARM_EABI_UNWINDER__) || defined(__USING_SJLJ_EXCEPTIONS__)
/* Frames are described in another way: there an exception ends the process. */
#define PERSONALITY	""
#else
/* 0x9b: at a distance of 32 bits there is the address of the routine. */
#define PERSONALITY	".cfi_personality 0x9b, deadline_personality_at"

/* A program without it has no exceptions either. */
#pragma weak _Unwind_DeleteException
/* Of the C++ runtime, where there is one */
__attribute__((weak)) void *__cxa_begin_catch(void *exception);
__attribute__((weak)) void __cxa_end_catch(void);

/* As a catch (...) without a body does. C++ counts the exceptions that are on their way. */
static void drop(struct _Unwind_Exception *exception)
{
	if (__cxa_begin_catch && __cxa_end_catch) {
		__cxa_begin_catch(exception);
		__cxa_end_catch();
	} else {
		_Unwind_DeleteException(exception);
	}
}

static _Unwind_Reason_Code personality(int version, _Unwind_Action actions,
				       _Unwind_Exception_Class class,
				       struct _Unwind_Exception *exception,
				       struct _Unwind_Context *context)
{
	(void)version;
	(void)class;
	(void)context;
	if (actions & _UA_FORCE_UNWIND)
		return _URC_CONTINUE_UNWIND;
	if (actions & _UA_SEARCH_PHASE)
		return _URC_HANDLER_FOUND;
	drop(exception);
	longjmp(catcher->here, 1);
}

static __attribute__((used)) void *const personality_at
	__asm__("deadline_personality_at") = personality;
#endif

static __attribute__((noinline)) void call(void (*fn)(void *arg), void *arg)
{
	__asm__ volatile(PERSONALITY);
	fn(arg);
	/* Not by a jump, which would leave this frame before */
	__asm__ volatile("" : : : "memory");
}

void call_catching(void (*fn)(void *arg), void *arg)
{
	struct catcher mine, *outer = catcher;

	catcher = &mine;
	if (!setjmp(mine.here))
		call(fn, arg);
	catcher = outer;
}
