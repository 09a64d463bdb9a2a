// SPDX-License-Identifier: MIT
/*
 * How read(2) and write(2) of something that is no socket are tried without a sleep,
 * though the descriptor may be a blocking one that others use too. In this order:
 *
 * - RWF_NOWAIT, where the file has it: pipes since Linux 6.4, eventfds, timerfds, many
 *   devices; to be asked first, for it is one system call;
 * - as it is, if it is O_NONBLOCK;
 * - as it is, if it is of a file system or a disk, which end by themselves; but not
 *   what the kernel makes up there and one waits for, as /proc/kmsg;
 * - by a description of our own, opened O_NONBLOCK below /proc/self/fd: pipes and
 *   terminals, whose descriptions are shared with the programs beside this one;
 * - made O_NONBLOCK, which it stays: everything else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>
#include "context/sleep.h"

/* Some C libraries do not know it. */
#ifndef RWF_NOWAIT
#define RWF_NOWAIT	0x00000008
#endif

enum {
	WAY_NOWAIT,	/* unless the file does not have it */
	WAY_NONBLOCK,	/* the description is O_NONBLOCK */
	WAY_OWN,	/* through @own */
	WAY_PLAIN,	/* read(2) and write(2) end by themselves */
};

static ssize_t plain(const struct way *way, int fd)
{
	return result(syscall(way->out ? SYS_write : SYS_read, fd, way->data,
			      way->size));
}

static ssize_t nowait(const struct way *way)
{
	struct iovec iov = { .iov_base = way->data, .iov_len = way->size };

	/* -1 in both halves: where the file is now */
	return result(syscall(way->out ? SYS_pwritev2 : SYS_preadv2, way->fd,
			      &iov, 1, -1L, -1L, RWF_NOWAIT));
}

int way_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	return 0;
}

static bool is_terminal(int fd, const struct stat *stat)
{
	struct termios attributes;

	/* To open a terminal's master again makes another terminal. */
	return S_ISCHR(stat->st_mode) && stat->st_rdev != makedev(5, 2) &&
	       !tcgetattr(fd, &attributes);
}

/* What poll(2) says now */
static short ready(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	struct timespec none = { .tv_sec = 0 };

	syscall(SYS_ppoll, &pollfd, 1, &none, NULL, 0);
	return pollfd.revents;
}

/* A file for which nobody can wait is always ready for all. */
static bool is_stored(int fd, const struct stat *stat)
{
	const short all = POLLIN | POLLOUT;

	return S_ISBLK(stat->st_mode) || S_ISDIR(stat->st_mode) ||
	       (S_ISREG(stat->st_mode) && ready(fd, all) == all);
}

/* Has it been hung up? Then nothing blocks, and to open it anew would undo that. */
static bool is_hung_up(int fd)
{
	return ready(fd, 0) & POLLHUP;
}

/* The way of a pipe or a terminal, or -errno */
static int open_own(struct way *way, int flags, bool pipe)
{
	char path[32];
	int fd;

	if (!pipe && is_hung_up(way->fd))
		return WAY_PLAIN;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", way->fd);
	own_begin();
	fd = syscall(SYS_openat, AT_FDCWD, path,
		     (way->out ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY |
		     O_CLOEXEC);
	way->own = own_end(fd < 0 ? -errno : fd);
	if (way->own >= 0) {
		/* Of a pipe: each write is a packet. open(2) refuses that. */
		if (flags & O_DIRECT)
			fcntl(way->own, F_SETFL, flags | O_NONBLOCK);
		return WAY_OWN;
	}
	/* A pipe that nobody reads, a terminal that is gone */
	if (way->own == -ENXIO || way->own == -EIO)
		return WAY_PLAIN;
	return way->own;
}

/* Of a descriptor that has no RWF_NOWAIT. WAY_*, or -errno */
static int find(struct way *way)
{
	int ret, flags = fcntl(way->fd, F_GETFL);
	struct stat stat;
	bool pipe;

	if (flags < 0)
		return -errno;
	if ((flags & O_ACCMODE) == (way->out ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if (flags & O_NONBLOCK)
		return WAY_NONBLOCK;
	if (fstat(way->fd, &stat))
		return -errno;
	if (is_stored(way->fd, &stat))
		return WAY_PLAIN;
	pipe = S_ISFIFO(stat.st_mode);
	if (pipe || is_terminal(way->fd, &stat)) {
		ret = open_own(way, flags, pipe);
		if (ret >= 0 || ret == -EMFILE || ret == -ENFILE ||
		    ret == -ENOMEM)
			return ret;
		/* No /proc, or the file is not this user's to open. */
	}
	ret = way_nonblock(way->fd);
	return ret ? ret : WAY_NONBLOCK;
}

/* Where RWF_NOWAIT says -EAGAIN of what is only not in memory yet */
static bool is_slow(const struct way *way)
{
	struct stat stat;

	return !fstat(way->fd, &stat) && is_stored(way->fd, &stat);
}

ssize_t way_try(struct way *way)
{
	ssize_t ret;

	/* Its number may be another file's since the last try. */
	if (way->kind == WAY_NONBLOCK &&
	    !(fcntl(way->fd, F_GETFL) & O_NONBLOCK))
		way->kind = WAY_NOWAIT;
	/* And the program may have closed ours. */
	if (way->kind == WAY_OWN && !is_own(way->own)) {
		way_end(way);
		way->kind = WAY_NOWAIT;
	}
	if (way->kind == WAY_NOWAIT) {
		ret = nowait(way);
		if (ret == -EAGAIN && way->sleeper.misses && is_slow(way))
			way->kind = WAY_PLAIN;
		else if (ret == -EOPNOTSUPP || ret == -ENOSYS)
			way->kind = find(way);	/* a sandbox, in the second case */
		else
			return ret;
	}
	if (way->kind < 0)
		return way->kind;
	return plain(way, way->own < 0 ? way->fd : way->own);
}

void way_end(struct way *way)
{
	if (way->own >= 0)
		own_close(way->own);
	way->own = -1;
}
