// SPDX-License-Identifier: GPL-2.0

package deadline

import (
	"errors"
	"math/rand"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// With the device in a guest whose instructions take 1 ns each, times are exact.
var exact = os.Getenv("DEADLINE_ICOUNT") != ""

// A context is never over before its deadline, for whoever asks or waits; a loop that
// asks finds it over at once.
func TestNeverEarly(t *testing.T) {
	var worst time.Duration
	for i := 0; i < 300; i++ {
		timeout := time.Duration(i*37%100) * 20 * time.Microsecond
		start := time.Now()
		c, cancel := WithTimeout(Background(), timeout)
		switch i % 3 {
		case 0:
			for c.Err() == nil {
			}
		case 1:
			for !isClosed(c) {
			}
		case 2:
			<-c.Done()
		}
		late := time.Since(start) - timeout
		cancel()
		if late < 0 {
			t.Fatalf("%v early after %v", -late, timeout)
		}
		if i%3 != 2 && late > worst {
			worst = late
		}
	}
	if exact && worst > 20*time.Microsecond {
		t.Errorf("%v late", worst)
	}
}

// Deadlines that are armed earlier and earlier, or in no order, by several goroutines,
// are all on time, though nobody asks.
func TestOrders(t *testing.T) {
	for name, order := range map[string]func(i, n int) int{
		"up":     func(i, n int) int { return i },
		"down":   func(i, n int) int { return n - i },
		"random": func(i, n int) int { return i * 7919 % n },
	} {
		const n, threads = 3000, 4
		var all sync.WaitGroup
		var early atomic.Int32
		all.Add(n * threads)
		for thread := 0; thread < threads; thread++ {
			go func() {
				for i := 0; i < n; i++ {
					timeout := time.Duration(order(i, n)) * 20 * time.Microsecond
					when := time.Now().Add(timeout)
					c, _ := WithTimeout(Background(), timeout)
					AfterFunc(c, func() {
						if time.Now().Before(when) || c.Err() != DeadlineExceeded {
							early.Add(1)
						}
						all.Done()
					})
				}
			}()
		}
		all.Wait()
		if early.Load() != 0 {
			t.Errorf("%s: %d were early or not over", name, early.Load())
		}
	}
}

func open(t *testing.T, slots int) *Queue {
	t.Helper()
	q, err := Open(slots)
	if err != nil {
		if Report().Device {
			t.Fatal(err)
		}
		t.Skip("no device")
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func TestQueue(t *testing.T) {
	q := open(t, 1000)
	called := make(chan int, 1000)
	slots := make([]*Slot, 1000)
	for i := range slots {
		i := i
		s, err := q.Slot(func() { called <- i })
		if err != nil {
			t.Fatal(err)
		}
		if !s.Over() || s.Cancel() {
			t.Fatal("a new slot is armed")
		}
		slots[i] = s
	}
	for _, i := range rand.Perm(1000) {
		slots[i].Arm(far)
		if i%3 != 0 {
			slots[i].Arm(time.Duration(i%10) * time.Millisecond)
		} else {
			slots[i].Arm(2 * far)
			if slots[i].Over() || !slots[i].Cancel() || !slots[i].Over() {
				t.Fatal("a slot that was moved is over")
			}
		}
	}
	for n := 0; n < 666; n++ {
		if i := <-called; i%3 == 0 || !slots[i].Over() || slots[i].Cancel() {
			t.Fatalf("%d was called", i)
		}
	}
	for _, s := range slots {
		s.Free()
	}
	select {
	case i := <-called:
		t.Errorf("%d was called again", i)
	default:
	}
}

func TestQueueIsFull(t *testing.T) {
	q := open(t, 1)
	var held []*Slot
	for {
		s, err := q.Slot(nil)
		if err != nil {
			if !errors.Is(err, ErrFull) {
				t.Error(err)
			}
			break
		}
		held = append(held, s)
	}
	held[0].Arm(far)
	held[0].Free()
	s, err := q.Slot(nil)
	if err != nil || !s.Over() {
		t.Fatal("a freed slot cannot be had")
	}
	held = nil
	end := time.Now().Add(10 * time.Second)
	for { // those that were dropped come back
		runtime.GC()
		if _, err := q.Slot(nil); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("dropped slots do not come back")
		}
	}
	for _, n := range []int{-1, 0, 1<<20 + 1} {
		if _, err := Open(n); err == nil {
			t.Errorf("%d slots", n)
		}
	}
}

func TestClosedQueue(t *testing.T) {
	q := open(t, 10)
	s, _ := q.Slot(func() {})
	n := runtime.NumGoroutine()
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	goroutines(t, n-1)
	s.Arm(0) // does nothing, to nobody's descriptor
	s.Free()
}

// Contexts for which the kernel has no room compare the clock, and are counted.
func TestNoRoom(t *testing.T) {
	if !Report().Device {
		t.Skip("no device")
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	none := files
	none.Cur = 3 // no other queue can be opened
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files)
	before := Report()
	for i := 0; i < before.Slots; i++ { // no slot is left
		_, cancel := WithTimeout(Background(), far)
		defer cancel()
	}
	const n = 1000
	var all sync.WaitGroup
	held := make([]Context, n)
	for i := range held {
		c, cancel := WithTimeout(Background(), time.Duration(i%10+1)*soon)
		defer cancel()
		held[i] = c
		if i%2 == 0 {
			all.Add(1)
			AfterFunc(c, all.Done)
		}
	}
	// Some may have had the slots of others that were over.
	if after := Report(); after.NoRoom < before.NoRoom+n/2 || after.Slots != before.Slots {
		t.Errorf("%+v, then %+v", before, after)
	}
	all.Wait()
	for i, c := range held {
		for i%2 != 0 && c.Err() == nil {
			runtime.Gosched()
		}
		if c.Err() != DeadlineExceeded || !isClosed(c) {
			t.Fatal(state(c))
		}
	}
}

// again runs this test in a process of its own and returns what it printed.
func again(t *testing.T, change func(*exec.Cmd), env ...string) string {
	command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), append(env, "DEADLINE_TEST_CHILD=1")...)
	if change != nil {
		change(command)
	}
	out, _ := command.CombinedOutput()
	return string(out)
}

