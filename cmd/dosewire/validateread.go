package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"github.com/dosewire/dosewire/fhir"
)

const (
	// batchBytes is how much is judged at a time: enough that handing it over costs nothing.
	batchBytes = 256 << 10
	// keptBytes is how much of a resource is read: one byte more than is allowed is refused like a
	// thousand more.
	keptBytes = fhir.MaxBytes + 1
)

// reader cuts input into batches. It belongs to one goroutine.
type reader struct {
	ctx  context.Context
	free <-chan *batch
	give func(*batch)
	now  *batch // being filled; nil = none
}

// files reads all files, until the context ends.
func (r *reader) files(names []string, stdin io.Reader, ndjson bool) {
	for _, name := range names {
		if r.ctx.Err() != nil {
			return
		}
		err := r.file(name, stdin, ndjson)
		if err != nil && r.ctx.Err() == nil {
			b := r.batch()
			b.err = err
			b.count.unread++
		}
		r.flush()
	}
}

func (r *reader) file(name string, stdin io.Reader, ndjson bool) error {
	in := stdin
	if name != "-" {
		file, err := open(r.ctx, name)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	in = newInterruptible(r.ctx, in)
	if ext := strings.ToLower(filepath.Ext(name)); ndjson || ext == ".ndjson" || ext == ".jsonl" {
		return r.lines(name, in)
	}
	body, err := io.ReadAll(io.LimitReader(in, keptBytes))
	if err != nil {
		return err
	}
	r.add(name, 0, append(r.batch().text, body...))
	return nil
}

// lines reads NDJSON of any length.
func (r *reader) lines(name string, in io.Reader) error {
	buffered := bufio.NewReaderSize(in, batchBytes)
	for n := 1; ; n++ {
		text, err := appendLine(r.batch().text, buffered)
		if err != nil && !errors.Is(err, io.EOF) {
			return err // half a line is not judged
		}
		r.add(name, n, text)
		if err != nil {
			return nil
		}
		// A pipe that gives a line now and then gets its answers at once.
		if len(r.batch().text) >= batchBytes || buffered.Buffered() == 0 {
			r.flush()
		}
	}
}

// appendLine appends the next line without its LF, at most keptBytes of it. io.EOF says that it was the
// last, and may be empty.
func appendLine(text []byte, in *bufio.Reader) ([]byte, error) {
	most := len(text) + keptBytes
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part[:min(len(part), most-len(text))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(text, []byte("\n")), err
		}
	}
}

// add takes over the batch's text, grown by one resource. A blank line is none.
func (r *reader) add(file string, line int, text []byte) {
	b := r.batch()
	start := len(b.text)
	if line > 0 && len(text)-start < keptBytes && len(bytes.TrimSpace(text[start:])) == 0 {
		return
	}
	b.text = text
	b.units = append(b.units, unit{file: file, line: line, start: start, end: len(text)})
}

// batch is the one being filled.
func (r *reader) batch() *batch {
	if r.now == nil {
		r.now = <-r.free
	}
	return r.now
}

// flush hands the batch on, if there is one.
func (r *reader) flush() {
	if r.now != nil {
		r.give(r.now)
		r.now = nil
	}
}
