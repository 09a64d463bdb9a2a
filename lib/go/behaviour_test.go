// SPDX-License-Identifier: GPL-2.0

package deadline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// A family is a package that makes contexts.
type family struct {
	name             string
	withCancel       func(Context) (Context, CancelFunc)
	withCancelCause  func(Context) (Context, CancelCauseFunc)
	withTimeout      func(Context, time.Duration) (Context, CancelFunc)
	withTimeoutCause func(Context, time.Duration, error) (Context, CancelFunc)
	withDeadline     func(Context, time.Time) (Context, CancelFunc)
	withValue        func(Context, any, any) Context
	withoutCancel    func(Context) Context
	afterFunc        func(Context, func()) func() bool
	cause            func(Context) error
}

var (
	here = family{"ours", WithCancel, WithCancelCause, WithTimeout, WithTimeoutCause,
		WithDeadline, WithValue, WithoutCancel, AfterFunc, Cause}
	there = family{"package context's", context.WithCancel, context.WithCancelCause,
		context.WithTimeout, context.WithTimeoutCause, context.WithDeadline,
		context.WithValue, context.WithoutCancel, context.AfterFunc, context.Cause}
)

const (
	soon = 2 * time.Millisecond
	far  = time.Hour
)

var (
	errAbove = errors.New("the parent's cause")
	errBelow = errors.New("the child's cause")
)

func isClosed(c Context) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// state is all that can be asked.
func state(c Context) string {
	err := c.Err()
	_, limited := c.Deadline()
	return fmt.Sprintf("err %v, cause %v %v, closed %v, limited %v",
		err, Cause(c), context.Cause(c), isClosed(c), limited)
}

// maker makes a child and returns what ends it, if it does not end by itself.
type maker struct {
	name string
	make func(f family, parent Context) (Context, func())
}

func cancelOf(c Context, cancel CancelFunc) (Context, func()) { return c, func() { cancel() } }

var makers = []maker{
	{"cancel", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withCancel(p))
	}},
	{"cause", func(f family, p Context) (Context, func()) {
		c, cancel := f.withCancelCause(p)
		return c, func() { cancel(errBelow) }
	}},
	{"nil cause", func(f family, p Context) (Context, func()) {
		c, cancel := f.withCancelCause(p)
		return c, func() { cancel(nil) }
	}},
	{"far", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withTimeout(p, far))
	}},
	{"far with cause", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withTimeoutCause(p, far, errBelow))
	}},
	{"farther", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withDeadline(p, time.Now().Add(2*far)))
	}},
	{"wall clock", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withDeadline(p, time.Now().Add(far).Round(0)))
	}},
	{"past", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withDeadline(p, time.Now().Add(-far)))
	}},
	{"past with cause", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withTimeoutCause(p, -1, errBelow))
	}},
	{"at once", func(f family, p Context) (Context, func()) {
		return cancelOf(f.withTimeout(p, 0))
	}},
	{"soon", func(f family, p Context) (Context, func()) {
		c, _ := f.withTimeout(p, soon)
		return c, func() { <-c.Done() }
	}},
	{"soon with cause", func(f family, p Context) (Context, func()) {
		c, _ := f.withTimeoutCause(p, soon, errBelow)
		return c, func() { <-c.Done() }
	}},
	{"value", func(f family, p Context) (Context, func()) {
		return f.withValue(p, "key", "value"), func() {}
	}},
	{"without cancel", func(f family, p Context) (Context, func()) {
		return f.withoutCancel(p), func() {}
	}},
}

// tell writes down the states of a parent and a child that end in some order, with
// waited: channels were asked for before.
func tell(t *testing.T, above, below family, p, c maker, order int, waited bool) (told string) {
	parent, endParent := p.make(above, Background())
	if order == 2 {
		endParent()
	}
	child, endChild := c.make(below, parent)
	if waited {
		parent.Done()
		child.Done()
	}
	look := func(when string) { told += fmt.Sprintf("%s: %s | %s\n", when, state(parent), state(child)) }
	if p.name[0] != 's' && c.name[0] != 's' {
		look("start") // those that end soon may have ended
	}
	switch order {
	case 0:
		endParent()
		for p.name[0] == 's' && parent.Err() != nil && child.Done() != nil && child.Err() == nil {
			// Package context closes Done before it cancels the children.
			runtime.Gosched()
		}
		look("parent")
		endChild()
	case 1:
		endChild()
		look("child")
		endParent()
	case 2:
		look("below one that is over")
		endChild()
	}
	look("both")
	endParent()
	endChild()
	look("again")
	return told
}

