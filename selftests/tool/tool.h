/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The program deadline as its user has it: run with words, it has said something and
 * exited with a status. And a directory that looks like /proc, for those tests that
 * need no kernel: only the lines of fdinfo are as the test wants them.
 */
#ifndef SELFTESTS_TOOL_H
#define SELFTESTS_TOOL_H

#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "harness.h"

/* Where build/bin/deadline is, beside this program's own directory */
static inline const char *tool_path(void)
{
	static char path[PATH_MAX + 32];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = 0;
	snprintf(path, sizeof(path), "%s/../bin/deadline", dirname(self));
	return path;
}

/* It, to be executed also by who may not see its directory */
static int tool_fd = -1;

static __attribute__((constructor)) void tool_open(void)
{
	tool_fd = open(tool_path(), O_PATH | O_CLOEXEC);
}

/* What it said on stdout and on stderr, each as a text, and its wait status */
struct said {
	int status;
	char *out, *err;
};

static inline char *said_text(FILE *file)
{
	long size = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
	char *text = calloc(1, size + 1);

	rewind(file);
	if (text && fread(text, 1, size, file) != (size_t)size)
		text[0] = 0;
	fclose(file);
	return text;
}

/* Run it with these words, of which the last is NULL; @in is its stdin, or -1 */
static inline struct said tool_run(int in, const char *word, ...)
{
	FILE *out = tmpfile(), *err = tmpfile();
	char *argv[32] = { (char *)"deadline" };
	struct said said = { .status = -1 };
	va_list words;
	int n = 1;
	pid_t pid;

	va_start(words, word);
	for (; word && n < 31; word = va_arg(words, const char *))
		argv[n++] = (char *)word;
	va_end(words);
	pid = fork();
	if (pid == 0) {
		if (in >= 0)
			dup2(in, 0);
		dup2(fileno(out), 1);
		dup2(fileno(err), 2);
		fexecve(tool_fd, argv, environ);
		_exit(127);
	}
	waitpid(pid, &said.status, 0);
	said.out = said_text(out);
	said.err = said_text(err);
	return said;
}

static inline void said_free(struct said *said)
{
	free(said->out);
	free(said->err);
}

/* How many lines @text has */
static inline unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

/* The line that begins with @begin, in a static buffer; "" if there is none */
static inline const char *line_of(const char *text, const char *begin)
{
	static char line[8192];
	int n;

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (strncmp(text, begin, strlen(begin)) != 0)
			continue;
		n = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", n, text);
		return line;
	}
	return "";
}

/* The rest of that line */
static inline const char *rest_of(const char *text, const char *begin)
{
	const char *line = line_of(text, begin);

	return *line ? line + strlen(begin) : "there is none";
}

/* A directory like /proc, of one's own */
struct fake {
	char dir[32];
};

static inline bool fake_open(struct fake *fake)
{
	strcpy(fake->dir, "/tmp/deadline-XXXXXX");
	return mkdtemp(fake->dir);
}

static inline void fake_close(struct fake *fake)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", fake->dir);
	if (system(command))
		fprintf(stderr, "# %s stays\n", fake->dir);
}

/* @size bytes into @name of process @pid */
static inline bool fake_file(const struct fake *fake, int pid, const char *name,
			     const void *bytes, size_t size)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d/%s", fake->dir, pid, name);
	file = fopen(path, "we");
	if (!file)
		return false;
	return (fwrite(bytes, 1, size, file) == size) & !fclose(file);
}

/* A process of that name, whose descriptor @fd of the device has these lines */
static inline bool fake_fd(const struct fake *fake, int pid, const char *name, int fd,
			   const char *fdinfo)
{
	char path[128], file[32];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		static const char *const below[] = { "", "/fd", "/fdinfo" };

		snprintf(path, sizeof(path), "%s/%d%s", fake->dir, pid, below[i]);
		if (mkdir(path, 0700) && errno != EEXIST)
			return false;
	}
	snprintf(path, sizeof(path), "%s/%d/fd/%d", fake->dir, pid, fd);
	snprintf(file, sizeof(file), "fdinfo/%d", fd);
	return !symlink("/dev/deadline", path) &&
	       fake_file(fake, pid, "comm", name, strlen(name)) &&
	       fake_file(fake, pid, file, fdinfo, strlen(fdinfo));
}

#endif
