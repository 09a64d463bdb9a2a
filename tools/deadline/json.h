/* SPDX-License-Identifier: MIT */
/* JSON on stdout, as it is written: no more of it than the commands need. */
#ifndef DEADLINE_JSON_H
#define DEADLINE_JSON_H

#include <stdint.h>

/* @key is NULL in an array and outermost. */
void json_open(const char *key, char bracket);
void json_close(char bracket);
void json_number(const char *key, uint64_t value);
/* With one digit behind the point */
void json_decimal(const char *key, double value);
/* Bytes that are not printable ASCII become '?'. */
void json_string(const char *key, const char *value);

#endif
