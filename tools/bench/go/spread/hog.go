// SPDX-License-Identifier: MIT

package spread

import "sync/atomic"

// Work computes for about 200 instructions.
func Work(x uint64) uint64 {
	for i := 0; i < 64; i++ {
		x = x*6364136223846793005 + 1
	}
	return x
}

// Hogs starts n goroutines that compute until what it returns is called.
func Hogs(n int) func() {
	var stop atomic.Bool

	for i := 0; i < n; i++ {
		go func() {
			for x := uint64(1); x != 0 && !stop.Load(); {
				x = Work(x)
			}
		}()
	}
	return func() { stop.Store(true) }
}
