// SPDX-License-Identifier: GPL-2.0

package deadline

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var families = []family{here, there}

// An after-function is called once, in a goroutine of its own, after its context is
// over; at once below one that is over; never once stop said true.
func TestAfterFunc(t *testing.T) {
	for _, above := range families {
		for _, f := range families {
			for _, m := range makers {
				if m.name == "value" || m.name == "without cancel" {
					continue
				}
				c, end := m.make(above, Background())
				called := make(chan bool, 2)
				kept := make(chan bool, 1)
				stop := f.afterFunc(c, func() { called <- c.Err() != nil })
				if !f.afterFunc(c, func() { kept <- true })() {
					<-kept
				}
				end()
				if !<-called {
					t.Fatalf("%s, %s: called before it was over", above.name, m.name)
				}
				late := f.afterFunc(c, func() { called <- true })
				<-called
				if stop() || late() || len(kept) != 0 {
					t.Errorf("%s, %s: stop said true, and yet it was called", above.name, m.name)
				}
			}
		}
	}
}

func TestAfterFuncStopped(t *testing.T) {
	c, cancel := WithTimeout(Background(), far)
	stops := make([]func() bool, 5)
	var calls atomic.Int32
	for i := range stops {
		stops[i] = AfterFunc(c, func() { calls.Add(1) })
	}
	for _, i := range []int{2, 4, 0} { // the middle, the first, the last
		if !stops[i]() || stops[i]() {
			t.Errorf("stop of %d: not true and then false", i)
		}
	}
	var left sync.WaitGroup
	left.Add(1)
	AfterFunc(c, left.Done)
	cancel()
	left.Wait()
	for calls.Load() != 2 {
		runtime.Gosched()
	}
	for i, stop := range stops {
		if stop() {
			t.Errorf("stop of %d said true after the end", i)
		}
	}
}

// What an after-function does holds up neither the canceller nor other functions.
func TestAfterFuncBlocks(t *testing.T) {
	c, cancel := WithTimeout(Background(), soon)
	defer cancel()
	for i := 0; i < 100; i++ {
		AfterFunc(c, func() { select {} })
	}
	called := make(chan struct{})
	AfterFunc(c, func() { close(called) })
	other, cancel2 := WithTimeout(Background(), 2*soon)
	defer cancel2()
	<-other.Done()
	<-called
}

// Who cancels after the deadline is too late, though nobody had noticed it.
func TestCancelAfterTheDeadline(t *testing.T) {
	for _, above := range families {
		for _, waited := range []bool{false, true} {
			parent, cancelParent := above.withCancel(Background())
			top, cancelTop := WithTimeout(Background(), soon)
			c, cancel := WithTimeout(parent, soon)
			if waited {
				top.Done()
				c.Done()
			}
			for _, c := range []Context{top, c} {
				for !c.(*ctx).over() { // It looks, and tells nobody.
					runtime.Gosched()
				}
			}
			cancelTop()
			cancel()
			cancelParent()
			if top.Err() != DeadlineExceeded || c.Err() != DeadlineExceeded {
				t.Errorf("below %s, waited %v: %v, %v", above.name, waited, top.Err(), c.Err())
			}
		}
	}
}

// Of several that came before anybody looked, the first one counts: a child's deadline,
// and then its parent's, or its parent's cancel.
func TestFirstCounts(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		var parent, child Context
		var cancel, cancel2 CancelFunc
		for again := true; again; again = parent.(*ctx).over() { // made too slowly
			parent, cancel = WithTimeoutCause(Background(), 2*soon, errAbove)
			end, _ := parent.Deadline()
			child, cancel2 = WithDeadlineCause(parent, end.Add(-soon), errBelow)
		}
		for !child.(*ctx).over() {
			runtime.Gosched()
		}
		if cancelled {
			cancel()
		}
		for !parent.(*ctx).over() {
			runtime.Gosched()
		}
		if Cause(child) != errBelow || context.Cause(child) != errBelow || parent.Err() == nil {
			t.Errorf("cancelled %v: %s", cancelled, state(child))
		}
		cancel2()
		cancel()
	}
}

