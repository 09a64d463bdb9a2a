/* SPDX-License-Identifier: GPL-2.0 */
/* A thread that is interrupted by SIGTRAP after each of its instructions */
#ifndef SELFTESTS_STEPS_H
#define SELFTESTS_STEPS_H

#include <stdbool.h>
#include <ucontext.h>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define TRAP_FLAG 0x100

/* Have the processor raise SIGTRAP after each instruction, or not. */
static __attribute__((noinline)) void set_steps(bool on)
{
	unsigned long flags;

	/* The stack below its pointer may be in use. */
	asm volatile("lea -128(%%rsp), %%rsp; pushfq; popq %0; lea 128(%%rsp), %%rsp"
		     : "=r" (flags) : : "memory");
	flags = on ? flags | TRAP_FLAG : flags & ~TRAP_FLAG;
	asm volatile("lea -128(%%rsp), %%rsp; pushq %0; popfq; lea 128(%%rsp), %%rsp"
		     : : "r" (flags) : "memory", "cc");
}

/* In the handler of SIGTRAP: what it interrupted goes on without steps. */
static inline void end_steps(void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}
#else
/* Never interrupted here: what is tested is that all goes its usual way. */
static void set_steps(bool on)
{
	(void)on;
}

static inline void end_steps(void *context)
{
	(void)context;
}
#endif

#endif
