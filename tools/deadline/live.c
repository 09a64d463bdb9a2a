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
#include "symbols.h"
#include "system.h"

#define READ_EVERY	100000000	/* ns */
#define FIELDS		8
#define HANDLERS	512
#define NAMES		32768
#define PROBE_NAME	64

/* Of the header of each event in the buffer */
#define IN_HARD_INTERRUPT	0x08

struct live;
struct handler;

/* @take fills in the rest of an event; false: it is none of ours */
struct source {
	const char *system;
	const char *name;
	bool (*take)(struct live *live, const struct handler *handler,
		     struct tep_record *record, struct event *event);
	const char *fields[FIELDS];
};

struct handler {
	const struct source *source;
	struct tep_event *event;
	struct tep_format_field *fields[FIELDS];
};

struct item {
	struct event event;
	size_t order;
};

/*
 * @waking: the thread that is being put among those that wait for the CPU
 * @stop: the item, plus one, that told of a used-up quota while the CPU idled: the next
 *	thread that waits there is the one that wanted to run
 * @idle: the state in which it idles
 */
struct cpu {
	uint32_t waking;
	size_t stop;
	uint32_t idle;
	uint64_t stolen;
	char irq[EVENT_TEXT];
};

struct name {
	uint32_t thread;
	char text[16];
};

struct live {
	struct tracefs_instance *instance;
	struct tep_handle *tep;
	char group[32];
	struct handler handlers[HANDLERS];
	unsigned int n_handlers;
	uint16_t by_id[65536];		/* number of a handler plus one */
	struct item *items;
	size_t n, room, order;
	struct cpu cpus[EVENT_CPUS];
	struct name names[NAMES];
	bool stopped;			/* a quota was used up at least once */
	uint8_t quotas[EVENT_PIDS / 8];	/* threads whose quota was told */
	uint8_t owners[EVENT_PIDS / 8];
	uint32_t new_owners[64];
	unsigned int n_owners;
	struct stat *files;		/* whose probes are traced */
	size_t n_files;
	unsigned int n_probes;
	struct symbols *symbols;
};

