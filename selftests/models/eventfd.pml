/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread backend's descriptor (lib/queue/thread.c: raise_fd(), thread_drained()):
 * an eventfd that is written for new entries of the ring, and read by consumers
 * that find the ring empty. Sequentially consistent.
 *
 * It is written only if the entry before the new one is gone: else whoever wrote it for
 * that, or lowered it since and has yet to look at the ring, sees to the new one too.
 *
 * Laws: when all is quiet it is readable if the ring is not empty, and otherwise
 * not, once somebody has looked: no poller sleeps on, and none spins.
 *
 *	-DLOOK_FIRST	whether the ring is empty is looked at before the
 *			descriptor is read: an entry is missed
 *	-DTAIL_FIRST	the ring's tail is loaded before its head: an entry is missed
 *			that came in between and was left to others
 *	-DRAISED_FIRST	it is said to be readable before it is: what is read in
 *			between finds nothing, and it stays readable
 */
#define POSTS	3

byte tail = 0, head = 0;
bit readable = 0, raised = 0;
/* ghosts */
bit missed = 0, spins = 0;

inline raise()
{
#ifdef RAISED_FIRST
	raised = 1;
	readable = 1
#else
	readable = 1;
	raised = 1
#endif
}

/* Is the ring empty? */
inline look()
{
#ifdef TAIL_FIRST
	seen = tail;
	seen = (seen != head)
#else
	seen = head;
	seen = (seen != tail)
#endif
}

/* Of a consumer that has just found the ring empty */
inline drained()
{
	if
	:: atomic { raised -> raised = 0 };
#ifdef LOOK_FIRST
		look();
		readable = 0;
#else
		readable = 0;
		look();
#endif
		if
		:: seen -> raise()
		:: else -> skip
		fi
	:: atomic { !raised -> skip }
	fi
}

proctype Server()
{
	byte n;

	for (n : 1 .. POSTS) {
		tail++;
		if
		:: head >= tail - 1 -> raise()
		:: else -> skip
		fi
	}
}

/* Takes all there is, or leaves when it likes. */
proctype Consumer()
{
	byte seen, n;

	for (n : 1 .. 2) {
		do
		:: atomic { head < tail -> head++ }
		:: atomic { head >= tail -> break }
		:: goto leave
		od;
		drained()
	}
leave:	skip
}

init {
	byte seen;

	atomic { run Server(); run Consumer(); run Consumer() }
	(_nr_pr == 1);
	missed = (head != tail && !readable);
	assert(missed==0);
	if
	:: head == tail -> drained()
	:: else -> skip
	fi;
	spins = (head == tail && readable);
	assert(spins==0)
}
