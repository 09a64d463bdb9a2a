// SPDX-License-Identifier: MIT

package deadline

import (
	"context"
	"time"
	"unsafe"
)

// WithCancel is context.WithCancel.
func WithCancel(parent Context) (Context, CancelFunc) {
	c := newCtx(parent)
	return c, c.canceler()
}

// WithCancelCause is context.WithCancelCause.
func WithCancelCause(parent Context) (Context, CancelCauseFunc) {
	c := newCtx(parent)
	return c, c.cancel
}

// WithTimeout is context.WithTimeout, and is over on time.
func WithTimeout(parent Context, timeout time.Duration) (Context, CancelFunc) {
	c := newCtx(parent)
	c.limit(timeout)
	return c, c.canceler()
}

// WithTimeoutCause is context.WithTimeoutCause, and is over on time.
func WithTimeoutCause(parent Context, timeout time.Duration, cause error) (Context, CancelFunc) {
	c := newGiven(parent, &givenCtx{cause: cause})
	c.limit(timeout)
	return c, c.canceler()
}

// WithDeadline is context.WithDeadline, and is over on time.
func WithDeadline(parent Context, d time.Time) (Context, CancelFunc) {
	return WithDeadlineCause(parent, d, nil)
}

// WithDeadlineCause is context.WithDeadlineCause, and is over on time.
func WithDeadlineCause(parent Context, d time.Time, cause error) (Context, CancelFunc) {
	c := newGiven(parent, &givenCtx{date: d, dated: true, cause: cause})
	c.arm(instant(d))
	return c, c.canceler()
}

func newCtx(parent Context) *ctx {
	c := new(ctx)
	c.below(parent)
	return c
}

func newGiven(parent Context, c *givenCtx) *ctx {
	c.mark(given)
	c.below(parent)
	return &c.ctx
}

// background is the kind of context.Background: it has no fields.
var background = kind(context.Background())

// kind tells dynamic types apart, which is all of a comparison that is needed here.
func kind(c Context) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&c)) }

// below makes c a child without a deadline of its own.
func (c *ctx) below(parent Context) {
	c.parent = parent
	c.word = &running
	c.when = never
	if kind(parent) == background {
		return
	}
	if parent == nil {
		panic("cannot create context from nil parent")
	}
	if up := ours(parent); up != nil {
		c.up = up
		c.when = up.when
		c.clock = up.clock
		c.asks = up.asks
		c.mark(crowd)
		return
	}
	if parent.Done() != nil {
		c.alien = true
		c.asks = true
		c.mark(crowd)
	}
	if d, ok := parent.Deadline(); ok {
		c.when, _ = instant(d)
	}
}

func (c *ctx) limit(timeout time.Duration) {
	t := now()
	if timeout < 0 {
		timeout = 0
	}
	c.arm(later(t, int64(timeout)), t)
}

// arm gives c a deadline of its own, unless one above comes first.
func (c *ctx) arm(when, t int64) {
	if c.when < when {
		return
	}
	c.when = when
	c.own = true
	if c.asks || c.up != nil {
		for p := c.up; p != nil && p.markTimed(); p = p.up {
		}
		if o := c.above(); o != nil {
			c.conclude(o)
			return
		}
	}
	if when <= t {
		c.conclude(c.expiry())
		return
	}
	if when == never {
		return
	}
	if s := contexts.get(when - t); s != nil {
		s.arm(when)
		c.slot = s
		c.word = s.word
		return
	}
	c.clock = true
	c.asks = true
	c.mark(crowd)
}

// markTimed says whether it was not marked before.
func (c *ctx) markTimed() bool {
	for {
		old := c.marks.Load()
		if old&timed != 0 {
			return false
		}
		if c.marks.CompareAndSwap(old, old|timed) {
			return true
		}
	}
}
