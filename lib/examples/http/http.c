// SPDX-License-Identifier: MIT
/*
 * One connection for one request. Each phase begins with its time limit, which
 * all calls in it share; deadline_read() and the like add the context's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "http.h"

#define TO_THE_END UINT64_MAX

/* @data[@from..@to-1] has been read and not been used. */
struct http {
	deadline_context *context;
	const struct http_limits *limits;
	enum http_phase phase;
	uint64_t until;
	int fd;
	size_t from;
	size_t to;
	char data[16384];
};

/* What the header says of the body */
struct body {
	int status;
	uint64_t size;
	bool chunked;
};

static void enter(struct http *http, enum http_phase phase, uint64_t limit)
{
	http->phase = phase;
	http->until = deadline_in(limit);
}

static int dial(struct http *http, const struct sockaddr *addr,
		socklen_t addr_size)
{
	enter(http, HTTP_DIAL, http->limits->dial);
	http->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (http->fd < 0)
		return -errno;
	return deadline_connect(http->context, http->fd, addr, addr_size,
				http->until);
}

static int send_request(struct http *http, const char *host, const char *path)
{
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = snprintf(http->data, sizeof(http->data),
			     "GET %s HTTP/1.1\r\nHost: %s\r\n"
			     "Connection: close\r\n\r\n", path, host);

	if (n >= (ssize_t)sizeof(http->data))
		return -E2BIG;
	iov.iov_base = http->data;
	iov.iov_len = n;
	while (iov.iov_len) {
		n = deadline_sendmsg(http->context, http->fd, &msg,
				     MSG_NOSIGNAL, http->until);
		if (n < 0)
			return n;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= n;
	}
	return 0;
}

/* Read more behind what there is. 1, 0 at the end, or -errno */
static int fill(struct http *http)
{
	uint64_t until = http->until, idle = DEADLINE_NEVER;
	ssize_t n;

	memmove(http->data, http->data + http->from, http->to - http->from);
	http->to -= http->from;
	http->from = 0;
	if (http->to == sizeof(http->data))
		return -EPROTO;
	if (http->phase == HTTP_BODY)
		idle = deadline_in(http->limits->idle);
	n = deadline_read(http->context, http->fd, http->data + http->to,
			  sizeof(http->data) - http->to,
			  idle < until ? idle : until);
	if (n == -ETIMEDOUT && idle < until)
		http->phase = HTTP_IDLE;
	if (n <= 0)
		return n;
	http->to += n;
	return 1;
}

/* The next line, without its end, until the next call; 0 or -errno */
static int next_line(struct http *http, char **line)
{
	char *end;
	int ret;

	while (!(end = memchr(http->data + http->from, '\n',
			      http->to - http->from))) {
		ret = fill(http);
		if (ret <= 0)
			return ret ? ret : -ECONNRESET;
	}
	*line = http->data + http->from;
	http->from = end + 1 - http->data;
	if (end > *line && end[-1] == '\r')
		end--;
	*end = 0;
	return strlen(*line) == (size_t)(end - *line) ? 0 : -EPROTO;
}

/* The number that @text begins with, and what follows it; false if none does */
static bool number(char *text, int base, uint64_t *value, char **rest)
{
	const char *digits = "0123456789abcdefABCDEF";
	size_t n = strspn(text, base == 10 ? "0123456789" : digits);

	/* Fifteen: so it fits. */
	if (!n || n > 15)
		return false;
	*value = strtoull(text, rest, base);
	return true;
}

static int read_status(struct http *http, struct body *body)
{
	uint64_t status;
	char *line, *rest;
	int ret = next_line(http, &line);

	if (ret)
		return ret;
	if (strncmp(line, "HTTP/1.", 7) != 0 || !line[7] || line[8] != ' ' ||
	    !number(line + 9, 10, &status, &rest) || rest != line + 12)
		return -EPROTO;
	body->status = status;
	return 0;
}

