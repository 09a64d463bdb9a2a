// SPDX-License-Identifier: MIT

package deadline

import (
	"math"
	"time"
	_ "unsafe" // for linkname
)

// never is later than all times.
const never = math.MaxInt64

// now reads CLOCK_MONOTONIC, in ns: the very clock of package time, and of the device.
// Package time hides its zero; the runtime promises this name to those who need it
// (go.dev/issue/67401).
//
//go:linkname now runtime.nanotime
func now() int64

// base and zero are one time, as exactly as can be told: base is no later.
var base, zero = origin()

func origin() (base time.Time, zero int64) {
	quickest := int64(never)
	for i := 0; i < 16; i++ {
		before, date, after := now(), time.Now(), now()
		if after-before < quickest {
			base, zero, quickest = date, after, after-before
		}
	}
	return base, zero
}

// date is a time of now's clock, or up to the time of a call earlier: no context is
// over before its date.
func date(t int64) time.Time { return base.Add(time.Duration(t - zero)) }

// later adds without an overflow.
func later(t, d int64) int64 {
	if d > never-t {
		return never
	}
	return t + d
}

// instant says what t, which may lack a monotonic reading, is on now's clock, and
// what that reads.
func instant(t time.Time) (when, at int64) {
	left := int64(time.Until(t))
	at = now()
	if left < -at {
		left = -at
	}
	return later(at, left), at
}
