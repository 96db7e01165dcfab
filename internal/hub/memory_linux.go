package hub

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// shed lets go of the pages of the program itself, a quarter of which only the start needs. They count as the
// process's memory while they are mapped; what is needed again comes back from the page cache.
func shed() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("hub: find the program: %w", err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("hub: find the program in memory: %w", err)
	}
	var failed error
	for _, m := range pristine(string(smaps), program) {
		if _, _, no := syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED); no != 0 {
			failed = errors.Join(failed, fmt.Errorf("hub: madvise: %w", no))
		}
	}
	return failed
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// pristine finds in the text of /proc/PID/smaps (proc(5)) the mappings of a program that are as its file is: not
// writable, and no page of which was written before, as a linker or a debugger does, in memory or swapped out. Of
// those nothing is lost.
func pristine(smaps, program string) (found []mapping) {
	var m mapping
	var ours, unwritten bool
	for line := range strings.Lines(smaps) {
		line = strings.TrimSuffix(line, "\n")
		var next mapping
		var permissions string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &next.start, &next.end, &permissions); n == 3 {
			m, ours, unwritten = next, !strings.Contains(permissions, "w") && strings.HasSuffix(line, " "+program), false
			continue
		}
		switch name, amount, _ := strings.Cut(line, ":"); name {
		case "Anonymous":
			unwritten = strings.TrimSpace(amount) == "0 kB"
		case "Swap": // below it
			if ours && unwritten && strings.TrimSpace(amount) == "0 kB" {
				found = append(found, m)
			}
		}
	}
	return found
}
