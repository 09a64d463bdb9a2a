// SPDX-License-Identifier: MIT

// Package spread says how late things were.
package spread

import (
	"fmt"
	"sort"
	"time"
)

// Print sorts late and prints p50, p99, max and another figure, in ns.
func Print(late []time.Duration, more int64) {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	n := len(late)
	fmt.Println(late[n/2].Nanoseconds(), late[n*99/100].Nanoseconds(),
		late[n-1].Nanoseconds(), more)
}
