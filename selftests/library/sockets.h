/* SPDX-License-Identifier: GPL-2.0 */
/* Sockets for the tests of blocking calls */
#ifndef SELFTESTS_SOCKETS_H
#define SELFTESTS_SOCKETS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A UNIX socket with a name that the kernel finds */
static inline int unix_named(int type, struct sockaddr_un *name,
			     socklen_t *size)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	bind(fd, (struct sockaddr *)name, sizeof(name->sun_family));
	*size = sizeof(*name);
	return getsockname(fd, (struct sockaddr *)name, size) ? -1 : fd;
}

/* Two ends of a TCP connection; -EAFNOSUPPORT where there is no such thing */
static inline int tcp_pair(int *one, int *other)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(addr);

	if (listener < 0)
		return -errno;
	*one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&addr, size) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &size) ||
	    connect(*one, (struct sockaddr *)&addr, size))
		return -errno;
	*other = accept(listener, NULL, NULL);
	close(listener);
	return *other < 0 ? -errno : 0;
}

#endif
