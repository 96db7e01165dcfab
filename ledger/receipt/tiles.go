package receipt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/trust"
)

// tileWidth is how many hashes or entries a full tile holds (C2SP tlog-tiles, height 8).
const tileWidth = 256

// maxTile is the size of the largest file that is read, bytes: an entry bundle has 256 × 116.
const maxTile = 64 << 10

// CheckpointFile is where the newest checkpoint is, beside the tiles.
const CheckpointFile = "checkpoint"

// Tiles reads files of a tlog-tiles layout by their slash-separated names. An error that is
// fs.ErrNotExist means that there is no such file; any other means that it cannot be read just now.
// Both implementations are safe for concurrent use.
type Tiles interface {
	Read(ctx context.Context, name string) ([]byte, error)
}

// Dir is a folder of tiles.
type Dir string

// Read is as in Tiles.
func (d Dir) Read(_ context.Context, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(d), filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limited(f)
}

// URL is a web server with tiles, such as "https://log.example/tiles".
type URL string

// httpTiles bounds what a slow server costs.
var httpTiles = &http.Client{Timeout: 30 * time.Second}

// Read is as in Tiles.
func (u URL) Read(ctx context.Context, name string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(string(u), "/")+"/"+name, nil)
	if err != nil {
		return nil, err
	}
	resp, err := httpTiles.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return limited(resp.Body)
	case http.StatusNotFound, http.StatusGone:
		return nil, fs.ErrNotExist
	}
	return nil, fmt.Errorf("the server answered %d", resp.StatusCode)
}

func limited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTile+1))
	if err == nil && len(b) > maxTile {
		return nil, fmt.Errorf("longer than %d bytes", maxTile)
	}
	return b, err
}

// TilesAt reads http and https URLs from the web and everything else as a folder.
func TilesAt(place string) Tiles {
	if u, err := url.Parse(place); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return URL(place)
	}
	return Dir(place)
}

// tilePath is the name of a hash tile, or of an entry bundle when level is "entries". width 256 is a
// full tile.
func tilePath(level string, n uint64, width int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	if width < tileWidth {
		name += fmt.Sprintf(".p/%d", width)
	}
	return path.Join("tile", level, name)
}

// readTile reads a tile of at least width things, each of size bytes. A log may remove a partial tile
// once the full one is there, so that is looked for too.
func readTile(ctx context.Context, t Tiles, level string, n uint64, width, size int) ([]byte, error) {
	name := tilePath(level, n, width)
	b, err := t.Read(ctx, name)
	if errors.Is(err, fs.ErrNotExist) && width < tileWidth {
		if b, err = t.Read(ctx, tilePath(level, n, tileWidth)); err == nil && len(b) == tileWidth*size {
			b = b[:width*size]
		}
	}
	first := n * tileWidth
	if l, err := strconv.Atoi(level); err == nil {
		first <<= 8 * l // each hash stands for 256 of the level below
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &BadTile{name, first, ErrMissingTile}
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, ErrUnreadable.Wrap(fmt.Errorf("%s: %w", name, err))
	case len(b) != width*size:
		return nil, &BadTile{name, first, ErrTile}
	}
	return b, nil
}

// bundleEntry is the size of one entry in a bundle: its length and itself.
const bundleEntry = 2 + ledger.EntrySize

// parseBundle reads the entries of a bundle.
func parseBundle(b []byte, first uint64) ([]ledger.Entry, error) {
	entries := make([]ledger.Entry, 0, len(b)/bundleEntry)
	for ; len(b) > 0; b = b[bundleEntry:] {
		at := first + uint64(len(entries))
		if len(b) < bundleEntry || binary.BigEndian.Uint16(b) != ledger.EntrySize {
			return entries, &ledger.BadEntry{Index: at, Err: ledger.ErrEntry}
		}
		e, err := ledger.Parse(b[2:bundleEntry])
		if err != nil {
			return entries, &ledger.BadEntry{Index: at, Err: err}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// readCheckpoint reads and judges the newest checkpoint.
func readCheckpoint(ctx context.Context, t Tiles, judge trust.Judge) (note []byte, c trust.Signed, err error) {
	note, err = t.Read(ctx, CheckpointFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, c, &BadTile{CheckpointFile, 0, ErrMissingTile}
	case err != nil:
		return nil, c, ErrUnreadable.Wrap(err)
	}
	c, err = judge(note)
	return note, c, err
}

// CheckpointOf reads the newest checkpoint of a log and judges it.
func CheckpointOf(ctx context.Context, t Tiles, judge trust.Judge) (trust.Signed, error) {
	_, c, err := readCheckpoint(ctx, t, judge)
	return c, err
}
