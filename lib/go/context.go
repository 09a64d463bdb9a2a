// SPDX-License-Identifier: MIT

package deadline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// A ctx is a context that can end: by its own deadline, by its cancel function, or
// because the one above it ended. It is over from the moment that any of these
// happened, but nobody may have written that down yet. So whether it is over is found
// out by looking: at its own verdict, at the word of its deadline, and at all
// those above it. Whoever finds that it is over writes the outcome down (settle), once
// and for good.
//
// A context that nobody waits for is known to nobody: not to its parent, nor to the
// queue of its slot. Creating and cancelling it touches nothing that is shared, and
// the garbage collector takes it when it is dropped. A context on which Done or
// AfterFunc was called, or that is above such a one, is watched (watch.go).
//
// Locks are taken from the top of the tree downwards.
type ctx struct {
	parent Context // as given: values come from here
	up     *ctx    // the nearest one of ours above, or nil
	// Bit 0 says that the deadline has not expired: it is the slot's, or that of
	// running. The slot belongs to another context once it is marked as ended, so
	// marks are looked at first.
	word  *uint64
	o     *outcome // final once it is marked as ended, under the lock
	watch atomic.Pointer[watch]
	slot  *Slot
	when  int64 // the earliest deadline of those above and its own
	stop  method
	mu    sync.Mutex
	marks atomic.Uint32
	own   bool // when is its own
	alien bool // it has no up, but a parent that can be over
	clock bool // no slot serves when, or one of those above
	asks  bool // looking at words is not enough: see ask
}

// What is in marks
const (
	ended = 1 // it has an outcome
	// There are deadlines of their own below: when it is cancelled, the time matters.
	timed = 2
	// Its own word does not tell all: there are others to be looked at.
	crowd = 4
	given = 8 // it is the first part of a givenCtx
)

// mark is for who makes the context, and for who ends it and has the lock.
func (c *ctx) mark(bits uint32) { c.marks.Store(c.marks.Load() | bits) }

// A givenCtx has what was said about its deadline beyond the time that is left.
type givenCtx struct {
	ctx
	date  time.Time
	dated bool // a date was given, not a timeout
	cause error
}

// An outcome tells why a context is over. Many share one.
type outcome struct {
	err, cause error
	// When, if a deadline below that has passed may have been earlier; never, if
	// it surely was; 0 if it surely was not.
	at int64
}

const armed = 1

var (
	running  uint64 = armed
	canceled        = &outcome{context.Canceled, context.Canceled, 0}
	exceeded        = &outcome{context.DeadlineExceeded, context.DeadlineExceeded, never}
)

// verdict is the outcome that was written down, if one was.
func (c *ctx) verdict() *outcome {
	if c.marks.Load()&ended == 0 {
		return nil
	}
	return c.o
}

func (c *ctx) conclude(o *outcome) {
	c.o = o
	c.mark(ended | timed)
}

// runs says that c is not over, if that is easy to see.
func (c *ctx) runs() bool {
	return c.marks.Load()&(ended|crowd) == 0 && atomic.LoadUint64(c.word)&armed != 0
}

// over says whether c has an outcome, be it written down or not.
func (c *ctx) over() bool {
	p := c
	for p.marks.Load()&ended == 0 && atomic.LoadUint64(p.word)&armed != 0 {
		if p.up == nil {
			return c.asks && c.ask(p)
		}
		p = p.up
	}
	return true
}

// ask looks at what has no word: the clock, and the parent of top that is not ours.
func (c *ctx) ask(top *ctx) bool {
	return c.clock && now() >= c.when ||
		top.alien && top.parent.Err() != nil
}

// settle writes down the outcome of c, if it is over, and of those above it.
func (c *ctx) settle() *outcome {
	if o := c.verdict(); o != nil {
		return o
	}
	o := c.above()
	if o == nil && !(c.own && c.due(false)) {
		return nil
	}
	return c.end(o)
}

// above returns the outcome of what is above c.
func (c *ctx) above() *outcome {
	if c.up != nil {
		return c.up.settle()
	}
	if c.alien {
		if err := c.parent.Err(); err != nil {
			cause := context.Cause(c.parent)
			if cause == nil { // up to Go 1.22, of others' types
				cause = err
			}
			return &outcome{err, cause, never}
		}
	}
	return nil
}

