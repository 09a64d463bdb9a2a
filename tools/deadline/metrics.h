/* SPDX-License-Identifier: MIT */
/* The text of deadline metrics */
#ifndef DEADLINE_METRICS_H
#define DEADLINE_METRICS_H

#include <stdio.h>
#include "queues.h"

/* OpenMetrics, or what node_exporter's textfile collector reads */
void metrics_write(FILE *out, bool textfile, const struct queues *queues);

#endif
