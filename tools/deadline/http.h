/* SPDX-License-Identifier: MIT */
/* One request of HTTP, on stdin, and its answer, on stdout */
#ifndef DEADLINE_HTTP_H
#define DEADLINE_HTTP_H

#include "tool.h"

/* A status; what a client asks wrongly it is told, and that is no failure. */
int http_serve(const struct common *common);

#endif
