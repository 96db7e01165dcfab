package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dosewire/dosewire/streams"
)

// Atomic batches are how a single node groups syncs: one for a batch instead of one for each message.
// But before it commits a batch the server stages it in a store of its own (a dozen files and folders,
// made, synced and deleted: about 10 ms), only so that a batch half written at a crash is completed at
// the next start. The hub does not need that: deliveries without an ack are sent again under the same ids.
// So the staging folder of a stream is a link into memory, where staging costs 1 ms. The stream's own
// write and its sync before the ack are as ever. After a kill the staged batch is still there and is
// completed; after a power cut it is gone, and its unacknowledged half stays in the stream, where the
// receivers recognise the repeats.

const memory = "/dev/shm"

// Bounds of what clients may have staged at once. Staging counts against no account's limits.
const (
	stagedBatches = 8
	stagedSize    = 1000
	stagedTime    = 3 * time.Second
)

// stagingDir is this store's folder in memory, "" when there is no memory to link to or somebody else
// has made a folder of that name. Its name is stable, so that it is found again after a kill.
func stagingDir(storeDir string) string {
	abs, err := filepath.Abs(storeDir)
	if err != nil {
		return ""
	}
	if info, err := os.Stat(memory); err != nil || !info.IsDir() {
		return ""
	}
	sum := sha256.Sum256([]byte(abs))
	dir := filepath.Join(memory, "dosewire-"+hex.EncodeToString(sum[:8]))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return ""
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return ""
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Getuid() {
		return ""
	}
	return dir
}

// stage links the staging folders as soon as their streams exist, and again should somebody tidy up in
// memory. Recovery removes the links, so this is done at every start. Where it does not succeed,
// staging is on disk and merely slower.
func (s *Server) stage(ctx context.Context, storeDir string) {
	dir := stagingDir(storeDir)
	if dir == "" {
		return
	}
	s.staging = dir
	// Often at first: a link must be there before the first batch, or wait for a moment without one.
	for wait := 2 * time.Millisecond; ; wait = min(wait+wait/8, time.Second) {
		linkFolder(filepath.Join(dir, streams.Delivery), filepath.Join(storeDir, "jetstream", "$G", "streams", streams.Delivery, "batches"))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// linkFolder makes link point to target, where it can. A folder in its place is replaced when it is
// empty: the server makes it for each batch, and finds the link the next time.
func linkFolder(target, link string) {
	if os.MkdirAll(target, 0o700) != nil {
		return
	}
	if to, err := os.Readlink(link); err == nil && to == target {
		return
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return // not empty: a batch is staged just now
	}
	_ = os.Symlink(target, link) // fails while the stream does not exist, and when the server was faster
}