// A function that package context gives to the method is called before cancel
// returns: a child of that package is over then. Asking does the same.
func TestForeignChildrenAreOverAtOnce(t *testing.T) {
	for i := 0; i < 100; i++ {
		c, cancel := WithCancelCause(Background())
		child, cancel2 := context.WithTimeout(c, far)
		cancel(errAbove)
		if child.Err() != Canceled || context.Cause(child) != errAbove {
			t.Fatal(state(child))
		}
		cancel2()
	}
	c, cancel := WithTimeoutCause(Background(), soon, errAbove)
	defer cancel()
	child, cancel2 := context.WithCancel(c)
	defer cancel2()
	for c.Err() == nil {
	}
	<-child.Done()
	if child.Err() != DeadlineExceeded || context.Cause(child) != errAbove {
		t.Error(state(child))
	}
}

func goroutines(t *testing.T, most int) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > most {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, not %d:\n%s", runtime.NumGoroutine(), most,
				buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// No goroutine is started for a tree of both packages' contexts, nor one left.
func TestNoGoroutines(t *testing.T) {
	for _, root := range families {
		top, cancel := root.withCancel(Background())
		warm, cancelWarm := WithTimeout(top, far)
		warm.Done() // the goroutines that serve are there
		cancelWarm()
		n := runtime.NumGoroutine()
		level := []Context{top}
		for depth := 0; depth < 6; depth++ {
			var below []Context
			for _, c := range level {
				for _, f := range families {
					child, cancel := f.withTimeout(c, far+time.Duration(depth))
					defer cancel()
					below = append(below, WithValue(child, 1, 2))
				}
			}
			level = below
		}
		for _, c := range level {
			c.Done()
		}
		if now := runtime.NumGoroutine(); now > n {
			t.Errorf("%d goroutines before, %d with a tree below %s", n, now, root.name)
		}
		cancel()
		for _, c := range level {
			// One of package context, below ours, below one of package context: it
			// is over when the goroutine has run that ends ours.
			<-c.Done()
			if c.Err() != Canceled || !isClosed(c) {
				t.Fatalf("below %s: %s", root.name, state(c))
			}
		}
		goroutines(t, n)
	}
}

// Many cancel at once, above and below: each context gets one outcome, which all see,
// and Done is closed when anyone has seen it.
func TestSimultaneousCancels(t *testing.T) {
	const threads, rounds = 8, 500
	for round := 0; round < rounds; round++ {
		top, cancelTop := WithCancelCause(Background())
		middle, cancelMiddle := WithTimeoutCause(top, time.Duration(round)*time.Microsecond, errBelow)
		bottom, cancelBottom := WithCancelCause(middle)
		done := bottom.Done()
		var calls atomic.Int32
		AfterFunc(bottom, func() { calls.Add(1) })
		var all sync.WaitGroup
		var causes [threads]error
		for i := 0; i < threads; i++ {
			all.Add(1)
			i := i
			go func() {
				defer all.Done()
				switch i % 4 {
				case 0:
					cancelTop(errAbove)
				case 1:
					cancelMiddle()
				case 2:
					cancelBottom(nil)
				case 3:
					for bottom.Err() == nil {
						runtime.Gosched()
					}
				}
				if bottom.Err() == nil {
					t.Error("not over")
				}
				select {
				case <-done:
				default:
					t.Error("over, and Done is not closed")
				}
				causes[i] = Cause(bottom)
			}()
		}
		all.Wait()
		for _, cause := range causes {
			if cause != causes[0] || cause == nil {
				t.Fatalf("causes %v", causes)
			}
		}
		for calls.Load() == 0 {
			runtime.Gosched()
		}
		if calls.Load() != 1 {
			t.Fatal("called twice")
		}
	}
}

// A child is made, watched and cancelled while its parent is cancelled: it is over
// and closed in the end.
func TestMadeMeanwhile(t *testing.T) {
	for round := 0; round < 2000; round++ {
		top, cancel := here.withCancel(Background())
		if round%2 != 0 {
			top, cancel = there.withTimeout(Background(), far)
		}
		var all sync.WaitGroup
		for i := 0; i < 3; i++ {
			all.Add(1)
			i := i
			go func() {
				defer all.Done()
				c, cancelOwn := WithTimeout(top, far)
				defer cancelOwn()
				if i == 1 {
					c, cancelOwn = WithCancel(c)
					defer cancelOwn()
				}
				called := make(chan struct{})
				AfterFunc(c, func() { close(called) })
				<-c.Done()
				<-called
				if c.Err() != Canceled {
					t.Error(state(c))
				}
			}()
		}
		cancel()
		all.Wait()
	}
}
