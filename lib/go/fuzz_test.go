// SPDX-License-Identifier: GPL-2.0

package deadline

import (
	"fmt"
	"math/rand"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// A twin is a context of package context, and the same one made by both packages in
// some mixture.
type twin struct {
	plain, mixed             Context
	endPlain, endMixed       func()
	calledPlain, calledMixed *atomic.Int32
	stopPlain, stopMixed     func() bool
}

// A forest grows, is cancelled and expires by the bytes of an input, while time
// stands still: the deadlines that it knows are far, or they have passed, or they pass
// in a step of their own, for which everything waits.
type forest struct {
	t     *testing.T
	trees []twin
	next  time.Time // the first deadline that has not passed
	input []byte
	steps string
}

const step = 20 * time.Millisecond

func (f *forest) byte() int {
	if len(f.input) == 0 {
		return 0
	}
	b := f.input[0]
	f.input = f.input[1:]
	return int(b)
}

func (f *forest) parent() twin {
	if n := f.byte() % (len(f.trees) + 1); n > 0 {
		return f.trees[n-1]
	}
	return twin{plain: Background(), mixed: Background()}
}

func (f *forest) grow() {
	above := f.parent()
	m := makers[f.byte()%len(makers)]
	pick := f.byte()
	mixed := families[pick%2]
	if m.name[0] == 's' { // one that ends by itself, in a later step
		if f.next.IsZero() {
			f.next = time.Now().Add(step)
		}
		when := f.next
		m.make = func(f family, p Context) (Context, func()) {
			return cancelOf(f.withDeadline(p, when))
		}
	}
	f.steps += fmt.Sprintf("%s by %s\n", m.name, mixed.name)
	var t twin
	t.plain, t.endPlain = m.make(there, above.plain)
	t.mixed, t.endMixed = m.make(mixed, above.mixed)
	t.calledPlain, t.calledMixed = new(atomic.Int32), new(atomic.Int32)
	if pick&2 != 0 {
		t.stopPlain = there.afterFunc(t.plain, func() { t.calledPlain.Add(1) })
		t.stopMixed = families[pick>>3%2].afterFunc(t.mixed, func() { t.calledMixed.Add(1) })
	}
	if pick&4 != 0 {
		t.mixed.Done()
	}
	f.trees = append(f.trees, t)
}

// pass lets the deadlines pass.
func (f *forest) pass() {
	f.steps += "time passes\n"
	time.Sleep(time.Until(f.next))
	f.next = time.Time{}
	end := time.Now().Add(10 * time.Second)
	for { // Go's timers are late.
		late := false
		for _, t := range f.trees {
			if d, ok := t.plain.Deadline(); ok && time.Until(d) <= 0 && t.plain.Done() != nil {
				late = late || t.plain.Err() == nil || t.mixed.Err() == nil
			}
		}
		if !late {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("not over:\n%s", f.steps)
		}
		time.Sleep(time.Millisecond)
	}
}

// still says whether time has stood still.
func (f *forest) still() bool { return f.next.IsZero() || time.Now().Before(f.next) }

// compare waits for contexts of package context that are behind a value of that
// package, or the like, below ours: a goroutine of that package cancels them.
func (f *forest) compare() {
	end := time.Now().Add(10 * time.Second)
	for i, t := range f.trees {
		for plain := state(t.plain); ; {
			mixed := state(t.mixed)
			if plain == mixed || !f.still() {
				break
			}
			if time.Now().After(end) {
				f.t.Fatalf("%d is: %s\nnot: %s\n%s", i, mixed, plain, f.steps)
			}
			runtime.Gosched()
		}
	}
}

func (f *forest) run() {
	for len(f.input) > 0 && len(f.trees) < 40 {
		switch n := f.byte(); {
		case n < 150 || len(f.trees) == 0:
			f.grow()
		case n < 200:
			i := f.byte() % len(f.trees)
			f.steps += fmt.Sprintf("end of %d\n", i)
			f.trees[i].endPlain()
			f.trees[i].endMixed()
		case n < 230:
			t := f.trees[f.byte()%len(f.trees)]
			if t.stopPlain != nil {
				f.steps += "stop\n"
				plain, mixed := t.stopPlain(), t.stopMixed()
				if plain != mixed && f.still() {
					f.t.Fatalf("stop says %v, not %v:\n%s", mixed, plain, f.steps)
				}
			}
		case !f.next.IsZero():
			f.pass()
		}
		f.compare()
		if !f.still() {
			f.end() // The steps took so long that time did not stand still.
			return
		}
	}
	f.end()
	for i, t := range f.trees {
		end := time.Now().Add(10 * time.Second)
		for t.calledPlain.Load() != t.calledMixed.Load() {
			if time.Now().After(end) {
				f.t.Fatalf("function of %d called %d times, not %d:\n%s", i,
					t.calledMixed.Load(), t.calledPlain.Load(), f.steps)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func (f *forest) end() {
	for _, t := range f.trees {
		t.endPlain()
		t.endMixed()
	}
}

// Random trees behave as those of package context: the seeds, in each run of the tests;
// "go test -fuzz" goes on from there.
func FuzzForest(f *testing.F) {
	seeds := 300
	if testing.Short() {
		seeds = 50
	}
	random := rand.New(rand.NewSource(1))
	for i := 0; i < seeds; i++ {
		input := make([]byte, 30+random.Intn(150))
		random.Read(input)
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		(&forest{t: t, input: input}).run()
	})
}
