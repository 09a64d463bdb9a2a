// SPDX-License-Identifier: GPL-2.0
/*
 * What no program can do: keep interrupts off for as long as one writes to
 * /sys/module/irqsoff/parameters/us, on the CPU of who writes it. To be loaded into a
 * guest only.
 */
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/minmax.h>
#include <linux/module.h>

static noinline void irqsoff_hold(unsigned int us)
{
	unsigned long flags;

	local_irq_save(flags);
	for (; us >= 1000; us -= 1000)
		mdelay(1);
	udelay(us);
	local_irq_restore(flags);
}

static int irqsoff_set(const char *text, const struct kernel_param *param)
{
	unsigned int us;
	int ret = kstrtouint(text, 0, &us);

	if (!ret)
		irqsoff_hold(min(us, 100000u));
	return ret;
}

static const struct kernel_param_ops irqsoff_ops = {
	.set = irqsoff_set,
};

module_param_cb(us, &irqsoff_ops, NULL, 0200);
MODULE_PARM_DESC(us, "Keep interrupts off for so many us, at most 100000");

MODULE_DESCRIPTION("Keep interrupts off, for a test");
MODULE_LICENSE("GPL");
