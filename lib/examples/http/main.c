// SPDX-License-Identifier: MIT
/*
 * One HTTP request under a timeout, with a limit for each of its phases. There are no
 * names of hosts: no limit holds for getaddrinfo(3) when it asks a server.
 */
#include <netdb.h>
#include <string.h>
#include "http.h"

#define SECOND 1000000000ull

static const char help[] =
"Usage: http ADDRESS PORT PATH\n"
"\n"
"Write the body of http://ADDRESS:PORT/PATH to stdout. The request may take 10 s, to\n"
"connect 2 s, the header 5 s, and 2 s may pass without a byte of the body. ADDRESS and\n"
"PORT are numbers.\n"
"\n"
"Exits: 0; 1 it failed, or the status is not 2xx; 2 usage\n";

static const struct http_limits limits = {
	.dial = 2 * SECOND,
	.header = 5 * SECOND,
	.body = DEADLINE_NEVER,
	.idle = 2 * SECOND,
};

static int get(const struct addrinfo *at, const char *host, const char *path)
{
	DEADLINE_AUTO deadline_context *context = NULL;
	enum http_phase phase;
	int ret;

	ret = deadline_with_timeout(deadline_background(), 0, &context,
				    10 * SECOND);
	if (ret) {
		fprintf(stderr, "http: %s\n", http_error_name(ret));
		return 1;
	}
	ret = http_get(context, &limits, at->ai_addr, at->ai_addrlen, host,
		       path, stdout, &phase);
	if (ret < 0)
		fprintf(stderr, "http: %s: %s\n", http_phase_name(phase),
			http_error_name(ret));
	else if (ret / 100 != 2)
		fprintf(stderr, "http: status %d\n", ret);
	return ret / 100 != 2;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	}, *at;
	int ret;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (argc != 4) {
		fprintf(stderr, "http: wants ADDRESS PORT PATH; see --help\n");
		return 2;
	}
	ret = getaddrinfo(argv[1], argv[2], &hints, &at);
	if (ret) {
		fprintf(stderr, "http: %s\n", gai_strerror(ret));
		return 2;
	}
	ret = get(at, argv[1], argv[3]);
	freeaddrinfo(at);
	return ret;
}