// due ends its own deadline, or without stop only looks, and says whether it has come.
func (c *ctx) due(stop bool) bool {
	switch {
	case c.slot == nil:
		return now() >= c.when
	case stop:
		return !c.slot.Cancel()
	}
	return c.slot.Over()
}

func (c *ctx) more() *givenCtx { return (*givenCtx)(unsafe.Pointer(c)) }

func (c *ctx) expiry() *outcome {
	if c.marks.Load()&given != 0 {
		if cause := c.more().cause; cause != nil {
			return &outcome{context.DeadlineExceeded, cause, never}
		}
	}
	return exceeded
}

// decide writes an outcome down, unless there is one or c runs and o is nil; c is
// locked.
func (c *ctx) decide(o *outcome) bool {
	if c.verdict() != nil {
		return false
	}
	if c.own && c.due(o != nil) {
		if o == nil || c.when <= o.at {
			o = c.expiry()
		}
	}
	if o == nil {
		return false
	}
	c.conclude(o)
	return true
}

// end gives c the outcome o, or that of its own deadline if that came first; nil as o
// is "only if its deadline has come". It returns the outcome, which another may have
// given before.
func (c *ctx) end(o *outcome) *outcome {
	c.mu.Lock()
	first := c.decide(o)
	o = c.verdict()
	w := c.watch.Load()
	if !first || w == nil {
		c.mu.Unlock()
		if first && c.slot != nil {
			contexts.put(c.slot)
		}
		return o
	}
	after := w.end(o, nil)
	c.mu.Unlock()
	c.leave(w)
	after.run()
	return o
}

// leave takes c, which is over, out of all that knows it.
func (c *ctx) leave(w *watch) {
	if c.slot != nil {
		contexts.put(c.slot)
	}
	if w != nil && c.up != nil {
		c.up.mu.Lock()
		w.unlink()
		c.up.mu.Unlock()
	}
}

// outcome is that of c, nil while it runs, told after Done was closed.
func (c *ctx) outcome() *outcome {
	if !c.over() {
		return nil
	}
	o := c.settle()
	if w := c.watch.Load(); w != nil && w.made.Load() {
		<-w.done
	}
	return o
}

func (c *ctx) Err() error {
	if c.runs() {
		return nil
	}
	return c.err()
}

func (c *ctx) err() error {
	if o := c.outcome(); o != nil {
		return o.err
	}
	return nil
}

func (c *ctx) cause() error {
	if o := c.outcome(); o != nil {
		return o.cause
	}
	return nil
}

// cancel does nothing to a context that is over, be it that nobody has noticed.
func (c *ctx) cancel(cause error) {
	if !c.runs() && c.outcome() != nil {
		return
	}
	o := canceled
	if cause != nil || c.marks.Load()&timed != 0 {
		o = c.canceled(cause)
	}
	c.end(o)
}

// stopped is the cancel function. What most contexts are it ends by itself: with a slot,
// unknown to all others, and nothing said about its cause.
func (c *ctx) stopped() {
	c.mu.Lock()
	if c.marks.Load() != 0 || c.slot == nil || c.watch.Load() != nil {
		c.mu.Unlock()
		c.cancel(nil)
		return
	}
	c.o = canceled
	if !c.slot.Cancel() {
		c.o = exceeded
	}
	c.marks.Store(ended | timed)
	c.mu.Unlock()
	contexts.put(c.slot)
}

// canceled is the outcome of a cancel that is not like all others.
func (c *ctx) canceled(cause error) *outcome {
	if cause == nil {
		cause = context.Canceled
	}
	o := &outcome{context.Canceled, cause, 0}
	if c.marks.Load()&timed != 0 {
		o.at = now()
	}
	return o
}

func (c *ctx) Deadline() (time.Time, bool) {
	switch {
	case !c.own:
		return c.parent.Deadline()
	case c.marks.Load()&given != 0 && c.more().dated:
		return c.more().date, true
	}
	return date(c.when), true
}
