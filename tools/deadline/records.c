// SPDX-License-Identifier: MIT
/* What each record of a trace says: see records.h. */
#include "records.h"

#if HAVE_TRACEFS
#include <stdlib.h>
#include <string.h>
#include "symbols.h"
#include "system.h"
#include "tool.h"

#define HANDLERS	512
#define NAMES		32768

/* Of the header of each event in the buffer */
#define IN_HARD_INTERRUPT	0x08

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

struct records {
	struct tep_handle *tep;
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
	struct symbols *symbols;
};

static bool set_bit(uint8_t *bits, uint32_t i)
{
	bool was = bits[i / 8] >> i % 8 & 1;

	bits[i / 8] |= 1 << i % 8;
	return was;
}

static struct event *push(struct records *r, const struct event *event)
{
	struct item *items;

	if (r->n == r->room) {
		r->room = r->room ? 2 * r->room : 4096;
		items = realloc(r->items, r->room * sizeof(*items));
		if (!items) {
			complain("no memory");
			exit(STATUS_UNAVAILABLE);
		}
		r->items = items;
	}
	r->items[r->n].event = *event;
	r->items[r->n].order = r->order++;
	return &r->items[r->n++].event;
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
static void tell_name(struct records *r, const struct event *like, uint32_t thread,
		      const char *text)
{
	struct name *name = &r->names[thread % NAMES];
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
	push(r, &event);
}

static void tell_quota(struct records *r, const struct event *like, uint32_t thread)
{
	struct event event = {
		.time = like->time,
		.cpu = like->cpu,
		.pid = like->pid,
		.kind = EVENT_QUOTA,
		.thread = thread,
	};
	char path[EVENT_TEXT];

	if (!r->stopped || !thread || set_bit(r->quotas, thread))
		return;
	system_quota(thread, path, sizeof(path));
	event_set_text(&event, path);
	push(r, &event);
}

static bool take_expire(struct records *r, const struct handler *handler,
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
	event->irq = !!(tep_data_flags(r->tep, record) & IN_HARD_INTERRUPT);
	event->slack = number(handler, 6, record);
	event->user = number(handler, 7, record);
	if (event->owner && !set_bit(r->owners, event->owner)) {
		if (system_name(event->owner, name))
			tell_name(r, event, event->owner, name);
		if (r->n_owners < 64)
			r->new_owners[r->n_owners++] = event->owner;
	}
	return event->late <= INT64_MAX;
}

static bool take_throttle(struct records *r, const struct handler *handler,
			  struct tep_record *record, struct event *event)
{
	(void)r;
	event->kind = EVENT_THROTTLE;
	event->queue = number(handler, 0, record);
	return true;
}

static bool take_turn(struct records *r, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	(void)r;
	event->kind = EVENT_TURN;
	event->queue = number(handler, 0, record);
	event->ns = number(handler, 1, record);
	return event->ns <= INT64_MAX;
}

static bool take_wake(struct records *r, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	(void)r;
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

static bool take_switch(struct records *r, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	event->kind = EVENT_SWITCH;
	event->pid = as_pid(number(handler, 0, record));
	event->state = state_letter(number(handler, 1, record));
	event->thread = as_pid(number(handler, 2, record));
	tell_name(r, event, event->pid, fixed_text(handler, 3, record));
	tell_name(r, event, event->thread, fixed_text(handler, 4, record));
	tell_quota(r, event, event->thread);
	r->cpus[event->cpu].waking = 0;
	return true;
}

static bool take_waking(struct records *r, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	event->kind = EVENT_WAKING;
	event->thread = as_pid(number(handler, 0, record));
	r->cpus[event->cpu].waking = event->thread;
	return true;
}

static bool take_runnable(struct records *r, const struct handler *handler,
			  struct tep_record *record, struct event *event)
{
	struct cpu *cpu = &r->cpus[event->cpu];

	event->kind = EVENT_RUNNABLE;
	event->thread = as_pid(number(handler, 0, record));
	event->on = number(handler, 1, record);
	if (event->on >= EVENT_CPUS)
		return false;
	cpu->waking = 0;
	if (cpu->stop && cpu->stop <= r->n) {
		r->items[cpu->stop - 1].event.thread = event->thread;
		cpu->stop = 0;
		tell_quota(r, event, event->thread);
	}
	return true;
}

static bool take_fork(struct records *r, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	(void)r;
	event->kind = EVENT_FORK;
	event->pid = as_pid(number(handler, 0, record));
	event->thread = as_pid(number(handler, 1, record));
	return event->pid && event->thread;
}

static bool take_irq(struct records *r, const struct handler *handler,
		     struct tep_record *record, struct event *event)
{
	struct cpu *cpu = &r->cpus[event->cpu];
	const char *name;
	int size;

	event->kind = EVENT_IRQ;
	name = tep_get_field_raw(NULL, handler->event, "name", record, &size, 0);
	event_set_text(event, name ? name : "?");
	strcpy(cpu->irq, event->text);
	return true;
}

static bool take_irq_end(struct records *r, const struct handler *handler,
			 struct tep_record *record, struct event *event)
{
	(void)handler;
	(void)record;
	event->kind = EVENT_IRQ_END;
	strcpy(event->text, r->cpus[event->cpu].irq);
	return true;
}

/* irq_vectors have NAME_entry and NAME_exit. */
static bool take_vector(struct records *r, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	const char *name = handler->event->name, *end = strrchr(name, '_');
	size_t size = end - name;

	(void)r;
	(void)record;
	event->kind = strcmp(end, "_exit") ? EVENT_IRQ : EVENT_IRQ_END;
	memcpy(event->text, name, size);
	event->text[size] = 0;
	return true;
}

static bool take_soft(struct records *r, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	static const char *const names[] = {
		"HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET",
		"SCHED", "HRTIMER", "RCU",
	};
	uint64_t vector = number(handler, 0, record);

	(void)r;
	event->kind = strcmp(handler->source->name, "softirq_exit") ? EVENT_SOFT :
		      EVENT_SOFT_END;
	event_set_text(event, vector < 10 ? names[vector] : "?");
	return true;
}

static bool take_idle(struct records *r, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	uint32_t state = number(handler, 0, record);
	uint64_t on = number(handler, 1, record);

	if (on >= EVENT_CPUS)
		return false;
	event->cpu = on;
	event->kind = state == UINT32_MAX ? EVENT_IDLE_END : EVENT_IDLE;
	if (state != UINT32_MAX)
		r->cpus[on].idle = state;
	event->state = r->cpus[on].idle;
	return true;
}

static bool take_stop(struct records *r, const struct handler *handler,
		      struct tep_record *record, struct event *event)
{
	struct cpu *cpu = &r->cpus[event->cpu];

	event->kind = EVENT_STOP;
	event->group = number(handler, 0, record);
	event->thread = cpu->waking ? cpu->waking : event->pid;
	r->stopped = true;
	tell_quota(r, event, event->thread);
	if (!event->thread)
		cpu->stop = r->n + 1;
	return true;
}

static bool take_go(struct records *r, const struct handler *handler,
		    struct tep_record *record, struct event *event)
{
	(void)r;
	event->kind = EVENT_GO;
	event->group = number(handler, 0, record);
	return true;
}

static bool take_reaped(struct records *r, const struct handler *handler,
			struct tep_record *record, struct event *event)
{
	(void)r;
	event->kind = EVENT_REAPED;
	event->deadline = number(handler, 1, record);
	event->data = number(handler, 2, record);
	return true;
}

static bool take_noticed(struct records *r, const struct handler *handler,
			 struct tep_record *record, struct event *event)
{
	(void)r;
	event->kind = EVENT_NOTICED;
	event->data = number(handler, 0, record);
	event->deadline = number(handler, 1, record);
	return true;
}

/* The slot of a worker has no data. */
static bool take_yield(struct records *r, const struct handler *handler,
		       struct tep_record *record, struct event *event)
{
	(void)r;
	event->kind = EVENT_NOTICED;
	event->deadline = number(handler, 1, record);
	return true;
}

/* What the interrupt came into is behind its own entry, if it was kernel code. */
static bool take_stack(struct records *r, const struct handler *handler,
		       struct tep_record *record, struct event *event)
{
	const struct tep_format_field *field = handler->fields[0];
	const char *name, *entry = NULL;
	unsigned long address;
	size_t at, used = 0;
	unsigned int shown = 0;

	event->kind = EVENT_STACK;
	if (!r->symbols)
		r->symbols = symbols_read();
	for (at = field ? field->offset : record->size;
	     at + sizeof(address) <= (size_t)record->size && shown < 3;
	     at += sizeof(address)) {
		memcpy(&address, (const char *)record->data + at, sizeof(address));
		if (!address || address == -1ul)
			break;
		name = symbols_name(r->symbols, address);
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

const struct source record_sources[] = {
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
const struct source record_vector = { "irq_vectors", "", take_vector, { } };
const char *const record_vectors[] = {
	"local_timer", "reschedule", "call_function", "call_function_single", "irq_work",
	"x86_platform_ipi", "thermal_apic", "threshold_apic", "spurious_apic", "error_apic",
	NULL
};

/* Not of events that are there: those of the kernel's code and the library's */
const struct source record_stop = { NULL, "stop", take_stop, { "group" } };
const struct source record_go = { NULL, "go", take_go, { "group" } };
const struct source record_stack = { NULL, "kernel_stack", take_stack, { "caller" } };
const struct source record_probes[] = {
	{ NULL, "slot_reaped", take_reaped, { "a0", "a1", "a2" } },
	{ NULL, "context_noticed", take_noticed, { "a0", "a1" } },
	{ NULL, "worker_yield", take_yield, { "a0", "a1" } },
	{ }
};

void records_know(struct records *r, const struct source *source, const char *system,
		  const char *name)
{
	struct tep_event *event = tep_find_event_by_name(r->tep, system, name);
	struct handler *handler;
	unsigned int i;

	if (!event || event->id < 0 || event->id > 65535 || r->n_handlers == HANDLERS)
		return;
	handler = &r->handlers[r->n_handlers++];
	handler->source = source;
	handler->event = event;
	for (i = 0; i < FIELDS && source->fields[i]; i++)
		handler->fields[i] = tep_find_field(event, source->fields[i]);
	r->by_id[event->id] = r->n_handlers;
}

int records_take(struct tep_event *tep_event, struct tep_record *record, int cpu, void *arg)
{
	struct records *r = arg;
	struct event event = { .time = record->ts, .cpu = cpu };
	const struct handler *handler;

	if (cpu < 0 || cpu >= EVENT_CPUS || record->ts > INT64_MAX)
		return 0;
	event.pid = as_pid(tep_data_pid(r->tep, record));
	if (record->missed_events) {
		event.kind = EVENT_LOST;
		event.ns = record->missed_events > 0 ? record->missed_events : 1;
		push(r, &event);
	}
	if (tep_event->id < 0 || tep_event->id > 65535 || !r->by_id[tep_event->id])
		return 0;
	handler = &r->handlers[r->by_id[tep_event->id] - 1];
	if (handler->source->take(r, handler, record, &event))
		push(r, &event);
	return 0;
}

static void tell_stolen(struct records *r, uint64_t time)
{
	struct event event = { .time = time, .kind = EVENT_STOLEN };
	uint64_t ns[64];
	unsigned int i, n = system_stolen(ns, 64);

	for (i = 0; i < n; i++) {
		event.cpu = i;
		event.ns = ns[i] - r->cpus[i].stolen;
		if (r->cpus[i].stolen && event.ns && event.ns <= INT64_MAX)
			push(r, &event);
		r->cpus[i].stolen = ns[i];
	}
}

static int in_time(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->event.time != y->event.time)
		return x->event.time < y->event.time ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void records_give(struct records *r, uint64_t until, void (*take)(const struct event *, void *),
		  void *arg)
{
	size_t i;

	tell_stolen(r, until - 1);
	qsort(r->items, r->n, sizeof(*r->items), in_time);
	for (i = 0; i < r->n && r->items[i].event.time < until; i++)
		take(&r->items[i].event, arg);
	memmove(r->items, r->items + i, (r->n - i) * sizeof(*r->items));
	r->n -= i;
	for (i = 0; i < EVENT_CPUS; i++)
		r->cpus[i].stop = 0;
}

pid_t records_new_owner(struct records *r)
{
	return r->n_owners ? r->new_owners[--r->n_owners] : 0;
}

struct records *records_open(struct tep_handle *tep)
{
	struct records *r = calloc(1, sizeof(*r));

	if (!r)
		complain("no memory");
	else
		r->tep = tep;
	return r;
}

void records_close(struct records *r)
{
	if (!r)
		return;
	symbols_free(r->symbols);
	free(r->items);
	free(r);
}
#endif
