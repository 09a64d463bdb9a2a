// SPDX-License-Identifier: GPL-2.0

package deadline

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// collected waits until n objects with finalizers have been collected.
func collected(t *testing.T, what string, count *atomic.Int64, n int64) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for count.Load() < n {
		if time.Now().After(end) {
			t.Fatalf("%s: %d of %d were collected", what, count.Load(), n)
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// tagged is a parent whose child's collection is counted.
func tagged(parent Context, count *atomic.Int64) Context {
	tag := new([64]byte)
	runtime.SetFinalizer(tag, func(*[64]byte) { count.Add(1) })
	return context.WithValue(parent, count, tag)
}

// used is how many slots are neither free nor in a queue that never gave them away.
func used() (n int) {
	for i := range contexts.shards {
		for _, q := range contexts.shards[i].queues {
			q.mu.Lock()
			n += int(q.fresh) - len(q.free)
			q.mu.Unlock()
		}
	}
	return n
}

// A context that nobody cancelled and nobody holds is collected, and its slot free,
// though its parent is held and its deadline is far.
func TestCollected(t *testing.T) {
	const n = 1000
	for _, above := range families {
		parent, cancel := above.withCancel(Background())
		parent.Done()
		for _, m := range makers {
			if m.name[0] == 's' {
				continue // its end waits
			}
			var count atomic.Int64
			for i := 0; i < n; i++ {
				c, _ := m.make(here, tagged(parent, &count))
				child, _ := WithTimeout(c, far/2)
				child.Err()
			}
			collected(t, m.name+" below "+above.name, &count, n)
		}
		end := time.Now().Add(20 * time.Second)
		for used() > n { // some are kept for the next contexts
			if time.Now().After(end) {
				t.Fatalf("%d slots are used", used())
			}
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
		cancel()
	}
}

// One that was watched is collected once it is over.
func TestWatchedAreCollected(t *testing.T) {
	const n = 1000
	for _, above := range families {
		parent, cancelParent := above.withCancel(Background())
		var count atomic.Int64
		for i := 0; i < n; i++ {
			c, cancel := WithTimeout(tagged(parent, &count), soon+far*time.Duration(i%2))
			child, _ := WithTimeout(tagged(c, &count), far)
			child.Done()
			AfterFunc(child, func() {})
			if i%2 != 0 {
				cancel()
			}
		}
		collected(t, "below "+above.name, &count, 2*n)
		cancelParent()
	}
}

// Of a million contexts each ends once and as it should.
func TestMillion(t *testing.T) {
	n := 1000000
	if testing.Short() {
		n /= 20
	}
	var expired, cancels atomic.Int64
	parent, cancelParent := WithCancel(Background())
	defer cancelParent()
	left := n
	for left > 0 {
		batch := 10000
		ends := make([]CancelFunc, 0, batch)
		for i := 0; i < batch; i++ {
			timeout := far
			if i%4 == 0 {
				timeout = time.Duration(i%100) * 10 * time.Microsecond
			}
			c, cancel := WithTimeout(parent, timeout)
			AfterFunc(c, func() {
				switch c.Err() {
				case DeadlineExceeded:
					expired.Add(1)
				case Canceled:
					cancels.Add(1)
				}
			})
			if i%4 != 0 {
				ends = append(ends, cancel)
			}
		}
		for _, cancel := range ends {
			cancel()
		}
		left -= batch
	}
	want := int64(n / 4)
	end := time.Now().Add(time.Minute)
	for expired.Load() < want || cancels.Load() < int64(n)-want {
		if time.Now().After(end) {
			t.Fatalf("%d expired, %d were cancelled, of %d", expired.Load(), cancels.Load(), n)
		}
		time.Sleep(time.Millisecond)
	}
	if expired.Load() != want || cancels.Load() != int64(n)-want {
		t.Errorf("%d expired, %d were cancelled, of %d", expired.Load(), cancels.Load(), n)
	}
}
