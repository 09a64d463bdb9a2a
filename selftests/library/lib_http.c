// SPDX-License-Identifier: GPL-2.0
/*
 * The example of an HTTP client against a server that stalls in each phase: the
 * phase's own limit ends it, the context's deadline or a cancel, whichever comes
 * first, and it is told which. And what it takes for HTTP.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "http.h"
#include "library.h"

#define SHORT (20 * MS)
#define LONG (1000 * SECOND)
#define PHASES 4
#define FILLERS 4

/* Without AF_INET all tests are skipped, before the first of them runs. */
static __attribute__((constructor)) void need_inet(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		close(fd);
		return;
	}
	ksft_print_header();
	ksft_exit_skip("no AF_INET\n");
}

/* One that answers one request with @reply, and closes unless it is to stall */
struct server {
	const char *reply;
	bool stalls;
	bool trickles;
	bool bytewise;
	bool serves;
	int fd;
	int fillers[FILLERS];
	struct sockaddr_in addr;
	pthread_t thread;
};

static void read_request(int fd)
{
	char request[4096] = "";
	size_t size = 0;
	ssize_t n;

	do {
		n = read(fd, request + size, sizeof(request) - 1 - size);
		size += n > 0 ? n : 0;
	} while (n > 0 && !strstr(request, "\r\n\r\n"));
}

static void *serve(void *arg)
{
	struct server *server = arg;
	int fd = accept(server->fd, NULL, NULL);
	const char *at = server->reply;
	size_t left = strlen(at), n;
	char byte = 'x';

	read_request(fd);
	for (; left; left -= n, at += n) {
		n = server->bytewise ? 1 : left;
		if (send(fd, at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
	}
	while (server->trickles && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
		relax();
	/* Until the client has given up */
	while (server->stalls && read(fd, &byte, 1) > 0)
		;
	close(fd);
	return NULL;
}

/* Without a reply it never accepts, and its backlog is full, so connect(2) blocks. */
static int start_server(struct server *server)
{
	struct sockaddr *addr = (struct sockaddr *)&server->addr;
	socklen_t size = sizeof(server->addr);
	int i;

	server->addr.sin_family = AF_INET;
	server->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->fd, addr, size) || listen(server->fd, 0) ||
	    getsockname(server->fd, addr, &size))
		return -1;
	server->serves = server->reply;
	if (server->serves)
		return pthread_create(&server->thread, NULL, serve, server);
	for (i = 0; i < FILLERS; i++) {
		server->fillers[i] = socket(AF_INET, SOCK_STREAM |
					    SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(server->fillers[i], addr, size);
	}
	return 0;
}

static void stop_server(struct server *server)
{
	int i;

	if (server->serves)
		pthread_join(server->thread, NULL);
	for (i = 0; !server->serves && i < FILLERS; i++)
		close(server->fillers[i]);
	close(server->fd);
}

static const struct server stalled[PHASES] = {
	[HTTP_DIAL] = { .reply = NULL },
	[HTTP_HEADER] = { .reply = "HTTP/1.1 200 OK\r\nContent-Le",
			  .stalls = true },
	[HTTP_BODY] = { .reply = "HTTP/1.1 200 OK\r\n"
				 "Content-Length: 100000000000000\r\n\r\nx",
			.stalls = true, .trickles = true },
	[HTTP_IDLE] = { .reply = "HTTP/1.1 200 OK\r\n"
				 "Transfer-Encoding: chunked\r\n\r\n9\r\nx",
			.stalls = true },
};

static uint64_t *limit_of(struct http_limits *limits, int phase)
{
	uint64_t *all[PHASES] = {
		&limits->dial, &limits->header, &limits->body, &limits->idle,
	};

	return all[phase];
}

static int get_from(const struct server *server, deadline_context *context,
		    const struct http_limits *limits, FILE *to,
		    enum http_phase *phase)
{
	return http_get(context, limits, (const void *)&server->addr,
			sizeof(server->addr), "localhost", "/", to, phase);
}

FIXTURE(http) {
	deadline_context *context;
	struct http_limits limits;
	struct server server;
	FILE *null;
};

FIXTURE_SETUP(http)
{
	ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0,
					   &self->context, LONG));
	self->limits = (struct http_limits){ LONG, LONG, LONG, LONG };
	self->null = fopen("/dev/null", "we");
	ASSERT_NE(NULL, self->null);
}

