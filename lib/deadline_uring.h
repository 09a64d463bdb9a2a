/* SPDX-License-Identifier: MIT */
/*
 * Deadlines in a loop of io_uring: a completion for the expiries of a queue, doorbells
 * that are submitted with other operations, and one operation under a context. All is
 * inline, over liburing: a program that includes this file needs liburing, the library
 * does not.
 *
 * SQEs have 64 bytes. Where this kernel, or the library's thread, lacks a command of
 * /dev/deadline, the functions here use other operations of io_uring.
 * In the child of a fork, SQEs that were prepared here complete with -EBADF.
 */
#ifndef DEADLINE_URING_H
#define DEADLINE_URING_H

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <deadline_inline.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline void deadline_uring_command_(struct io_uring_sqe *sqe,
					   deadline_queue *queue, uint32_t op,
					   const void *payload)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, deadline_queue_fd(queue),
			 NULL, 0, 0);
	sqe->cmd_op = op;
	memcpy(sqe->cmd, payload, 16);
}

/**
 * deadline_uring_prep_wait() - complete once when expiries wait to be reaped
 * @user_data: of the SQE; deadline_uring_prep_cancel() names it
 *
 * At once if there are some. Completes with 0 or more: then reap the queue; another
 * thread may have taken the expiries by then. Otherwise with -ECANCELED; or with -EBUSY,
 * as a queue has room for 64 waits.
 */
static inline void deadline_uring_prep_wait(struct io_uring_sqe *sqe,
					    deadline_queue *queue,
					    uint64_t user_data)
{
	struct deadline_wait wait = { user_data, 0 };

	if (deadline_queue_features_(queue) & DEADLINE_FEATURE_URING_WAIT)
		deadline_uring_command_(sqe, queue, DEADLINE_URING_WAIT, &wait);
	else
		io_uring_prep_poll_add(sqe, deadline_queue_fd(queue), POLLIN);
	io_uring_sqe_set_data64(sqe, user_data);
}

/**
 * deadline_uring_prep_wait_multishot() - complete each time that expiries come
 * @user_data: of the SQE; deadline_uring_prep_cancel_multishot() names it
 *
 * As deadline_uring_prep_wait(), and the first time at once if there are some; but not
 * again for expiries that were there and not reaped. A completion without
 * IORING_CQE_F_MORE is the last one.
 */
static inline void deadline_uring_prep_wait_multishot(struct io_uring_sqe *sqe,
						      deadline_queue *queue,
						      uint64_t user_data)
{
	struct deadline_wait wait = { user_data, 0 };

	if (deadline_queue_features_(queue) & DEADLINE_FEATURE_URING_MULTISHOT) {
		deadline_uring_command_(sqe, queue, DEADLINE_URING_WAIT, &wait);
		sqe->rw_flags = 1 << 1;	/* IORING_URING_CMD_MULTISHOT */
		sqe->flags |= IOSQE_BUFFER_SELECT;
	} else {
		io_uring_prep_poll_multishot(sqe, deadline_queue_fd(queue),
					     POLLIN);
	}
	io_uring_sqe_set_data64(sqe, user_data);
}

/* Is the SQE one of this ring's? */
static inline bool deadline_uring_owns_(const struct io_uring *ring,
					const struct io_uring_sqe *sqe)
{
	return sqe >= ring->sq.sqes &&
	       sqe < ring->sq.sqes + ring->sq.ring_entries;
}

static inline void deadline_uring_cancel_(struct io_uring_sqe *sqe,
					  const struct io_uring *ring,
					  deadline_queue *queue,
					  uint64_t user_data, uint64_t feature)
{
	struct deadline_wait wait = { user_data, 0 };

	if (deadline_queue_features_(queue) & feature)
		deadline_uring_command_(sqe, queue, DEADLINE_URING_CANCEL,
					&wait);
	else if (!deadline_uring_owns_(ring, sqe))
		deadline_uring_command_(sqe, queue, 0, &wait); /* -EOPNOTSUPP */
	else
		io_uring_prep_cancel64(sqe, user_data, 0);
}

/**
 * deadline_uring_prep_cancel() - have a wait complete with -ECANCELED
 * @ring: the one that the wait is in; the SQE may be another ring's
 * @user_data: the wait's, which no other request of the queue's or ring's has
 *
 * Set the user_data of the SQE itself after this call. It completes with 0 or more if it
 * ended the wait, with -ENOENT if the wait was over; with -EOPNOTSUPP if @sqe is of another
 * ring, and the device has no commands that wait or a thread serves. A linked timeout or
 * IORING_OP_ASYNC_CANCEL does not end a wait that is a command of the device: up to Linux
 * 7.3 it completes with -ENOENT.
 */
