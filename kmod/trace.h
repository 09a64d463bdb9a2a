/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be seen of a queue as it happens. Times are of the queue's clock, as
 * its opener has it; queues are told apart by the number that fdinfo shows.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM deadline

#if !defined(DLN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DLN_TRACE_H

#include <linux/tracepoint.h>
#include "dln.h"

TRACE_EVENT(dln_doorbell,

	TP_PROTO(const struct dln_queue *q, unsigned int slots,
		 unsigned int done, u64 posted),

	TP_ARGS(q, slots, done, posted),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, slots)
		__field(u32, done)
		__field(u32, posted)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->slots = slots;
		__entry->done = done;
		__entry->posted = posted;
	),

	TP_printk("queue=%u slots=%u done=%u posted=%u", __entry->queue,
		  __entry->slots, __entry->done, __entry->posted)
);

TRACE_EVENT(dln_expire,

	TP_PROTO(const struct dln_queue *q, u32 slot, u64 deadline, u64 now),

	TP_ARGS(q, slot, deadline, now),

	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, slot)
		__field(u64, deadline)
		__field(u64, late)
	),

	TP_fast_assign(
		__entry->queue = q->id;
		__entry->slot = slot;
		__entry->deadline = deadline;
		__entry->late = now - deadline;
	),

	TP_printk("queue=%u slot=%u deadline=%llu late=%llu", __entry->queue,
		  __entry->slot, __entry->deadline, __entry->late)
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

/* The queue has to pause for so many ns. */
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
