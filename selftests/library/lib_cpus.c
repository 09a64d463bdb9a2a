// SPDX-License-Identifier: GPL-2.0
/*
 * deadline_cpus(), and how many shards there are for want of a number: affinity, and
 * the tightest quota of the process's cgroup and all above it, rounded up. Trees of
 * real cgroups in a guest; elsewhere, and for what a container sees, files that are
 * mounted over those of /proc.
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include "library.h"

/* Write a file, which may be new; 0 or -errno */
static int put(const char *path, const char *text)
{
	int ret = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			       0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* How many shards there are if none are asked for; 0 if that fails */
static unsigned int shards(void)
{
	deadline_shards *shards;
	unsigned int n;

	if (deadline_shards_open(&shards, NULL, 0))
		return 0;
	n = deadline_shards_count(shards);
	return deadline_shards_close(shards) ? 0 : n;
}

TEST(affinity)
{
	unsigned int all = deadline_cpus();
	cpu_set_t set, one;
	int cpu = 0;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	EXPECT_LE(1, all);
	EXPECT_GE(CPU_COUNT(&set), all);
	EXPECT_EQ(all, shards());
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	EXPECT_EQ(1, deadline_cpus());
	EXPECT_EQ(1, shards());
}

/* A mount namespace of our own, with a directory to fill: the working directory */
FIXTURE(fake) {
	unsigned int all;
};

FIXTURE_SETUP(fake)
{
	self->all = deadline_cpus();
	if (unshare(CLONE_NEWNS))
		SKIP(return, "may not mount");
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("fake", "/tmp", "tmpfs", 0, NULL));
	ASSERT_EQ(0, chdir("/tmp"));
	ASSERT_EQ(0, mkdir("a b", 0700));
	ASSERT_EQ(0, mkdir("a b/c", 0700));
}

FIXTURE_TEARDOWN(fake)
{
}

/* What the process's cgroup and the mounts look like, from now on */
static int look_like(const char *cgroup, const char *mounts)
{
	if (put("cgroup", cgroup) || put("mountinfo", mounts) ||
	    mount("cgroup", "/proc/self/cgroup", NULL, MS_BIND, NULL))
		return -1;
	return mount("mountinfo", "/proc/self/mountinfo", NULL, MS_BIND, NULL);
}

#define MOUNT(root) "30 20 0:26 " root " /tmp/a\\040b rw "
#define V2(root) MOUNT(root) "- cgroup2 cgroup2 rw\n"

TEST_F(fake, mount_point_with_a_space)
{
	ASSERT_EQ(0, put("a b/cpu.max", "100 100000\n"));
	ASSERT_EQ(0, look_like("0::/c\n", V2("/")));
	EXPECT_EQ(1, deadline_cpus());
}

/* A container's mount begins at its own cgroup. */
TEST_F(fake, root_of_the_mount)
{
	ASSERT_EQ(0, put("a b/c/cpu.max", "1 100000\n"));
	ASSERT_EQ(0, look_like("0::/pod/x/c\n", V2("/pod/x")));
	EXPECT_EQ(1, deadline_cpus());
}

/* /pod/x has no part in /pod/xyz, nor what is outside of the namespace in "/". */
TEST_F(fake, not_in_the_mount)
{
	ASSERT_EQ(0, put("a b/cpu.max", "1 100000\n"));
	ASSERT_EQ(0, mkdir("a byz", 0700));
	ASSERT_EQ(0, put("a byz/cpu.max", "1 100000\n"));
	ASSERT_EQ(0, look_like("0::/pod/xyz\n", V2("/pod/x")));
	EXPECT_EQ(self->all, deadline_cpus());
	ASSERT_EQ(0, put("cgroup", "0::/../c\n"));
	ASSERT_EQ(0, put("mountinfo", V2("/")));
	EXPECT_EQ(self->all, deadline_cpus());
}

/* "cpu" is not "cpuset", and the one file is not enough. */
TEST_F(fake, version_1)
{
	ASSERT_EQ(0, put("a b/cpu.cfs_quota_us", "100000\n"));
	ASSERT_EQ(0, look_like("2:cpuacct,cpu:/c\n1:cpuset:/\n",
			       MOUNT("/")
			       "shared:9 - cgroup x rw,cpuacct,cpu\n"));
	EXPECT_EQ(self->all, deadline_cpus());
	ASSERT_EQ(0, put("a b/cpu.cfs_period_us", "100000\n"));
	EXPECT_EQ(1, deadline_cpus());
	ASSERT_EQ(0, put("a b/cpu.cfs_quota_us", "-1\n"));
	EXPECT_EQ(self->all, deadline_cpus());
	ASSERT_EQ(0, put("a b/cpu.cfs_quota_us", "100000\n"));
	ASSERT_EQ(0, put("cgroup", "1:cpuset:/\n"));
	EXPECT_EQ(self->all, deadline_cpus());
}

