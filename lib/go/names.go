// SPDX-License-Identifier: MIT

package deadline

import "context"

// The types and errors are those of package context.
type (
	Context         = context.Context
	CancelFunc      = context.CancelFunc
	CancelCauseFunc = context.CancelCauseFunc
)

// Canceled is context.Canceled.
var Canceled = context.Canceled

// DeadlineExceeded is context.DeadlineExceeded.
var DeadlineExceeded = context.DeadlineExceeded

// Background is context.Background.
func Background() Context { return context.Background() }

// TODO is context.TODO.
func TODO() Context { return context.TODO() }

// WithoutCancel is context.WithoutCancel: a context with the values of its parent
// that is never over.
func WithoutCancel(parent Context) Context { return context.WithoutCancel(parent) }

// Cause says why c is over, as context.Cause does, which may be asked as well.
func Cause(c Context) error {
	if o := ours(c); o != nil {
		return o.cause()
	}
	return context.Cause(c)
}
