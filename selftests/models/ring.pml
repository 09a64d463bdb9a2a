/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The expired ring (uapi/deadline.rst): the kernel posts a slot unless it is in
 * the ring and unconsumed; two consumers; the slot is armed again after each
 * delivery. Sequentially consistent.
 *
 * Law: every expiry is delivered exactly once.
 *
 *	-DOWNER		the owner arms too, and so claims the expiry: holds
 *	-DLOOK_FIRST	the slot is looked at before head moves: one is lost
 *	-DOWNER -DNO_CLAIM
 *			whoever sees EXPIRED delivers: one is delivered twice
 */
#ifndef EXPIRIES
#define EXPIRIES	3
#endif
#define ARMED	1
#define EXPIRED	2
#define TAKEN	3
#define NOWHERE	99

byte state = ARMED;
byte head = 0, tail = 0;
byte position = NOWHERE;	/* private to the kernel: where last posted */
byte expiries = 0, deliveries = 0;
bit finished = 0;

proctype Kernel()
{
	byte h, n;
	do
	:: n < EXPIRIES ->
		atomic { state == ARMED -> state = EXPIRED; expiries++; n++ };
		h = head;
		if
		:: position != NOWHERE && position >= h && position < tail ->
			skip
		:: else -> position = tail; tail = tail + 1
		fi
	:: n >= EXPIRIES -> break
	od;
	finished = 1
}

inline claim()
{
#ifdef NO_CLAIM
	if
	:: atomic { state == EXPIRED -> mine = 1 }
	:: atomic { state != EXPIRED -> mine = 0 }
	fi
#else
	if
	:: atomic { state == EXPIRED -> mine = 1; state = TAKEN }
	:: atomic { state != EXPIRED -> mine = 0 }
	fi
#endif
}

inline deliver()
{
	if
	:: mine ->
		atomic { deliveries++; assert(deliveries <= expiries) };
		if
		:: atomic { state == EXPIRED || state == TAKEN ->
			state = ARMED }
		:: atomic { !(state == EXPIRED || state == TAKEN) -> skip }
		fi
	:: else -> skip
	fi
}

proctype Consumer()
{
	byte h; bit mine;
end:	do
	:: atomic { head < tail -> h = head };
#ifdef LOOK_FIRST
		claim();
		deliver();
		if
		:: atomic { head == h -> head = h + 1 }
		:: atomic { head != h -> skip }
		fi
#else
		if
		:: atomic { head == h -> head = h + 1 }; claim(); deliver()
		:: atomic { head != h -> skip }
		fi
#endif
	od
}

#ifdef OWNER
proctype Owner()
{
end:	do :: atomic { state == EXPIRED -> deliveries++; state = ARMED } od
}
#endif

init {
	atomic {
		run Kernel(); run Consumer(); run Consumer();
#ifdef OWNER
		run Owner();
#endif
	}
	if
	:: (finished && expiries == deliveries) -> skip
	:: timeout -> assert(expiries == deliveries)
	fi
}
