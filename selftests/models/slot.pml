/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One slot (uapi/deadline.rst): two program threads that arm, move and cancel
 * as they like, against the doorbell and the timer interrupt. The word, which is
 * deadline and state, changes by compare-and-swap only. Sequentially consistent.
 *
 * Laws: never early; no armed deadline is lost once its time has come; every
 * arm ends exactly once.
 *
 *	-DBREAK_ORDER	queued = never only after the look at the word: a
 *			deadline is lost
 *	-DOPS=3		three operations per thread: over 38 M states, which
 *			want -DCOLLAPSE and several GiB
 *	-DSLACK		only the first thread arms and moves, and gives the slot
 *			other slack before each: the deadline and it together get
 *			no earlier by a move, unless the deadline does
 *	-DSLACK -DBREAK_SLACK  or they do: the look comes too late
 */
#ifndef OPS
#define OPS	2
#endif
#define IDLE	0
#define ARMED	1
#define EXPIRED	2
#define LAST	6
#define NEVER	15

/* the word, one 64-bit value */
byte due = 0, state = IDLE;
/* the owner's */
byte slack = 0;
/* written by the kernel */
byte queued = NEVER;
/* private to the kernel */
byte node = NEVER;
bit lock = 0;
byte now = 0;
/* ghosts */
byte arms = 0, ends = 0, threads_done = 0;

#ifdef SLACK
#define OWNER	owner
#else
#define OWNER	true
#endif

inline acquire() { atomic { lock == 0 -> lock = 1 } }
inline release() { lock = 0 }
inline pick(t)   { if :: t = 1 :: t = 2 :: t = 3 :: t = 4 fi }

inline look()
{
	node = NEVER;
#ifndef BREAK_ORDER
	queued = NEVER;
#endif
	tries = 0; more = 1;
	do
	:: more == 0 -> break
	:: more == 1 ->
		atomic { d = due; s = state };
		if
		:: s != ARMED ->
#ifdef BREAK_ORDER
			queued = NEVER;
#endif
			more = 0
		:: s == ARMED && d > now -> node = d + slack; queued = node; more = 0
		:: else ->
			if
			:: atomic { (due == d && state == s) ->
				state = EXPIRED; ends++; assert(now >= due);
				more = 0 }
			:: atomic { !(due == d && state == s) -> skip };
				/* hostile program: again a little later */
				if
				:: tries == 1 ->
					node = (now < LAST -> now + 1 : now);
					queued = node;
					more = 0
				:: else -> tries++
				fi
			fi
		fi
	od;
	d = 0; s = 0; tries = 0
}

inline doorbell()
{
	acquire();
	atomic { d = due; s = state };
	if
	:: (s == ARMED && node > d + slack) ->
		if :: d <= now -> look() :: else -> node = d + slack; queued = node fi
	:: else -> skip
	fi;
	d = 0; s = 0;
	release()
}

inline ring_if_late(t)
{
	q = queued;
	if :: q > t -> doorbell() :: else -> skip fi;
	q = 0
}

proctype Interrupt()
{
	byte s, d, tries; bit more;
end:	do
	:: atomic { (node != NEVER && node <= now && lock == 0) -> lock = 1 };
	   look();
	   release()
	od
}

proctype Clock() { do :: now < LAST -> now++ :: now >= LAST -> break od }

proctype Program(bool owner)
{
	byte i, t, q, s, d, old, tries; bit more;
	for (i : 1 .. OPS) {
		pick(t);
		if
		:: OWNER -> /* arm */
#ifdef SLACK
		   if
		   :: state != ARMED -> if :: slack = 0 :: slack = 2 :: slack = 4 fi
		   :: else -> skip
		   fi;
#endif
		   if
		   :: atomic { state != ARMED ->
			due = t; state = ARMED; arms++ };
		      ring_if_late(t + slack)
		   :: atomic { state == ARMED -> skip }
		   fi
		:: OWNER -> /* move */
		   atomic {
			if :: state == ARMED -> old = due :: else -> old = 0 fi
		   };
#ifdef SLACK
		   if
		   :: t < old -> if :: slack = 0 :: slack = 2 :: slack = 4 fi
		   :: t + 4 >= old + slack -> slack = 4
#ifdef BREAK_SLACK
		   :: slack = 0
#else
		   :: t >= old + slack -> slack = 0
#endif
		   :: skip
		   fi;
#endif
		   if
		   :: old != 0 ->
			if
			:: atomic { (state == ARMED && due == old) -> due = t };
			   if :: t < old -> ring_if_late(t) :: else -> skip fi
			:: atomic { !(state == ARMED && due == old) -> skip }
			fi
		   :: else -> skip
		   fi;
		   old = 0
		:: /* cancel */
		   if
		   :: atomic { state == ARMED -> state = IDLE; ends++ }
		   :: atomic { state != ARMED -> skip }
		   fi
		fi;
		t = 0
	}
	threads_done++
}

init {
	atomic { run Interrupt(); run Clock(); run Program(true); run Program(false) }
	(threads_done == 2 && now >= LAST && lock == 0);
	if
	:: state != ARMED -> assert(arms == ends)
	:: timeout ->
		if
		:: due + slack > LAST -> skip
		:: else -> assert(state != ARMED)
		fi
	fi
}
