// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/PID/fdinfo says of a queue. It is the kernel's own count; of the shared
 * memory only the ring's head is read. As many lines for each queue, whatever it does.
 */
#include <linux/pid.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/uidgid.h>
#include "ring.h"

static void dln_show_counter(struct seq_file *m, const char *name,
			     const __u64 *counter)
{
	/* Others are counting: any of the values that it has had will do. */
	seq_printf(m, "deadline-%s:\t%llu\n", name, data_race(*counter));
}

/* As far as the last that is not 0, and the first in any case */
static void dln_show_late(struct seq_file *m, const struct deadline_status *status)
{
	u64 late[ARRAY_SIZE(status->late)];
	unsigned int i, n;

	for (i = 0, n = 1; i < ARRAY_SIZE(late); i++) {
		/* Others are counting, as above. */
		late[i] = data_race(status->late[i]);
		if (late[i])
			n = i + 1;
	}
	seq_puts(m, "deadline-late:\t");
	for (i = 0; i < n; i++)
		seq_printf(m, "%llu%c", late[i], i + 1 < n ? ' ' : '\n');
}

/* The process that opened the queue; 0 once it has ended: another may have its number. */
static pid_t dln_opener(const struct dln_queue *q, struct pid_namespace *ns)
{
	pid_t pid = 0;

	rcu_read_lock();
	if (pid_task(q->opener, PIDTYPE_TGID))
		pid = pid_nr_ns(q->opener, ns);
	rcu_read_unlock();
	return pid;
}

/* Numbers of processes and users are those that the reader has for them. */
void dln_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct pid_namespace *ns = proc_pid_ns(file_inode(m->file)->i_sb);
	const struct dln_queue *q = file->private_data;
	const struct deadline_status *status;

	seq_printf(m, "deadline-queue:\t%u\n", q->id);
	seq_printf(m, "deadline-pid:\t%d\n", dln_opener(q, ns));
	seq_printf(m, "deadline-user:\t%u\n",
		   from_kuid_munged(seq_user_ns(m), q->user->uid));
	if (!dln_ready(q))
		return;
	status = q->status;
	seq_printf(m, "deadline-clock:\t%d\n", q->clock);
	seq_printf(m, "deadline-slots:\t%u\n", q->count);
	seq_printf(m, "deadline-planned:\t%u\n", READ_ONCE(q->planned));
	seq_printf(m, "deadline-pending:\t%llu\n", dln_waiting(q));
	dln_show_counter(m, "interrupts", &status->interrupts);
	dln_show_counter(m, "expired", &status->expired);
	dln_show_counter(m, "moved", &status->moved);
	dln_show_counter(m, "dropped", &status->dropped);
	dln_show_counter(m, "contended", &status->contended);
	dln_show_counter(m, "full", &status->full);
	dln_show_counter(m, "doorbells", &status->doorbells);
	dln_show_counter(m, "longest", &status->longest);
	dln_show_counter(m, "throttled", &status->throttled);
	dln_show_counter(m, "clock_sets", &status->clock_sets);
	dln_show_counter(m, "handed_in", &status->handed_in);
	dln_show_counter(m, "refused", &status->refused);
	dln_show_late(m, status);
}
