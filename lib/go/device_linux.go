// SPDX-License-Identifier: MIT

//go:build linux && (amd64 || arm64 || riscv64 || loong64 || s390x)

package deadline

import (
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// What follows is linux/deadline.h; layout_test.go compares it.

type setup struct {
	slots         uint32
	clock         int32
	flags         uint32
	ringSize      uint32
	features      uint64
	sharedSize    uint64
	slotsOffset   uint64
	periodsOffset uint64
	statusOffset  uint64
	statusSize    uint64
	ringOffset    uint64
	periodMin     uint64
	slotStride    uint32
	entryStride   uint32
}

const (
	iocSetup    = 3<<30 | uint(unsafe.Sizeof(setup{}))<<16 | 0xDE<<8
	iocDoorbell = 0xDE<<8 | 1

	headerHead   = 0
	headerInbox  = 128
	statusTail   = 0
	statusWake   = 64
	slotWord     = 0
	slotQueued   = 32
	slotLink     = 52
	slotSize     = 64
	featureWord  = 1
	inboxSlot    = 0x1fffff
	inboxOne     = 1 << 21
	inboxMany    = 128
	linkPushed   = 1 << 30
	mostSlots    = 1 << 20
	clockOfTimes = 1 // CLOCK_MONOTONIC, that of now
	neverD       = math.MaxUint64 &^ stateBits
)

// A device is an open file of /dev/deadline and its two mappings. These are never
// unmapped: a context that somebody holds may look at its word at any time.
type device struct {
	slots, ring uint32 // how many
	file        *os.File
	raw         syscall.RawConn

	shared, status       unsafe.Pointer
	firstSlot, firstRing uintptr // in shared, in status
	slotStride, stride   uintptr
}

func (d *device) open(slots int) error {
	fd, err := syscall.Open("/dev/deadline", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/deadline", Err: err}
	}
	if err := d.setup(fd, slots); err != nil {
		syscall.Close(fd)
		return &os.PathError{Op: "set up", Path: "/dev/deadline", Err: err}
	}
	d.file = os.NewFile(uintptr(fd), "/dev/deadline")
	d.raw, err = d.file.SyscallConn()
	return err
}

func (d *device) setup(fd, slots int) error {
	if slots < 1 || slots > mostSlots {
		return syscall.EINVAL
	}
	s := setup{slots: uint32(slots), clock: clockOfTimes, features: featureWord}
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), uintptr(iocSetup),
		uintptr(unsafe.Pointer(&s))); e != 0 {
		return e
	}
	if s.slotStride < slotSize {
		return syscall.EOPNOTSUPP // a kernel that does not know all of setup
	}
	shared, err := syscall.Mmap(fd, 0, int(s.sharedSize),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	status, err := syscall.Mmap(fd, int64(s.statusOffset), int(s.statusSize),
		syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		syscall.Munmap(shared)
		return err
	}
	d.slots, d.ring = s.slots, s.ringSize
	d.shared, d.status = unsafe.Pointer(&shared[0]), unsafe.Pointer(&status[0])
	d.firstSlot = uintptr(s.slotsOffset)
	d.firstRing = uintptr(s.ringOffset - s.statusOffset)
	d.slotStride, d.stride = uintptr(s.slotStride), uintptr(s.entryStride)
	return nil
}

func (d *device) close() error { return d.file.Close() }

// deadline is when, as a word without its state: rounded up.
func (d *device) deadline(when int64) uint64 {
	if when == never {
		return neverD
	}
	return (uint64(when) + grain - 1) &^ stateBits
}

func (d *device) slot(index uint32, field uintptr) unsafe.Pointer {
	return unsafe.Add(d.shared, d.firstSlot+uintptr(index)*d.slotStride+field)
}

func (d *device) word(index uint32) *uint64 {
	return (*uint64)(d.slot(index, slotWord))
}

// lookAt is the time of the next look that the kernel has planned at the slot of word.
func (d *device) lookAt(word *uint64) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Add(unsafe.Pointer(word), slotQueued-slotWord)))
}

// handIn asks the kernel to plan a look at a slot that was armed: it pushes the slot
// to the inbox, and rings the doorbell if the kernel would take that too late. See
// "the inbox" in deadline.rst for why each step is as it is; what is pushed already
// is there for the next look, as the swaps of word and link are full barriers.
func (d *device) handIn(index uint32, word *uint64) {
	many := false
	if link := (*uint32)(d.slot(index, slotLink)); !markPushed(link) {
		many = d.push(index, link)
	}
	due := atomic.LoadUint64(word) &^ stateBits
	if many || atomic.LoadUint64((*uint64)(unsafe.Add(d.status, statusWake))) > due {
		d.doorbell()
	}
}

// markPushed says whether it was before.
func markPushed(link *uint32) bool {
	for {
		old := atomic.LoadUint32(link)
		if old&linkPushed != 0 {
			return true
		}
		if atomic.CompareAndSwapUint32(link, old, old|linkPushed) {
			return false
		}
	}
}

// push says whether it is time to have the inbox taken since there are many in it.
func (d *device) push(index uint32, link *uint32) bool {
	inbox := (*uint32)(unsafe.Add(d.shared, headerInbox))
	for {
		top := atomic.LoadUint32(inbox)
		atomic.StoreUint32(link, linkPushed|top&inboxSlot)
		next := (top&^inboxSlot + inboxOne) | (index + 1)
		if atomic.CompareAndSwapUint32(inbox, top, next) {
			return next/inboxOne%inboxMany == 0
		}
	}
}

// doorbell does not tell the scheduler of the system call, which is short. After close
// it does nothing.
func (d *device) doorbell() {
	d.raw.Control(func(fd uintptr) {
		for {
			_, _, e := syscall.RawSyscall(syscall.SYS_IOCTL, fd, iocDoorbell, 0)
			if e != syscall.EINTR {
				return
			}
		}
	})
}

func (d *device) head() *uint64 { return (*uint64)(unsafe.Add(d.shared, headerHead)) }
func (d *device) tail() uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Add(d.status, statusTail)))
}

// wait sleeps until the ring has entries; false says that the queue was closed.
func (d *device) wait() bool {
	return d.raw.Read(func(uintptr) bool {
		return atomic.LoadUint64(d.head()) != d.tail()
	}) == nil
}

// consume takes what is in the ring and calls expired for each slot, 64 at a time.
func (d *device) consume(expired func(slot uint32)) {
	var slots [64]uint32
	for {
		head := atomic.LoadUint64(d.head())
		n := d.tail() - head
		if n == 0 {
			return
		}
		if n > uint64(len(slots)) {
			n = uint64(len(slots))
		}
		for i := range slots[:n] {
			at := uintptr((head+uint64(i))&uint64(d.ring-1)) * d.stride
			slots[i] = atomic.LoadUint32((*uint32)(unsafe.Add(d.status, d.firstRing+at)))
		}
		if !atomic.CompareAndSwapUint64(d.head(), head, head+n) {
			continue
		}
		for _, slot := range slots[:n] {
			expired(slot)
		}
	}
}
