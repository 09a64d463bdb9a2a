// SPDX-License-Identifier: MIT
/* Events of this machine as they happen: see live.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "live.h"
#include "tool.h"

#if HAVE_TRACEFS
#include <tracefs.h>
#include "probes.h"
#include "records.h"
#include "system.h"

#define READ_EVERY	100000000	/* ns */
#define PROBE_NAME	64

struct live {
	struct tracefs_instance *instance;
	struct tep_handle *tep;
	struct records *records;
	char group[32];
	struct stat *files;		/* whose probes are traced */
	size_t n_files;
	unsigned int n_probes;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

bool live_read(struct live *live, void (*take)(const struct event *, void *), void *arg)
{
	const struct timespec pause = { .tv_nsec = READ_EVERY };
	uint64_t until;
	pid_t owner;

	nanosleep(&pause, NULL);
	until = now();
	if (tracefs_iterate_raw_events(live->tep, live->instance, NULL, 0, records_take,
				       live->records) < 0) {
		complain("the trace cannot be read: %s", strerror(errno));
		return false;
	}
	records_give(live->records, until, take, arg);
	while ((owner = records_new_owner(live->records)))
		live_probe_process(live, owner);
	return true;
}

static bool append(const char *file, const char *text)
{
	return tracefs_instance_file_append(NULL, file, text) > 0;
}

/* Take away the probes of a group: of ours, or of one that was killed. */
static void remove_probes(const char *file, const char *group)
{
	char *all = tracefs_instance_file_read(NULL, file, NULL), *line, *save, text[160];
	size_t size = strlen(group);

	for (line = all ? strtok_r(all, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "p:", 2) || strncmp(line + 2, group, size) ||
		    line[2 + size] != '/')
			continue;
		snprintf(text, sizeof(text), "-:%.*s\n", (int)strcspn(line + 2, " "), line + 2);
		append(file, text);
	}
	free(all);
}

static int remove_stale(const char *name, void *unused)
{
	struct tracefs_instance *instance;
	int pid;

	(void)unused;
	if (sscanf(name, "deadline_tool_%d", &pid) != 1 || !kill(pid, 0) || errno != ESRCH)
		return 0;
	instance = tracefs_instance_create(name);
	if (instance) {
		tracefs_instance_destroy(instance);
		tracefs_instance_free(instance);
	}
	remove_probes("kprobe_events", name);
	remove_probes("uprobe_events", name);
	return 0;
}

/* An event of our own group, just defined */
static bool add_probe(struct live *live, const struct source *source, const char *name)
{
	char *format;
	int size;

	format = tracefs_event_file_read(live->instance, live->group, name, "format", &size);
	if (!format)
		return false;
	if (tep_parse_event(live->tep, format, size, live->group)) {
		free(format);
		return false;
	}
	free(format);
	records_know(live->records, source, live->group, name);
	return !tracefs_event_enable(live->instance, live->group, name);
}

static void trace_quotas(struct live *live)
{
	char text[160];

	snprintf(text, sizeof(text), "p:%s/stop throttle_cfs_rq group=$arg1:u64\n",
		 live->group);
	if (append("kprobe_events", text))
		add_probe(live, &record_stop, "stop");
	snprintf(text, sizeof(text), "p:%s/go unthrottle_cfs_rq group=$arg1:u64\n",
		 live->group);
	if (!append("kprobe_events", text) || !add_probe(live, &record_go, "go"))
		complain("this kernel does not tell when a CPU quota is used up");
}

/* An event that not each kernel has */
static void trace_event(struct live *live, const struct source *source, const char *name)
{
	records_know(live->records, source, source->system, name);
	tracefs_event_enable(live->instance, source->system, name);
}

static bool begin(struct live *live, uint64_t late)
{
	static const char *const systems[] = {
		"deadline", "sched", "irq", "irq_vectors", "power", "ftrace", NULL
	};
	char filter[64], name[64];
	unsigned int i;

	if (!tracefs_event_file_exists(live->instance, "deadline", "dln_expire", "enable")) {
		complain("the module is not loaded: there is no event deadline:dln_expire");
		return false;
	}
	live->tep = tracefs_local_events_system(NULL, systems);
	if (!live->tep || tracefs_instance_file_write(live->instance, "trace_clock",
						      "mono") < 0) {
		complain("tracefs: %s", strerror(errno));
		return false;
	}
	live->records = records_open(live->tep);
	if (!live->records)
		return false;
	snprintf(filter, sizeof(filter), "stacktrace if late > %llu\n",
		 (unsigned long long)late);
	tracefs_event_file_write(live->instance, "deadline", "dln_expire", "trigger", filter);
	records_know(live->records, &record_stack, "ftrace", "kernel_stack");
	trace_quotas(live);
	for (i = 0; record_sources[i].name; i++)
		trace_event(live, &record_sources[i], record_sources[i].name);
	for (i = 0; record_vectors[i]; i++) {
		snprintf(name, sizeof(name), "%s_entry", record_vectors[i]);
		trace_event(live, &record_vector, name);
		snprintf(name, sizeof(name), "%s_exit", record_vectors[i]);
		trace_event(live, &record_vector, name);
	}
	return true;
}

