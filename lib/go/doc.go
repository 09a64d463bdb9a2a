// SPDX-License-Identifier: MIT

// Package deadline is package context with deadlines that are over on time.
//
// A context of package context is over when one of Go's timers has run. Timers run
// when the scheduler comes to them: beside goroutines that compute, and on a machine
// whose CPUs are busy, that is 10 to 60 ms late. A loop that asks ctx.Err(), or looks
// at ctx.Done() in a select with a default, works on for as long.
//
// Here Err and Done look at the deadline itself. Where there is /dev/deadline, the
// kernel's timer interrupt marks it as expired in memory that this package maps, and
// asking costs one load; without the device they compare the clock. Either way they
// tell within microseconds, whatever the scheduler does.
//
// The package has all names of package context with the same meanings, so that one
// line is the whole change:
//
//	import context "deadline"
//
// Contexts of both packages may be parents and children of each other.
//
// # What stays as late as the scheduler
//
// A goroutine that is blocked on Done, and functions of AfterFunc, run when the
// scheduler gets to them. With the device its netpoller is woken at the deadline,
// which on an idle machine is ten times sooner than a timer; beside goroutines that
// compute it is as late as timers are. The same holds for a child that
// package context made of one of these contexts: it learns of the deadline when the
// scheduler runs the goroutine that tells it, or when somebody asks its parent.
// Timeouts of net.Conn are Go's own timers.
//
// # Differences
//
//   - If the deadline has passed and a parent that is not of this package was
//     cancelled, and nobody had asked or waited before either, Err is
//     DeadlineExceeded, in whichever order they came.
//
//   - A context that nobody cancelled is collected once nobody holds it, though its
//     parent lives and its deadline is far, unless Done, AfterFunc or a child of package
//     context needs it to be watched. "go vet" knows package context's functions by
//     their path: its check "lostcancel" is silent about these.
//
//   - The method AfterFunc, for which package context looks, calls its function in the
//     goroutine that ends the context, or finds that it is over, so that children of
//     package context are over when cancel returns. Such a function must not block.
//     The function AfterFunc starts a goroutine, as ever.
//
//   - A child of package context whose parent is one of these within a value of
//     package context, or within a type of another's, needs a goroutine, and is over
//     when that has run: package context knows no other way. WithValue of this package
//     is transparent. So is one over a little later whose parent is one of these below
//     a context of package context that was cancelled.
//
// # Which one serves
//
// The first context with a deadline decides it for the process: without the device,
// or without permission to use it, it is the clock. The variable DEADLINE_BACKEND
// forces "kernel" (a process without the device panics then) or "clock". A context
// for which the device has no room, as the limits of its user are reached, compares
// the clock. Report tells what was chosen, why, and how many had no room.
package deadline
