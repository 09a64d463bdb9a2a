// SPDX-License-Identifier: MIT

// Go's timers and contexts in scenarios of deadline-bench, whose peer "go" this
// is: bench SCENARIO NUMBER PERCENT prints what each block of 256 operations took,
// in ns, or for wake, concurrent and quota how late each was; "bench version" the version
// of Go.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	block  = 256
	warmUp = 2
	blocks = 16
	rounds = 200
	far    = 1000 * time.Second
)

// measure prints what each block takes, without what prepares it.
func measure(percent int, prepare func(), operation func(i int)) {
	for done := 0; done < warmUp+blocks*percent/100; done++ {
		prepare()
		start := time.Now()
		for i := 0; i < block; i++ {
			operation(i)
		}
		if took := time.Since(start); done >= warmUp {
			fmt.Println(took.Nanoseconds())
		}
	}
}

func nothing() {}

// 1 to 50 ms, in some order.
func ahead(i int) time.Duration {
	return time.Millisecond + 49*time.Millisecond/block*time.Duration(i*97%block)
}

// A timer that is kept, which is cheaper than a new one each time.
func armCancel(n, percent int) {
	for i := 1; i < n; i++ {
		defer time.NewTimer(far).Stop()
	}
	timer := time.NewTimer(far)
	timer.Stop()
	var after [block]time.Duration
	for i := range after {
		after[i] = ahead(i)
	}
	measure(percent, nothing, func(i int) {
		timer.Reset(after[i])
		timer.Stop()
	})
}

// Any one of n outstanding timers moves by up to 4 s in all, in one direction.
func move(n, percent, direction int) {
	timers := make([]*time.Timer, n)
	times := make([]time.Duration, n)
	random := rand.New(rand.NewSource(1))
	for i := range timers {
		times[i] = 20*time.Second + time.Duration(random.Int63n(int64(10*time.Second)))
		timers[i] = time.NewTimer(times[i])
	}
	most := int64(4*time.Second) / int64(block*(blocks+warmUp)/n+1)
	var which [block]*time.Timer
	var when [block]time.Duration
	prepare := func() {
		for i := range which {
			at := random.Intn(n)
			times[at] += time.Duration(direction) * time.Duration(random.Int63n(most))
			which[i], when[i] = timers[at], times[at]
		}
	}
	measure(percent, prepare, func(i int) { which[i].Reset(when[i]) })
}

func later(n, percent int)   { move(n, percent, 1) }
func earlier(n, percent int) { move(n, percent, -1) }

func wake(_, percent int) {
	for i := 0; i < rounds*percent/100; i++ {
		when := time.Now().Add(time.Millisecond)
		<-time.After(time.Millisecond)
		fmt.Println(time.Since(when).Nanoseconds())
	}
}

// How late the callback of each starts, of n that are due within 99 ms.
func concurrent(n, _ int) {
	var wait sync.WaitGroup

	late := make([]time.Duration, n)
	first := time.Now().Add(10*time.Millisecond + time.Duration(n)*20*time.Microsecond)
	wait.Add(n)
	for i := range late {
		i, when := i, first.Add(time.Duration(i*7919%n)*9900)
		time.AfterFunc(time.Until(when), func() {
			late[i] = time.Since(when)
			wait.Done()
		})
	}
	wait.Wait()
	for _, l := range late {
		fmt.Println(l.Nanoseconds())
	}
}

func contexts(parent context.Context, percent int) {
	measure(percent, nothing, func(i int) {
		_, cancel := context.WithTimeout(parent, ahead(i))
		cancel()
	})
}

func alone(_, percent int) { contexts(context.Background(), percent) }

func nested(_, percent int) {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	contexts(parent, percent)
}

// One cancel that ends n children; by blocks of them.
func tree(n, percent int) {
	for i := 0; i < 1+blocks*percent/100; i++ {
		root, cancel := context.WithCancel(context.Background())
		children := make([]context.Context, n)
		ends := make([]context.CancelFunc, n)
		for j := range children {
			children[j], ends[j] = context.WithCancel(root)
		}
		start := time.Now()
		cancel()
		took := time.Since(start)
		if i > 0 {
			fmt.Println(took.Nanoseconds() * block / int64(n))
		}
		for j, child := range children {
			if child.Err() == nil {
				panic("a child is not over")
			}
			ends[j]()
		}
	}
}

func over(_, percent int) {
	child, cancel := context.WithTimeout(context.Background(), far)
	defer cancel()
	measure(percent, nothing, func(int) {
		if child.Err() != nil {
			panic("over too early")
		}
	})
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	run := map[string]func(n, percent int){
		"arm-cancel":      armCancel,
		"later":           later,
		"earlier":         earlier,
		"over":            over,
		"wake":            wake,
		"concurrent":      concurrent,
		"context":         alone,
		"nested":          nested,
		"tree":            tree,
		"parent":          parent,
		"quota-seen":      quotaSeen,
		"quota-throttled": quotaThrottled,
		"quota-rest":      quotaRest,
	}
	if len(os.Args) != 4 || run[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "bench: wants a scenario, a number and percent")
		os.Exit(2)
	}
	n, _ := strconv.Atoi(os.Args[2])
	percent, _ := strconv.Atoi(os.Args[3])
	run[os.Args[1]](n, percent)
}
