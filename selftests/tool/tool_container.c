// SPDX-License-Identifier: GPL-2.0
/*
 * What tools/deadline/containers/README.md says of containers, with one made by hand:
 * a cgroup whose program allows devices or not, and namespaces with a /dev of their own.
 */
#include <linux/bpf.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "../device/module.h"
#include "deadline.h"

#define CGROUPS	"/sys/fs/cgroup"

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = -1;

	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		ret = 0;
	close(fd);
	return ret;
}

static struct bpf_insn insn(int code, int to, int from, int off, int value)
{
	return (struct bpf_insn){ .code = code, .dst_reg = to, .src_reg = from,
				  .off = off, .imm = value };
}

/* A program for cgroups that allows all devices but one; a descriptor, or -1 */
static int all_but(unsigned int number, unsigned int minor)
{
	struct bpf_insn program[] = {
		/* Of what is asked for: major and minor */
		insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 4, 0),
		insn(BPF_LDX | BPF_MEM | BPF_W, 3, 1, 8, 0),
		insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1),
		insn(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 2, number),
		insn(BPF_JMP | BPF_JNE | BPF_K, 3, 0, 1, minor),
		insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)program,
		.insn_cnt = ARRAY_SIZE(program),
		.license = (uintptr_t)"GPL",
	};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static int deny_in(const char *cgroup)
{
	union bpf_attr attr = { .attach_type = BPF_CGROUP_DEVICE };
	struct stat stat_of;
	int ret;

	if (stat("/dev/deadline", &stat_of))
		return -1;
	attr.target_fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	attr.attach_bpf_fd = all_but(major(stat_of.st_rdev), minor(stat_of.st_rdev));
	ret = syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr));
	close(attr.target_fd);
	close(attr.attach_bpf_fd);
	return ret;
}

/**
 * struct container - one to be made
 * @node: has it /dev/deadline?
 * @cgroup: it is in this one; NULL = in ours
 * @root: who is root in it, outside; 0 = it has no user namespace
 * @queues: how many it tries to open
 * What it says:
 * @backend: of the first queue that is opened with AUTO; or -errno
 * @kernel: 0, or why no queue of the kernel's could be opened
 * @opened: how many of those could
 */
struct container {
	bool node;
	const char *cgroup;
	unsigned int root;
	unsigned int queues;
	int backend;
	int kernel;
	int opened;
};

/* A /dev of its own with nothing but the node, if that; 0 or -1 */
static int own_dev(bool node)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("dev", "/mnt-dev", "tmpfs", 0, NULL))
		return -1;
	if (node && (close(creat("/mnt-dev/deadline", 0666)) ||
		     mount("/dev/deadline", "/mnt-dev/deadline", NULL, MS_BIND, NULL)))
		return -1;
	return mount("/mnt-dev", "/dev", NULL, MS_MOVE, NULL);
}

/* In the container: try what there is to be had. */
static void look(struct container *c)
{
	struct deadline_options options = { .slots = 16 };
	deadline_queue *queue;

	c->backend = deadline_queue_open(&queue, &options);
	if (!c->backend) {
		c->backend = deadline_queue_backend(queue);
		deadline_queue_close(queue);
	}
	options.backend = DEADLINE_BACKEND_KERNEL;
	for (c->opened = 0; c->opened < (int)c->queues; c->opened++) {
		c->kernel = deadline_queue_open(&queue, &options);
		if (c->kernel)
			return;
	}
}

/*
 * The container lives until @until is closed, then ends; its answer is in @c when this
 * returns. The process, or -1.
 */
