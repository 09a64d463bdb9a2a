// SPDX-License-Identifier: MIT
/*
 * A hashed timing wheel (Varghese and Lauck, scheme 6): a timer lies in the list of its
 * tick, modulo the wheel's size, and each turn of a loop looks through the ticks that
 * have passed. Who sleeps does so until the first of the next list that has one, not
 * until the tick's end. For one thread; or with a lock, for all, where the loop is told
 * if a timer is earlier than it sleeps.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "../scenarios/bench.h"

/* A tick of 8.2 us, and 34 ms once round */
#define TICK	13
#define TICKS	4096u

/**
 * struct timer - one of them
 * @back: what points to it; NULL: it is not armed
 */
struct timer {
	uint64_t when;
	struct timer *next, **back;
};

/**
 * struct wheel - a loop and its timers
 * @epoll: where its files would be
 * @told: an eventfd among them, by which other threads tell the loop
 * @locked: a lock that spins, as it is held for so short
 * @hand: the first tick that was not looked through to its end; while the loop sleeps,
 *	the one it sleeps for, as there is nothing before
 * @sleeps_until: 0: the loop is awake
 */
struct wheel {
	int epoll, told;
	bool locked;
	uint64_t hand;
	uint64_t sleeps_until;
	unsigned int expired;
	struct timer *ticks[TICKS];
	struct timer timers[];
};

static void *wheel_open(unsigned int timers)
{
	struct wheel *wheel = calloc(1, sizeof(*wheel) +
				     timers * sizeof(*wheel->timers));
	struct epoll_event event = { .events = EPOLLIN };

	if (!wheel)
		return NULL;
	wheel->epoll = epoll_create1(EPOLL_CLOEXEC);
	wheel->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(wheel->epoll >= 0 && wheel->told >= 0 &&
	     !epoll_ctl(wheel->epoll, EPOLL_CTL_ADD, wheel->told, &event),
	     "a wheel");
	prctl(PR_SET_TIMERSLACK, 1);
	wheel->hand = deadline_now() >> TICK;
	return wheel;
}

static void wheel_close(void *self)
{
	struct wheel *wheel = self;

	close(wheel->told);
	close(wheel->epoll);
	free(wheel);
}

static inline void lock(struct wheel *wheel)
{
	while (__atomic_exchange_n(&wheel->locked, true, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&wheel->locked, __ATOMIC_RELAXED))
			;
}

static inline void unlock(struct wheel *wheel)
{
	__atomic_store_n(&wheel->locked, false, __ATOMIC_RELEASE);
}

static inline void arm(struct wheel *wheel, struct timer *timer, uint64_t when)
{
	struct timer **tick = &wheel->ticks[(when >> TICK) % TICKS];

	timer->when = when;
	timer->next = *tick;
	timer->back = tick;
	if (timer->next)
		timer->next->back = &timer->next;
	*tick = timer;
}

static inline void take_out(struct timer *timer)
{
	*timer->back = timer->next;
	if (timer->next)
		timer->next->back = timer->back;
	timer->back = NULL;
}

static inline void arm_locked(struct wheel *wheel, struct timer *timer,
			      uint64_t when)
{
	bool earlier;

	lock(wheel);
	if (timer->back)
		take_out(timer);
	arm(wheel, timer, when);
	earlier = when < wheel->sleeps_until;
	if (earlier && when >> TICK < wheel->hand)
		wheel->hand = when >> TICK;
	unlock(wheel);
	if (earlier)
		eventfd_write(wheel->told, 1);
}

static void single_start(void *self, const uint64_t *when, unsigned int n)
{
	struct wheel *wheel = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		arm(wheel, &wheel->timers[i], when[i]);
}

static void locked_start(void *self, const uint64_t *when, unsigned int n)
{
	struct wheel *wheel = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		arm_locked(wheel, &wheel->timers[i], when[i]);
}

static void single_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			      unsigned int n)
{
	struct wheel *wheel = self;
	struct timer *timer = &wheel->timers[at];
	unsigned int i;

	for (i = 0; i < n; i++) {
		arm(wheel, timer, when[i]);
		/* As if others were between: its links are read again. */
		__asm__ volatile("" : : : "memory");
		if (timer->back)
			take_out(timer);
	}
}

static void locked_arm_cancel(void *self, unsigned int at, const uint64_t *when,
			      unsigned int n)
{
	struct wheel *wheel = self;
	struct timer *timer = &wheel->timers[at];
	unsigned int i;

	for (i = 0; i < n; i++) {
		arm_locked(wheel, timer, when[i]);
		lock(wheel);
		if (timer->back)
			take_out(timer);
		unlock(wheel);
	}
}

