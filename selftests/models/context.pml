/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helping (lib/context/complete.c): a context that the kernel, a cancel or a caller who
 * has read the clock makes over, while a child is linked below it. Who swapped the
 * word need not be who completes the subtree: the first library call that sees the
 * parent over does, and others wait for it. Sequentially consistent.
 *
 * Laws: after a library call on the parent that found it over, so is the child,
 * for the same reason; and no child lives on.
 *
 *	-DLOOK_FIRST	the creator looks at the parent before it links: the
 *			child is never told
 *	-DNO_AWAIT	who finds somebody else completing does not wait
 */
#define NONE		0
#define ARMED		1
#define EXPIRED		2
#define CANCELED	3

#define BARE		0
#define OPEN		1
#define COMPLETING	2
#define COMPLETE	3

byte parent = ARMED, child = NONE;	/* words */
byte state = BARE;
bit lock = 0, linked = 0, created = 0;
bit late = 0;	/* ghost: found the child still running */

inline acquire() { atomic { lock == 0 -> lock = 1 } }

inline end_word(to)
{
	if
	:: atomic { parent == ARMED -> parent = to }
	:: atomic { parent != ARMED -> skip }
	fi
}

/* Another may have ended it, for the same reason. */
inline end_like()
{
	if
	:: atomic { child == ARMED -> child = parent }
	:: atomic { child != ARMED -> skip }
	fi
}

inline complete()
{
	if
	:: state == BARE -> skip
	:: else ->
		acquire();
		mine = (state <= OPEN);
		if
		:: mine ->
			state = COMPLETING;
			if
			:: linked -> lock = 0; end_like(); linked = 0
			:: else -> lock = 0
			fi;
			state = COMPLETE
		:: else ->
			lock = 0;
#ifndef NO_AWAIT
			(state == COMPLETE)
#else
			skip
#endif
		fi
	fi
}

proctype Kernel() { end_word(EXPIRED) }

/* Helps or cancels, and then may rely on it. */
proctype Caller()
{
	bit mine;

	if
	:: end_word(EXPIRED)
	:: end_word(CANCELED)
	fi;
	complete();
	late = late || (created && child != parent);
	assert(late==0)
}

proctype Creator()
{
	byte seen;

	child = ARMED;
#ifdef LOOK_FIRST
	seen = parent;
#endif
	acquire();
	if
	:: state <= OPEN -> state = OPEN; linked = 1
	:: else -> skip
	fi;
	lock = 0;
#ifndef LOOK_FIRST
	seen = parent;
#endif
	if
	:: seen != ARMED -> end_like()
	:: else -> skip
	fi;
	created = 1
}

init {
	atomic { run Kernel(); run Caller(); run Caller(); run Creator() }
	(_nr_pr == 1);
	assert(child == parent)
}
