/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts that end before all is done (kmod/expire.c: dln_serve()): by their
 * budget of looks, or because their user's share is spent. Then the queue pauses:
 * until the second timer fires nobody looks, and nobody starts the first.
 * Two owners arm, cancel and move a slot each, and ring if its look is planned
 * too late. Sequentially consistent; the races of the word are slot.pml's.
 *
 * Laws: whatever is armed ends, and no interrupt looks in a pause.
 *
 *	-DBREAK_REPLAN	the end of a pause plans no interrupt: a deadline is
 *			lost
 *	-DBREAK_PAUSE	the timer's interrupt looks though there is a pause
 */
#define SLOTS	2
#define BUDGET	1
#define LAST	4
#define NEVER	15

byte due[SLOTS];
bit armed[SLOTS];
byte key[SLOTS] = NEVER;	/* when a look is planned */
byte programmed = NEVER;
byte timer = NEVER, resume = NEVER;	/* when they fire */
bit paused = 0, lock = 0;
byte now = 0;
/* ghosts */
byte throttles = 0;
bit lost = 0;

#define FIRST	(key[0] < key[1] -> key[0] : key[1])

inline acquire() { atomic { lock == 0 -> lock = 1 } }

inline look(i)
{
	key[i] = NEVER;
	if
	:: (armed[i] && due[i] <= now) -> armed[i] = 0
	:: (armed[i] && due[i] > now) -> key[i] = due[i]
	:: !armed[i] -> skip
	fi
}

inline program()
{
	if
	:: (!paused && FIRST < programmed) ->
		programmed = FIRST; timer = FIRST
	:: else -> skip
	fi
}

inline pause()
{
	paused = 1;
	resume = (now < LAST -> now + 1 : LAST)
}

/* One step of what the lock covers: only the clock goes on meanwhile. */
inline serve()
{
	looks = 0;
	do
	:: (FIRST <= now && looks < BUDGET) ->
		if
		:: key[0] <= key[1] -> look(0)
		:: else -> look(1)
		fi;
		looks++
	:: else -> break
	od;
	if
	:: (FIRST <= now) -> pause()
	:: (FIRST > now && throttles < 2) -> throttles++; pause()
	:: (FIRST > now) -> skip
	fi;
	program()
}

proctype Timer()
{
	byte looks;

end:	do
	:: atomic { timer <= now -> timer = NEVER };
	   /* Between the two, somebody may start it again. */
	   acquire();
	   programmed = NEVER;
	   if
#ifndef BREAK_PAUSE
	   :: paused -> skip
#endif
	   :: else ->
		assert(paused==0);
		serve()
	   fi;
	   lock = 0
	od
}

proctype Resume()
{
	byte looks;

end:	do
	:: atomic { resume <= now -> resume = NEVER };
	   acquire();
	   paused = 0;
#ifdef BREAK_REPLAN
	   looks = 0
#else
	   serve()
#endif
	   ;
	   lock = 0
	od
}

proctype Owner(byte i)
{
	byte n, d;

	for (n : 1 .. 2) {
		select(d : 1 .. 3);
		acquire();
		if
		:: armed[i] = 0
		:: due[i] = d; armed[i] = 1;
		   if
		   :: (key[i] > d && d > now) -> key[i] = d
		   :: (key[i] > d && d <= now) -> look(i)
		   :: else -> skip
		   fi;
		   program()
		fi;
		lock = 0
	}
}

proctype Clock() { do :: now < LAST -> now++ :: now == LAST -> break od }

init {
	atomic { run Timer(); run Resume(); run Owner(0); run Owner(1);
		 run Clock() }
	(_nr_pr == 3);		/* all but the timers are done */
	if
	:: (!armed[0] && !armed[1]) -> skip
	:: timeout -> lost = 1; assert(lost==0)
	fi
}
