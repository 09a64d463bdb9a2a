// SPDX-License-Identifier: MIT
/*
 * All descriptors of all processes, and of those the queues: one that several have
 * open is one.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "queues.h"

static void *must(void *memory)
{
	if (!memory) {
		complain("no memory");
		exit(STATUS_UNAVAILABLE);
	}
	return memory;
}

/* A descriptor of a queue's, and whose that is */
struct reading {
	struct queue queue;
	struct holder holder;
};

struct readings {
	struct reading *all;
	size_t n;
};

/* One more, which is not filled in */
static struct reading *readings_more(struct readings *readings)
{
	size_t n = readings->n;

	/* Whenever the number is a power of two, the room is full. */
	if (!(n & (n - 1)))
		readings->all = must(realloc(readings->all, sizeof(*readings->all) *
					     (n ? 2 * n : 1)));
	readings->n++;
	return &readings->all[n];
}

/* All of a small file below @dir, as text; false if there is none */
static bool read_text(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (got < size - 1 && (n = read(fd, text + got, size - 1 - got)) > 0)
		got += n;
	close(fd);
	text[got] = 0;
	return got;
}

static void holder_init(struct holder *holder, pid_t pid, int process)
{
	unsigned int i;

	memset(holder, 0, sizeof(*holder));
	holder->pid = pid;
	if (!read_text(process, "comm", holder->name, sizeof(holder->name)))
		strcpy(holder->name, "?");
	holder->name[strcspn(holder->name, "\n")] = 0;
	for (i = 0; holder->name[i]; i++)
		if (!isgraph((unsigned char)holder->name[i]))
			holder->name[i] = '?';
}

/* Descriptor @name of process @pid, whose directories are @process and @fds */
static void read_descriptor(struct readings *readings, pid_t pid, int process,
			    int fds, const char *name)
{
	char link[256], path[300], text[8192];
	struct reading *reading;
	struct queue queue;
	ssize_t n;

	n = readlinkat(fds, name, link, sizeof(link) - 1);
	if (n <= 0)
		return;
	link[n] = 0;
	/* It may have another directory where the process sees it. */
	if (!strstr(link, "deadline"))
		return;
	snprintf(path, sizeof(path), "fdinfo/%s", name);
	if (!read_text(process, path, text, sizeof(text)) ||
	    !fdinfo_parse(text, &queue))
		return;
	reading = readings_more(readings);
	reading->queue = queue;
	holder_init(&reading->holder, pid, process);
}

/* False, with errno, if the process may not be looked at or is not there */
static bool read_process(struct readings *readings, int proc, const char *name)
{
	int process, fds;
	struct dirent *entry;
	DIR *dir;

	process = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return false;
	fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fds < 0 ? NULL : fdopendir(fds);
	if (!dir) {
		int error = errno;

		close(process);
		errno = error;
		return false;
	}
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			read_descriptor(readings, strtol(name, NULL, 10), process,
					fds, entry->d_name);
	closedir(dir);
	close(process);
	return true;
}

/*
 * Numbers are drawn at random, so two queues may have the same, if hardly ever: who
 * opened them is asked too.
 */
static int compare_queues(const struct queue *a, const struct queue *b)
{
	if (a->queue != b->queue)
		return a->queue < b->queue ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static int compare_readings(const void *left, const void *right)
{
	const struct reading *a = left, *b = right;
	int order = compare_queues(&a->queue, &b->queue);

	if (order)
		return order;
	return a->holder.pid < b->holder.pid ? -1 : a->holder.pid > b->holder.pid;
}

static bool wanted(const struct queue *queue, const struct common *common)
{
	unsigned int i;

	if (common->by_user && queue->user != common->user)
		return false;
	for (i = 0; common->pid && i < queue->n_holders; i++)
		if (queue->holders[i].pid == common->pid)
			return true;
	return !common->pid;
}

/* Of the readings of all descriptors, make queues: one for each, with its holders. */
static void merge(struct queues *queues, struct readings *readings)
{
	const struct reading *reading = readings->all;
	struct holder *holder;
	struct queue *queue = NULL;
	size_t i;

	if (!readings->n)
		return;
	qsort(readings->all, readings->n, sizeof(*readings->all), compare_readings);
	queues->all = must(calloc(readings->n, sizeof(*queues->all)));
	queues->holders = must(calloc(readings->n, sizeof(*queues->holders)));
	holder = queues->holders;
	for (i = 0; i < readings->n; i++, reading++) {
		if (!queue || compare_queues(queue, &reading->queue)) {
			queue = &queues->all[queues->n++];
			*queue = reading->queue;
			queue->holders = holder;
		} else if (holder[-1].pid == reading->holder.pid) {
			continue;
		}
		*holder++ = reading->holder;
		queue->n_holders++;
	}
}

/* Leave those that are wanted. */
static void filter(struct queues *queues, const struct common *common)
{
	size_t i, n = 0;

	for (i = 0; i < queues->n; i++)
		if (wanted(&queues->all[i], common))
			queues->all[n++] = queues->all[i];
	queues->n = n;
}

/* Without queues: is that because there is no module? */
static int check_module(const struct queues *queues, const struct common *common)
{
	if (queues->n || strcmp(common->proc, "/proc") ||
	    !access("/sys/module/deadline", F_OK))
		return STATUS_OK;
	complain("the module is not loaded: modprobe deadline");
	return STATUS_UNAVAILABLE;
}

static int check_process(int proc, const struct common *common)
{
	char path[32];

	if (!common->pid)
		return STATUS_OK;
	snprintf(path, sizeof(path), "%d/fd", common->pid);
	if (!faccessat(proc, path, R_OK | X_OK, 0))
		return STATUS_OK;
	if (errno == EACCES || errno == EPERM) {
		complain("process %d: it is not yours, only root may look",
			 common->pid);
		return STATUS_UNAVAILABLE;
	}
	complain("process %d: there is none", common->pid);
	return STATUS_NOTHING;
}

int queues_read(struct queues *queues, const struct common *common)
{
	struct readings readings = { };
	struct timespec now;
	struct dirent *entry;
	int status;
	DIR *proc;

	memset(queues, 0, sizeof(*queues));
	proc = opendir(common->proc);
	if (!proc) {
		complain("%s: %s", common->proc, strerror(errno));
		return STATUS_UNAVAILABLE;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	queues->time = now.tv_sec * NS_PER_SECOND + now.tv_nsec;
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name) &&
		    !read_process(&readings, dirfd(proc), entry->d_name) &&
		    (errno == EACCES || errno == EPERM))
			queues->hidden = true;
	status = check_process(dirfd(proc), common);
	closedir(proc);
	merge(queues, &readings);
	free(readings.all);
	if (!status)
		status = check_module(queues, common);
	filter(queues, common);
	if (status)
		queues_free(queues);
	return status;
}

void queues_free(struct queues *queues)
{
	free(queues->all);
	free(queues->holders);
	memset(queues, 0, sizeof(*queues));
}

int queues_found(const struct queues *queues)
{
	if (queues->n)
		return STATUS_OK;
	complain(queues->hidden ?
		 "no queues in the processes that you may look at; root sees all" :
		 "no queues");
	return STATUS_NOTHING;
}

static int compare_found(const void *key, const void *each)
{
	return compare_queues(key, each);
}

const struct queue *queues_find(const struct queues *queues,
				const struct queue *queue)
{
	return queues->n ? bsearch(queue, queues->all, queues->n,
				   sizeof(*queues->all), compare_found) : NULL;
}
