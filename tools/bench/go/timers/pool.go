// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"sync/atomic"
	"time"
)

const shards = 8

type entry struct {
	when time.Time
	call func()
}

type shard struct {
	lock    sync.Mutex
	entries []entry
}

// A pool keeps timers in shards, each with its own lock and a goroutine that
// looks through it every millisecond.
type pool struct {
	next   atomic.Uint32
	shards [shards]shard
}

func newPool() *pool {
	p := &pool{}
	for i := range p.shards {
		go p.shards[i].run()
	}
	return p
}

func (p *pool) set(after time.Duration, call func()) {
	s := &p.shards[p.next.Add(1)%shards]
	s.lock.Lock()
	s.entries = append(s.entries, entry{time.Now().Add(after), call})
	s.lock.Unlock()
}

func (s *shard) run() {
	for range time.Tick(time.Millisecond) {
		for _, e := range s.due() {
			e.call()
		}
	}
}

// due takes out what is due.
func (s *shard) due() []entry {
	var due []entry

	s.lock.Lock()
	defer s.lock.Unlock()
	now := time.Now()
	later := s.entries[:0]
	for _, e := range s.entries {
		if e.when.After(now) {
			later = append(later, e)
		} else {
			due = append(due, e)
		}
	}
	s.entries = later
	return due
}