static inline void deadline_uring_prep_cancel(struct io_uring_sqe *sqe,
					      const struct io_uring *ring,
					      deadline_queue *queue,
					      uint64_t user_data)
{
	deadline_uring_cancel_(sqe, ring, queue, user_data,
			       DEADLINE_FEATURE_URING_WAIT);
}

/**
 * deadline_uring_prep_cancel_multishot() - deadline_uring_prep_cancel(), of a wait that
 *	is multishot
 */
static inline void
deadline_uring_prep_cancel_multishot(struct io_uring_sqe *sqe,
				     const struct io_uring *ring,
				     deadline_queue *queue, uint64_t user_data)
{
	deadline_uring_cancel_(sqe, ring, queue, user_data,
			       DEADLINE_FEATURE_URING_MULTISHOT);
}

/**
 * deadline_uring_arm() - deadline_slot_arm(), whose doorbell rides on a submission
 *
 * If it returns 1, the slot may expire late until a doorbell of its queue has completed
 * (deadline_uring_prep_doorbell()); one doorbell does for any number of slots. Owner only.
 * Return: 1 a doorbell is needed, 0 none; -EBUSY while it is armed; -ECHILD.
 */
static inline int deadline_uring_arm(deadline_slot *slot, uint64_t when)
{
	return deadline_slot_arm_silent_(slot, when);
}

/**
 * deadline_uring_prep_doorbell() - ring for what deadline_uring_arm() armed in @queue
 *
 * Completes with 0 or more. If it completes with an error, the slots are armed but may
 * expire late. Where the library's thread serves, this call itself rings.
 */
static inline void deadline_uring_prep_doorbell(struct io_uring_sqe *sqe,
						deadline_queue *queue)
{
	static const uint64_t nothing[2] = { 0, 0 };

	if (deadline_queue_features_(queue) & DEADLINE_FEATURE_URING_DOORBELL)
		deadline_uring_command_(sqe, queue, DEADLINE_IOC_DOORBELL,
					nothing);
	else if (deadline_queue_doorbell_(queue))
		io_uring_prep_close(sqe, -1);	/* -EBADF */
	else
		io_uring_prep_nop(sqe);
}

/*
 * Submit a copy of the SQE. What the kernel does not take stays in the ring, so
 * that is made harmless.
 */
static inline int deadline_uring_submit_(struct io_uring *ring,
					 const struct io_uring_sqe *from)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int ret;

	if (!sqe)
		return -EBUSY;
	*sqe = *from;
	do {
		ret = io_uring_submit(ring);
	} while (ret == -EINTR || ret == -EAGAIN);
	if (ret < 0)
		io_uring_prep_nop(sqe);
	return ret < 0 ? ret : 0;
}

/* Sleep until there is a completion: 0, or why not. */
static inline int deadline_uring_sleep_(deadline_context *context,
					struct io_uring *ring, uint64_t until)
{
	struct pollfd pollfd;
	int ret;

	pollfd.fd = ring->ring_fd;
	pollfd.events = POLLIN;
	ret = deadline_poll(context, &pollfd, 1, until);
	return ret < 0 ? ret : 0;
}

/*
 * The same by an eventfd, which says that the ring has work to do. That may yield no
 * completion, so it is done in a loop.
 */
static inline int deadline_uring_work_(deadline_context *context,
				       struct io_uring *ring,
				       struct pollfd *wake, uint64_t until)
{
	eventfd_t sum;
	int ret;

	for (;;) {
		io_uring_get_events(ring);
		if (io_uring_cq_ready(ring))
			return 0;
		ret = deadline_poll(context, wake, 1, until);
		if (ret < 0)
			return ret;
		eventfd_read(wake->fd, &sum);
	}
}

/*
 * The same with DEFER_TASKRUN. poll(2) of such a ring misses completions, except on
 * the newest kernels.
 */
static inline int deadline_uring_sleep_deferred_(deadline_context *context,
						 struct io_uring *ring,
						 uint64_t until)
{
	struct pollfd pollfd;
	int ret;

	pollfd.fd = eventfd(0, EFD_CLOEXEC);
	if (pollfd.fd < 0)
		return -errno;
	pollfd.events = POLLIN;
	ret = io_uring_register_eventfd(ring, pollfd.fd);
	if (!ret) {
		ret = deadline_uring_work_(context, ring, &pollfd, until);
		io_uring_unregister_eventfd(ring);
	}
	close(pollfd.fd);
	return ret;
}

/* An operation in flight, and what asks for its end */
struct deadline_uring_op_ {
	uint64_t user_data;
	int result;
	bool done;
	bool cancelling;
};

