// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/deadline: deadlines that expire into shared memory
 *
 * The uapi is linux/deadline.h; uapi/deadline.rst has the protocol. Here the module
 * is loaded and unloaded, and the device is made.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include "dln.h"
#define CREATE_TRACE_POINTS
#include "trace.h"

static struct miscdevice dln_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "deadline",
	.fops	= &dln_fops,
	.mode	= 0600,
};

static int __init dln_init(void)
{
	int ret = dln_thread_start();

	if (ret)
		return ret;
	ret = misc_register(&dln_device);
	if (ret)
		dln_thread_stop();
	return ret;
}
module_init(dln_init);

static void __exit dln_exit(void)
{
	misc_deregister(&dln_device);
	dln_clock_exit();
	dln_thread_stop();
	dln_wake_exit();
	dln_users_exit();
}
module_exit(dln_exit);

MODULE_DESCRIPTION("Deadlines that expire into shared memory");
MODULE_AUTHOR("The deadline authors");
MODULE_VERSION("0.1.0");
MODULE_LICENSE("GPL");
