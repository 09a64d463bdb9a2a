// SPDX-License-Identifier: MIT
/*
 * Each thread that sleeps for a descriptor has an alarm, made at the first such sleep
 * and closed when the thread ends. It stays set when the sleep ends before: the next
 * sleep mostly ends later than this one would have, so it needs no system call to
 * have the alarm in time, and what is woken too early by it sets it then.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/alarm.h"
#include "base/base.h"

/* As <linux/timerfd.h> has it, which cannot be included beside <sys/timerfd.h> */
#define SET_TICKS	_IOW('T', 0, uint64_t)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int no_key;

int alarm_open(void)
{
	int fd;

	own_begin();
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return own_end(fd < 0 ? -errno : fd);
}

bool alarm_set(int fd, uint64_t when)
{
	struct itimerspec spec = { .it_interval.tv_sec = 0 };

	/* All zero is never. */
	if (when != DEADLINE_NEVER)
		spec.it_value = timespec_of(when ? when : 1);
	return is_own(fd) &&
	       !timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/*
 * By a time that has passed: the timer interrupt does it an instant later. Until then
 * the alarm is not readable, though it may have been: the caller waits for that.
 */
static void ring_by_time(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int state = cancel_off();

	/* Another thread may set it meanwhile. */
	if (alarm_set(fd, 0))
		poll(&pollfd, 1, 1);
	cancel_restore(state);
}

/*
 * The ioctl wakes who sleeps, here and now; on PREEMPT_RT a time that has passed would
 * have it done by a thread that may have to wait for ours. The ioctl is missing for
 * 32-bit programs on a 64-bit kernel, and without CONFIG_CHECKPOINT_RESTORE.
 */
void alarm_ring(int fd)
{
	uint64_t one = 1;
	int saved = errno;

	if (is_own(fd) && ioctl(fd, SET_TICKS, &one))
		ring_by_time(fd);
	errno = saved;
}

static void forget(void)
{
	if (self.alarm) {
		own_close(self.alarm - 1);
		self.alarm = 0;
	}
}

static void thread_ends(void *unused)
{
	(void)unused;
	forget();
}

static void make_key(void)
{
	no_key = pthread_key_create(&key, thread_ends);
}

static int make(void)
{
	int fd;

	pthread_once(&once, make_key);
	if (no_key)
		return -ENOMEM;
	fd = alarm_open();
	if (fd < 0)
		return fd;
	if (pthread_setspecific(key, &self)) {
		own_close(fd);
		return -ENOMEM;
	}
	self.alarm = fd + 1;
	self.rings = 0;
	return fd;
}

/* Have the thread's readable at @when or before. False if it is no alarm any more */
static bool set_by(int fd, uint64_t when)
{
	if (self.rings && self.rings <= when)
		return is_own(fd);
	self.rings = when;
	return alarm_set(fd, when);
}

int alarm_of_thread(uint64_t when)
{
	int fd;

	fork_check();
	if (self.alarm && set_by(self.alarm - 1, when))
		return self.alarm - 1;
	forget();
	fd = make();
	if (fd >= 0)
		set_by(fd, when);
	return fd;
}

void alarm_rang(void)
{
	self.rings = 0;
}

int alarm_poll(struct pollfd *fds, nfds_t n, int alarm)
{
	struct pollfd *last = &fds[n];
	int ret;

	if (alarm >= 0) {
		*last = (struct pollfd){ alarm, POLLIN, 0 };
		n++;
	}
	ret = poll(fds, n, -1);
	if (ret < 0)
		return -errno;
	if (alarm < 0 || !last->revents)
		return ret;
	/* Or it was closed this instant, which alarm_of_thread() finds then. */
	alarm_rang();
	return ret - 1;
}
