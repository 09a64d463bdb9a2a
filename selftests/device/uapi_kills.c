// SPDX-License-Identifier: GPL-2.0
/*
 * A program killed at any moment leaves nothing: no file, no slot of its user's.
 * DEADLINE_TEST_PERCENT=1000 makes it ten thousand kills.
 */
#include <sys/prctl.h>
#include <linux/capability.h>
#include "module.h"
#include "queue.h"

#define KILLS 1000ul
#define SLOTS 256u

/* Make a queue, arm, ring, read, and close it again, for ever. */
static void live(uint64_t seed)
{
	struct deadline_expiry got[SLOTS];
	uint32_t list[SLOTS], i, n;
	struct queue q;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (queue_open(&q, SLOTS, O_NONBLOCK))
			_exit(1);
		for (n = next_random(&seed) % 16; n; n--) {
			for (i = 0; i < SLOTS; i++) {
				list[i] = i;
				slot_arm_silent(&q, i, clock_ns() +
						next_random(&seed) % MS);
			}
			ring_list(&q, list, SLOTS);
			if (read(q.fd, got, sizeof(got)) < 0 && errno != EAGAIN)
				_exit(2);
		}
		queue_close(&q);
	}
}

/* As the same user, without the capability that is exempt */
static int has_all_slots(void *arg)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = {};
	struct queue q;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	(void)arg;
	if (syscall(SYS_capset, &header, none))
		return 1;
	return queue_make(&q, fd, CLOCK_MONOTONIC, SLOTS) ? 2 : 0;
}

FIXTURE(kills) {
	long user_slots;
};

FIXTURE_SETUP(kills)
{
	self->user_slots = parameter("user_slots");
}

FIXTURE_TEARDOWN(kills)
{
	EXPECT_EQ(0, set_parameter("user_slots", self->user_slots));
}

TEST_F_TIMEOUT(kills, at_any_moment, 3600)
{
	unsigned long i, n = rounds(KILLS), survived = 0;
	uint64_t seed = 1, until;
	int status;
	pid_t pid;

	for (i = 0; i < n; i++) {
		pid = fork();
		if (pid == 0)
			live(next_random(&seed) + i);
		ASSERT_LT(0, pid);
		until = clock_ns() + next_random(&seed) % (3 * MS);
		WAIT_FOR(clock_ns() >= until);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		survived += !WIFSIGNALED(status);
	}
	EXPECT_EQ(0, survived);
	EXPECT_EQ(0, module_uses());
	/* All of the user's slots are there for one queue. */
	ASSERT_EQ(0, set_parameter("user_slots", SLOTS));
	EXPECT_TRUE(exited(in_child(has_all_slots, NULL), 0));
	TH_LOG("%lu killed", n - survived);
}

TEST_HARNESS_MAIN
