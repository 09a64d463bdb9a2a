/* SPDX-License-Identifier: MIT */
/* What the demo's files share; whom it shows, tools/bench has. */
#ifndef DEMO_H
#define DEMO_H

#include "../scenarios/bench.h"

/* Prints the table of costs. */
void costs_table(bool kernel, bool exact);

#endif