// Any parent and child behave as two of package context do, whoever made them, and
// in whichever order they end.
func TestPairs(t *testing.T) {
	for _, p := range makers {
		for _, c := range makers {
			p, c := p, c
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				for order := 0; order < 3; order++ {
					if order == 0 && c.name[0] == 's' || order == 1 && p.name[0] == 's' {
						continue // which one is first, nobody knows
					}
					for _, waited := range []bool{false, true} {
						for _, f := range []struct{ above, below family }{
							{here, here}, {here, there}, {there, here}} {
							pair(t, f.above, f.below, p, c, order, waited)
						}
					}
				}
			})
		}
	}
}

// pair compares two contexts with two of package context. With those that end by
// themselves it may be too slow for the order that it wants, and tries again.
func pair(t *testing.T, above, below family, p, c maker, order int, waited bool) {
	tries := 1
	if p.name[0] == 's' || c.name[0] == 's' {
		tries = 50
	}
	var got, want string
	for ; tries > 0; tries-- {
		want = tell(t, there, there, p, c, order, waited)
		if got = tell(t, above, below, p, c, order, waited); got == want {
			return
		}
	}
	t.Errorf("order %d, waited %v, %s below %s:\n%swant\n%s", order, waited,
		below.name, above.name, got, want)
}

// The cancel of a chain whose links are made by both in any mixture is seen at the
// bottom when it returns, and its cause.
func TestChains(t *testing.T) {
	const length = 6
	for mixture := 0; mixture < 1<<length; mixture++ {
		for at := 0; at < length; at++ {
			chain := make([]Context, length)
			cancels := make([]CancelCauseFunc, length)
			above := Background()
			for i := range chain {
				f := here
				if mixture>>i&1 != 0 {
					f = there
				}
				chain[i], cancels[i] = f.withCancelCause(above)
				above = f.withValue(chain[i], i, i)
			}
			done := above.Done()
			cancels[at](errBelow)
			// A link of package context below ours below package context's is
			// over when a goroutine has run; so are those below it.
			last := mixture >> at & 1
			for i, turns := at, 0; i < length; i++ {
				if is := mixture >> i & 1; is != last {
					last = is
					turns++
				}
				if turns >= 2 && last == 1 {
					<-chain[i].Done()
				}
			}
			for i, c := range chain {
				over := c.Err() != nil
				if over != (i >= at) || over != isClosed(c) || over != (Cause(c) == errBelow) {
					t.Fatalf("mixture %b: %d was cancelled, %d is: %s", mixture, at, i, state(c))
				}
			}
			select {
			case <-done:
			default:
				t.Fatalf("mixture %b: %d was cancelled, the bottom is not closed", mixture, at)
			}
			for i := range chain {
				if above.Value(i) != i {
					t.Fatalf("mixture %b: value %d is %v", mixture, i, above.Value(i))
				}
				cancels[i](nil)
			}
		}
	}
}

func TestDeadlineIsAsGiven(t *testing.T) {
	wall := time.Unix(1<<33, 5).In(time.FixedZone("there", 3600))
	c, cancel := WithDeadline(Background(), wall)
	defer cancel()
	if d, ok := c.Deadline(); !ok || d != wall {
		t.Errorf("%v, given %v", d, wall)
	}
	before := time.Now()
	child, cancel2 := WithTimeout(c, far)
	defer cancel2()
	after := time.Now()
	d, ok := child.Deadline()
	if again, _ := child.Deadline(); again != d {
		t.Errorf("%v, then %v", d, again)
	}
	// Two clocks are compared: see date.
	if !ok || d.Before(before.Add(far-10*time.Microsecond)) || d.After(after.Add(far)) {
		t.Errorf("%v, asked for at %v to %v", d, before.Add(far), after.Add(far))
	}
	grandchild, cancel3 := WithTimeout(child, 2*far)
	defer cancel3()
	if g, _ := grandchild.Deadline(); g != d {
		t.Errorf("a later one is %v, not its parent's %v", g, d)
	}
	forever, cancel4 := WithTimeout(Background(), 1<<63-1)
	defer cancel4()
	if d, ok := forever.Deadline(); !ok || time.Until(d) < 200*365*24*time.Hour || forever.Err() != nil {
		t.Errorf("the longest timeout ends at %v", d)
	}
}

