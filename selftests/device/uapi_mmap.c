// SPDX-License-Identifier: GPL-2.0
/*
 * What may be mapped, how, and how long: two mappings, whole, shared, never
 * executable, one of them never writable, neither grown nor inherited.
 */
#include "queue.h"

/* The error of a mapping, 0 if it was granted */
static int map_error(const struct queue *q, size_t size, int prot, int flags,
		     off_t offset)
{
	void *at = mmap(NULL, size, prot, flags, q->fd, offset);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, size);
	return 0;
}

#define RW (PROT_READ | PROT_WRITE)

TEST_F(queue, shared_only)
{
	struct queue *q = &self->q;
	size_t shared = q->setup.shared_size, status = q->setup.status_size;
	off_t offset = q->setup.status_offset;

	EXPECT_EQ(0, map_error(q, shared, RW, MAP_SHARED, 0));
	EXPECT_EQ(0, map_error(q, shared, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(0, map_error(q, status, PROT_READ, MAP_SHARED, offset));
	EXPECT_EQ(EINVAL, map_error(q, shared, RW, MAP_PRIVATE, 0));
	EXPECT_EQ(EINVAL, map_error(q, shared, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(EINVAL, map_error(q, status, PROT_READ, MAP_PRIVATE, offset));
}

TEST_F(queue, no_exec)
{
	struct queue *q = &self->q;
	size_t shared = q->setup.shared_size, status = q->setup.status_size;
	off_t offset = q->setup.status_offset;

	EXPECT_EQ(EPERM, map_error(q, shared, RW | PROT_EXEC, MAP_SHARED, 0));
	EXPECT_EQ(EPERM, map_error(q, status, PROT_READ | PROT_EXEC, MAP_SHARED,
				   offset));
}

TEST_F(queue, status_read_only)
{
	struct queue *q = &self->q;
	size_t status = q->setup.status_size;
	off_t offset = q->setup.status_offset;

	EXPECT_EQ(EPERM, map_error(q, status, RW, MAP_SHARED, offset));
	EXPECT_EQ(EPERM, map_error(q, status, PROT_WRITE, MAP_SHARED, offset));
}

TEST_F(queue, whole_only)
{
	struct queue *q = &self->q;
	size_t shared = q->setup.shared_size, status = q->setup.status_size;
	off_t offset = q->setup.status_offset, page = sysconf(_SC_PAGESIZE);

	EXPECT_EQ(EINVAL, map_error(q, shared - page, RW, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_error(q, shared + page, RW, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_error(q, shared, RW, MAP_SHARED, page));
	EXPECT_EQ(EINVAL, map_error(q, page, RW, MAP_SHARED, page));
	EXPECT_EQ(EINVAL, map_error(q, status + page, PROT_READ, MAP_SHARED,
				    offset));
	EXPECT_EQ(EINVAL, map_error(q, status, PROT_READ, MAP_SHARED,
				    offset - page));
	EXPECT_EQ(EINVAL, map_error(q, status, PROT_READ, MAP_SHARED,
				    offset + page));
	EXPECT_EQ(EINVAL, map_error(q, shared + status, PROT_READ, MAP_SHARED,
				    0));
	/* An offset whose low bits alone would be right */
	EXPECT_EQ(EINVAL, map_error(q, shared, RW, MAP_SHARED,
				    (off_t)1 << 44));
}

static int protect_error(const void *at, size_t size, int prot)
{
	return mprotect((void *)at, size, prot) ? errno : 0;
}

TEST_F(queue, nothing_added_later)
{
	struct queue *q = &self->q;
	size_t shared = q->setup.shared_size, status = q->setup.status_size;

	EXPECT_EQ(EACCES, protect_error(q->header, shared, RW | PROT_EXEC));
	EXPECT_EQ(EACCES, protect_error(q->status, status, RW));
	EXPECT_EQ(EACCES, protect_error(q->status, status,
					PROT_READ | PROT_EXEC));
	EXPECT_EQ(0, protect_error(q->header, shared, PROT_READ));
	EXPECT_EQ(0, protect_error(q->header, shared, RW));
}

/* EFAULT is what mremap(2) says of VM_DONTEXPAND. */
TEST_F(queue, no_growth)
{
	struct queue *q = &self->q;
	size_t shared = q->setup.shared_size, status = q->setup.status_size;

	EXPECT_EQ(MAP_FAILED, mremap(q->header, shared, shared + 4096,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap((void *)q->status, status, 2 * status,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
}

/* Moved elsewhere, as a language runtime may do, it is served all the same. */
TEST_F(queue, moved)
{
	struct queue *q = &self->q;
	size_t size = q->setup.shared_size;
	void *to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(to, mremap(q->header, size, size,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	q->header = to;
	q->slots = to + q->setup.slots_offset;
	ASSERT_EQ(0, slot_arm(q, 5, clock_ns() + MS));
	WAIT_FOR(slot_over(q, 5));
	EXPECT_EQ(1, ring_collect(q, 1));
}

/* Two mappings of the same are the same. */
TEST_F(queue, twice)
{
	struct queue again = self->q;

	ASSERT_EQ(0, queue_map(&again));
	ASSERT_EQ(0, slot_arm(&self->q, 5, clock_ns() + MS));
	WAIT_FOR(slot_over(&again, 5));
	EXPECT_EQ(1, ring_collect(&again, 1));
	EXPECT_EQ(0, ring_drain(&self->q));
	queue_unmap(&again);
}

static int touch(void *at)
{
	return *(volatile char *)at;
}

TEST_F(queue, not_inherited)
{
	int status;

	EXPECT_TRUE(exited(in_child(touch, (void *)""), 0));
	status = in_child(touch, self->q.header);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGSEGV, WTERMSIG(status));
	status = in_child(touch, (void *)self->q.status);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGSEGV, WTERMSIG(status));
}

/* The VmFlags line of the mapping at @at, out of /proc/self/smaps */
static void vm_flags(const void *at, char *flags, size_t size)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long from;
	char line[512];
	bool found = false;

	flags[0] = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%*x", &from) == 1 && strchr(line, '-'))
			found = from == (unsigned long)at;
		if (found && !strncmp(line, "VmFlags:", 8))
			snprintf(flags, size, "%.200s", line + 8);
	}
	if (file)
		fclose(file);
}

TEST_F(queue, flags)
{
	const void *at[] = { self->q.header, self->q.status };
	char flags[256];
	int i;

	for (i = 0; i < 2; i++) {
		vm_flags(at[i], flags, sizeof(flags));
		EXPECT_TRUE(strstr(flags, " sh"));
		EXPECT_TRUE(strstr(flags, " de"));
		EXPECT_TRUE(strstr(flags, " dc"));
		EXPECT_TRUE(strstr(flags, " dd"));
		EXPECT_FALSE(strstr(flags, " ex"));
		EXPECT_FALSE(strstr(flags, " me"));
	}
	EXPECT_FALSE(strstr(flags, " wr"));
	EXPECT_FALSE(strstr(flags, " mw"));
}

TEST_HARNESS_MAIN
