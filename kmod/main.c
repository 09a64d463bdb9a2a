// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/deadline: deadlines that expire into shared memory
 *
 * The uapi is linux/deadline.h; deadline.rst beside it tells the protocol. Here
 * is only what the module is made of.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include "dln.h"

static struct miscdevice dln_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "deadline",
	.fops	= &dln_fops,
	.mode	= 0600,
};
module_misc_device(dln_device);

MODULE_DESCRIPTION("Deadlines that expire into shared memory");
MODULE_AUTHOR("The deadline authors");
MODULE_LICENSE("GPL");
