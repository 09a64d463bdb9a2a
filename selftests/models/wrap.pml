/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ring's positions wrap (kmod/ring.h): those of 64 bits do in theory, here
 * they are bytes and do at once; what they name in a ring of as many entries as
 * slots wraps all the time. Each of two slots expires some times; one consumer
 * takes the entries, and the owners claim and arm again. Sequentially consistent.
 *
 * Laws: every expiry is delivered, and no entry written over that stands.
 *
 *	-DPLAIN		positions are compared as they are, not from head: a
 *			slot is posted twice, or not at all
 *	-DONE_LESS	a ring of one entry less than slots
 */
#define SLOTS	2
#ifdef ONE_LESS
#define SIZE	1
#else
#define SIZE	2
#endif
#define EXPIRIES 3

byte head = 254, tail = 254;
byte position[SLOTS] = 253;
byte ring[SIZE];
bit pending[SLOTS];
bit armed[SLOTS] = 1;
/* ghosts */
byte expiries = 0, deliveries = 0;

#define DISTANCE(from, to)	((to) + 256 - (from)) % 256

proctype Kernel()
{
	byte n, i, waiting;
	bit stands;

	do
	:: expiries == SLOTS * EXPIRIES -> break
	:: expiries < SLOTS * EXPIRIES ->
		if
		:: atomic { armed[0] -> armed[0] = 0; i = 0 }
		:: atomic { armed[1] -> armed[1] = 0; i = 1 }
		fi;
		expiries++;
		pending[i] = 1;
		waiting = DISTANCE(head, tail);
#ifdef PLAIN
		stands = (position[i] >= tail - waiting && position[i] < tail);
#else
		stands = (DISTANCE(position[i], tail) <= waiting);
#endif
		if
		:: stands -> skip
		:: else ->
			/* The entry of this place was consumed. */
			assert(waiting < SIZE);
			ring[tail % SIZE] = i;
			position[i] = tail;
			tail++
		fi
	od
}

/* Claims what has expired, or finds it claimed, and arms again. */
proctype Owner(byte i)
{
end:	do
	:: atomic { pending[i] -> pending[i] = 0 };
		deliveries++;
		armed[i] = 1
	od
}

proctype Consumer()
{
	byte i;

end:	do
	:: head != tail ->
		i = ring[head % SIZE];
		head++;
		if
		:: atomic { pending[i] -> pending[i] = 0 };
			deliveries++;
			armed[i] = 1
		:: else -> skip
		fi
	od
}

init {
	atomic { run Kernel(); run Consumer(); run Owner(0);
		 run Owner(1) }
	(expiries == SLOTS * EXPIRIES);
	if
	:: (deliveries == expiries) -> skip
	:: timeout -> assert(deliveries == expiries)
	fi
}