/* Whatever the files of /proc hold, there is a number of CPUs, and errno is kept. */
TEST_F(fake, nonsense)
{
	static const char * const texts[] = { "", "\n", ":", "0::", "0::\n",
		" - ", "1 2 3 / / - cgroup2\n", "1 2 3 / / rw - cgroup2 x rw\n" };
	unsigned int i, j;

	ASSERT_EQ(0, look_like("", ""));
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		for (j = 0; j < ARRAY_SIZE(texts); j++) {
			ASSERT_EQ(0, put("cgroup", texts[i]));
			ASSERT_EQ(0, put("mountinfo", texts[j]));
			errno = 0;
			EXPECT_EQ(self->all, deadline_cpus());
			EXPECT_EQ(0, errno);
		}
	}
}

/* Real ones: top/middle/leaf, this process in the leaf */
static char top[32], middle[64], leaf[96];

static int set_quota(const char *dir, bool v1, const char *quota)
{
	const char *name = v1 ? "cpu.cfs_quota_us" : "cpu.max";
	char path[128], text[64];

	if (v1 && !strcmp(quota, "max"))
		quota = "-1";
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(text, sizeof(text), v1 ? "%s" : "%s 100000", quota);
	return put(path, text);
}

static int in_dir(const char *dir, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return put(path, text);
}

static int build(const char *root, bool v1)
{
	snprintf(top, sizeof(top), "%s/top", root);
	snprintf(middle, sizeof(middle), "%s/middle", top);
	snprintf(leaf, sizeof(leaf), "%s/leaf", middle);
	if (!v1 && in_dir(root, "cgroup.subtree_control", "+cpu"))
		return -1;
	if (mkdir(top, 0700) ||
	    (!v1 && in_dir(top, "cgroup.subtree_control", "+cpu")) ||
	    mkdir(middle, 0700) ||
	    (!v1 && in_dir(middle, "cgroup.subtree_control", "+cpu")) ||
	    mkdir(leaf, 0700))
		return -1;
	return in_dir(leaf, "cgroup.procs", "0");
}

static void demolish(const char *root, bool v1)
{
	in_dir(root, "cgroup.procs", "0");
	rmdir(leaf);
	rmdir(middle);
	rmdir(top);
	if (!v1)
		in_dir(root, "cgroup.subtree_control", "-cpu");
}

static void check_tree(struct __test_metadata *_metadata, bool v1,
		       unsigned int all)
{
	static const struct {
		const char *top, *middle, *leaf;
		unsigned int cpus;
	} cases[] = {
		{ "max", "max", "max", UINT32_MAX },
		{ "max", "max", "50000", 1 },
		{ "max", "100000", "max", 1 },	/* exactly one */
		{ "max", "100001", "max", 2 },	/* rounded up */
		{ "60000", "max", "max", 1 },
		{ "900000", "max", "max", 9 },
	};
	unsigned int i, cpus;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		/* In version 1 none may be set to more than one above it. */
		ASSERT_EQ(0, set_quota(leaf, v1, "max"));
		ASSERT_EQ(0, set_quota(middle, v1, "max"));
		ASSERT_EQ(0, set_quota(top, v1, cases[i].top));
		ASSERT_EQ(0, set_quota(middle, v1, cases[i].middle));
		ASSERT_EQ(0, set_quota(leaf, v1, cases[i].leaf));
		cpus = cases[i].cpus;
		if (cpus > all)
			cpus = all;
		EXPECT_EQ(cpus, deadline_cpus());
		EXPECT_EQ(cpus, shards());
	}
}

TEST(cgroups_version_2)
{
	unsigned int all = deadline_cpus();

	if (!in_a_guest())
		SKIP(return, "only in a guest");
	ASSERT_EQ(0, build("/sys/fs/cgroup", false));
	check_tree(_metadata, false, all);
	demolish("/sys/fs/cgroup", false);
}

TEST(cgroups_version_1)
{
	unsigned int all = deadline_cpus();

	if (!in_a_guest())
		SKIP(return, "only in a guest");
	ASSERT_EQ(0, mkdir("/tmp/v1", 0700));
	/* EBUSY until the kernel has freed the cgroups of the test before */
	WAIT_FOR(!mount("v1", "/tmp/v1", "cgroup", 0, "cpu") ||
		 errno != EBUSY);
	ASSERT_EQ(0, build("/tmp/v1", true));
	check_tree(_metadata, true, all);
	demolish("/tmp/v1", true);
	EXPECT_EQ(0, umount("/tmp/v1"));
}

TEST_HARNESS_MAIN
