// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	quotaRounds = 20
	period      = 100 * time.Millisecond
	away        = 50 * time.Microsecond
)

// For how long the cgroup, into which deadline-bench has put us, was throttled.
func throttled(stat *os.File) time.Duration {
	text := make([]byte, 1024)
	n, _ := stat.ReadAt(text, 0)
	_, after, _ := strings.Cut(string(text[:n]), "throttled_usec ")
	line, _, _ := strings.Cut(after, "\n")
	us, err := strconv.Atoi(line)
	if err != nil {
		panic(err)
	}
	return time.Duration(us) * time.Microsecond
}

// How late a loop sees that its context is over, and for how long of that it was
// throttled: as in tools/bench/scenarios/quota.c.
func look(stat *os.File, after time.Duration) (seen, was time.Duration) {
	now := time.Now()
	when := now.Add(after)
	ctx, cancel := context.WithDeadline(context.Background(), when)
	defer cancel()
	last := throttled(stat)
	for over := false; !over; {
		before := now
		over = ctx.Err() != nil
		now = time.Now()
		if now.Sub(before) < away {
			continue
		}
		sum := throttled(stat)
		until := before.Add(sum - last)
		last = sum
		if before.Before(when) {
			before = when
		}
		if until.After(before) {
			was += until.Sub(before)
		}
	}
	return now.Sub(when), was
}

func quota(percent int, value func(seen, was time.Duration) time.Duration) {
	stat, err := os.Open("/sys/fs/cgroup/deadline-bench/cpu.stat")
	if err != nil {
		panic(err)
	}
	for i := 0; i < quotaRounds*percent/100; i++ {
		before := throttled(stat)
		for throttled(stat) == before {
		}
		after := period/quotaRounds*time.Duration(i*7%quotaRounds+1) - 100*time.Microsecond
		fmt.Println(value(look(stat, after)).Nanoseconds())
	}
}

func quotaSeen(_, percent int) {
	quota(percent, func(seen, _ time.Duration) time.Duration { return seen })
}

func quotaThrottled(_, percent int) {
	quota(percent, func(_, was time.Duration) time.Duration { return was })
}

func quotaRest(_, percent int) {
	quota(percent, func(seen, was time.Duration) time.Duration { return seen - was })
}
