// SPDX-License-Identifier: GPL-2.0
/*
 * Every call with its first allocation failing, then with its second, until it
 * succeeds: each failure is told as one, changes nothing, and the same call then
 * works. Copies from and to user space fail in the same way. For kernels with fault
 * injection (tools/vm/kernel 6.12-debug).
 */
#include <sys/eventfd.h>
#include "module.h"
#include "queue.h"

static __attribute__((constructor)) void need_injection(void)
{
	struct utsname name;

	/* A kernel built to debug has to have it. */
	if (!access("/proc/self/fail-nth", F_OK) || uname(&name) ||
	    strstr(name.release, "-debug"))
		return;
	ksft_print_header();
	ksft_exit_skip("no fault injection\n");
}

/*
 * Allocations that pass __GFP_NOWARN or wait, and copies, fail as well. Returns
 * what cannot be set, or NULL.
 */
static const char *inject_everything(void)
{
	static const char *const knobs[][2] = {
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
		{ "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
	};
	char path[128];
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s",
			 knobs[i][0]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, knobs[i][1], 1) != 1)
			return knobs[i][0];
		close(fd);
	}
	return NULL;
}

struct call {
	int fd;
	int eventfd;
	struct deadline_setup setup;
	struct deadline_expiry expiry;
	uint32_t list[256];
	void *at;
};

/* Each makes one call and returns what that returned. */
static int call_open(struct call *c)
{
	return c->fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static int call_setup(struct call *c)
{
	memset(&c->setup, 0, sizeof(c->setup));
	c->setup.slots = 1000;
	c->setup.clock = CLOCK_REALTIME;
	return ioctl(c->fd, DEADLINE_IOC_SETUP, &c->setup);
}

static int call_map(struct call *c)
{
	c->at = mmap(NULL, c->setup.shared_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED, c->fd, 0);
	return c->at == MAP_FAILED ? -1 : 0;
}

static int call_doorbell(struct call *c)
{
	return ioctl(c->fd, DEADLINE_IOC_DOORBELL, 0);
}

static int call_eventfd(struct call *c)
{
	return ioctl(c->fd, DEADLINE_IOC_EVENTFD, c->eventfd);
}

static int call_async(struct call *c)
{
	return fcntl(c->fd, F_SETFL, O_NONBLOCK | O_ASYNC);
}

static int call_read(struct call *c)
{
	return read(c->fd, &c->expiry, sizeof(c->expiry));
}

/*
 * The fault may hit the very write that is to turn it off, or the read that asks
 * for it: then the call before had none, and there is none to come.
 */
static bool set_nth(int fd, unsigned int n)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%u", n);

	return pwrite(fd, text, size, 0) == size;
}

/* Was the fault of this call injected? Turns it off. */
static bool injected(int fd)
{
	char text[16] = "";
	bool asked = pread(fd, text, sizeof(text) - 1, 0) > 0;

	if (!set_nth(fd, 0))
		set_nth(fd, 0);
	return asked && atoi(text) == 0;
}

/*
 * The call bore its fault: make it possible once more. To open(2) by somebody new:
 * what is kept of a user is allocated for the first open of his only.
 */
static void undo(int (*call)(struct call *c), struct call *c)
{
	static uid_t somebody = 4321;

	if (call == call_map)
		munmap(c->at, c->setup.shared_size);
	if (call == call_open || call == call_setup)
		close(c->fd);
	if (call == call_open && setresuid(somebody++, -1, -1))
		abort();
	if (call == call_setup && call_open(c) < 0)
		abort();
}

/* How many faults it took; each must be told as one. -1 = another error */
static int until_it_works(int (*call)(struct call *c), struct call *c)
{
	int nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int n, ret, error, faults = 0;
	bool fault;

	if (nth < 0)
		return -1;
	for (n = 1; n < 1000; n++) {
		if (!set_nth(nth, n))
			break;
		errno = 0;
		ret = call(c);
		error = errno;
		fault = injected(nth);
		if (!fault && ret < 0)
			faults = -1;
		/* A list may have been done in part, or the fault be borne. */
		if (!fault)
			break;
		if (ret < 0 && error != ENOMEM && error != EFAULT) {
			faults = -1;
			break;
		}
		faults++;
		if (ret >= 0)
			undo(call, c);
	}
	close(nth);
	return faults;
}

TEST(each_call)
{
	struct call c = { .eventfd = eventfd(0, EFD_CLOEXEC) };
	struct deadline_slot *slots;
	unsigned int i, delivered;
	int faults;

	ASSERT_EQ(NULL, inject_everything());
	for (i = 0; i < ARRAY_SIZE(c.list); i++)
		c.list[i] = i;
#define WORKS(call, at_least) do {					\
	faults = until_it_works(call, &c);				\
	TH_LOG("%s: %d faults", #call, faults);				\
	ASSERT_LE(at_least, faults);					\
} while (0)
	/*
	 * Again and again: of what leaks, kmemleak overlooks those that a stale
	 * pointer on some stack still names.
	 */
	for (i = 0; i < 8; i++) {
		WORKS(call_open, 2);
		undo(call_open, &c);
	}
	ASSERT_LE(0, call_open(&c));
	WORKS(call_setup, 4);
	WORKS(call_map, 1);
	slots = c.at + c.setup.slots_offset;
	for (i = 0; i < ARRAY_SIZE(c.list); i++)
		slots[i].word = 16 * (i + 1) | DEADLINE_WORD_ARMED;
	for (i = 0; i < ARRAY_SIZE(c.list); i++)
		slots[i].link = DEADLINE_LINK_PUSHED | i;
	((struct deadline_header *)c.at)->inbox = i;
	WORKS(call_doorbell, 0);
	for (i = 0; i < ARRAY_SIZE(c.list); i++)
		EXPECT_EQ(16 * (i + 1) | DEADLINE_WORD_EXPIRED, slots[i].word);
	WORKS(call_eventfd, 0);
	WORKS(call_async, 1);
	WORKS(call_read, 1);
	/* What could not be delivered is there still, if not the next. */
	for (delivered = 1; call_read(&c) > 0; delivered++)
		;
	EXPECT_EQ(ARRAY_SIZE(c.list), delivered);
	munmap(c.at, c.setup.shared_size);
	close(c.fd);
	close(c.eventfd);
	EXPECT_EQ(0, module_uses());
}

TEST_HARNESS_MAIN
