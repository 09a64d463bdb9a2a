// SPDX-License-Identifier: MIT

package deadline

import (
	"context"
	"sync/atomic"
	"time"
)

// A watch is what a context needs for whoever waits for its end, instead of asking:
// its channel, its after-functions, and the watches of those below it. While the
// context runs, its slot's queue or one of Go's timers calls it at its deadline, and
// it is linked to the watch of the context above it. All is under the lock of c, but
// prev and next, which are under that of c.up.
type watch struct {
	c          *ctx
	below      *watch // first of a list
	prev, next *watch
	linked     bool

	after *hook // first of a list

	done  <-chan struct{} // valid and final once made is set
	made  atomic.Bool
	own   chan struct{} // is done, or nil and done is closed by
	close CancelCauseFunc

	told   told        // what the queue of the slot calls
	timer  *time.Timer // where no slot serves
	ignore func() bool // stops an AfterFunc of the alien parent
}

// A hook is an after-function.
type hook struct {
	c          *ctx
	f          func()
	prev, next *hook
	linked     bool
	here       bool // f may be called by whoever ends the context
}

var closed = make(chan struct{})

func init() { close(closed) }

// watched makes c watched; it returns nil if c is over, maybe not settled yet.
func (c *ctx) watched() *watch {
	if w := c.watch.Load(); w != nil {
		return w
	}
	if c.up != nil {
		above := c.up.watched()
		if above == nil {
			return nil
		}
		c.up.mu.Lock()
		defer c.up.mu.Unlock()
		if c.up.verdict() != nil {
			return nil
		}
		return c.newWatch(above)
	}
	return c.newWatch(nil)
}

// newWatch has c.up, if there is one, locked.
func (c *ctx) newWatch(above *watch) *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.watch.Load(); w != nil {
		return w
	}
	if c.verdict() != nil {
		return nil
	}
	w := &watch{c: c}
	c.watch.Store(w)
	if above != nil {
		w.link(above)
	}
	if c.alien {
		w.ignore = context.AfterFunc(c.parent, c.expired)
	}
	switch {
	case !c.own || c.when == never:
	case c.slot != nil:
		w.told.c = c
		c.slot.tell(&w.told)
	default:
		w.timer = time.AfterFunc(time.Duration(c.when-now()), c.expired)
	}
	return w
}

// expired is called when c may be over.
func (c *ctx) expired() {
	if c.settle() != nil || c.slot != nil || !c.own {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.watch.Load(); w.timer != nil && c.verdict() == nil {
		w.timer.Reset(time.Duration(c.when - now()))
	}
}

func (w *watch) link(above *watch) {
	w.next = above.below
	if w.next != nil {
		w.next.prev = w
	}
	above.below = w
	w.linked = true
}

func (w *watch) unlink() {
	if !w.linked {
		return
	}
	w.linked = false
	if w.next != nil {
		w.next.prev = w.prev
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		w.c.up.watch.Load().below = w.next
	}
	w.prev, w.next = nil, nil
}

// end closes the channel, ends those below, and returns the after-functions of all of
// them, before more.
func (w *watch) end(o *outcome, more *hook) *hook {
	switch {
	case !w.made.Load():
		w.done = closed
		w.made.Store(true)
	case w.own != nil:
		close(w.own)
	default:
		w.close(o.cause)
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.ignore != nil {
		w.ignore()
	}
	for w.below != nil {
		child := w.below
		child.unlink()
		more = child.c.endBelow(o, more)
	}
	for w.after != nil {
		h := w.after
		h.unlink(w)
		h.next = more
		more = h
	}
	return more
}

// endBelow is end for a context whose parent ends and is locked.
func (c *ctx) endBelow(o *outcome, more *hook) *hook {
	c.mu.Lock()
	first := c.decide(o)
	if first {
		more = c.watch.Load().end(c.verdict(), more)
	}
	c.mu.Unlock()
	if first {
		c.leave(nil)
	}
	return more
}

// Done looks at the deadline after c is watched: an expiry that nobody was told of
// is found now.
func (c *ctx) Done() <-chan struct{} {
	w := c.watch.Load()
	if w == nil || !w.made.Load() {
		if w = c.watched(); w != nil {
			w.make()
		}
	}
	if !c.runs() && c.over() {
		c.settle()
	}
	if w == nil {
		return closed
	}
	return w.done
}

func (w *watch) make() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.made.Load() {
		return
	}
	if alien := w.c.alienParent(); alien != nil {
		// Closed at once by the cancel of a parent that package context made
		var done Context
		done, w.close = context.WithCancelCause(alien)
		w.done = done.Done()
	} else {
		w.own = make(chan struct{})
		w.done = w.own
	}
	w.made.Store(true)
}

// alienParent is the parent, not ours, of the topmost of ours above c, if it can end.
func (c *ctx) alienParent() Context {
	if !c.asks {
		return nil
	}
	for c.up != nil {
		c = c.up
	}
	if !c.alien {
		return nil
	}
	return c.parent
}

func (h *hook) unlink(w *watch) {
	h.linked = false
	if h.next != nil {
		h.next.prev = h.prev
	}
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		w.after = h.next
	}
	h.prev, h.next = nil, nil
}

func (h *hook) run() {
	for h != nil {
		next := h.next
		if h.here {
			h.f()
		} else {
			go h.f()
		}
		h = next
	}
}

func (h *hook) stop() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if !h.linked {
		return false
	}
	h.unlink(h.c.watch.Load())
	return true
}

// add says whether h will be called when c is over: it is not over yet.
func (h *hook) add() bool {
	w := h.c.watched()
	if w == nil || h.c.settle() != nil {
		return false
	}
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if h.c.verdict() != nil {
		return false
	}
	h.next = w.after
	if h.next != nil {
		h.next.prev = h
	}
	w.after = h
	h.linked = true
	return true
}

func (h *hook) start() func() bool {
	if !h.add() {
		go h.f()
	}
	return h.stop
}

// AfterFunc is what package context looks for. See the package's own AfterFunc for
// what is better for all others.
func (c *ctx) AfterFunc(f func()) func() bool {
	return (&hook{c: c, f: f, here: true}).start()
}

// AfterFunc is context.AfterFunc: f is called in a goroutine of its own after c is
// over, unless the returned function was called before and said true.
func AfterFunc(c Context, f func()) (stop func() bool) {
	if own := ours(c); own != nil {
		return (&hook{c: own, f: f}).start()
	}
	return context.AfterFunc(c, f)
}
