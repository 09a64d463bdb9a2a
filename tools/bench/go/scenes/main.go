// SPDX-License-Identifier: MIT

// How late a goroutine notices that its context is over: the rows of
// tools/bench/beside-go/scenes.c, in the same order.
package main

import (
	"context"
	"runtime"
	"time"

	"beside/spread"
)

const (
	rounds  = 100
	timeout = 5 * time.Millisecond
)

var sink uint64

func compute() { sink = spread.Work(sink) }

func once(turn func()) time.Duration {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for ctx.Err() == nil {
		turn()
	}
	return time.Since(start) - timeout
}

func row(turn func()) {
	late := make([]time.Duration, rounds)
	for i := range late {
		time.Sleep(time.Duration(16000+i*97%128*100) * time.Microsecond)
		late[i] = once(turn)
	}
	spread.Print(late, 0)
}

func main() {
	row(func() { time.Sleep(0) })
	row(runtime.Gosched)
	row(compute)
	runtime.GOMAXPROCS(1)
	stop := spread.Hogs(1)
	row(compute)
	stop()
}
