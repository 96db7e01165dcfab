package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"

	"github.com/dosewire/dosewire/internal/fault"
)

// dropHalfMade removes what a kill left half made: blocks, and folders of streams. The server writes a
// stream's settings and their checksum last; without them it can never recover the stream, stays
// unhealthy and would not let it be made again. A folder with a byte of messages is left alone: then
// something was lost, and a person must look.
func dropHalfMade(storeDir string, log *slog.Logger) error {
	if err := dropTests(filepath.Join(storeDir, "jetstream")); err != nil {
		return err
	}
	folder := filepath.Join(storeDir, "jetstream", "$G", "streams")
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unreadable(err)
	}
	for _, e := range entries {
		dir := filepath.Join(folder, e.Name())
		if finished(dir) || !empty(dir) {
			if err := errors.Join(sumAnew(dir), dropHalfMadeBlocks(filepath.Join(dir, "msgs"), log)); err != nil {
				return err
			}
			continue
		}
		log.Warn("embedded: a stream that was never finished is removed", "stream", e.Name())
		if err := os.RemoveAll(dir); err != nil {
			return fault.New(fault.Unavailable, "embedded: a half-made stream cannot be removed").Wrap(err)
		}
	}
	return nil
}

// dropTests removes the file by which the server tries at each start whether it can write. One that a kill left
// behind counts as an account that cannot be resolved, at every start from then on.
func dropTests(folder string) error {
	tests, err := fs.Glob(os.DirFS(folder), "_test_*")
	if err != nil {
		return unreadable(err)
	}
	for _, name := range tests {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			return fault.New(fault.Unavailable, "embedded: what a start left behind cannot be removed").Wrap(err)
		}
	}
	return nil
}

// ErrKeyless: a block of messages has lost its key. The server would remove the whole stream for it, so it was not
// started. Restore the store; or remove the stream's folder, and with it what was not recorded yet.
var ErrKeyless = fault.New(fault.Tampered, "embedded: a block of messages has no key: restore the stream store, or remove the folder of the stream and lose what was not recorded yet")

// dropHalfMadeBlocks removes the block that was begun when the process was killed: the server makes its file, and
// then its key. It holds nothing yet, but for a block without a key the server removes the whole stream, with all
// that was acknowledged. A purge moves the key of the block with its tombstone before the block; that purge did not
// happen then, and the server would remove the block too.
func dropHalfMadeBlocks(msgs string, log *slog.Logger) error {
	blocks, err := os.ReadDir(msgs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadable(err)
	}
	for _, b := range blocks {
		number, block := strings.CutSuffix(b.Name(), ".blk")
		if _, err := os.Stat(filepath.Join(msgs, number+".key")); !block || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		info, err := b.Info()
		if err != nil {
			return unreadable(err)
		}
		stream := filepath.Base(filepath.Dir(msgs))
		if info.Size() > tombstone {
			return ErrKeyless.Wrap(fmt.Errorf("%s of %s", b.Name(), stream))
		}
		log.Warn("embedded: a block that was never finished is removed", "stream", stream)
		if err := os.Remove(filepath.Join(msgs, b.Name())); err != nil {
			return fault.New(fault.Unavailable, "embedded: a half-made block cannot be removed").Wrap(err)
		}
	}
	return nil
}

func unreadable(err error) error {
	return fault.New(fault.Unavailable, "embedded: the store cannot be read").Wrap(err)
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

// sumAnew writes the checksum of a stream's settings again if it is that of others: a change of settings writes them
// and then the sum, and by a wrong sum the server would never know the stream again. Nothing is lost by it, because
// the settings are sealed and judged by that.
func sumAnew(dir string) error {
	settings, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unreadable(err)
	}
	key := sha256.Sum256([]byte(filepath.Base(dir)))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return fmt.Errorf("embedded: checksum: %w", err)
	}
	h.Write(settings)
	sum, name := hex.EncodeToString(h.Sum(nil)), filepath.Join(dir, "meta.sum")
	if old, err := os.ReadFile(name); err != nil || string(old) == sum {
		return nil // without one it was never finished
	}
	if err := replace(name, sum); err != nil {
		return fault.New(fault.Unavailable, "embedded: a checksum cannot be written").Wrap(err)
	}
	return nil
}

// replace is whole or has not happened.
func replace(name, content string) error {
	temp, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_SYNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := temp.WriteString(content); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), name)
}

// tombstone is the size of a record of the server's that says how far a stream has come, without a message, bytes:
// it begins a stream with it that does not begin at 1, and what is left of one that is purged whole.
const tombstone = 30

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
		if info, err := b.Info(); err != nil || info.Size() > tombstone {
			return false
		}
	}
	return true
}
