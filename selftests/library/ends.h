/* SPDX-License-Identifier: GPL-2.0 */
/* Descriptors of every kind on which a call can have to wait, each made by a function */
#ifndef SELFTESTS_ENDS_H
#define SELFTESTS_ENDS_H

#include <pty.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>
#include "library.h"
#include "sockets.h"

/* Descriptors of one case: what is called, and what it needs to be there */
struct ends {
	int fd;
	int other;
	int third;
	struct sockaddr_un name;
	socklen_t name_size;
};

static inline int make_tcp(struct ends *e)
{
	return tcp_pair(&e->fd, &e->other);
}

static inline int make_pair(struct ends *e, int type)
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds))
		return -errno;
	e->fd = fds[0];
	e->other = fds[1];
	return 0;
}

static inline int make_stream(struct ends *e)
{
	return make_pair(e, SOCK_STREAM);
}

static inline int make_datagram(struct ends *e)
{
	return make_pair(e, SOCK_DGRAM);
}

static inline int make_seqpacket(struct ends *e)
{
	return make_pair(e, SOCK_SEQPACKET);
}

/* A receiver with a name, and a socket that only names it */
static inline int make_named(struct ends *e)
{
	e->other = unix_named(SOCK_DGRAM, &e->name, &e->name_size);
	e->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return e->fd < 0 ? -errno : 0;
}

static inline int make_connected(struct ends *e)
{
	int ret = make_named(e);

	if (!ret && connect(e->fd, (struct sockaddr *)&e->name, e->name_size))
		ret = -errno;
	e->name_size = 0;
	return ret;
}

/* There is something to be read, but no error. */
static inline int make_readable(struct ends *e)
{
	int ret = make_pair(e, SOCK_DGRAM);

	return ret ? ret : write(e->other, "a", 1) == 1 ? 0 : -EIO;
}

/* The same, and a peek looks beyond it. */
static inline int make_peeked(struct ends *e)
{
	int offset = 1, ret = make_pair(e, SOCK_STREAM);

	if (!ret && (write(e->other, "a", 1) != 1 ||
		     setsockopt(e->fd, SOL_SOCKET, SO_PEEK_OFF, &offset,
				sizeof(offset))))
		ret = -errno;
	return ret;
}

static inline int make_listener(struct ends *e)
{
	e->fd = unix_named(SOCK_STREAM, &e->name, &e->name_size);
	return listen(e->fd, 1) ? -errno : 0;
}

/* One whose backlog is full, and a socket to be connected to it */
static inline int make_crowd(struct ends *e)
{
	e->other = unix_named(SOCK_STREAM, &e->name, &e->name_size);
	e->third = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listen(e->other, 0) ||
	    connect(e->third, (struct sockaddr *)&e->name, e->name_size))
		return -errno;
	return 0;
}

static inline int make_pipe_of(struct ends *e, bool write, int flags)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | flags))
		return -errno;
	e->fd = fds[write];
	e->other = fds[!write];
	return 0;
}

static inline int make_pipe_out(struct ends *e)
{
	return make_pipe_of(e, false, 0);
}

static inline int make_pipe_in(struct ends *e)
{
	return make_pipe_of(e, true, 0);
}

/* Each write is a packet. */
static inline int make_packets_out(struct ends *e)
{
	return make_pipe_of(e, false, O_DIRECT);
}

static inline int make_packets_in(struct ends *e)
{
	return make_pipe_of(e, true, O_DIRECT);
}

static inline int make_fifo(struct ends *e, int mode)
{
	char path[] = "/tmp/lib_io.XXXXXX";
	int ret = -1;

	if (!mkdtemp(path))
		return -errno;
	/* A name in that folder */
	if (!chdir(path) && !mkfifo("fifo", 0600)) {
		e->other = open("fifo", O_RDWR | O_CLOEXEC | O_NONBLOCK);
		e->fd = open("fifo", mode | O_CLOEXEC);
		ret = e->fd < 0 ? -errno : 0;
		unlink("fifo");
	}
	if (!chdir("/"))
		rmdir(path);
	return ret;
}

static inline int make_fifo_out(struct ends *e)
{
	return make_fifo(e, O_RDONLY);
}

static inline int make_fifo_in(struct ends *e)
{
	return make_fifo(e, O_WRONLY);
}

static inline int make_terminal(struct ends *e)
{
	struct termios raw;

	if (openpty(&e->other, &e->fd, NULL, NULL, NULL) ||
	    tcgetattr(e->fd, &raw))
		return -errno;
	cfmakeraw(&raw);
	return tcsetattr(e->fd, TCSANOW, &raw) ? -errno : 0;
}

static inline int make_stopped(struct ends *e)
{
	int ret = make_terminal(e);

	return ret ? ret : tcflow(e->fd, TCOOFF) ? -errno : 0;
}

/* A line that nobody has ended yet */
static inline int make_line(struct ends *e)
{
	if (openpty(&e->other, &e->fd, NULL, NULL, NULL))
		return -errno;
	return write(e->other, "a", 1) == 1 ? 0 : -EIO;
}

/* A read(2) of it ends by itself, after longer than the limit of the call. */
static inline int make_timed(struct ends *e)
{
	struct termios timed;
	int ret = make_terminal(e);

	if (ret || tcgetattr(e->fd, &timed))
		return ret ? ret : -errno;
	timed.c_cc[VMIN] = 0;
	timed.c_cc[VTIME] = 1;
	return tcsetattr(e->fd, TCSANOW, &timed) ? -errno : 0;
}

static inline int make_master(struct ends *e)
{
	int ret = make_terminal(e), fd = e->fd;

	e->fd = e->other;
	e->other = fd;
	return ret;
}

static inline int made(struct ends *e, int fd)
{
	e->fd = fd;
	return fd < 0 ? -errno : 0;
}

/*
 * A regular file to fstat(2), and yet one waits for it. Whoever else reads the log on a
 * machine would miss what is read here.
 */
static inline int make_log(struct ends *e)
{
	if (!in_a_guest())
		return -EPERM;
	return made(e, open("/proc/kmsg", O_RDONLY | O_CLOEXEC));
}

static inline int make_eventfd(struct ends *e)
{
	return made(e, eventfd(0, EFD_CLOEXEC));
}

static inline int make_eventfd_full(struct ends *e)
{
	uint64_t most = UINT64_MAX - 2;
	int ret = make_eventfd(e);

	return ret ? ret : write(e->fd, &most, 8) == 8 ? 0 : -EIO;
}

static inline int make_timerfd(struct ends *e)
{
	return made(e, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}

static inline int make_inotify(struct ends *e)
{
	return made(e, inotify_init1(IN_CLOEXEC));
}

static inline int make_signalfd(struct ends *e)
{
	sigset_t none;

	sigemptyset(&none);
	return made(e, signalfd(-1, &none, SFD_CLOEXEC));
}

#endif
