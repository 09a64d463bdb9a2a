// SPDX-License-Identifier: MIT

package deadline

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A context takes its slot from where one with about the same timeout left it: the
// look that the kernel has planned for a slot then nearly always serves its next
// deadline as well. First from a place that goroutines with other stacks seldom touch,
// then from the pools, which by the nature of sync.Pool are one for each P. What these
// lack comes from shards, as many as GOMAXPROCS, each with queues of its own, so that
// Ps seldom meet in one inbox.
type slotPools struct {
	choose sync.Once
	device atomic.Bool
	why    error // if not

	places [kinds][stacks]place
	pools  [kinds]sync.Pool
	shards []shard
	next   atomic.Uint32
	retry  atomic.Int64 // not to open a queue before

	queues, slots, clock atomic.Int64
}

type shard struct {
	mu     sync.Mutex
	queues []*Queue // only the last may have slots that were never taken
}

const (
	kinds     = 64 // powers of two
	stacks    = 16
	firstSize = 256
	mostSize  = 1 << 16
	patience  = 100e6 // ns until a queue is tried again after one failed
)

var contexts slotPools

// init decides who serves, once.
func (p *slotPools) init() {
	forced := os.Getenv("DEADLINE_BACKEND")
	switch forced {
	case "", "kernel":
	case "clock":
		p.why = errors.New("deadline: DEADLINE_BACKEND is clock")
		return
	default:
		panic("deadline: DEADLINE_BACKEND is neither kernel nor clock: " + forced)
	}
	p.shards = make([]shard, runtime.GOMAXPROCS(0))
	if _, err := p.shards[0].grow(p); err != nil {
		if forced != "" {
			panic(fmt.Sprintf("deadline: DEADLINE_BACKEND is %s: %v", forced, err))
		}
		p.why = err
		return
	}
	p.device.Store(true)
}

// get returns a slot, or nil if the clock is to be asked.
func (p *slotPools) get(timeout int64) *Slot {
	if !p.device.Load() {
		p.choose.Do(p.init)
		if !p.device.Load() {
			return nil
		}
	}
	kind := uint8(bits.Len64(uint64(timeout))) % kinds
	stack := stack()
	at := &p.places[kind][stack]
	if at.busy.CompareAndSwap(0, 1) {
		s := at.slot
		at.slot = nil
		at.busy.Store(0)
		if s != nil {
			return s
		}
	}
	s, _ := p.pools[kind].Get().(*Slot)
	if s == nil {
		n := p.next.Add(1) % uint32(len(p.shards))
		if s = p.shards[n].take(p); s == nil {
			p.clock.Add(1)
			return nil
		}
	}
	s.kind, s.stack = kind, uint8(stack)
	return s
}

// put takes back a slot that is not armed, to the place where it was taken: a caller
// deeper in the stack may have another number.
func (p *slotPools) put(s *Slot) {
	if s.tells {
		s.untell()
	}
	at := &p.places[s.kind%kinds][s.stack%stacks]
	if at.busy.CompareAndSwap(0, 1) {
		there := at.slot
		at.slot = s
		at.busy.Store(0)
		if there == nil {
			return
		}
		s = there
	}
	p.pools[s.kind].Put(s)
}

// A place has room for a slot. Whoever finds it busy goes elsewhere.
type place struct {
	busy atomic.Uint32
	slot *Slot
}

// stack is a number that differs between most goroutines that run at one time.
func stack() uintptr {
	var here byte
	at := uintptr(unsafe.Pointer(&here))
	return (at>>11 ^ at>>15) % stacks
}

func (h *shard) take(p *slotPools) *Slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.queues) - 1; i >= 0; i-- {
		if s := h.queues[i].take(); s != nil {
			return s
		}
	}
	q, err := h.grow(p)
	if err != nil {
		return nil
	}
	return q.take()
}

// grow opens a queue that is three times as large as all that there are: when the user's
// bounds make queues wait in line, most of what is due should be in one.
func (h *shard) grow(p *slotPools) (*Queue, error) {
	if t := now(); t < p.retry.Load() {
		return nil, ErrFull
	}
	size := firstSize << (2 * len(h.queues))
	if size > mostSize {
		size = mostSize
	}
	q, err := Open(size)
	if err != nil {
		p.retry.Store(now() + patience)
		return nil, err
	}
	h.queues = append(h.queues, q)
	p.queues.Add(1)
	p.slots.Add(int64(q.slots))
	return q, nil
}

// A Status says who serves the deadlines of contexts.
type Status struct {
	Device bool  // the kernel does; else the clock is compared
	Why    error // why it does not
	Queues int   // how many are open for contexts
	Slots  int   // how many deadlines they have room for
	// How many contexts compare the clock though there is the device, as it had no
	// room for them
	NoRoom int
}

// Report tells who serves; it has that decided if no context has done so.
func Report() Status {
	p := &contexts
	p.choose.Do(p.init)
	return Status{
		Device: p.device.Load(),
		Why:    p.why,
		Queues: int(p.queues.Load()),
		Slots:  int(p.slots.Load()),
		NoRoom: int(p.clock.Load()),
	}
}
