package embedded

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dosewire/dosewire/internal/fault"
)

// dropHalfMade removes the folders of streams whose making a kill cut short. The server writes a
// stream's settings and their checksum last; without them it can never recover the stream, stays
// unhealthy and would not let it be made again. A folder with a byte of messages is left alone: then
// something was lost, and a person must look.
func dropHalfMade(storeDir string, log *slog.Logger) error {
	folder := filepath.Join(storeDir, "jetstream", "$G", "streams")
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Unavailable, "embedded: the store cannot be read").Wrap(err)
	}
	for _, e := range entries {
		dir := filepath.Join(folder, e.Name())
		if finished(dir) || !empty(dir) {
			continue
		}
		log.Warn("embedded: a stream that was never finished is removed", "stream", e.Name())
		if err := os.RemoveAll(dir); err != nil {
			return fault.New(fault.Unavailable, "embedded: a half-made stream cannot be removed").Wrap(err)
		}
	}
	return nil
}

// finished: the stream was made, or this cannot be said.
func finished(dir string) bool {
	for _, name := range []string{"meta.inf", "meta.sum"} {
		if info, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) || (err == nil && info.Size() == 0) {
			return false
		}
	}
	return true
}

// empty: no block of messages holds anything.
func empty(dir string) bool {
	blocks, err := os.ReadDir(filepath.Join(dir, "msgs"))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	for _, b := range blocks {
		if filepath.Ext(b.Name()) != ".blk" {
			continue
		}
		if info, err := b.Info(); err != nil || info.Size() > 0 {
			return false
		}
	}
	return true
}