static bool set_bit(uint8_t *bits, uint32_t i)
{
	bool was = bits[i / 8] >> i % 8 & 1;

	bits[i / 8] |= 1 << i % 8;
	return was;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

static struct event *push(struct live *live, const struct event *event)
{
	struct item *items;

	if (live->n == live->room) {
		live->room = live->room ? 2 * live->room : 4096;
		items = realloc(live->items, live->room * sizeof(*items));
		if (!items) {
			complain("no memory");
			exit(STATUS_UNAVAILABLE);
		}
		live->items = items;
	}
	live->items[live->n].event = *event;
	live->items[live->n].order = live->order++;
	return &live->items[live->n++].event;
}

static uint64_t number(const struct handler *handler, unsigned int field,
		       struct tep_record *record)
{
	unsigned long long value = 0;

	if (!handler->fields[field] ||
	    tep_read_number_field(handler->fields[field], record->data, &value))
		return 0;
	return value;
}

/* A string of a fixed size in the event */
static const char *fixed_text(const struct handler *handler, unsigned int field,
			      struct tep_record *record)
{
	return handler->fields[field] ?
	       (const char *)record->data + handler->fields[field]->offset : "";
}

static uint32_t as_pid(uint64_t value)
{
	return value < EVENT_PIDS ? value : 0;
}

/* Tell a thread's name, if it is not what was told last. */
static void tell_name(struct live *live, const struct event *like, uint32_t thread,
		      const char *text)
{
	struct name *name = &live->names[thread % NAMES];
	struct event event = {
		.time = like->time,
		.cpu = like->cpu,
		.pid = like->pid,
		.kind = EVENT_NAME,
		.thread = thread,
	};

	if (!thread || (name->thread == thread && !strncmp(name->text, text, 15)))
		return;
	name->thread = thread;
	snprintf(name->text, sizeof(name->text), "%.15s", text);
	event_set_text(&event, name->text);
	push(live, &event);
}

static void tell_quota(struct live *live, const struct event *like, uint32_t thread)
{
	struct event event = {
		.time = like->time,
		.cpu = like->cpu,
		.pid = like->pid,
		.kind = EVENT_QUOTA,
		.thread = thread,
	};
	char path[EVENT_TEXT];

	if (!live->stopped || !thread || set_bit(live->quotas, thread))
		return;
	system_quota(thread, path, sizeof(path));
	event_set_text(&event, path);
	push(live, &event);
}

static bool take_expire(struct live *live, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	char name[16];

	event->kind = EVENT_EXPIRE;
	event->queue = number(handler, 0, record);
	event->slot = number(handler, 1, record);
	event->deadline = number(handler, 2, record);
	event->late = number(handler, 3, record);
	event->data = number(handler, 4, record);
	event->owner = as_pid(number(handler, 5, record));
	event->irq = !!(tep_data_flags(live->tep, record) & IN_HARD_INTERRUPT);
	event->slack = number(handler, 6, record);
	event->user = number(handler, 7, record);
	if (event->owner && !set_bit(live->owners, event->owner)) {
		if (system_name(event->owner, name))
			tell_name(live, event, event->owner, name);
		if (live->n_owners < 64)
			live->new_owners[live->n_owners++] = event->owner;
	}
	return event->late <= INT64_MAX;
}

static bool take_throttle(struct live *live, const struct handler *handler,
			  struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_THROTTLE;
	event->queue = number(handler, 0, record);
	return true;
}

static bool take_turn(struct live *live, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_TURN;
	event->queue = number(handler, 0, record);
	event->ns = number(handler, 1, record);
	return event->ns <= INT64_MAX;
}

static bool take_wake(struct live *live, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_WAKE;
	event->queue = number(handler, 0, record);
	return true;
}

/* The kernel's bits, of which none is "can run" */
static uint32_t state_letter(uint64_t bits)
{
	static const unsigned char letters[] = "SDTtXZPI";
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (bits >> i & 1)
			return letters[i];
	return 'R';
}

static bool take_switch(struct live *live, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	event->kind = EVENT_SWITCH;
	event->pid = as_pid(number(handler, 0, record));
	event->state = state_letter(number(handler, 1, record));
	event->thread = as_pid(number(handler, 2, record));
	tell_name(live, event, event->pid, fixed_text(handler, 3, record));
	tell_name(live, event, event->thread, fixed_text(handler, 4, record));
	tell_quota(live, event, event->thread);
	live->cpus[event->cpu].waking = 0;
	return true;
}

static bool take_waking(struct live *live, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	event->kind = EVENT_WAKING;
	event->thread = as_pid(number(handler, 0, record));
	live->cpus[event->cpu].waking = event->thread;
	return true;
}

static bool take_runnable(struct live *live, const struct handler *handler,
			  struct tep_record *record, struct event *event)
{
	struct cpu *cpu = &live->cpus[event->cpu];

	event->kind = EVENT_RUNNABLE;
	event->thread = as_pid(number(handler, 0, record));
	event->on = number(handler, 1, record);
	if (event->on >= EVENT_CPUS)
		return false;
	cpu->waking = 0;
	if (cpu->stop && cpu->stop <= live->n) {
		live->items[cpu->stop - 1].event.thread = event->thread;
		cpu->stop = 0;
		tell_quota(live, event, event->thread);
	}
	return true;
}

static bool take_fork(struct live *live, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_FORK;
	event->pid = as_pid(number(handler, 0, record));
	event->thread = as_pid(number(handler, 1, record));
	return event->pid && event->thread;
}

static bool take_irq(struct live *live, const struct handler *handler,
		     struct tep_record *record, struct event *event)
{
	struct cpu *cpu = &live->cpus[event->cpu];
	const char *name;
	int size;

	event->kind = EVENT_IRQ;
	name = tep_get_field_raw(NULL, handler->event, "name", record, &size, 0);
	event_set_text(event, name ? name : "?");
	strcpy(cpu->irq, event->text);
	return true;
}

static bool take_irq_end(struct live *live, const struct handler *handler,
			 struct tep_record *record, struct event *event)
{
	(void)handler;
	(void)record;
	event->kind = EVENT_IRQ_END;
	strcpy(event->text, live->cpus[event->cpu].irq);
	return true;
}

/* irq_vectors have NAME_entry and NAME_exit. */
static bool take_vector(struct live *live, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	const char *name = handler->event->name, *end = strrchr(name, '_');
	size_t size = end - name;

	(void)live;
	(void)record;
	event->kind = strcmp(end, "_exit") ? EVENT_IRQ : EVENT_IRQ_END;
	memcpy(event->text, name, size);
	event->text[size] = 0;
	return true;
}

static bool take_soft(struct live *live, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	static const char *const names[] = {
		"HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET",
		"SCHED", "HRTIMER", "RCU",
	};
	uint64_t vector = number(handler, 0, record);

	(void)live;
	event->kind = strcmp(handler->source->name, "softirq_exit") ? EVENT_SOFT :
		      EVENT_SOFT_END;
	event_set_text(event, vector < 10 ? names[vector] : "?");
	return true;
}

static bool take_idle(struct live *live, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	uint32_t state = number(handler, 0, record);
	uint64_t on = number(handler, 1, record);

	if (on >= EVENT_CPUS)
		return false;
	event->cpu = on;
	event->kind = state == UINT32_MAX ? EVENT_IDLE_END : EVENT_IDLE;
	if (state != UINT32_MAX)
		live->cpus[on].idle = state;
	event->state = live->cpus[on].idle;
	return true;
}

static bool take_stop(struct live *live, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	struct cpu *cpu = &live->cpus[event->cpu];

	event->kind = EVENT_STOP;
	event->group = number(handler, 0, record);
	event->thread = cpu->waking ? cpu->waking : event->pid;
	live->stopped = true;
	tell_quota(live, event, event->thread);
	if (!event->thread)
		cpu->stop = live->n + 1;
	return true;
}

static bool take_go(struct live *live, const struct handler *handler,
		    struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_GO;
	event->group = number(handler, 0, record);
	return true;
}

static bool take_reaped(struct live *live, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_REAPED;
	event->deadline = number(handler, 1, record);
	event->data = number(handler, 2, record);
	return true;
}

static bool take_noticed(struct live *live, const struct handler *handler,
			 struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_NOTICED;
	event->data = number(handler, 0, record);
	event->deadline = number(handler, 1, record);
	return true;
}

/* The slot of a worker has no data. */
static bool take_yield(struct live *live, const struct handler *handler,
		       struct tep_record *record, struct event *event)
{
	(void)live;
	event->kind = EVENT_NOTICED;
	event->deadline = number(handler, 1, record);
	return true;
}

/* What the interrupt came into is behind its own entry, if it was kernel code. */
static bool take_stack(struct live *live, const struct handler *handler,
		       struct tep_record *record, struct event *event)
{
	const struct tep_format_field *field = handler->fields[0];
	const char *name, *entry = NULL;
	unsigned long address;
	size_t at, used = 0;
	unsigned int shown = 0;

	event->kind = EVENT_STACK;
	if (!live->symbols)
		live->symbols = symbols_read();
	for (at = field ? field->offset : record->size;
	     at + sizeof(address) <= (size_t)record->size && shown < 3;
	     at += sizeof(address)) {
		memcpy(&address, (const char *)record->data + at, sizeof(address));
		if (!address || address == -1ul)
			break;
		name = symbols_name(live->symbols, address);
		if (!strncmp(name, "asm_", 4)) {
			entry = name;
			used = 0;
			shown = 0;
		} else if (entry && used < EVENT_TEXT) {
			used += snprintf(event->text + used, EVENT_TEXT - used, "%s%s",
					 shown++ ? " < " : "", name);
		}
	}
	if (entry && !shown)
		strcpy(event->text, "user");
	return entry;
}

static const struct source sources[] = {
	{ "deadline", "dln_expire", take_expire,
		{ "queue", "slot", "deadline", "late", "user_data", "pid", "slack",
		  "user" } },
	{ "deadline", "dln_throttle", take_throttle, { "queue" } },
	{ "deadline", "dln_turn", take_turn, { "queue", "waited" } },
	{ "deadline", "dln_wake", take_wake, { "queue" } },
	{ "sched", "sched_switch", take_switch,
		{ "prev_pid", "prev_state", "next_pid", "prev_comm", "next_comm" } },
	{ "sched", "sched_waking", take_waking, { "pid" } },
	{ "sched", "sched_wakeup", take_runnable, { "pid", "target_cpu" } },
	{ "sched", "sched_wakeup_new", take_runnable, { "pid", "target_cpu" } },
	{ "sched", "sched_migrate_task", take_runnable, { "pid", "dest_cpu" } },
	{ "sched", "sched_process_fork", take_fork, { "parent_pid", "child_pid" } },
	{ "irq", "irq_handler_entry", take_irq, { } },
	{ "irq", "irq_handler_exit", take_irq_end, { } },
	{ "irq", "softirq_entry", take_soft, { "vec" } },
	{ "irq", "softirq_exit", take_soft, { "vec" } },
	{ "power", "cpu_idle", take_idle, { "state", "cpu_id" } },
	{ }
};

/* Interrupts that have no handler of a driver's: each has _entry and _exit. */
static const struct source vector_source = { "irq_vectors", "", take_vector, { } };
static const char *const vectors[] = {
	"local_timer", "reschedule", "call_function", "call_function_single", "irq_work",
	"x86_platform_ipi", "thermal_apic", "threshold_apic", "spurious_apic", "error_apic",
	NULL
};

/* Not of events that are there: those of the kernel's code and the library's */
static const struct source stop_source = { NULL, "stop", take_stop, { "group" } };
static const struct source go_source = { NULL, "go", take_go, { "group" } };
static const struct source stack_source = { NULL, "kernel_stack", take_stack, { "caller" } };
static const struct source probe_sources[] = {
	{ NULL, "slot_reaped", take_reaped, { "a0", "a1", "a2" } },
	{ NULL, "context_noticed", take_noticed, { "a0", "a1" } },
	{ NULL, "worker_yield", take_yield, { "a0", "a1" } },
	{ }
};

static void handle(struct live *live, const struct source *source, const char *system,
		   const char *name)
{
	struct tep_event *event = tep_find_event_by_name(live->tep, system, name);
	struct handler *handler;
	unsigned int i;

	if (!event || event->id < 0 || event->id > 65535 || live->n_handlers == HANDLERS)
		return;
	handler = &live->handlers[live->n_handlers++];
	handler->source = source;
	handler->event = event;
	for (i = 0; i < FIELDS && source->fields[i]; i++)
		handler->fields[i] = tep_find_field(event, source->fields[i]);
	live->by_id[event->id] = live->n_handlers;
}

static int take_record(struct tep_event *tep_event, struct tep_record *record, int cpu,
		       void *arg)
{
	struct live *live = arg;
	struct event event = { .time = record->ts, .cpu = cpu };
	const struct handler *handler;

	if (cpu < 0 || cpu >= EVENT_CPUS || record->ts > INT64_MAX)
		return 0;
	event.pid = as_pid(tep_data_pid(live->tep, record));
	if (record->missed_events) {
		event.kind = EVENT_LOST;
		event.ns = record->missed_events > 0 ? record->missed_events : 1;
		push(live, &event);
	}
	if (tep_event->id < 0 || tep_event->id > 65535 || !live->by_id[tep_event->id])
		return 0;
	handler = &live->handlers[live->by_id[tep_event->id] - 1];
	if (handler->source->take(live, handler, record, &event))
		push(live, &event);
	return 0;
}

static void tell_stolen(struct live *live, uint64_t time)
{
	struct event event = { .time = time, .kind = EVENT_STOLEN };
	uint64_t ns[64];
	unsigned int i, n = system_stolen(ns, 64);

	for (i = 0; i < n; i++) {
		event.cpu = i;
		event.ns = ns[i] - live->cpus[i].stolen;
		if (live->cpus[i].stolen && event.ns && event.ns <= INT64_MAX)
			push(live, &event);
		live->cpus[i].stolen = ns[i];
	}
}

static int in_time(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->event.time != y->event.time)
		return x->event.time < y->event.time ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

bool live_read(struct live *live, void (*take)(const struct event *, void *), void *arg)
{
	const struct timespec pause = { .tv_nsec = READ_EVERY };
	uint64_t until;
	size_t i;

	nanosleep(&pause, NULL);
	until = now();
	if (tracefs_iterate_raw_events(live->tep, live->instance, NULL, 0, take_record,
				       live) < 0) {
		complain("the trace cannot be read: %s", strerror(errno));
		return false;
	}
	tell_stolen(live, until - 1);
	qsort(live->items, live->n, sizeof(*live->items), in_time);
	for (i = 0; i < live->n && live->items[i].event.time < until; i++)
		take(&live->items[i].event, arg);
	memmove(live->items, live->items + i, (live->n - i) * sizeof(*live->items));
	live->n -= i;
	for (i = 0; i < EVENT_CPUS; i++)
		live->cpus[i].stop = 0;
	while (live->n_owners)
		live_probe_process(live, live->new_owners[--live->n_owners]);
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
	handle(live, source, live->group, name);
	return !tracefs_event_enable(live->instance, live->group, name);
}

static void trace_quotas(struct live *live)
{
	char text[160];

	snprintf(text, sizeof(text), "p:%s/stop throttle_cfs_rq group=$arg1:u64\n",
		 live->group);
	if (append("kprobe_events", text))
		add_probe(live, &stop_source, "stop");
	snprintf(text, sizeof(text), "p:%s/go unthrottle_cfs_rq group=$arg1:u64\n",
		 live->group);
	if (!append("kprobe_events", text) || !add_probe(live, &go_source, "go"))
		complain("this kernel does not tell when a CPU quota is used up");
}

/* An event that not each kernel has */
static void trace_event(struct live *live, const struct source *source, const char *name)
{
	handle(live, source, source->system, name);
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
	snprintf(filter, sizeof(filter), "stacktrace if late > %llu\n",
		 (unsigned long long)late);
	tracefs_event_file_write(live->instance, "deadline", "dln_expire", "trigger", filter);
	handle(live, &stack_source, "ftrace", "kernel_stack");
	trace_quotas(live);
	for (i = 0; sources[i].name; i++)
		trace_event(live, &sources[i], sources[i].name);
	for (i = 0; vectors[i]; i++) {
		snprintf(name, sizeof(name), "%s_entry", vectors[i]);
		trace_event(live, &vector_source, name);
		snprintf(name, sizeof(name), "%s_exit", vectors[i]);
		trace_event(live, &vector_source, name);
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
	symbols_free(live->symbols);
	free(live->items);
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

	for (i = 0; probe_sources[i].name && strcmp(name, probe_sources[i].name); i++)
		;
	if (!probe_sources[i].name || probes_fetch(args, fetch, sizeof(fetch)))
		return;
	snprintf(event, sizeof(event), "%s_%u", name, live->n_probes++);
	snprintf(text, sizeof(text), "p:%s/%s %s:0x%llx%s\n", live->group, event,
		 probing->path, (unsigned long long)offset, fetch);
	if (append("uprobe_events", text))
		add_probe(live, &probe_sources[i], event);
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
