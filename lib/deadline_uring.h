/* SPDX-License-Identifier: MIT */
/*
 * Deadlines in a loop of io_uring: expiries of a queue as completions, doorbells
 * that ride on submissions, and any one operation under a context. Inline, over
 * liburing: the library does not need it, whoever includes this file does.
 *
 * SQEs are of 64 bytes. What needs commands of /dev/deadline that this kernel or
 * backend does not have is done by other means.
 * In the child of a fork, what was prepared here completes with -EBADF.
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
 * At once if there are some. Completes with 0 or more: reap the queue, which may
 * find that somebody else was faster. Else with -ECANCELED; with -EBUSY, there is
 * room for 64 waits of a queue.
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
 * again for those that are not reaped. Over after a completion without
 * IORING_CQE_F_MORE.
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

static inline void deadline_uring_cancel_(struct io_uring_sqe *sqe,
					  deadline_queue *queue,
					  uint64_t user_data, uint64_t feature)
{
	struct deadline_wait wait = { user_data, 0 };

	if (deadline_queue_features_(queue) & feature)
		deadline_uring_command_(sqe, queue, DEADLINE_URING_CANCEL,
					&wait);
	else
		io_uring_prep_cancel64(sqe, user_data, 0);
}

/**
 * deadline_uring_prep_cancel() - have a wait complete with -ECANCELED
 * @user_data: the wait's, which no other request of the queue's or ring's has
 *
 * The SQE's own is still to be set. Completes with 0 or more if it did that, -ENOENT if
 * the wait was over. A linked timeout or IORING_OP_ASYNC_CANCEL do not do it where the
 * wait is a command of the device: up to Linux 7.3 they find none, and say -ENOENT.
 */
static inline void deadline_uring_prep_cancel(struct io_uring_sqe *sqe,
					      deadline_queue *queue,
					      uint64_t user_data)
{
	deadline_uring_cancel_(sqe, queue, user_data,
			       DEADLINE_FEATURE_URING_WAIT);
}

/**
 * deadline_uring_prep_cancel_multishot() - deadline_uring_prep_cancel(), of a wait that
 *	is multishot
 */
static inline void
deadline_uring_prep_cancel_multishot(struct io_uring_sqe *sqe,
				     deadline_queue *queue, uint64_t user_data)
{
	deadline_uring_cancel_(sqe, queue, user_data,
			       DEADLINE_FEATURE_URING_MULTISHOT);
}

/**
 * deadline_uring_arm() - deadline_slot_arm(), whose doorbell rides on a submission
 * @slots: for deadline_uring_prep_doorbell(), with room for one more
 * @n: how many there are; one more if this one needs a doorbell
 *
 * Until that is served the slot may expire late. Owner only.
 * Return: 0; -EBUSY while it is armed; -ECHILD.
 */
static inline int deadline_uring_arm(deadline_slot *slot, uint64_t when,
				     uint32_t *slots, uint32_t *n)
{
	int ret = deadline_slot_arm_silent_(slot, when, &slots[*n]);

	*n += ret > 0;
	return ret < 0 ? ret : 0;
}

/**
 * deadline_uring_prep_doorbell() - ring for slots of deadline_uring_arm()
 * @slots: @n slots of this queue; they stay until it completes
 *
 * Completes with 0 or more; with an error, those slots are armed and may expire
 * late. The thread backend is rung at once.
 */
static inline void deadline_uring_prep_doorbell(struct io_uring_sqe *sqe,
						deadline_queue *queue,
						const uint32_t *slots,
						uint32_t n)
{
	struct deadline_doorbell bell = { (uintptr_t)slots, n, 0 };

	if (deadline_queue_features_(queue) & DEADLINE_FEATURE_URING_DOORBELL)
		deadline_uring_command_(sqe, queue, DEADLINE_IOC_DOORBELL,
					&bell);
	else if (deadline_queue_ring_(queue, slots, n))
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

/* Cancel @op, and then there is one more to be completed: 1, or 0. */
static inline int deadline_uring_end_(struct io_uring *ring,
				      const struct io_uring_sqe *op)
{
	struct io_uring_sqe cancel;

	memset(&cancel, 0, sizeof(cancel));
	io_uring_prep_cancel64(&cancel, (uintptr_t)op, 0);
	return !deadline_uring_submit_(ring, &cancel);
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

/* The same by an eventfd, which tells of work to do here: of that may come none. */
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

/**
 * deadline_uring_call() - one operation, under a context and a limit of its own
 * @ring: one thread's, and for such calls only: nothing else of it is in flight, and no
 *	eventfd registered. Not with IORING_SETUP_IOPOLL, which nobody can sleep for;
 *	nor _SQPOLL, where an SQE may complete before it has left the ring
 * @op: prepared by io_uring_prep_*() in memory of the caller's that was zero. Its
 *	user_data is ours; IOSQE_FIXED_FILE and IOSQE_ASYNC are the flags allowed,
 *	and no multishot. For SEND_ZC it waits until the buffer is free, too.
 *
 * As the calls of <deadline.h> that block, but whatever io_uring can do: what has
 * been done is told, whatever came meanwhile; -ETIME, -ECANCELED and -ETIMEDOUT say
 * that nothing was. It returns when the kernel is done with the operation, which in
 * the midst of a disk's does not end early.
 * Return: the operation's result; -ETIME or -ECANCELED, the context; -ETIMEDOUT,
 * @until; -EINVAL for other flags or rings; -EBUSY, the ring has something else; -ECHILD;
 * what io_uring_enter(2) says.
 */
static inline int deadline_uring_call(deadline_context *context,
				      struct io_uring *ring,
				      const struct io_uring_sqe *op,
				      uint64_t until)
{
	int ret = deadline_err(context), why, left = 1, result = 0;
	struct io_uring_sqe sqe = *op;
	struct io_uring_cqe *cqe;

	if (ret)
		return ret;
	if (op->flags & ~(IOSQE_FIXED_FILE | IOSQE_ASYNC) ||
	    ring->flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL))
		return -EINVAL;
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
	if (why)
		left += deadline_uring_end_(ring, op);
	while (left) {
		ret = io_uring_wait_cqe(ring, &cqe);
		if (ret == -EINTR || ret == -EAGAIN)
			continue;
		if (ret)
			return ret;
		if (io_uring_cqe_get_data64(cqe) == (uintptr_t)op &&
		    !(cqe->flags & IORING_CQE_F_NOTIF))
			result = cqe->res;
		left -= !(cqe->flags & IORING_CQE_F_MORE);
		io_uring_cqe_seen(ring, cqe);
	}
	/* A worker of io_uring was at it: -EINTR, or what is the kernel's own, from 512. */
	if (why && (result == -ECANCELED || result == -EINTR || result <= -512))
		return why;
	return result;
}

#ifdef __cplusplus
}
#endif

#endif
