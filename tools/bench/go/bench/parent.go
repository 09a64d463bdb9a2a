// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	each = 20000
	runs = 8
)

func makeAndCancel(n int) time.Duration {
	var wait sync.WaitGroup

	above, end := context.WithCancel(context.Background())
	defer end()
	start := time.Now()
	for i := 0; i < n; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := 0; j < each; j++ {
				_, cancel := context.WithCancel(above)
				cancel()
			}
		}()
	}
	wait.Wait()
	return time.Since(start)
}

// As in Go's own BenchmarkCommonParentCancel.
func parent(n, percent int) {
	for i := 0; i < runs*percent/100; i++ {
		fmt.Println(makeAndCancel(n).Nanoseconds() * block / int64(n*each))
	}
}
