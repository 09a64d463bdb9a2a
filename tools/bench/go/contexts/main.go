// SPDX-License-Identifier: MIT

// Package deadline beside package context, as TAP: "contexts scenes" prints how late
// loops notice that their context is over, "contexts costs" what contexts cost and how
// late those are told who wait. Where an instruction takes 1 ns, the limits count.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"deadline"
)

// A side is one of the two packages.
type side struct {
	withCancel  func(context.Context) (context.Context, context.CancelFunc)
	withTimeout func(context.Context, time.Duration) (context.Context, context.CancelFunc)
}

var (
	ours = side{deadline.WithCancel, deadline.WithTimeout}
	std  = side{context.WithCancel, context.WithTimeout}
)

var exact = os.Getenv("DEADLINE_ICOUNT") != ""

var rows, failures int

// row prints a result, which counts where times are exact.
func row(good bool, format string, args ...any) {
	rows++
	verdict := "ok"
	if exact && !good {
		verdict = "not ok"
		failures++
	}
	fmt.Printf("%s %d - %s\n", verdict, rows, fmt.Sprintf(format, args...))
}

// scaled has at most five characters, with two or three digits that matter.
func scaled(d time.Duration) string {
	value, unit := float64(d), "ns"
	for _, next := range []string{"us", "ms", "s"} {
		if value < 999.5 {
			break
		}
		value /= 1000
		unit = next
	}
	if unit != "ns" && value < 9.95 {
		return fmt.Sprintf("%.1f%s", value, unit)
	}
	return fmt.Sprintf("%.0f%s", value, unit)
}

func main() {
	measures := map[string]func(){"scenes": scenes, "costs": costs, "hog": hog}
	if len(os.Args) != 2 || measures[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "contexts: wants scenes or costs")
		os.Exit(2)
	}
	if os.Args[1] != "hog" {
		if r := deadline.Report(); r.Device {
			fmt.Printf("# the device serves, %s\n", runtime.Version())
		} else {
			fmt.Printf("# the clock is compared (%v), %s\n", r.Why, runtime.Version())
		}
	}
	measures[os.Args[1]]()
	fmt.Printf("1..%d\n", rows)
	if failures != 0 {
		os.Exit(1)
	}
}
