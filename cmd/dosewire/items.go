package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// maxItem is how much of one message is read: more than the hub takes, so that the hub refuses it
// and not we. Bytes.
const maxItem = 4 << 20

// item is one message to send.
type item struct {
	source string
	id     string
	kind   string // resourceType as far as it can be seen, "" if not
	body   []byte

	signature string // detached JWS of body; "" = not signed
}

// items yields the messages of all files in order. The error ends it.
func items(stdin io.Reader, files []string, f *sendFlags) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for _, name := range files {
			if !fileItems(stdin, name, f, yield) {
				return
			}
		}
	}
}

// fileItems reports whether to go on with the next file.
func fileItems(stdin io.Reader, name string, f *sendFlags, yield func(item, error) bool) bool {
	r := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return yield(item{}, usageError{err}) && false
		}
		defer file.Close()
		r = file
	}
	if ext := filepath.Ext(name); f.ndjson || ext == ".ndjson" || ext == ".jsonl" {
		return lines(r, name, yield)
	}
	body, err := io.ReadAll(io.LimitReader(r, maxItem))
	if err != nil {
		return yield(item{}, usageError{err}) && false
	}
	return yield(newItem(name, f.id, body), nil)
}

// lines streams NDJSON: a backlog of any length needs the memory of one message.
func lines(r io.Reader, name string, yield func(item, error) bool) bool {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxItem)
	for n := 1; s.Scan(); n++ {
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		if !yield(newItem(fmt.Sprintf("%s:%d", name, n), "", bytes.Clone(line)), nil) {
			return false
		}
	}
	if err := s.Err(); err != nil {
		return yield(item{}, usageError{fmt.Errorf("%s: %w", name, err)}) && false
	}
	return true
}

// newItem identifies a message by its bytes unless it has an id of its own.
func newItem(source, id string, body []byte) item {
	if id == "" {
		sum := sha256.Sum256(body)
		id = hex.EncodeToString(sum[:16])
	}
	var seen struct{ ResourceType string }
	_ = json.Unmarshal(body, &seen) // what cannot be read is for the hub to refuse
	if strings.ContainsAny(seen.ResourceType, " /.*>?#%") {
		seen.ResourceType = ""
	}
	return item{source: source, id: id, kind: seen.ResourceType, body: body}
}
