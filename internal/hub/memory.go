package hub

import (
	"os"
	"runtime/debug"
)

// garbagePercent is how much may be allocated between two collections, of what is in use. The limit is the bound of
// memory: below it the default of 100 only collects more often.
const garbagePercent = 300

// LimitMemory keeps the collector ahead of small machines, until undo. It is soft: a burst may pass it. GOMEMLIMIT
// and GOGC win; no limit below 1 MiB.
func LimitMemory(mib int) (undo func()) {
	if os.Getenv("GOMEMLIMIT") != "" || mib <= 0 {
		return func() {}
	}
	limit, percent := debug.SetMemoryLimit(int64(mib)<<20), -1
	if os.Getenv("GOGC") == "" {
		percent = debug.SetGCPercent(garbagePercent)
	}
	return func() {
		debug.SetMemoryLimit(limit)
		if percent >= 0 {
			debug.SetGCPercent(percent)
		}
	}
}
