// SPDX-License-Identifier: GPL-2.0
/*
 * What a context costs in memory: 64 bytes of slot and at most 128 of the library,
 * by the pages that are there. What its server has on top is told apart.
 */
#include <linux/deadline.h>
#include <sys/prctl.h>
#include "library.h"

/* So many fill the library's queues, each as big as all before it. */
#define MANY 131072
/*
 * The rest, shared among so many: what a queue has once, and threads that keep up
 * to 64 pages until they are counted.
 */
#define SPARE 8
#define LIBRARY 128
/* The thread backend's node, its place in the heap, and its link in the inbox */
#define SERVER 32

static deadline_context *contexts[MANY];

/* A line of the file in /proc, in bytes */
static long bytes_of(const char *path, const char *name)
{
	char text[8192] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *at = NULL;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		at = strstr(text, name);
	close(fd);
	return at ? strtol(at + strlen(name), NULL, 10) * 1024 : -1;
}

/* The pages of our own, without those that we share with the kernel */
static long resident(void)
{
	return bytes_of("/proc/self/status", "RssAnon:");
}

/* With the slots, if the kernel serves: those are shared with us. */
static long kernels(void)
{
	return bytes_of("/proc/meminfo", "VmallocUsed:");
}

static int backend(void)
{
	deadline_queue *queue;
	int id = deadline_queue_open(&queue, NULL);

	if (id)
		return id;
	id = deadline_queue_backend(queue);
	deadline_queue_close(queue);
	return id;
}

TEST(bytes_of_a_context)
{
	long ours, theirs, least = LIBRARY, most = LIBRARY;
	int i, id = backend();

	ASSERT_LT(0, id);
	/* Stacks are no contexts. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	memset(contexts, 0xA5, sizeof(contexts));
	ours = resident();
	theirs = kernels();
	ASSERT_LT(0, ours);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, deadline_with_timeout(deadline_background(), 0,
						   &contexts[i],
						   1000 * SECOND));
	ours = (resident() - ours) / MANY;
	theirs = (kernels() - theirs) / MANY;
	if (id == DEADLINE_BACKEND_KERNEL)
		TH_LOG("%ld bytes of the library, %ld of the kernel (%zu of slot)",
		       ours, theirs, sizeof(struct deadline_slot));
	else
		TH_LOG("%ld bytes (%zu of slot, %d of server)", ours,
		       sizeof(struct deadline_slot), SERVER);
	/* The server writes its share as it takes what was handed in, maybe later. */
	if (id == DEADLINE_BACKEND_THREAD) {
		least += sizeof(struct deadline_slot);
		most += sizeof(struct deadline_slot) + SERVER;
	}
	EXPECT_EQ(64, sizeof(struct deadline_slot));
	EXPECT_LE(least - SPARE, ours);
	EXPECT_LE(ours, most + SPARE);
	for (i = 0; i < MANY; i++)
		deadline_release(contexts[i]);
}

/* How many bytes the process has mapped */
static uint64_t mapped(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned long long from, to;
	uint64_t bytes = 0;
	char line[512];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx", &from, &to) == 2)
			bytes += to - from;
	}
	fclose(file);
	return bytes;
}

/* What malloc(3) and pthread_create(3) keep of what they have mapped */
#define KEPT (16ull << 20)

/* All of it is given back. A thread that serves has more than the queue, for itself. */
TEST_F(lib, of_a_queue)
{
	struct deadline_options options = { .slots = 1 << 20 };
	uint64_t before = mapped(), memory;
	deadline_queue *queue;

	ASSERT_EQ(0, deadline_queue_open(&queue, &options));
	memory = stats_of(queue).memory;
	EXPECT_LE(options.slots * 64ull, memory);
	EXPECT_LE(memory, mapped() - before);
	if (deadline_queue_backend(queue) == DEADLINE_BACKEND_KERNEL)
		EXPECT_GT(memory + KEPT, mapped() - before);
	EXPECT_EQ(0, deadline_queue_close(queue));
	EXPECT_GT(before + KEPT, mapped());
}

TEST_HARNESS_MAIN
