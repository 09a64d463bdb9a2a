// SPDX-License-Identifier: MIT
/*
 * An HTTP server whose requests bring their deadline in a header, which everything below
 * them inherits: the read of the request, the work, and the request to another server
 * that this one makes, with what remains in its header. A thread for each connection;
 * the other server is one of the same here, which answers with the header that it got.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "header.h"
#include "tell.h"

#define LINE "GET %s HTTP/1.1\r\ngrpc-timeout: %s\r\n\r\n"

/* A request or an answer, up to its empty line; what the call returned */
static ssize_t read_message(deadline_context *context, int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t ret;

	do {
		ret = deadline_read(context, fd, text + n, size - 1 - n, DEADLINE_NEVER);
		n += ret > 0 ? ret : 0;
		text[n] = 0;
	} while (ret > 0 && n < size - 1 && !strstr(text, "\r\n\r\n"));
	return ret;
}

static void *serve(void *arg);

/* A connection to a server, which has a thread of its own */
static int dial(void)
{
	pthread_t thread;
	int fds[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair()");
	must(!pthread_create(&thread, NULL, serve, (void *)(intptr_t)fds[1]), "thread");
	pthread_detach(thread);
	return fds[0];
}

/* GET @path below @context; the answer, or why there is none */
static const char *get(deadline_context *context, const char *path, char answer[256])
{
	char request[256], left[12];
	int fd = dial();
	ssize_t ret;

	header_write(context, left);
	snprintf(request, sizeof(request), LINE, path, left);
	ret = deadline_write_all(context, fd, request, strlen(request), DEADLINE_NEVER);
	if (ret > 0)
		ret = read_message(context, fd, answer, 256);
	close(fd);
	return ret < 0 ? deadline_strerror(ret) : answer;
}

/* /echo tells its own header; /ask asks another server for that; /work never ends */
static void answer(deadline_context *request, const char *path, const char *header,
		   char text[256])
{
	const deadline_word *word = deadline_context_word(request);
	char other[256] = "";

	if (!strcmp(path, "/work"))
		while (!deadline_over(word))
			;
	if (!strcmp(path, "/ask"))
		header = get(request, "/echo", other);
	if (!strcmp(path, "/ask-work"))
		header = get(request, "/work", other);
	if (deadline_over(word))
		snprintf(text, 256, "504 %s\r\n\r\n", deadline_strerror(deadline_err(request)));
	else
		snprintf(text, 256, "200 %.200s\r\n\r\n", header);
}

static void *serve(void *arg)
{
	deadline_context *request = NULL;
	char text[256], path[32], name[16], header[32] = "";
	int fd = (intptr_t)arg;
	uint64_t ns;

	/* A client that sends nothing has no header yet: the server's own limit. */
	must(!deadline_with_timeout(deadline_background(), 0, &request, 1000 * SECOND),
	     "a context");
	if (read_message(request, fd, text, sizeof(text)) > 0 &&
	    sscanf(text, "GET %31s HTTP/1.1\r\n%15[^:]: %31[^\r]", path, name, header) == 3 &&
	    (strcasecmp(name, "Prefer") ? header_read(header, &ns) :
	     header_read_wait(header, &ns)) &&
	    deadline_move(request, deadline_in(ns)) >= 0) {
		answer(request, path, header, text);
		/* The answer is late perhaps, but it is an answer. */
		deadline_write_all(deadline_background(), fd, text, strlen(text),
				   deadline_in(SECOND));
	}
	deadline_release(request);
	close(fd);
	return NULL;
}

/* A client of HTTP alone, which waits for an answer as long as it takes */
static const char *get_by_http(const char *prefer, char answer[256])
{
	int fd = dial();

	dprintf(fd, "GET /echo HTTP/1.1\r\nPrefer: %s\r\n\r\n", prefer);
	read_message(deadline_background(), fd, answer, 256);
	close(fd);
	return answer;
}

int main(void)
{
	deadline_context *patient, *hasty;
	char text[256] = "";
	unsigned int n = 0;
	char unit = 0;

	/* A client may give up, and close, before it is answered. */
	signal(SIGPIPE, SIG_IGN);
	must(!deadline_with_timeout(deadline_background(), 0, &patient, 50 * SECOND) &&
	     !deadline_with_timeout(patient, 0, &hasty, 30 * MS), "contexts");
	tell(!strncmp(get_by_http("respond-async, wait=10", text), "200", 3) &&
	     !strncmp(get_by_http("wait=0", text), "504", 3),
	     "a client of HTTP alone says how long it waits");
	get(patient, "/ask", text);
	tell(sscanf(text, "200 200 %u%c", &n, &unit) == 2 && unit == 'u' && n < 50000000 &&
	     n > 0, "the other server is given what remains");
	tell(!strcmp(get(hasty, "/ask-work", text), "the deadline came") ||
	     !strncmp(text, "504", 3), "a deadline ends all that is below it");
	deadline_release(hasty);
	deadline_release(patient);
	return tell_end();
}
