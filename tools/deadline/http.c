// SPDX-License-Identifier: MIT
/*
 * The metrics over HTTP. systemd accepts each connection and starts us for it, so
 * there is one request to be answered, of which only the first line matters. A client
 * that sends no more than a part of it is not waited for longer than WAIT_MS.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "http.h"
#include "metrics.h"

#define WAIT_MS	5000

/* Read as far as the empty line; false if there is none, or no end of it */
static bool read_request(char *text, size_t size)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t got = 0;
	ssize_t n;

	while (got < size - 1) {
		if (poll(&in, 1, WAIT_MS) != 1)
			return false;
		n = read(STDIN_FILENO, text + got, size - 1 - got);
		if (n <= 0)
			return false;
		got += n;
		text[got] = 0;
		if (strstr(text, "\r\n\r\n") || strstr(text, "\n\n"))
			return true;
	}
	return false;
}

static void answer(const char *status, const char *type, const char *body,
		   bool with_body)
{
	printf("HTTP/1.1 %s\r\n"
	       "Content-Type: %s\r\n"
	       "Content-Length: %zu\r\n"
	       "Connection: close\r\n"
	       "\r\n%s", status, type, strlen(body), with_body ? body : "");
	fflush(stdout);
}

/* Does the request's first line ask for @path, with a query or without? */
static bool asks_for(const char *at, const char *path)
{
	size_t length = strlen(path);

	return !strncmp(at, path, length) &&
	       (at[length] == ' ' || at[length] == '?');
}

static int answer_metrics(const struct common *common, bool with_body)
{
	struct queues queues;
	char *body = NULL;
	size_t size = 0;
	FILE *out;
	int status;

	status = queues_read(&queues, common);
	if (status) {
		answer("503 Service Unavailable", "text/plain",
		       "deadline: the journal says why\n", with_body);
		return status;
	}
	out = open_memstream(&body, &size);
	if (out) {
		metrics_write(out, false, &queues);
		if (!fclose(out))
			answer("200 OK",
			       "application/openmetrics-text; version=1.0.0; charset=utf-8",
			       body, with_body);
	}
	free(body);
	queues_free(&queues);
	return STATUS_OK;
}

int http_serve(const struct common *common)
{
	char request[8192];
	bool head;

	if (!read_request(request, sizeof(request))) {
		answer("400 Bad Request", "text/plain", "no request\n", true);
		return STATUS_OK;
	}
	head = !strncmp(request, "HEAD ", 5);
	if (!head && strncmp(request, "GET ", 4) != 0) {
		answer("405 Method Not Allowed", "text/plain", "GET /metrics\n",
		       true);
		return STATUS_OK;
	}
	if (asks_for(strchr(request, ' ') + 1, "/metrics"))
		return answer_metrics(common, !head);
	answer("404 Not Found", "text/plain", "/metrics\n", !head);
	return STATUS_OK;
}
