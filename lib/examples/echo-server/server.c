// SPDX-License-Identifier: MIT
/* What it receives from a connection it sends back, until all are closed. */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <unistd.h>
#include "echo.h"

#define ENTRIES	4096u

struct connection {
	int fd;
	bool answers;	/* what is in flight is the answer, else a request */
	char data[64];
};

static struct connection *connections;
static struct io_uring ring;
static unsigned int open_connections;

uint64_t now, idle_ns;

/* One of two: who links another to his gets both into one submission. */
struct io_uring_sqe *server_sqe(void)
{
	return io_uring_get_sqe(&ring);
}

static void make_room(void)
{
	if (io_uring_sq_space_left(&ring) < 2)
		must(io_uring_submit(&ring) > 0, "io_uring_submit");
}

static void receive(const struct timing *timing, unsigned int i)
{
	struct connection *connection = &connections[i];
	struct io_uring_sqe *sqe;

	make_room();
	sqe = server_sqe();
	connection->answers = false;
	io_uring_prep_recv(sqe, connection->fd, connection->data,
			   sizeof(connection->data), 0);
	io_uring_sqe_set_data64(sqe, i);
	timing->idle(i, sqe);
}

static void answer(const struct timing *timing, unsigned int i, int size)
{
	struct connection *connection = &connections[i];
	struct io_uring_sqe *sqe;

	make_room();
	sqe = server_sqe();
	connection->answers = true;
	io_uring_prep_send(sqe, connection->fd, connection->data, size,
			   MSG_WAITALL | MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, i);
	timing->request(i, sqe);
}

static void end(const struct timing *timing, unsigned int i)
{
	timing->gone(i);
	close(connections[i].fd);
	connections[i].fd = -1;
	open_connections--;
}

/* What is in flight completes then. */
void server_expire(unsigned int i)
{
	if (connections[i].fd >= 0)
		shutdown(connections[i].fd, SHUT_RDWR);
}

static void complete(const struct timing *timing, uint64_t user_data, int size)
{
	if (user_data == NOBODY)
		return;
	make_room();
	if (user_data == TIMING)
		timing->completed();
	else if (size <= 0)
		end(timing, user_data);
	else if (connections[user_data].answers)
		receive(timing, user_data);
	else
		answer(timing, user_data, size);
}

static void turn(const struct timing *timing)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	must(io_uring_submit_and_wait(&ring, 1) >= 0,
	     "io_uring_submit_and_wait");
	now = deadline_now();
	io_uring_for_each_cqe(&ring, head, cqe) {
		complete(timing, io_uring_cqe_get_data64(cqe), cqe->res);
		n++;
	}
	io_uring_cq_advance(&ring, n);
}

void server_run(const struct timing *timing, int listener, unsigned int n,
		void (*ready)(void))
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 2 * n + ENTRIES,
	};
	unsigned int i;

	connections = calloc(n, sizeof(*connections));
	must(!!connections, "calloc");
	must(!io_uring_queue_init_params(ENTRIES, &ring, &params),
	     "io_uring_queue_init");
	io_uring_register_ring_fd(&ring);
	timing->open(n);
	open_connections = n;
	for (i = 0; i < n; i++) {
		connections[i].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		must(connections[i].fd >= 0, "accept4");
		now = deadline_now();
		receive(timing, i);
	}
	must(io_uring_submit(&ring) >= 0, "io_uring_submit");
	ready();
	while (open_connections)
		turn(timing);
	io_uring_queue_exit(&ring);
	timing->close();
	free(connections);
}
