// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
	"time"

	"deadline"
)

// Contexts that were kept here are not of the stack.
var kept1 context.Context

const far = time.Hour

const block = 500 // calls

// each returns the median of what one of many calls takes.
func each(f func()) time.Duration {
	return blocks(func() {
		for i := 0; i < block; i++ {
			f()
		}
	})
}

// blocks returns the same of functions that make so many calls. The garbage of what
// was before is not theirs.
func blocks(f func()) time.Duration {
	runtime.GC()
	const blocks = 15
	took := make([]time.Duration, blocks)
	for i := range took {
		start := time.Now()
		f()
		took[i] = time.Since(start) / block
	}
	return middle(took)
}

// middle sorts.
func middle(of []time.Duration) time.Duration {
	sort.Slice(of, func(i, j int) bool { return of[i] < of[j] })
	return of[len(of)/2]
}

func makeAndCancel(s side, parent context.Context) time.Duration {
	return blocks(func() {
		for i := 0; i < block; i++ {
			c, cancel := s.withTimeout(parent, far)
			kept1 = c
			cancel()
		}
	})
}

func child(s side, parent context.Context) time.Duration {
	return each(func() {
		c, cancel := s.withCancel(parent)
		kept1 = c
		cancel()
	})
}

// below measures f below a context with a timeout.
func below(s side, f func(parent context.Context) time.Duration) time.Duration {
	parent, cancel := s.withTimeout(context.Background(), far)
	defer cancel()
	parent.Done()
	return f(parent)
}

func waited(s side) time.Duration {
	return each(func() {
		c, cancel := s.withTimeout(context.Background(), far)
		c.Done()
		cancel()
	})
}

// steady makes and cancels in turn, with 10,000 outstanding and timeouts of 10 ms, as
// busy servers do.
func steady(s side) time.Duration {
	const n = 10000
	ends := make([]context.CancelFunc, n)
	for i := range ends {
		_, ends[i] = s.withTimeout(context.Background(), 10*time.Millisecond)
	}
	i := 0
	one := func() {
		ends[i%n]()
		_, ends[i%n] = s.withTimeout(context.Background(), 10*time.Millisecond)
		i += 7919
	}
	for i < n*7919 {
		one()
	}
	took := each(one)
	for _, end := range ends {
		end()
	}
	return took
}

func err(s side) time.Duration {
	return below(s, func(c context.Context) time.Duration {
		return blocks(func() {
			for i := 0; i < block; i++ {
				c.Err()
			}
		})
	})
}

func selects(s side) time.Duration {
	return below(s, func(c context.Context) time.Duration {
		return blocks(func() {
			for i := 0; i < block; i++ {
				bySelect(c)
			}
		})
	})
}

// wakes returns how late one that is blocked on Done runs.
func wakes(s side) time.Duration {
	late := make([]time.Duration, rounds)
	for i := range late {
		when := time.Now().Add(timeout)
		c, cancel := s.withTimeout(context.Background(), timeout)
		<-c.Done()
		late[i] = time.Since(when)
		cancel()
	}
	return middle(late)
}

// callbacks returns how late functions after 10,000 deadlines within 100 ms start, of
// all that are set three times. The garbage is collected in the midst of those 100 ms,
// or not at all: a collection of this heap takes some 30 ms.
func callbacks(set func(time.Duration, func()), collect bool) time.Duration {
	const n, times = 10000, 3
	late := make([]time.Duration, n*times)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for round := 0; round < times; round++ {
		runtime.GC()
		var wait sync.WaitGroup
		wait.Add(n)
		first := time.Now().Add(n * 20 * time.Microsecond)
		if collect {
			time.AfterFunc(time.Until(first)+50*time.Millisecond, func() { go runtime.GC() })
		}
		for i := 0; i < n; i++ {
			at, when := &late[round*n+i], first.Add(time.Duration(i*7919%n)*9900)
			set(time.Until(when), func() {
				*at = time.Since(when)
				wait.Done()
			})
		}
		wait.Wait()
	}
	return middle(late)
}

func afterContext(d time.Duration, f func()) {
	c, _ := deadline.WithTimeout(context.Background(), d)
	deadline.AfterFunc(c, f)
}

func afterTimer(d time.Duration, f func()) { time.AfterFunc(d, f) }

// A cost is a row: of ours and of package context's, or time.AfterFunc's.
type cost struct {
	name  string
	value [2]time.Duration
	limit time.Duration // of ours, if there is one
}

func costs() {
	runtime.GOMAXPROCS(1)
	fmt.Println("# What it costs, ns or instructions each            deadline context  limit")
	both := func(f func(side) time.Duration) [2]time.Duration {
		return [2]time.Duration{f(ours), f(std)}
	}
	alone := func(s side) time.Duration { return makeAndCancel(s, context.Background()) }
	cancelBelow := func(s side) time.Duration {
		return below(s, func(p context.Context) time.Duration { return child(s, p) })
	}
	timeoutBelow := func(s side) time.Duration {
		return below(s, func(p context.Context) time.Duration {
			return each(func() {
				_, cancel := s.withTimeout(p, far/2)
				cancel()
			})
		})
	}
	foreign := below(ours, func(p context.Context) time.Duration { return child(std, p) })
	underStd := below(std, func(p context.Context) time.Duration { return makeAndCancel(ours, p) })
	underStdStd := below(std, func(p context.Context) time.Duration { return makeAndCancel(std, p) })
	stdChild := cancelBelow(std)
	costs := []cost{
		{"WithTimeout + cancel", both(alone), 1000},
		{"one of 10,000, 10 ms", both(steady), 0},
		{"WithTimeout + Done + cancel", both(waited), 0},
		{"WithTimeout below WithTimeout", both(timeoutBelow), 0},
		{"WithCancel below WithTimeout", both(cancelBelow), 1989},
		{"context.WithCancel below ours", [2]time.Duration{foreign, stdChild}, 0},
		{"WithTimeout below package context's", [2]time.Duration{underStd, underStdStd}, 0},
		{"Err", both(err), 30},
		{"select with default", both(selects), 0},
		{"late: blocked on Done, idle", both(wakes), 15 * time.Microsecond},
	}
	runtime.KeepAlive(kept1)
	for _, collect := range []bool{false, true} {
		name := "late: AfterFunc, one of 10,000"
		if collect {
			name = "the same, garbage is collected"
		}
		callback := [2]time.Duration{
			callbacks(afterContext, collect), callbacks(afterTimer, collect),
		}
		// A tenth of how late time.AfterFunc's are
		costs = append(costs, cost{name, callback, callback[1] / 10})
	}
	for _, r := range costs {
		limit := ""
		if r.limit != 0 {
			limit = fmt.Sprint(r.limit.Nanoseconds())
		}
		row(r.limit == 0 || r.value[0] <= limitHere(r.limit), "%-38s %9d %9d %6s",
			r.name, r.value[0].Nanoseconds(), r.value[1].Nanoseconds(), limit)
	}
}
