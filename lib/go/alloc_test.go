// SPDX-License-Identifier: GPL-2.0

//go:build !race

package deadline

import (
	"testing"
	"time"
)

var sink Context

// How much is allocated, and how often
func TestAllocations(t *testing.T) {
	parent, cancel := WithCancel(Background())
	defer cancel()
	for _, way := range []struct {
		name string
		most float64
		run  func()
	}{
		{"WithTimeout + cancel", 2, func() {
			c, cancel := WithTimeout(Background(), far)
			sink = c
			cancel()
		}},
		{"the same, inlined", 1, func() {
			c, cancel := WithTimeout(Background(), far)
			defer cancel()
			if c.Err() != nil {
				panic("over")
			}
		}},
		{"a child with a timeout", 2, func() {
			c, cancel := WithTimeout(parent, far)
			sink = c
			cancel()
		}},
		{"WithDeadline + cancel", 2, func() {
			c, cancel := WithDeadline(Background(), time.Now().Add(far))
			sink = c
			cancel()
		}},
		{"Err", 0, func() { parent.Err() }},
		{"Done again", 0, func() { parent.Done() }},
		{"select with default", 0, func() { isClosed(parent) }},
	} {
		if n := testing.AllocsPerRun(1000, way.run); n > way.most {
			t.Errorf("%s: %v allocations", way.name, n)
		}
	}
}
