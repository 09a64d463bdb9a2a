// SPDX-License-Identifier: MIT

// Contexts per second that goroutines make and cancel under one parent, as in
// Go's own BenchmarkCommonParentCancel: the rows of tools/beside/parent.c.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	each = 200000
	runs = 5
)

func once(n int) float64 {
	var wait sync.WaitGroup

	parent, end := context.WithCancel(context.Background())
	defer end()
	start := time.Now()
	for i := 0; i < n; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := 0; j < each; j++ {
				_, cancel := context.WithCancel(parent)
				cancel()
			}
		}()
	}
	wait.Wait()
	return float64(n*each) / time.Since(start).Seconds()
}

func main() {
	for _, n := range []int{2, 8} {
		most := 0.0
		for i := 0; i < runs; i++ {
			if rate := once(n); rate > most {
				most = rate
			}
		}
		fmt.Println(most)
	}
}