struct live *live_open(uint64_t late)
{
	struct live *live;

	if (!tracefs_tracing_dir()) {
		complain("there is no tracefs: is /sys/kernel/tracing mounted?");
		return NULL;
	}
	live = calloc(1, sizeof(*live));
	if (!live) {
		complain("no memory");
		return NULL;
	}
	tracefs_instances_walk(remove_stale, NULL);
	snprintf(live->group, sizeof(live->group), "deadline_tool_%d", getpid());
	live->instance = tracefs_instance_create(live->group);
	if (!live->instance) {
		complain("tracefs: no instance of our own: %s%s", strerror(errno),
			 errno == EACCES || errno == EPERM ? "; only root may trace" : "");
		free(live);
		return NULL;
	}
	if (!begin(live, late)) {
		live_close(live);
		return NULL;
	}
	return live;
}

void live_close(struct live *live)
{
	tracefs_instance_destroy(live->instance);
	tracefs_instance_free(live->instance);
	remove_probes("kprobe_events", live->group);
	remove_probes("uprobe_events", live->group);
	if (live->tep)
		tep_free(live->tep);
	records_close(live->records);
	free(live->files);
	free(live);
}

/* A file whose probes are being looked at */
struct probing {
	struct live *live;
	const char *path;
};

static void take_probe(const char *name, uint64_t offset, const char *args, void *arg)
{
	struct probing *probing = arg;
	struct live *live = probing->live;
	char fetch[256], event[PROBE_NAME], text[1024];
	unsigned int i;

	for (i = 0; record_probes[i].name && strcmp(name, record_probes[i].name); i++)
		;
	if (!record_probes[i].name || probes_fetch(args, fetch, sizeof(fetch)))
		return;
	snprintf(event, sizeof(event), "%s_%u", name, live->n_probes++);
	snprintf(text, sizeof(text), "p:%s/%s %s:0x%llx%s\n", live->group, event,
		 probing->path, (unsigned long long)offset, fetch);
	if (append("uprobe_events", text))
		add_probe(live, &record_probes[i], event);
}

/* Once: false if it was looked at before. */
static bool new_file(struct live *live, const struct stat *stat)
{
	struct stat *files;
	size_t i;

	for (i = 0; i < live->n_files; i++)
		if (live->files[i].st_dev == stat->st_dev &&
		    live->files[i].st_ino == stat->st_ino)
			return false;
	files = realloc(live->files, (live->n_files + 1) * sizeof(*files));
	if (!files)
		return false;
	live->files = files;
	live->files[live->n_files++] = *stat;
	return true;
}

void live_probe_file(struct live *live, const char *path)
{
	struct probing probing = { .live = live, .path = path };
	struct stat stat;
	void *bytes;
	int fd;

	/* Uprobes are told of files by their names, up to a space. */
	if (strlen(path) > 512 || strpbrk(path, " \t\n"))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!fstat(fd, &stat) && stat.st_size && S_ISREG(stat.st_mode) &&
	    new_file(live, &stat)) {
		bytes = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes != MAP_FAILED) {
			probes_find(bytes, stat.st_size, take_probe, &probing);
			munmap(bytes, stat.st_size);
		}
	}
	close(fd);
}

static void take_mapping(const char *path, void *arg)
{
	live_probe_file(arg, path);
}

/* Its program, and the library if it has that as a file of its own */
void live_probe_process(struct live *live, pid_t pid)
{
	system_files(pid, take_mapping, live);
}

#else

struct live *live_open(uint64_t late)
{
	(void)late;
	complain("this program was built without libtracefs: only files can be read (--from)");
	return NULL;
}

void live_close(struct live *live)
{
	(void)live;
}

void live_probe_file(struct live *live, const char *path)
{
	(void)live;
	(void)path;
}

void live_probe_process(struct live *live, pid_t pid)
{
	(void)live;
	(void)pid;
}

bool live_read(struct live *live, void (*take)(const struct event *, void *), void *arg)
{
	(void)live;
	(void)take;
	(void)arg;
	return false;
}
#endif
