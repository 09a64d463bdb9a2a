// SPDX-License-Identifier: MIT
/* The load: as many connections, each with one request at a time. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "echo.h"

#define ENTRIES	4096u
#define SIZE	32

static int connect_to(uint16_t port)
{
	/* No TIME_WAIT when it is closed: there are not that many ports. */
	const struct linger linger = { .l_onoff = 1 };
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)), "socket");
	must(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)), "connect");
	return fd;
}

/* The answer's completion is that of both. */
static void request(struct io_uring *ring, int fd, void *data)
{
	struct io_uring_sqe *sqe;

	if (io_uring_sq_space_left(ring) < 2)
		must(io_uring_submit(ring) > 0, "io_uring_submit");
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_send(sqe, fd, data, SIZE, 0);
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_recv(sqe, fd, data, SIZE, MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, fd);
}

static void drive(struct io_uring *ring, unsigned long sent,
		  unsigned long requests, char *data)
{
	unsigned long done;
	struct io_uring_cqe *cqe;
	unsigned int head, n;

	for (done = 0; done < requests; done += n) {
		must(io_uring_submit_and_wait(ring, 1) >= 0,
		     "io_uring_submit_and_wait");
		n = 0;
		io_uring_for_each_cqe(ring, head, cqe) {
			must(cqe->res == SIZE, "an answer");
			if (sent < requests) {
				request(ring, io_uring_cqe_get_data64(cqe),
					data);
				sent++;
			}
			n++;
		}
		io_uring_cq_advance(ring, n);
	}
}

static struct spent spent_by_now(clockid_t server)
{
	struct timespec cpu;

	must(!clock_gettime(server, &cpu), "clock_gettime");
	return (struct spent){
		.cpu = cpu.tv_sec * (1000 * MS) + cpu.tv_nsec,
		.time = deadline_now(),
	};
}

struct spent client_run(uint16_t port, unsigned int n, unsigned long requests,
			clockid_t server, void (*ready)(void))
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 2 * n + ENTRIES,
	};
	int *fds = calloc(n, sizeof(*fds));
	struct io_uring ring;
	char data[SIZE] = "";
	struct spent start, end;
	unsigned int i;

	must(!!fds, "calloc");
	must(!io_uring_queue_init_params(ENTRIES, &ring, &params),
	     "io_uring_queue_init");
	io_uring_register_ring_fd(&ring);
	for (i = 0; i < n; i++)
		fds[i] = connect_to(port);
	ready();
	/* One of each for nothing: it may cost more than those that follow. */
	for (i = 0; i < n; i++)
		request(&ring, fds[i], data);
	drive(&ring, n, n, data);
	start = spent_by_now(server);
	for (i = 0; i < n; i++)
		request(&ring, fds[i], data);
	drive(&ring, n, requests, data);
	end = spent_by_now(server);
	for (i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
	io_uring_queue_exit(&ring);
	end.cpu -= start.cpu;
	end.time -= start.time;
	return end;
}

uint64_t client_idle(uint16_t port, void (*ready)(void))
{
	uint64_t start = deadline_now();
	int fd = connect_to(port);
	char byte;

	ready();
	must(!recv(fd, &byte, 1, 0), "the server's end");
	start = deadline_now() - start;
	close(fd);
	return start;
}