/* A field that says where the body ends; who doubts that must give up. */
static int use_field(struct body *body, const char *name, char *value)
{
	char *rest;

	if (!strcasecmp(name, "Content-Length")) {
		if (body->size != TO_THE_END || body->chunked ||
		    !number(value, 10, &body->size, &rest) || *rest)
			return -EPROTO;
	} else if (!strcasecmp(name, "Transfer-Encoding")) {
		if (body->size != TO_THE_END || body->chunked ||
		    strcasecmp(value, "chunked") != 0)
			return -EPROTO;
		body->chunked = true;
	}
	return 0;
}

/* Fields until an empty line; those of a trailer tell nothing: @body is NULL. */
static int read_fields(struct http *http, struct body *body)
{
	char *line, *value, *end;
	int ret;

	for (;;) {
		ret = next_line(http, &line);
		if (ret || !*line)
			return ret;
		value = strchr(line, ':');
		if (!value || strcspn(line, " \t") < (size_t)(value - line))
			return -EPROTO;
		*value++ = 0;
		value += strspn(value, " \t");
		end = value + strlen(value);
		while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = 0;
		ret = body ? use_field(body, line, value) : 0;
		if (ret)
			return ret;
	}
}

static int read_header(struct http *http, struct body *body)
{
	int ret;

	do {
		*body = (struct body){ .size = TO_THE_END };
		ret = read_status(http, body);
		if (!ret)
			ret = read_fields(http, body);
	} while (!ret && body->status / 100 == 1);
	if (body->status == 204 || body->status == 304)
		*body = (struct body){ .status = body->status };
	return ret;
}

/* @size bytes go to @to, or all until the end. */
static int copy(struct http *http, uint64_t size, FILE *to)
{
	size_t n;
	int ret;

	while (size) {
		if (http->from == http->to) {
			ret = fill(http);
			if (!ret)
				return size == TO_THE_END ? 0 : -ECONNRESET;
			if (ret < 0)
				return ret;
		}
		n = http->to - http->from;
		if (n > size)
			n = size;
		if (fwrite(http->data + http->from, 1, n, to) != n)
			return -EIO;
		http->from += n;
		if (size != TO_THE_END)
			size -= n;
	}
	return 0;
}

static int copy_chunks(struct http *http, FILE *to)
{
	char *line, *rest;
	uint64_t size;
	int ret;

	do {
		ret = next_line(http, &line);
		if (ret)
			return ret;
		if (!number(line, 16, &size, &rest) ||
		    (*rest && !strchr("; \t", *rest)))
			return -EPROTO;
		if (!size)
			return read_fields(http, NULL);
		ret = copy(http, size, to);
		if (!ret)
			ret = next_line(http, &line);
		if (!ret && *line)
			ret = -EPROTO;
	} while (!ret);
	return ret;
}

static int request(struct http *http, const struct sockaddr *addr,
		   socklen_t addr_size, const char *host, const char *path,
		   FILE *to)
{
	struct body body;
	int ret = dial(http, addr, addr_size);

	if (ret)
		return ret;
	enter(http, HTTP_HEADER, http->limits->header);
	ret = send_request(http, host, path);
	if (!ret)
		ret = read_header(http, &body);
	if (ret)
		return ret;
	enter(http, HTTP_BODY, http->limits->body);
	ret = body.chunked ? copy_chunks(http, to) : copy(http, body.size, to);
	return ret ? ret : body.status;
}

int http_get(deadline_context *context, const struct http_limits *limits,
	     const struct sockaddr *addr, socklen_t addr_size,
	     const char *host, const char *path, FILE *to,
	     enum http_phase *phase)
{
	struct http http = { .context = context, .limits = limits };
	int ret = request(&http, addr, addr_size, host, path, to);

	*phase = http.phase;
	if (http.fd >= 0)
		close(http.fd);
	return ret;
}

const char *http_phase_name(enum http_phase phase)
{
	static const char *const names[] = {
		[HTTP_DIAL] = "dial",
		[HTTP_HEADER] = "response header",
		[HTTP_BODY] = "body",
		[HTTP_IDLE] = "idle",
	};

	return names[phase];
}

const char *http_error_name(int error)
{
	switch (error) {
	case -ETIMEDOUT: return "its own limit has passed";
	case -ETIME: return "the request's deadline has passed";
	case -ECANCELED: return "the request was cancelled";
	case -EPROTO: return "this is no HTTP";
	default: return strerror(-error);
	}
}
