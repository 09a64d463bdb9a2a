/* SPDX-License-Identifier: MIT */
/* The latest observations as a picture (SVG): a line of time for each, in its parts */
#ifndef DEADLINE_PICTURE_H
#define DEADLINE_PICTURE_H

#include "cause.h"

struct picture;

struct picture *picture_new(void);
void picture_free(struct picture *picture);

/* It is drawn if it is among the latest. */
void picture_add(struct picture *picture, const struct history *history,
		 const struct expiry *expiry, const struct parts *parts);

/* False if the file cannot be written, which is told on stderr */
bool picture_write(const struct picture *picture, const char *path);

#endif
