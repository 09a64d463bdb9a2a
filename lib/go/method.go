// SPDX-License-Identifier: MIT

package deadline

import (
	"context"
	"unsafe"
)

// The cancel function of a context is the method value c.stopped, for which Go would
// allocate another object: two words, the code and c. That is nearly half of what a
// context costs. So each context has room for these words within, and the function
// that is returned points there. Should a version of Go lay out method values in
// another way, this is found at the start, and each is allocated.
type method struct {
	code uintptr
	c    *ctx
}

// code is that of stopped, or 0 if method values are not as expected.
var code = func() uintptr {
	c := new(ctx)
	c.word = &running
	f := c.stopped
	m := **(**method)(unsafe.Pointer(&f))
	if unsafe.Sizeof(f) != unsafe.Sizeof(&m) || m.c != c {
		return 0
	}
	c.stop = m
	if c.function()(); c.Err() != context.Canceled {
		return 0
	}
	return m.code
}()

func (c *ctx) function() CancelFunc {
	m := &c.stop
	return *(*CancelFunc)(unsafe.Pointer(&m))
}

func (c *ctx) canceler() CancelFunc {
	if code == 0 {
		return c.stopped
	}
	c.stop = method{code, c}
	return c.function()
}