// Deadlines that are no time of day are given back too, and are over or far.
func TestOddDeadlines(t *testing.T) {
	for _, d := range []time.Time{{}, time.Unix(-1<<62, 0), time.Unix(0, 0), time.Unix(1<<62, 0)} {
		var told [2]string
		for i, f := range []family{here, there} {
			c, cancel := f.withDeadline(Background(), d)
			child, cancel2 := f.withTimeout(c, 1<<63-1)
			below, _ := child.Deadline()
			if got, ok := c.Deadline(); !ok || got != d || d.Unix() <= 0 && below != d {
				t.Errorf("%s: %v, %v below, given %v", f.name, got, below, d)
			}
			told[i] = state(c)
			cancel2()
			cancel()
		}
		if told[0] != told[1] {
			t.Errorf("%v: %s, not %s", d, told[0], told[1])
		}
	}
}

// A cause may be any error, the two of package context among them, whatever Err is.
func TestCausesOfOthers(t *testing.T) {
	for _, cause := range []error{Canceled, DeadlineExceeded, errAbove} {
		var told [2]string
		for i, f := range []family{here, there} {
			c, cancel := f.withCancelCause(Background())
			child, cancel2 := f.withTimeout(c, far)
			cancel(cause)
			past, cancel3 := f.withTimeoutCause(Background(), 0, cause)
			told[i] = fmt.Sprint(state(c), state(child), state(past))
			cancel2()
			cancel3()
		}
		if told[0] != told[1] {
			t.Errorf("%v: %s, not %s", cause, told[0], told[1])
		}
	}
}

func TestString(t *testing.T) {
	type key struct{}
	c, cancel := WithCancel(Background())
	defer cancel()
	v := WithValue(WithValue(c, key{}, "a"), "b", nil)
	if got, want := fmt.Sprint(v), "context.Background.WithCancel.WithValue(deadline.key, a).WithValue(b, <nil>)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	timed, cancel2 := WithTimeout(c, far)
	defer cancel2()
	var end string
	if n, err := fmt.Sscanf(fmt.Sprint(timed), "context.Background.WithCancel.WithDeadline(%s", &end); n != 1 {
		t.Errorf("%v: %v", timed, err)
	}
}

func TestBadParents(t *testing.T) {
	var none Context
	for name, f := range map[string]func(){
		"WithCancel":      func() { WithCancel(none) },
		"WithCancelCause": func() { WithCancelCause(none) },
		"WithTimeout":     func() { WithTimeout(none, far) },
		"WithDeadline":    func() { WithDeadline(none, time.Now()) },
		"WithValue":       func() { WithValue(none, 1, 1) },
		"nil key": func() {
			c, cancel := WithCancel(Background())
			defer cancel()
			WithValue(c, nil, 1)
		},
		"key": func() {
			c, cancel := WithCancel(Background())
			defer cancel()
			WithValue(c, []int{}, 1)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			f()
		}()
	}
}

// A custom parent is one that only has the methods of the interface.
type custom struct {
	Context
	done chan struct{}
	err  error
}

func (c *custom) Done() <-chan struct{} { return c.done }
func (c *custom) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

func TestCustomParent(t *testing.T) {
	p := &custom{Background(), make(chan struct{}), errAbove}
	c, cancel := WithTimeout(p, far)
	defer cancel()
	g, cancel2 := WithCancel(c)
	defer cancel2()
	called := make(chan struct{})
	AfterFunc(g, func() { close(called) })
	if g.Err() != nil {
		t.Fatal(state(g))
	}
	close(p.done)
	if g.Err() != errAbove || c.Err() != errAbove || !isClosed(g) || Cause(g) != errAbove {
		t.Errorf("%s | %s", state(c), state(g))
	}
	<-called
	<-g.Done()
}
