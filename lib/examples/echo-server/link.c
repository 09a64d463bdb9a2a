// SPDX-License-Identifier: MIT
/* A timeout is linked to each request of the ring. */
#include "echo.h"

static struct __kernel_timespec idle, request;

static void link_open(unsigned int n)
{
	(void)n;
	idle.tv_sec = idle_ns / (1000 * MS);
	idle.tv_nsec = idle_ns % (1000 * MS);
	request.tv_sec = REQUEST_NS / (1000 * MS);
}

static void link_to(struct io_uring_sqe *sqe, struct __kernel_timespec *limit)
{
	struct io_uring_sqe *timeout = server_sqe();

	sqe->flags |= IOSQE_IO_LINK;
	io_uring_prep_link_timeout(timeout, limit, 0);
	/* Most are cancelled, and then there is no completion of theirs. */
	timeout->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(timeout, NOBODY);
}

static void link_idle(unsigned int i, struct io_uring_sqe *sqe)
{
	(void)i;
	link_to(sqe, &idle);
}

static void link_request(unsigned int i, struct io_uring_sqe *sqe)
{
	(void)i;
	link_to(sqe, &request);
}

/* What timed out was cancelled: the server sees that. */
static void link_completed(void)
{
}

static void link_gone(unsigned int i)
{
	(void)i;
}

static void link_close(void)
{
}

const struct timing timing_link = {
	.name		= "LINK_TIMEOUT",
	.open		= link_open,
	.idle		= link_idle,
	.request	= link_request,
	.completed	= link_completed,
	.gone		= link_gone,
	.close		= link_close,
};