static inline void deadline_uring_reap_(struct io_uring *ring,
					struct deadline_uring_op_ *op)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(ring, &cqe)) {
		if (io_uring_cqe_get_data64(cqe) != op->user_data) {
			op->cancelling = false;
		} else {
			if (!(cqe->flags & IORING_CQE_F_NOTIF))
				op->result = cqe->res;
			op->done = !(cqe->flags & IORING_CQE_F_MORE);
		}
		io_uring_cqe_seen(ring, cqe);
	}
}

/*
 * Wait until the operation has completed, and its cancel, if there was one. @why: not 0
 * if it is to be cancelled. A cancel finds no operation that is between two of its
 * sleeps, so it is repeated.
 */
static inline int deadline_uring_finish_(struct io_uring *ring,
					 struct deadline_uring_op_ *op, int why)
{
	struct __kernel_timespec pause = { 0, 5000000 };
	struct io_uring_sqe cancel;
	struct io_uring_cqe *cqe;
	bool ask = why;
	int ret;

	for (;;) {
		deadline_uring_reap_(ring, op);
		if (op->done && !op->cancelling)
			return 0;
		if (ask && !op->done && !op->cancelling) {
			ask = false;
			memset(&cancel, 0, sizeof(cancel));
			io_uring_prep_cancel64(&cancel, op->user_data, 0);
			op->cancelling = !deadline_uring_submit_(ring, &cancel);
		}
		ret = io_uring_wait_cqe_timeout(ring, &cqe,
						why ? &pause : NULL);
		if (ret == -ETIME)
			ask = true;
		if (ret && ret != -EINTR && ret != -EAGAIN && ret != -ETIME)
			return ret;
	}
}

/**
 * deadline_uring_call() - one operation, under a context and a limit of its own
 * @ring: one thread's, and for such calls only: nothing else of it is in flight, and no
 *	eventfd registered. Not with IORING_SETUP_IOPOLL, which nobody can sleep for;
 *	nor _SQPOLL, where an SQE may complete before it has left the ring
 * @op: prepared by io_uring_prep_*() in memory of the caller's that was zero. Its
 *	user_data is ours; IOSQE_FIXED_FILE and IOSQE_ASYNC are the flags allowed,
 *	and no multishot. For SEND_ZC it waits until the buffer is free, too.
 *
 * As the calls of <deadline.h> that block, for other operations of io_uring. If the
 * operation has done anything, its result is returned, even if the time has passed by
 * then; -ETIME, -ECANCELED and -ETIMEDOUT say that it has done nothing. The call returns
 * when the kernel is done with the operation: one that is waiting for a disk does not end
 * early.
 * Return: the operation's result; -ETIME or -ECANCELED, the context; -ETIMEDOUT,
 * @until; -EOPNOTSUPP for commands of a driver (IORING_OP_URING_CMD), which no cancel
 * by user_data finds; -EINVAL for other flags or rings; -EBUSY, the ring has
 * something else in flight; -ECHILD; what io_uring_enter(2) says.
 */
static inline int deadline_uring_call(deadline_context *context,
				      struct io_uring *ring,
				      const struct io_uring_sqe *op,
				      uint64_t until)
{
	struct deadline_uring_op_ flight = { (uintptr_t)op, 0, false, false };
	int ret = deadline_err(context), why;
	struct io_uring_sqe sqe = *op;

	if (ret)
		return ret;
	if (op->flags & ~(IOSQE_FIXED_FILE | IOSQE_ASYNC) ||
	    ring->flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL))
		return -EINVAL;
	if (op->opcode == IORING_OP_URING_CMD)
		return -EOPNOTSUPP;
	if (io_uring_sq_ready(ring) || io_uring_cq_ready(ring))
		return -EBUSY;
	io_uring_sqe_set_data64(&sqe, (uintptr_t)op);
	ret = deadline_uring_submit_(ring, &sqe);
	if (ret)
		return ret;
	if (io_uring_cq_ready(ring))
		why = 0;
	else if (ring->flags & IORING_SETUP_DEFER_TASKRUN)
		why = deadline_uring_sleep_deferred_(context, ring, until);
	else
		why = deadline_uring_sleep_(context, ring, until);
	ret = deadline_uring_finish_(ring, &flight, why);
	if (ret)
		return ret;
	/*
	 * -EINTR, and the kernel's own errors from 512 on, are what an operation returns
	 * that was cancelled in a worker thread of io_uring.
	 */
	if (why && (flight.result == -ECANCELED || flight.result == -EINTR ||
		    flight.result <= -512))
		return why;
	return flight.result;
}

#ifdef __cplusplus
}
#endif

#endif