static void single_update(void *self, const uint32_t *which,
			  const uint64_t *when, unsigned int n)
{
	struct wheel *wheel = self;
	struct timer *timer;
	unsigned int i;

	for (i = 0; i < n; i++) {
		timer = &wheel->timers[which[i]];
		if (timer->back)
			take_out(timer);
		arm(wheel, timer, when[i]);
	}
}

static void locked_update(void *self, const uint32_t *which,
			  const uint64_t *when, unsigned int n)
{
	struct wheel *wheel = self;
	unsigned int i;

	for (i = 0; i < n; i++)
		arm_locked(wheel, &wheel->timers[which[i]], when[i]);
}

/* Expire those of this tick that are due; others are due when it comes round again. */
static void look(struct wheel *wheel, uint64_t tick, uint64_t now)
{
	struct timer *timer = wheel->ticks[tick % TICKS], *next;

	for (; timer; timer = next) {
		next = timer->next;
		if (timer->when > now)
			continue;
		take_out(timer);
		wheel->expired++;
	}
}

static __attribute__((__noinline__)) void turn(struct wheel *wheel, uint64_t now)
{
	uint64_t tick = now >> TICK;

	if (tick > wheel->hand + TICKS)
		wheel->hand = tick - TICKS;
	for (; wheel->hand < tick; wheel->hand++)
		look(wheel, wheel->hand, now);
}

static void single_turn(void *self, uint64_t now)
{
	struct wheel *wheel = self;

	if (now >> TICK > wheel->hand)
		turn(wheel, now);
}

/* It is one loop that turns the hand. */
static void locked_turn(void *self, uint64_t now)
{
	struct wheel *wheel = self;

	if (now >> TICK <= wheel->hand)
		return;
	lock(wheel);
	turn(wheel, now);
	unlock(wheel);
}

/* The first that is due before the hand has come round, or when it has */
static uint64_t first(const struct wheel *wheel)
{
	uint64_t tick, when = DEADLINE_NEVER;
	const struct timer *timer;

	for (tick = wheel->hand; tick < wheel->hand + TICKS; tick++) {
		for (timer = wheel->ticks[tick % TICKS]; timer;
		     timer = timer->next)
			if (timer->when >> TICK == tick && timer->when < when)
				when = timer->when;
		if (when != DEADLINE_NEVER)
			return when;
	}
	return tick << TICK;
}

static void sleep_for(struct wheel *wheel, uint64_t ns)
{
	struct timespec after = { ns / S, ns % S };
	struct epoll_event event;
	eventfd_t unused;

	if (epoll_pwait2(wheel->epoll, &event, 1, &after, NULL) > 0)
		eventfd_read(wheel->told, &unused);
}

static inline unsigned int take(struct wheel *wheel, bool locked)
{
	uint64_t now, until;
	unsigned int got;

	for (;;) {
		now = deadline_now();
		if (locked)
			lock(wheel);
		if (wheel->hand > now >> TICK)
			wheel->hand = now >> TICK;	/* an event came first */
		turn(wheel, now);
		look(wheel, wheel->hand, now);
		got = wheel->expired;
		wheel->expired = 0;
		until = got ? 0 : first(wheel);
		wheel->sleeps_until = until;
		if (!got)
			wheel->hand = until >> TICK;
		if (locked)
			unlock(wheel);
		if (got)
			return got;
		sleep_for(wheel, until > now ? until - now : 0);
	}
}

static unsigned int single_take(void *self, uint64_t *unused)
{
	(void)unused;
	return take(self, false);
}

static unsigned int locked_take(void *self, uint64_t *unused)
{
	(void)unused;
	return take(self, true);
}

const struct peer peer_wheel = {
	.name		= "wheel",
	.use		= "a hashed timing wheel in one thread's loop; ticks of 8.2 us",
	.most		= 1000000,
	.steady		= true,
	.open		= wheel_open,
	.close		= wheel_close,
	.start		= single_start,
	.arm_cancel	= single_arm_cancel,
	.update		= single_update,
	.turn		= single_turn,
	.take		= single_take,
};

const struct peer peer_wheel_locked = {
	.name		= "wheel-locked",
	.use		= "the same with a lock that spins, for all threads",
	.most		= 1000000,
	.steady		= true,
	.open		= wheel_open,
	.close		= wheel_close,
	.start		= locked_start,
	.arm_cancel	= locked_arm_cancel,
	.update		= locked_update,
	.turn		= locked_turn,
	.take		= locked_take,
};
