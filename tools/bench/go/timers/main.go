// SPDX-License-Identifier: MIT

// How late callbacks of 10,000 timers start, and what it costs to set one: the
// rows of tools/bench/beside-go/timers.c that are Go's.
package main

import (
	"runtime"
	"sync"
	"time"

	"beside/spread"
)

const timers = 10000

func afterFunc(after time.Duration, call func()) { time.AfterFunc(after, call) }

// From 1 to 100 ms ahead, in no order.
func row(set func(after time.Duration, call func())) {
	var wait sync.WaitGroup

	late := make([]time.Duration, timers)
	wait.Add(timers)
	start := time.Now()
	for i := range late {
		i := i
		after := time.Millisecond + time.Duration(i*7919%timers)*9900
		when := time.Now().Add(after)
		set(after, func() {
			late[i] = time.Since(when)
			wait.Done()
		})
	}
	cost := time.Since(start) / timers
	wait.Wait()
	spread.Print(late, cost.Nanoseconds())
}

func main() {
	pool := newPool()
	for _, hogs := range []int{0, runtime.NumCPU()} {
		stop := spread.Hogs(hogs)
		row(afterFunc)
		row(pool.set)
		stop()
	}
}
