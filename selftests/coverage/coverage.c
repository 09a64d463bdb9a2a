// SPDX-License-Identifier: GPL-2.0
/*
 * Which code of the module ran, in whatever context: linked into it by
 * selftests/coverage/run, and there only. KCOV counts what a task does; most of
 * what matters here happens in a timer interrupt. So the module brings its own
 * __sanitizer_cov_trace_pc(), which the compiler calls in each basic block.
 */
#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/hash.h>
#include <linux/instruction_pointer.h>
#include <linux/kcov.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

/* A few times as many as there are blocks: it never fills up. */
#define BITS 14

/* Where it was called from: a hash table, 0 = free */
static unsigned long seen[1 << BITS];

__attribute__((no_sanitize_coverage)) notrace
void __sanitizer_cov_trace_pc(void)
{
	unsigned long old, pc = _RET_IP_;
	u32 i = hash_long(pc, BITS);

	for (;; i = (i + 1) % ARRAY_SIZE(seen)) {
		old = READ_ONCE(seen[i]);
		if (!old)
			old = cmpxchg(&seen[i], 0, pc);
		if (!old || old == pc)
			return;
	}
}

/* Written to, the parameter has all that was seen told to the kernel log. */
static int tell(const char *value, const struct kernel_param *kp)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(seen); i++)
		if (seen[i])
			pr_info("coverage: 0x%lx\n", seen[i]);
	return 0;
}

static const struct kernel_param_ops tell_ops = { .set = tell };

module_param_cb(coverage, &tell_ops, NULL, 0200);
