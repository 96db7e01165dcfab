package main

import (
	"context"
	"io"
	"os"
)

// Opening a pipe waits for its writer and reading for what it writes, and no signal ends either: Go waits on. So
// both are done by goroutines that are left behind when the context ends. The program ends soon after, and they
// with it.

// open opens a file, or gives up when the context ends.
func open(ctx context.Context, name string) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		file, err := os.Open(name)
		done <- opened{file, err}
	}()
	select {
	case o := <-done:
		return o.file, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// interruptible reads until the context ends. It has a buffer of its own, since a read that is left behind may
// still fill it.
type interruptible struct {
	ctx    context.Context
	r      io.Reader
	buffer []byte
	rest   []byte // of buffer, not handed out yet
	err    error  // that came with it
}

func newInterruptible(ctx context.Context, r io.Reader) *interruptible {
	return &interruptible{ctx: ctx, r: r, buffer: make([]byte, batchBytes)}
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	if len(i.rest) == 0 && i.err == nil {
		if err := i.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	if len(i.rest) == 0 {
		return n, i.err
	}
	return n, nil
}

// fill reads once. The error is the context's; the reader's is handed out behind what it read.
func (i *interruptible) fill() error {
	type read struct {
		n   int
		err error
	}
	done := make(chan read, 1)
	go func() {
		n, err := i.r.Read(i.buffer)
		done <- read{n, err}
	}()
	select {
	case got := <-done:
		i.rest, i.err = i.buffer[:got.n], got.err
		return nil
	case <-i.ctx.Done():
		return i.ctx.Err()
	}
}