static pid_t begin(struct container *c, int until[2])
{
	struct container *shared = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ready[2], mapped[2];
	char text[64], path[64], byte;
	pid_t pid;

	*shared = *c;
	if (pipe(ready) || pipe(mapped) || pipe(until))
		return -1;
	pid = fork();
	if (!pid) {
		close(until[1]);
		snprintf(path, sizeof(path), "%s/cgroup.procs", c->cgroup ?: CGROUPS);
		shared->backend = -EIO;
		if (c->cgroup && write_text(path, "0"))
			_exit(1);
		if (own_dev(c->node) ||
		    unshare(CLONE_NEWIPC | CLONE_NEWUTS | (c->root ? CLONE_NEWUSER : 0)))
			_exit(1);
		if (write(ready[1], "", 1) != 1 || read(mapped[0], &byte, 1) != 1 ||
		    setresgid(0, 0, 0) || setresuid(0, 0, 0))
			_exit(1);
		look(shared);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(until[0], &byte, 1) != 0);
	}
	close(until[0]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1) {
		snprintf(text, sizeof(text), "0 %u 1000", c->root);
		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		if (c->root && write_text(path, text))
			kill(pid, SIGKILL);
		snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		if (c->root && write_text(path, text))
			kill(pid, SIGKILL);
		if (write(mapped[1], "", 1) != 1 || read(ready[0], &byte, 1) != 1)
			shared->backend = -EIO;
	}
	*c = *shared;
	munmap(shared, sizeof(*shared));
	close(ready[0]);
	close(mapped[0]);
	close(mapped[1]);
	return pid;
}

static int end(pid_t pid, int until[2])
{
	int status;

	close(until[1]);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Begin and end it. */
static int try(struct container *c)
{
	int until[2];
	pid_t pid = begin(c, until);

	return end(pid, until);
}

FIXTURE(container) {
	char cgroup[64];
	long queues;
};

FIXTURE_SETUP(container)
{
	if (getuid() || access("/dev/deadline", R_OK | W_OK))
		SKIP(return, "no device");
	unsetenv("DEADLINE_BACKEND");
	self->queues = parameter("user_queues");
	snprintf(self->cgroup, sizeof(self->cgroup), CGROUPS "/container-%d", getpid());
	ASSERT_EQ(0, mkdir(self->cgroup, 0755));
	ASSERT_EQ(0, chmod("/dev/deadline", 0666));
	mkdir("/mnt-dev", 0755);
}

FIXTURE_TEARDOWN(container)
{
	EXPECT_EQ(0, set_parameter("user_queues", self->queues));
	EXPECT_EQ(0, rmdir(self->cgroup));
}

TEST_F(container, has_the_node)
{
	struct container c = { .node = true, .root = 100000, .queues = 1 };

	ASSERT_EQ(0, try(&c));
	EXPECT_EQ(DEADLINE_BACKEND_KERNEL, c.backend);
	EXPECT_EQ(0, c.kernel);
}

TEST_F(container, has_no_node)
{
	struct container c = { .root = 100000, .queues = 1 };

	ASSERT_EQ(0, try(&c));
	EXPECT_EQ(DEADLINE_BACKEND_THREAD, c.backend);
	EXPECT_EQ(-ENOENT, c.kernel);
}

/* The node is there, and the device cgroup does not let it be opened. */
TEST_F(container, may_not_open_it)
{
	struct container c = {
		.node = true, .root = 100000, .queues = 1, .cgroup = self->cgroup,
	};

	if (deny_in(self->cgroup))
		SKIP(return, "no device cgroups in this kernel");
	ASSERT_EQ(0, try(&c));
	EXPECT_EQ(DEADLINE_BACKEND_THREAD, c.backend);
	EXPECT_EQ(-EPERM, c.kernel);
}

/* Root of a container has limits, those of whom he is outside. */
TEST_F(container, limits)
{
	struct container one = { .node = true, .root = 100000, .queues = 3 };
	struct container same = one, other = one;
	int until[2];
	pid_t pid;

	other.root = 200000;
	ASSERT_EQ(0, set_parameter("user_queues", 2));
	pid = begin(&one, until);
	EXPECT_EQ(2, one.opened);
	EXPECT_EQ(-ENOSPC, one.kernel);
	EXPECT_EQ(0, try(&same));
	EXPECT_EQ(0, same.opened);
	EXPECT_EQ(-ENOSPC, same.kernel);
	/* A limit is an error: no thread takes its place. */
	EXPECT_EQ(-ENOSPC, same.backend);
	EXPECT_EQ(0, try(&other));
	EXPECT_EQ(2, other.opened);
	EXPECT_EQ(0, end(pid, until));
}

/* Without a user namespace, root of a container is root, and exempt. */
TEST_F(container, without_user_namespace)
{
	struct container c = { .node = true, .queues = 3 };

	ASSERT_EQ(0, set_parameter("user_queues", 2));
	ASSERT_EQ(0, try(&c));
	EXPECT_EQ(3, c.opened);
}

TEST_HARNESS_MAIN
