/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be seen of a queue as it happens. Times are of the queue's clock, as
 * its opener has it; queues are told apart by the number that fdinfo shows.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM deadline

#if !defined(DLN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DLN_TRACE_H

#include <linux/pid.h>
#include <linux/tracepoint.h>
#include <linux/uidgid.h>
#include "dln.h"

/* What becomes of the file: @pid opened it, to the limits of @user. */
DECLARE_EVENT_CLASS(dln_file,

	TP_PROTO(const struct dln_queue *q),

	TP_ARGS(q),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(s32, pid)
		__field(u32, user)
		__field(s32, clock)
		__field(u32, slots)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->pid = pid_nr(q->opener);
		__entry->user = __kuid_val(q->user->uid);
		__entry->clock = q->clock;
		__entry->slots = q->count;
	),

	TP_printk("queue=%u pid=%d user=%u clock=%d slots=%u", __entry->queue,
		  __entry->pid, __entry->user, __entry->clock, __entry->slots)
);

/* Neither clock nor slots are known yet. */
DEFINE_EVENT(dln_file, dln_open,
	TP_PROTO(const struct dln_queue *q),
	TP_ARGS(q)
);

DEFINE_EVENT(dln_file, dln_setup,
	TP_PROTO(const struct dln_queue *q),
	TP_ARGS(q)
);

/* The last descriptor and the last mapping are gone. */
DEFINE_EVENT(dln_file, dln_close,
	TP_PROTO(const struct dln_queue *q),
	TP_ARGS(q)
);

TRACE_EVENT(dln_doorbell,

	TP_PROTO(const struct dln_queue *q, unsigned int slots, u64 posted),

	TP_ARGS(q, slots, posted),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, slots)
		__field(u32, posted)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->slots = slots;
		__entry->posted = posted;
	),

	TP_printk("queue=%u slots=%u posted=%u", __entry->queue,
		  __entry->slots, __entry->posted)
);

/*
 * @pid opened the queue, to the limits of @user. @user_data and @slack are what the
 * program has in the slot.
 */
TRACE_EVENT(dln_expire,

	TP_PROTO(const struct dln_queue *q, u32 slot, u64 deadline, u64 now),

	TP_ARGS(q, slot, deadline, now),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, slot)
		__field(u64, deadline)
		__field(u64, late)
		__field(u64, user_data)
		__field(s32, pid)
		__field(u32, user)
		__field(u32, slack)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->slot = slot;
		__entry->deadline = deadline;
		__entry->late = now - deadline;
		__entry->user_data = READ_ONCE(q->slots[slot].user_data);
		__entry->pid = pid_nr(q->opener);
		__entry->user = __kuid_val(q->user->uid);
		__entry->slack = READ_ONCE(q->slots[slot].slack);
	),

	TP_printk("queue=%u slot=%u deadline=%llu late=%llu pid=%d user=%u user_data=0x%llx slack=%u",
		  __entry->queue, __entry->slot, __entry->deadline,
		  __entry->late, __entry->pid, __entry->user,
		  __entry->user_data, __entry->slack)
);

DECLARE_EVENT_CLASS(dln_slot,

	TP_PROTO(const struct dln_queue *q, u32 slot, u64 deadline),

	TP_ARGS(q, slot, deadline),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, slot)
		__field(u64, deadline)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->slot = slot;
		__entry->deadline = deadline;
	),

	TP_printk("queue=%u slot=%u deadline=%llu", __entry->queue,
		  __entry->slot, __entry->deadline)
);

/* A look found the slot no longer armed. */
DEFINE_EVENT(dln_slot, dln_drop,
	TP_PROTO(const struct dln_queue *q, u32 slot, u64 deadline),
	TP_ARGS(q, slot, deadline)
);

/* A look found a later deadline. */
DEFINE_EVENT(dln_slot, dln_move,
	TP_PROTO(const struct dln_queue *q, u32 slot, u64 deadline),
	TP_ARGS(q, slot, deadline)
);

/* A slot has flags that no feature allows: it is not served. */
TRACE_EVENT(dln_refuse,

	TP_PROTO(const struct dln_queue *q, u32 slot, u32 flags),

	TP_ARGS(q, slot, flags),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, slot)
		__field(u32, flags)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->slot = slot;
		__entry->flags = flags;
	),

	TP_printk("queue=%u slot=%u flags=%#x", __entry->queue,
		  __entry->slot, __entry->flags)
);

/* The queue has to pause for so many ns at least. */
TRACE_EVENT(dln_throttle,

	TP_PROTO(const struct dln_queue *q, u64 pause),

	TP_ARGS(q, pause),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u64, pause)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->pause = pause;
	),

	TP_printk("queue=%u pause=%llu", __entry->queue, __entry->pause)
);

/* Its turn has come, for which it has waited for so many ns. */
TRACE_EVENT(dln_turn,

	TP_PROTO(const struct dln_queue *q, u64 waited),

	TP_ARGS(q, waited),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u64, waited)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->waited = waited;
	),

	TP_printk("queue=%u waited=%llu", __entry->queue, __entry->waited)
);

/* Sleepers are woken, and signalled if one of the slots wants it. */
TRACE_EVENT(dln_wake,

	TP_PROTO(const struct dln_queue *q, bool signal),

	TP_ARGS(q, signal),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(bool, signal)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->signal = signal;
	),

	TP_printk("queue=%u signal=%d", __entry->queue, __entry->signal)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
