//go:build unix

package embedded

import (
	"os"
	"syscall"

	"github.com/dosewire/dosewire/internal/fault"
)

// lockFile takes an exclusive lock that ends with the process, however that ends. Two servers on one
// store would destroy it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "embedded: lock file").Wrap(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, ErrLocked.Wrap(err)
	}
	return f, nil
}
