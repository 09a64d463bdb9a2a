// SPDX-License-Identifier: MIT

package deadline

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrFull is returned by Queue.Slot: all slots of the queue are taken.
var ErrFull = errors.New("deadline: all slots of the queue are taken")

// A Queue has slots for deadlines, which the kernel serves. All its methods may be
// called by any goroutine at any time.
type Queue struct {
	device

	mu     sync.Mutex
	free   []uint32 // those that were freed
	fresh  uint32   // those from here on were never taken
	reader sync.Once

	// For each slot, what its expiry calls. A slot that is in here is held.
	told []atomic.Pointer[told]
}

// A told is who is told of an expiry: a context or a function.
type told struct {
	c    *ctx
	call func()
}

// A Slot is a deadline in shared memory. It belongs to whoever took it: only Over and
// Cancel may be called by several goroutines at once.
type Slot struct {
	word  *uint64
	queue *Queue
	index uint32
	kind  uint8 // which of the pools it is for
	stack uint8 // and which place
	tells bool
}

// Open opens a queue with at least that many slots, 1 to 1<<20. It fails where there
// is no device, no permission, or no room left for the user.
func Open(slots int) (*Queue, error) {
	q := new(Queue)
	if err := q.open(slots); err != nil {
		return nil, err
	}
	q.told = make([]atomic.Pointer[told], q.slots)
	return q, nil
}

// Close ends the calls of functions. No slot of the queue may be armed any more; the
// memory of those that are held stays.
func (q *Queue) Close() error { return q.device.close() }

// Slot takes a slot. If expired is not nil, it is called after each expiry, by a
// goroutine that serves the whole queue. A slot that is dropped is freed by the garbage
// collector if it has no such function.
func (q *Queue) Slot(expired func()) (*Slot, error) {
	s := q.take()
	if s == nil {
		return nil, ErrFull
	}
	if expired != nil {
		s.tell(&told{call: expired})
	}
	return s, nil
}

func (q *Queue) take() *Slot {
	index, ok := q.takeIndex()
	if !ok {
		return nil
	}
	s := &Slot{word: q.word(index), queue: q, index: index}
	runtime.SetFinalizer(s, (*Slot).dropped)
	return s
}

func (q *Queue) takeIndex() (index uint32, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.free); n > 0 {
		index = q.free[n-1]
		q.free = q.free[:n-1]
		return index, true
	}
	if q.fresh == q.slots {
		return 0, false
	}
	q.fresh++
	return q.fresh - 1, true
}

// Free gives the slot back, which may be armed; then nothing may be done with it.
func (s *Slot) Free() {
	runtime.SetFinalizer(s, nil)
	s.dropped()
}

// dropped is called by the garbage collector for a slot that nobody holds: neither a
// context nor a pool. A free slot has no finalizer, for each costs each collection
// 1,200 instructions.
func (s *Slot) dropped() {
	s.Cancel()
	s.untell()
	s.queue.mu.Lock()
	s.queue.free = append(s.queue.free, s.index)
	s.queue.mu.Unlock()
}

// tell has who told of expiries from now on: not of one that has come already.
func (s *Slot) tell(who *told) {
	s.queue.reader.Do(func() { go s.queue.read() })
	s.tells = true
	s.queue.told[s.index].Store(who)
}

func (s *Slot) untell() {
	if s.tells {
		s.tells = false
		s.queue.told[s.index].Store(nil)
	}
}

// read is the goroutine that tells of expiries. It sleeps in the netpoller.
func (q *Queue) read() {
	for q.wait() {
		q.consume(func(slot uint32) {
			if who := q.told[slot].Load(); who == nil {
				return
			} else if who.c != nil {
				who.c.expired()
			} else {
				who.call()
			}
		})
	}
}

// Over says that the slot is not armed: its deadline has come, or was cancelled, or
// there was none.
func (s *Slot) Over() bool { return atomic.LoadUint64(s.word)&armed == 0 }

// Cancel says whether it ended the deadline, which then does not expire any more.
func (s *Slot) Cancel() bool {
	at := s.word
	for {
		word := atomic.LoadUint64(at)
		if word&armed == 0 {
			return false
		}
		if atomic.CompareAndSwapUint64(at, word, word&^stateBits) {
			return true
		}
	}
}

// Arm has the slot expire after timeout, instead of when it was armed for before.
func (s *Slot) Arm(timeout time.Duration) {
	if timeout < 0 {
		timeout = 0
	}
	s.arm(later(now(), int64(timeout)))
}

// arm has the slot expire at when.
func (s *Slot) arm(when int64) {
	at, d := s.word, s.queue.deadline(when)
	for {
		word := atomic.LoadUint64(at)
		if atomic.CompareAndSwapUint64(at, word, d|armed) {
			break
		}
	}
	if s.queue.lookAt(at) > d {
		s.queue.handIn(s.index, at)
	}
}

const (
	stateBits = 15
	grain     = 16
)