func TestChoice(t *testing.T) {
	if os.Getenv("DEADLINE_TEST_CHILD") != "" {
		c, cancel := WithTimeout(Background(), soon)
		defer cancel()
		<-c.Done()
		r := Report()
		t.Logf("device %v, why %v, %v", r.Device, r.Why, c.Err())
		return
	}
	const variable = "DEADLINE_BACKEND="
	const ends = ", context deadline exceeded"
	_, err := os.Stat("/dev/deadline")
	there := err == nil
	expect := func(what, out, part string) {
		t.Helper()
		if !strings.Contains(out, part) {
			t.Errorf("%s: want %q in:\n%s", what, part, out)
		}
	}
	expect("clock", again(t, nil, variable+"clock"),
		"device false, why deadline: DEADLINE_BACKEND is clock"+ends)
	expect("neither", again(t, nil, variable+"both"), "panic: deadline: DEADLINE_BACKEND")
	if !there {
		expect("kernel", again(t, nil, variable+"kernel"), "panic: deadline: DEADLINE_BACKEND is kernel")
		expect("none", again(t, nil, variable), "device false, why open /dev/deadline: no such file or directory"+ends)
		return
	}
	expect("kernel", again(t, nil, variable+"kernel"), "device true, why <nil>"+ends)
	if os.Getuid() != 0 || os.Chmod("/dev/deadline", 0600) != nil {
		return
	}
	defer os.Chmod("/dev/deadline", 0666)
	expect("no permission", again(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}, variable), "device false, why open /dev/deadline: permission denied"+ends)
}
