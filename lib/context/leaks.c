// SPDX-License-Identifier: MIT
/*
 * With DEADLINE_DEBUG=leaks (not in set-user-ID programs) a process tells when it ends
 * which contexts were never released and where they were made. Nodes are found in the
 * pools; the others, which are allocated one by one, are kept in a list for this. A
 * context that was released lives on if it has children, each of which holds a
 * reference: so these are counted first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/debug.h"
#include "context/pool.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Under @mutex: by @next and @back, as siblings are */
static struct deadline_context *light;

void leaks_fork_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void leaks_fork_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

/* The parent tells of its own. */
void leaks_begin(void)
{
	pthread_mutex_init(&mutex, NULL);
	light = NULL;
}

void leaks_enter(struct deadline_context *context)
{
	if (!debug_wants(DEBUG_LEAKS))
		return;
	mutex_lock(&mutex);
	context->next = light;
	if (light)
		light->back = &context->next;
	context->back = &light;
	light = context;
	mutex_unlock(&mutex);
}

void leaks_leave(struct deadline_context *context)
{
	if (!context->back)
		return;
	mutex_lock(&mutex);
	take_out(context);
	mutex_unlock(&mutex);
}

/**
 * struct place - where code is
 * @address: in memory
 * @offset: in its file, as addr2line(1) has it
 * @file: that; empty for the program
 * @objects: how many were looked into; the first one is the program, whose name is
 *	empty with glibc and that of a link of /proc with musl
 */
struct place {
	uintptr_t address;
	uintptr_t offset;
	const char *file;
	unsigned int objects;
};

static int look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *place = arg;
	uintptr_t offset = place->address - info->dlpi_addr;
	const char *file = place->objects++ ? info->dlpi_name : "";
	unsigned int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		__typeof__(info->dlpi_phdr) header = &info->dlpi_phdr[i];

		if (header->p_type == PT_LOAD &&
		    offset - header->p_vaddr < header->p_memsz) {
			place->offset = offset;
			place->file = file;
			return 1;
		}
	}
	return 0;
}

/* A call returns behind itself: one before that is of its line. */
static void report(const struct deadline_context *context)
{
	struct place place = {
		.address = (uintptr_t)context->creator - 1,
		.file = "",
	};

	place.offset = place.address;
	dl_iterate_phdr(look_into, &place);
	fprintf(stderr, "deadline: never released: a context made at %s+0x%lx\n",
		*place.file ? place.file : program_invocation_name,
		(unsigned long)place.offset);
}

/* Call it for each context that lives; all is locked. */
static void each(void (*fn)(const struct deadline_context *context, void *arg),
		 void *arg)
{
	const struct deadline_context *context;
	const struct pool *pool = NULL;
	uint32_t i;

	for (context = light; context; context = context->next)
		fn(context, arg);
	while ((pool = pools_next(pool))) {
		for (i = 0; i < pool->used; i++) {
			context = &pool->contexts[i];
			if (__atomic_load_n(&context->refs, __ATOMIC_RELAXED))
				fn(context, arg);
		}
	}
}

/**
 * struct held - whom contexts have as their parents, and hold a reference to
 * @parents: one entry for each reference
 * @n: how many
 * @room: for so many
 */
struct held {
	const struct deadline_context **parents;
	size_t n;
	size_t room;
};

static void count(const struct deadline_context *context, void *arg)
{
	struct held *held = arg;

	(void)context;
	held->room++;
}

static void note_parent(const struct deadline_context *context, void *arg)
{
	const struct deadline_context *parent = context->parent;
	struct held *held = arg;

	if (!context->creator && crowd_is_held(parent))
		return;
	if (held->n < held->room)
		held->parents[held->n++] = parent;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* How many of the references to @context are other contexts'? */
static uint32_t held_by_children(const struct held *held,
				 const struct deadline_context *context)
{
	size_t low = 0, high = held->n, at;

	while (low < high) {
		at = low + (high - low) / 2;
		if (held->parents[at] < context)
			low = at + 1;
		else
			high = at;
	}
	for (at = low; at < held->n && held->parents[at] == context; at++)
		;
	return at - low;
}

/* One that only its children keep was released; a stand-in is the library's own. */
static void report_held(const struct deadline_context *context, void *arg)
{
	if (context->creator &&
	    __atomic_load_n(&context->refs, __ATOMIC_RELAXED) >
	    held_by_children(arg, context))
		report(context);
}

static __attribute__((destructor)) void report_all(void)
{
	struct held held = { NULL };

	if (!debug_wants(DEBUG_LEAKS))
		return;
	fork_check();
	mutex_lock(&mutex);
	pools_lock();
	each(count, &held);
	if (held.room)
		held.parents = calloc(held.room, sizeof(*held.parents));
	if (!held.parents)
		held.room = 0;
	each(note_parent, &held);
	if (held.n)
		qsort(held.parents, held.n, sizeof(*held.parents), by_address);
	each(report_held, &held);
	free(held.parents);
	pools_unlock();
	mutex_unlock(&mutex);
}
