// SPDX-License-Identifier: GPL-2.0

//go:build linux && (amd64 || arm64 || riscv64 || loong64 || s390x)

package deadline

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// The layout is that of linux/deadline.h, as the C compiler has it.
func TestLayout(t *testing.T) {
	const header = "../../uapi/linux/deadline.h"
	if _, err := os.Stat(header); err != nil {
		return // in a guest, which has no compiler
	}
	var s setup
	program := "#include <stddef.h>\n#include <stdio.h>\n#include <linux/deadline.h>\nint main(void)\n{\n"
	want := ""
	for _, c := range []struct {
		c    string
		here uint64
	}{
		{"DEADLINE_IOC_SETUP", uint64(iocSetup)},
		{"DEADLINE_IOC_DOORBELL", iocDoorbell},
		{"offsetof(struct deadline_header, head)", headerHead},
		{"offsetof(struct deadline_header, inbox)", headerInbox},
		{"offsetof(struct deadline_status, tail)", statusTail},
		{"offsetof(struct deadline_status, wake)", statusWake},
		{"offsetof(struct deadline_slot, word)", slotWord},
		{"offsetof(struct deadline_slot, queued)", slotQueued},
		{"offsetof(struct deadline_slot, link)", slotLink},
		{"sizeof(struct deadline_slot)", slotSize},
		{"offsetof(struct deadline_entry, slot)", 0},
		{"DEADLINE_FEATURE_WORD", featureWord},
		{"DEADLINE_WORD_ARMED", armed},
		{"DEADLINE_WORD_STATE", stateBits},
		{"DEADLINE_GRAIN", grain},
		{"DEADLINE_TIME_NEVER", neverD},
		{"DEADLINE_INBOX_SLOT", inboxSlot},
		{"DEADLINE_INBOX_ONE", inboxOne},
		{"DEADLINE_INBOX_MANY", inboxMany},
		{"DEADLINE_LINK_PUSHED", linkPushed},
		{"DEADLINE_SLOTS_MAX", mostSlots},
		{"sizeof(struct deadline_setup)", uint64(unsafe.Sizeof(s))},
		{"offsetof(struct deadline_setup, clock)", uint64(unsafe.Offsetof(s.clock))},
		{"offsetof(struct deadline_setup, ring_size)", uint64(unsafe.Offsetof(s.ringSize))},
		{"offsetof(struct deadline_setup, features)", uint64(unsafe.Offsetof(s.features))},
		{"offsetof(struct deadline_setup, shared_size)", uint64(unsafe.Offsetof(s.sharedSize))},
		{"offsetof(struct deadline_setup, slots_offset)", uint64(unsafe.Offsetof(s.slotsOffset))},
		{"offsetof(struct deadline_setup, status_offset)", uint64(unsafe.Offsetof(s.statusOffset))},
		{"offsetof(struct deadline_setup, status_size)", uint64(unsafe.Offsetof(s.statusSize))},
		{"offsetof(struct deadline_setup, ring_offset)", uint64(unsafe.Offsetof(s.ringOffset))},
		{"offsetof(struct deadline_setup, slot_stride)", uint64(unsafe.Offsetof(s.slotStride))},
		{"offsetof(struct deadline_setup, entry_stride)", uint64(unsafe.Offsetof(s.entryStride))},
	} {
		program += fmt.Sprintf("\tprintf(\"%%s %%llu\\n\", %q, (unsigned long long)(%s));\n", c.c, c.c)
		want += fmt.Sprintf("%s %d\n", c.c, c.here)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "layout.c")
	if err := os.WriteFile(source, []byte(program+"}\n"), 0666); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "layout")
	if out, err := exec.Command("cc", "-I../../uapi", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(out), "\n")
	for i, line := range strings.Split(want, "\n") {
		if got[i] != line {
			t.Errorf("the header has %s, we have %s", got[i], line)
		}
	}
}
