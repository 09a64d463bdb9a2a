// SPDX-License-Identifier: MIT

//go:build !(linux && (amd64 || arm64 || riscv64 || loong64 || s390x))

package deadline

import "errors"

// A device is nowhere else, and open fails.
type device struct{ slots uint32 }

func (*device) open(int) error {
	return errors.New("deadline: the device is only on 64-bit Linux")
}

func (*device) close() error              { panic("deadline: not open") }
func (*device) deadline(int64) uint64     { panic("deadline: not open") }
func (*device) word(uint32) *uint64       { panic("deadline: not open") }
func (*device) lookAt(*uint64) uint64     { panic("deadline: not open") }
func (*device) handIn(uint32, *uint64)    { panic("deadline: not open") }
func (*device) wait() bool                { panic("deadline: not open") }
func (*device) consume(func(slot uint32)) { panic("deadline: not open") }