FIXTURE_TEARDOWN(http)
{
	fclose(self->null);
	deadline_release(self->context);
}

TEST_F(http, each_phase_has_its_limit)
{
	enum http_phase phase;
	uint64_t began;
	int i;

	for (i = 0; i < PHASES; i++) {
		self->server = stalled[i];
		ASSERT_EQ(0, start_server(&self->server));
		*limit_of(&self->limits, i) = SHORT;
		began = deadline_now();
		EXPECT_EQ(-ETIMEDOUT,
			  get_from(&self->server, self->context, &self->limits,
				   self->null, &phase));
		EXPECT_LE(began + SHORT, deadline_now());
		EXPECT_EQ(i, (int)phase);
		*limit_of(&self->limits, i) = LONG;
		stop_server(&self->server);
	}
	EXPECT_EQ(0, deadline_err(self->context));
}

/* Each phase ends within its own limit; the limit of the request ends it. */
TEST_F(http, context_limits_all_phases)
{
	deadline_context *context;
	enum http_phase phase;
	uint64_t when;
	int i;

	for (i = 0; i < PHASES; i++) {
		self->server = stalled[i];
		ASSERT_EQ(0, start_server(&self->server));
		when = deadline_in(SHORT);
		ASSERT_EQ(0, deadline_with_deadline(self->context, 0, &context,
						    when));
		EXPECT_EQ(-ETIME, get_from(&self->server, context,
					   &self->limits, self->null, &phase));
		EXPECT_LE(when, deadline_now());
		EXPECT_EQ(-ETIME, deadline_err(context));
		deadline_release(context);
		/* If it was over before it was let in, nobody else comes. */
		shutdown(self->server.fd, SHUT_RDWR);
		stop_server(&self->server);
	}
}

struct client {
	const struct server *server;
	deadline_context *context;
	const struct http_limits *limits;
	FILE *to;
	enum http_phase phase;
	pid_t id;
	int ret;
};

static void *get_thread(void *arg)
{
	struct client *c = arg;

	__atomic_store_n(&c->id, thread_id(), __ATOMIC_RELEASE);
	c->ret = get_from(c->server, c->context, c->limits, c->to, &c->phase);
	return NULL;
}

TEST_F(http, cancel_ends_each_phase)
{
	struct client c = { .server = &self->server, .limits = &self->limits };
	int i, body[2];
	pthread_t thread;
	char byte;

	ASSERT_EQ(0, pipe2(body, O_CLOEXEC));
	c.to = fdopen(body[1], "w");
	setbuf(c.to, NULL);
	for (i = 0; i < PHASES; i++) {
		self->server = stalled[i];
		/* Else the pipe would be filled. */
		self->server.trickles = false;
		ASSERT_EQ(0, start_server(&self->server));
		ASSERT_EQ(0, deadline_with_cancel(self->context, &c.context));
		c.id = 0;
		ASSERT_EQ(0, pthread_create(&thread, NULL, get_thread, &c));
		/* Its first byte tells that the body has begun. */
		if (i >= HTTP_BODY)
			ASSERT_EQ(1, read(body[0], &byte, 1));
		WAIT_FOR(__atomic_load_n(&c.id, __ATOMIC_ACQUIRE) &&
			 is_asleep(c.id));
		EXPECT_EQ(1, deadline_cancel(c.context, 0));
		pthread_join(thread, NULL);
		EXPECT_EQ(-ECANCELED, c.ret);
		EXPECT_GE(i, (int)c.phase);
		if (i >= HTTP_BODY)
			EXPECT_EQ(HTTP_BODY, c.phase);
		deadline_release(c.context);
		shutdown(self->server.fd, SHUT_RDWR);
		stop_server(&self->server);
	}
	fclose(c.to);
	close(body[0]);
}

