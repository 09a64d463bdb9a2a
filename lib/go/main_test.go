// SPDX-License-Identifier: GPL-2.0

package deadline

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain writes TAP for selftests/each, which sets the variable: the tests run in
// a process of their own, and what that prints is translated.
func TestMain(m *testing.M) {
	if os.Getenv("HARNESS_ACTIVE") == "" || os.Getenv("DEADLINE_TEST_TAP") != "" {
		os.Exit(m.Run())
	}
	short := os.Getenv("DEADLINE_TEST_PERCENT") != ""
	tests := exec.Command(os.Args[0], "-test.v", fmt.Sprintf("-test.short=%v", short))
	tests.Env = append(os.Environ(), "DEADLINE_TEST_TAP=1")
	out, err := tests.StdoutPipe()
	tests.Stderr = os.Stderr
	if err == nil {
		err = tests.Start()
	}
	if err != nil {
		panic(err)
	}
	translate(bufio.NewScanner(out))
	if tests.Wait() != nil {
		os.Exit(1)
	}
}

func translate(lines *bufio.Scanner) {
	fmt.Println("TAP version 13")
	results := map[string]string{"PASS": "ok", "SKIP": "ok", "FAIL": "not ok"}
	n, said := 0, ""
	for lines.Scan() {
		line := lines.Text()
		what, name, found := strings.Cut(strings.TrimPrefix(line, "--- "), ": ")
		result := results[what]
		if !found || result == "" {
			if !strings.HasPrefix(line, "=== ") {
				fmt.Println("#", line)
				said = line
			}
			continue
		}
		n++
		name, _, _ = strings.Cut(name, " ")
		if what == "SKIP" {
			_, why, _ := strings.Cut(strings.TrimSpace(said), ": ")
			name += " # SKIP " + why
		}
		fmt.Println(result, n, "-", name)
	}
	fmt.Printf("1..%d\n", n)
}
