/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The wake-up (kmod/wake.c, and the doorbell of lib/queue/thread.c, which has the same
 * form): who posts stores the tail, then looks whether somebody sleeps; who is to
 * sleep says so, then looks at the tail. Who wakes it takes it out of the wait
 * queue. A store stays in its CPU's buffer until that is emptied, which a full
 * barrier waits for.
 *
 * Law: no sleeper misses an entry.
 *
 *	-DNO_WAKE_BARRIER	the poster's is left out: one sleeps on
 *	-DNO_SLEEP_BARRIER	the sleeper's is: likewise
 *	-DLOOK_FIRST		the tail is looked at before it says that it sleeps
 */
#define POSTS	2

byte tail = 0;
bit waiting = 0;	/* in the wait queue */
/* the buffers: a store that others do not see yet */
byte tail_buffer = 0;
bit tail_buffered = 0, waiting_buffered = 0;
bit woken = 0, posted = 0;

proctype PosterCpu()
{
end:	do
	:: atomic { tail_buffered -> tail = tail_buffer; tail_buffered = 0 }
	od
}

proctype SleeperCpu()
{
end:	do
	:: atomic { waiting_buffered -> waiting = 1; waiting_buffered = 0 }
	od
}

proctype Poster()
{
	byte n;

	for (n : 1 .. POSTS) {
		atomic { tail_buffer = n; tail_buffered = 1 };
#ifndef NO_WAKE_BARRIER
		(!tail_buffered);
#endif
		if
		:: waiting ->
			if
			:: atomic { waiting -> waiting = 0; woken = 1 }
			:: else -> skip
			fi
		:: else -> skip
		fi
	}
	posted = 1
}

proctype Sleeper()
{
	byte head, seen;

	do
	:: head == POSTS -> break
	:: else ->
		woken = 0;
#ifdef LOOK_FIRST
		seen = tail;
#endif
		waiting_buffered = 1;
#ifndef NO_SLEEP_BARRIER
		(!waiting_buffered);
#endif
#ifndef LOOK_FIRST
		seen = tail;
#endif
		if
		:: seen != head -> skip
		:: else ->
			if
			:: woken -> skip
			:: timeout -> assert(tail == head)
			fi
		fi;
		/* If still in the queue: out of it, under its lock, a barrier. */
		if
		:: waiting || waiting_buffered -> (!waiting_buffered); waiting = 0
		:: else -> skip
		fi;
		head = tail
	od
}

init {
	atomic { run Poster(); run Sleeper(); run PosterCpu();
		 run SleeperCpu() }
}
