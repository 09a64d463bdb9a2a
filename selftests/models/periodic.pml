/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A periodic slot (uapi/deadline.rst): the look that goes on to the next period,
 * against a consumer and an owner that moves and cancels. The word, which is
 * deadline and state, changes by compare-and-swap only; the stamp, here the
 * overruns, is written beside it. Sequentially consistent.
 *
 * Law: expiries consumed, and the overruns told with them, are the periods that
 * passed, whoever moves or cancels when.
 *
 *	-DNO_CLAIM	the look writes over the stamp of an expiry that it does
 *			not own: a consumer is told the overruns of another
 *	-DNO_RETURN	an expiry that was claimed for a look that lost its swap
 *			is not given back: lost
 */
#define PERIOD	2
#define LAST	7

/* the word, one value: deadline, and the state bits */
byte due = 1;
bit armed = 1, expired = 0, taken = 0;
/* written by the kernel */
byte overruns = 0;
byte now = 0;
/* ghosts */
byte passed = 0, told = 0;
bit owner_done = 0, kernel_done = 0;

#define SAME	(due == d && armed == a && expired == e && taken == t)

inline load() { atomic { d = due; a = armed; e = expired; t = taken } }

/* One look; the word is loaded again if it lost a swap. */
inline look()
{
	more = 1;
	do
	:: more == 0 -> break
	:: more == 1 ->
		load();
		if
		:: (!a || d > now) -> more = 0
		:: else ->
			pending = (e && !t);
			before = overruns;
			lost = 0;
#ifndef NO_CLAIM
			if
			:: !pending -> skip
			:: pending ->
				if
				:: atomic { SAME -> taken = 1; t = 1 }
				:: atomic { !SAME -> lost = 1 }
				fi
			fi;
#endif
			if
			:: lost -> skip
			:: !lost ->
				k = (now - d) / PERIOD + 1;
				overruns = k - 1 + (pending -> before + 1 : 0);
				if
				:: atomic { SAME ->
					due = d + k * PERIOD;
					expired = 1; taken = 0;
					passed = passed + k; more = 0 }
				:: atomic { !SAME -> lost = 1 }
				fi;
#ifndef NO_CLAIM
#ifndef NO_RETURN
				if
				:: (lost && pending) ->
					overruns = before;
					/* The owner never arms it again here. */
					atomic { assert(taken); taken = 0 }
				:: else -> skip
				fi
#else
				skip
#endif
#else
				skip
#endif
			fi
		fi
	od;
	d = 0; a = 0; e = 0; t = 0; k = 0; before = 0; pending = 0; lost = 0
}

inline consume()
{
	load();
	o = overruns;
	if
	:: (!e || t) -> skip
	:: else ->
		if
		:: atomic { SAME -> taken = 1; told = told + o + 1 }
		:: atomic { !SAME -> skip }
		fi
	fi;
	d = 0; a = 0; e = 0; t = 0; o = 0
}

proctype Kernel()
{
	byte d, k, before;
	bit a, e, t, more, pending, lost;

	do
	:: (armed && due <= now) -> look()
	:: (owner_done && now == LAST && !(armed && due <= now)) -> break
	od;
	kernel_done = 1
}

proctype Consumer()
{
	byte d, o;
	bit a, e, t;

	do
	:: (expired && !taken) -> consume()
	:: (kernel_done && !(expired && !taken)) -> break
	od;
	assert(told == passed)
}

proctype Owner()
{
	byte d;

	if
	:: skip
	:: d = due;
	   if
	   :: atomic { (due == d && armed) -> due = d + 1 }
	   :: atomic { !(due == d && armed) -> skip }
	   fi
	fi;
	if
	:: skip
	:: atomic { armed = 0 }
	fi;
	owner_done = 1
}

proctype Clock() { do :: now < LAST -> now++ :: now == LAST -> break od }

init {
	atomic { run Kernel(); run Consumer(); run Owner(); run Clock() }
}
