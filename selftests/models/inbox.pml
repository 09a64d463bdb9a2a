/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inbox (uapi/deadline.rst): two threads hand in slots, the kernel takes them in
 * interrupts, which have a budget, and in doorbells. A signal handler of the first
 * thread moves the slot that this thread is just arming: so two push one slot.
 * Sequentially consistent; each step is a full barrier or on one side of one.
 *
 * Law: while the kernel sleeps and nobody rings, it comes in time for every armed
 * slot, and will look at it then.
 *
 *	-DBREAK_EXCHANGE  a link is set to PUSHED, not PUSHED set in it
 *	-DBREAK_WORD	whoever pushed goes by the time that it armed the slot for
 *	-DBREAK_RING	nobody rings
 *	-DBREAK_LOOK	the word is loaded before the link is cleared
 *	-DBREAK_ORDER	the inbox is loaded before wake is stored
 *	-DBREAK_PAUSE	an interrupt with its budget spent leaves the rest
 *	-DROUNDS=2	that many for the second thread
 */
#ifndef ROUNDS
#define ROUNDS	1
#endif
#define NEVER	5
#define PUSHED	4
#define BUDGET	1	/* slots that an interrupt takes */

byte word[2];			/* 0 = not armed, else its time, 1 to 3 */
byte queued[2] = NEVER;		/* when the kernel will look at it */
byte link[2];			/* PUSHED, and the slot below + 1 */
byte inbox;			/* top + 1 */
byte wake = NEVER;		/* until when the kernel says that it sleeps */
bool asleep = true, bell, paused;
bool idle[2] = true, handling, over;
byte cursor;			/* the kernel's: what it took of the inbox */

/* Slot 1 has slack. */
#define latest(i, d)	((d) + (i))

inline hand_in(i)
{
#ifdef BREAK_EXCHANGE
	atomic { old = link[i]; link[i] = PUSHED };
#else
	atomic { old = link[i]; link[i] = old | PUSHED };
#endif
	if
	:: old & PUSHED
	:: else ->
		top = inbox; won = false;
		do
		:: won -> break
		:: else ->
			link[i] = PUSHED | top;
			atomic {
				if
				:: inbox == top -> inbox = i + 1; won = true
				:: else -> top = inbox
				fi
			}
		od;
#ifndef BREAK_WORD
		d = word[i]
#endif
	fi;
#ifndef BREAK_RING
	if
	:: d && wake > latest(i, d) -> bell = true
	:: else
	fi;
#endif
	old = 0; top = 0; won = false
}

inline arm(i)
{
	idle[i] = false;
	if :: d = 1 :: d = 2 :: d = 3 fi;
	word[i] = d;
	if
	:: queued[i] > latest(i, d) -> hand_in(i)
	:: else
	fi;
	d = 0;
	idle[i] = true
}

proctype first() provided (!handling)
{
	byte d, old, top;
	bool won;

	arm(0);
	over = true
}

proctype second()
{
	byte d, old, top, rounds = ROUNDS;
	bool won;

	do
	:: rounds -> rounds--; arm(1)
	:: else -> break
	od
}

/* At most once, at any point of the first thread's arm, which goes on after it */
proctype handler()
{
	byte d, w, old, top;
	bool won;

	if
	:: atomic { !idle[0] && word[0] > 1 -> handling = true }
	:: over
	fi;
	w = word[0];
	if
	:: handling && w > 1 ->
		d = w - 1;
		atomic {
			if
			:: word[0] == w -> word[0] = d
			:: else -> d = 0
			fi
		};
		if
		:: d && queued[0] > latest(0, d) -> hand_in(0)
		:: else
		fi
	:: else
	fi;
	d = 0; w = 0;
	handling = false
}

inline pop()
{
	i = cursor - 1;
#ifdef BREAK_LOOK
	w = word[i];
	atomic { cursor = link[i] & 3; link[i] = 0 };
#else
	atomic { cursor = link[i] & 3; link[i] = 0 };
	w = word[i];
#endif
	if
	:: w && queued[i] > latest(i, w) -> queued[i] = latest(i, w)
	:: else
	fi;
	w = 0
}

proctype kernel()
{
	byte i, w, left, when;
	bool rung;

end:	do
	:: asleep && (bell || paused || wake < NEVER) ->
		asleep = false;
		atomic { rung = bell; bell = false };
		paused = false;
again:		left = BUDGET;
		do
		:: !cursor && inbox -> atomic { cursor = inbox; inbox = 0 }
		:: cursor && (left || rung) ->
			pop();
			left = (left -> left - 1 : 0)
		:: else -> break
		od;
#ifndef BREAK_PAUSE
		paused = (cursor != 0);
#endif
		/* A look at one whose time has come, unless the kernel was rung. */
		if
		:: !rung && queued[0] == wake && wake < NEVER -> i = 0
		:: !rung && queued[1] == wake && wake < NEVER -> i = 1
		:: i = 2
		fi;
		if
		:: i < 2 ->
			queued[i] = NEVER;
			do
			:: true ->
				w = word[i];
				if
				:: !w -> break
				:: latest(i, w) > wake -> queued[i] = latest(i, w);
					break
				:: else -> atomic {
					if
					:: word[i] == w -> word[i] = 0; break
					:: else
					fi }
				fi
			od;
			w = 0
		:: else
		fi;
		/* Until when does it sleep now? */
		when = (queued[0] < queued[1] -> queued[0] : queued[1]);
		when = (paused -> 0 : when);
#ifdef BREAK_ORDER
		if
		:: when > wake && (inbox || cursor) && !paused -> goto again
		:: else
		fi;
		wake = when;
#else
		if
		:: when > wake ->
			wake = when;
			if
#ifdef BREAK_PAUSE
			:: inbox -> goto again
#else
			:: inbox || cursor -> goto again
#endif
			:: else
			fi
		:: else -> wake = when
		fi;
#endif
		i = 0; left = 0; when = 0; rung = false;
		asleep = true
	od
}

#define SAFE(i)	(!word[i] || wake <= latest(i, word[i]))

active proctype monitor()
{
end:	do
	:: atomic {
		asleep && !bell && !handling && idle[0] && idle[1] &&
		!(SAFE(0) && SAFE(1)) -> assert(wake == 0)
	   }
	od
}

init
{
	atomic { run first(); run second(); run handler(); run kernel() }
}
