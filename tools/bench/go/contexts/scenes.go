// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"beside/spread"
)

const (
	rounds  = 20
	timeout = 5 * time.Millisecond
	// A turn takes 1 us at most, and 2.5 with the interrupt of the deadline: in one that
	// takes longer the CPU had something else to do, a tick or another thread.
	away = 3 * time.Microsecond
	// For how long a loop may work on: in half of the rounds, and in any.
	limit     = 3 * time.Microsecond
	limitMost = 4 * time.Microsecond
)

// The limits are those of Linux 6.1. On other kernels everything takes a little longer.
func limitHere(limit time.Duration) time.Duration {
	if exact && os.Getenv("DEADLINE_ICOUNT") != "6.1" {
		return limit * 5 / 4
	}
	return limit
}

func byErr(c context.Context) bool { return c.Err() != nil }

func bySelect(c context.Context) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

var kept uint64

func compute() { kept = spread.Work(kept) }

func sleepZero() { time.Sleep(0) }

// allocators keep the collector busy until what it returns is called.
func allocators() func() {
	stop := make(chan struct{})
	go func() {
		var list [64][]*[128]byte
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			few := make([]*[128]byte, 64)
			for j := range few {
				few[j] = new([128]byte)
			}
			list[i%len(list)] = few
		}
	}()
	return func() { close(stop) }
}

func hog() {
	for {
		compute()
	}
}

// outside starts a process that computes.
func outside() func() {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	process := exec.Command(self, "hog")
	process.Env = append(os.Environ(), "GOMAXPROCS=1")
	if err := process.Start(); err != nil {
		panic(err)
	}
	return func() {
		process.Process.Kill()
		process.Wait()
	}
}

func nothing() func() { return func() {} }

func busy() func() { return spread.Hogs(1) }

// A scene is a loop and what goes on beside it. A turn that yields takes longer than others:
// so much longer may the loop work on.
type scene struct {
	name   string
	procs  int
	turn   func()
	beside func() (stop func())
	more   time.Duration
}

var all = []scene{
	{"computes", 1, compute, nothing, 0},
	{"sleeps 0", 1, sleepZero, nothing, 0},
	{"yields", 1, runtime.Gosched, nothing, 500 * time.Nanosecond},
	{"computes beside a goroutine", 1, compute, busy, 0},
	{"computes beside garbage", 1, compute, allocators, 0},
	{"computes beside a process", 1, compute, outside, 0},
	{"beside a goroutine, 2 Ps", 2, compute, busy, 0},
	{"beside garbage, 2 Ps", 2, compute, allocators, 0},
	{"beside a process, 2 Ps", 2, compute, outside, 0},
}

// A figure is of all rounds: how late the loop saw the end, and for how long of that it
// had worked on, being on its CPU.
type figure struct{ late, lateMost, worked, workedMost time.Duration }

func once(s side, done func(context.Context) bool, turn func()) (late, worked time.Duration) {
	c, cancel := s.withTimeout(context.Background(), timeout)
	defer cancel()
	when, _ := c.Deadline()
	last := time.Since(when) // reads one clock, where time.Now reads two
	for over := false; !over; {
		over = done(c)
		if !over {
			turn()
		}
		now := time.Since(when)
		if took := now - last; took < away && now > 0 {
			if now < took {
				took = now
			}
			worked += took
		}
		last = now
	}
	return last, worked
}

func measure(s side, done func(context.Context) bool, at scene) figure {
	var f figure
	late := make([]time.Duration, rounds)
	worked := make([]time.Duration, rounds)
	stop := at.beside()
	for i := range late {
		time.Sleep(time.Duration(4000+i*97%128*50) * time.Microsecond)
		late[i], worked[i] = once(s, done, at.turn)
	}
	stop()
	f.late, f.lateMost = middle(late), late[rounds-1]
	f.worked, f.workedMost = middle(worked), worked[rounds-1]
	return f
}

func scenes() {
	fmt.Printf("# A loop under a timeout of %v, %d rounds: how late it sees the end, p50 and max, and for\n", timeout, rounds)
	fmt.Println("# how long of that it worked on   deadline: late      worked     context: late  worked")
	for _, at := range all {
		compare("Err", byErr, at)
		compare("select", bySelect, at)
	}
}

func compare(ask string, done func(context.Context) bool, at scene) {
	runtime.GOMAXPROCS(at.procs)
	o, s := measure(ours, done, at), measure(std, done, at)
	row(o.worked <= limitHere(limit+at.more) && o.workedMost <= limitHere(limitMost),
		"%-6s %-27s %5s %5s %5s %5s  %5s %5s %5s %5s", ask, at.name,
		scaled(o.late), scaled(o.lateMost), scaled(o.worked), scaled(o.workedMost),
		scaled(s.late), scaled(s.lateMost), scaled(s.worked), scaled(s.workedMost))
}