TEST(says_which_phase)
{
	EXPECT_STREQ("dial", http_phase_name(HTTP_DIAL));
	EXPECT_STREQ("response header", http_phase_name(HTTP_HEADER));
	EXPECT_STREQ("body", http_phase_name(HTTP_BODY));
	EXPECT_STREQ("idle", http_phase_name(HTTP_IDLE));
	EXPECT_STREQ("its own limit has passed", http_error_name(-ETIMEDOUT));
	EXPECT_STREQ("the request's deadline has passed",
		     http_error_name(-ETIME));
	EXPECT_STREQ("the request was cancelled",
		     http_error_name(-ECANCELED));
}

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static const struct answer {
	const char *reply;
	int ret;
	const char *body;
} answers[] = {
	{ OK "Content-Length: 5\r\n\r\nhello", 200, "hello" },
	{ OK "content-length:5 \r\n\r\nhello, and more", 200, "hello" },
	{ OK "Content-Length: 0\r\n\r\n", 200, "" },
	{ OK "A: b\nC:d\n\nto the end", 200, "to the end" },
	{ CHUNKED "5\r\nhello\r\n6;a=b\r\n there\r\n0\r\n\r\n", 200,
	  "hello there" },
	{ CHUNKED "0000A\r\n0123456789\r\n0\r\nA: b\r\n\r\n", 200,
	  "0123456789" },
	{ "HTTP/1.1 100 Continue\r\n\r\n"
	  "HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\nno", 404, "no" },
	{ "HTTP/1.1 204 No Content\r\n\r\nnothing", 204, "" },
	{ "HTTP/1.1 304 As it was\r\nContent-Length: 5\r\n\r\n", 304, "" },

	{ "", -ECONNRESET, "" },
	{ "HTTP/1.1 200", -ECONNRESET, "" },
	{ OK "A: b\r\n", -ECONNRESET, "" },
	{ OK "Content-Length: 6\r\n\r\nhello", -ECONNRESET, "hello" },
	{ CHUNKED "5\r\nhello\r\n", -ECONNRESET, "hello" },
	{ CHUNKED "9\r\nhello", -ECONNRESET, "hello" },

	{ "SSH-2.0\r\n", -EPROTO, "" },
	{ "HTTP/2 200 OK\r\n\r\n", -EPROTO, "" },
	{ "HTTP/1.1 2000\r\n\r\n", -EPROTO, "" },
	{ "HTTP/1.1 20\r\n\r\n", -EPROTO, "" },
	{ OK "no colon\r\n\r\n", -EPROTO, "" },
	{ OK "A : b\r\n\r\n", -EPROTO, "" },
	{ OK "Content-Length: -5\r\n\r\nhello", -EPROTO, "" },
	{ OK "Content-Length: 5x\r\n\r\nhello", -EPROTO, "" },
	{ OK "Content-Length: 18446744073709551616\r\n\r\n", -EPROTO, "" },
	{ OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", -EPROTO,
	  "" },
	{ OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
	  -EPROTO, "" },
	{ OK "Transfer-Encoding: gzip\r\n\r\n", -EPROTO, "" },
	{ CHUNKED "x\r\nhello\r\n", -EPROTO, "" },
	{ CHUNKED "5\r\nhello there\r\n", -EPROTO, "hello" },
	{ CHUNKED "5g\r\nhello\r\n", -EPROTO, "" },
	{ CHUNKED "8000000000000005\r\nhello\r\n", -EPROTO, "" },
};

static void check_answers(struct __test_metadata *_metadata,
			  deadline_context *context,
			  const struct http_limits *limits, bool bytewise)
{
	enum http_phase phase;
	struct server server;
	size_t size;
	char *body;
	unsigned int i;
	FILE *to;

	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		server = (struct server){
			.reply = answers[i].reply, .bytewise = bytewise,
		};
		ASSERT_EQ(0, start_server(&server));
		to = open_memstream(&body, &size);
		EXPECT_EQ(answers[i].ret,
			  get_from(&server, context, limits, to, &phase))
			TH_LOG("%s", answers[i].reply);
		fclose(to);
		EXPECT_STREQ(answers[i].body, body);
		free(body);
		stop_server(&server);
	}
}

TEST_F(http, answers)
{
	check_answers(_metadata, self->context, &self->limits, false);
}

TEST_F(http, answers_byte_by_byte)
{
	check_answers(_metadata, self->context, &self->limits, true);
}

/* A line that never ends is refused, not collected. */
TEST_F(http, endless_line)
{
	static char reply[40000];
	enum http_phase phase;

	memset(reply, 'x', sizeof(reply) - 1);
	self->server = (struct server){ .reply = reply, .stalls = true };
	ASSERT_EQ(0, start_server(&self->server));
	EXPECT_EQ(-EPROTO, get_from(&self->server, self->context,
				    &self->limits, self->null, &phase));
	EXPECT_EQ(HTTP_HEADER, phase);
	stop_server(&self->server);
}

TEST_HARNESS_MAIN
