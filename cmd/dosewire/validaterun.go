package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// progressFrom is how much input is read before a progress line is worth its place. Bytes.
const progressFrom = 4 << 20

// validation is one run of validate. One goroutine reads, one for each processor judges, and the
// caller's prints.
type validation struct {
	files  []string
	ndjson bool
	stdin  io.Reader
	form   form

	// of the goroutine that prints
	out   io.Writer
	log   io.Writer // what is no result
	bar   *progress
	total tally
}

// batch is some input on its way: read, judged, printed, and then used again.
type batch struct {
	text  []byte // the resources, one after the other
	units []unit // where they are
	err   error  // what ended the file behind them; nil = nothing did

	out    bytes.Buffer // what is to be printed
	count  tally
	judged chan struct{} // holds one when out and count are done
}

// unit is one resource in a batch.
type unit struct {
	file       string
	line       int // of NDJSON, 1-based; 0 = the file is the resource
	start, end int // in batch.text
}

// run judges all files. The error is the program's, not theirs: it was interrupted, or cannot print.
func (v *validation) run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	// No more batches are made than these, whatever is read: they bound the memory, and no send blocks.
	batches := 2*workers + 1
	free, unjudged, inOrder := make(chan *batch, batches), make(chan *batch, batches), make(chan *batch, batches)
	for range batches {
		free <- &batch{judged: make(chan struct{}, 1)}
	}
	var all sync.WaitGroup
	all.Go(func() {
		defer close(unjudged)
		defer close(inOrder)
		r := reader{ctx: ctx, free: free, give: func(b *batch) { unjudged <- b; inOrder <- b }}
		r.files(v.files, v.stdin, v.ndjson)
	})
	for range workers {
		all.Go(func() {
			for b := range unjudged {
				b.judge(v.form)
				b.judged <- struct{}{}
			}
		})
	}
	var failed error
	for b := range inOrder {
		<-b.judged
		if failed == nil {
			if failed = v.print(b); failed != nil {
				cancel() // nobody listens: what is on its way is let go
			}
		}
		b.reset()
		free <- b
	}
	all.Wait()
	if failed != nil {
		return failed
	}
	return parent.Err()
}

// print shows what a batch came to.
func (v *validation) print(b *batch) error {
	v.total.add(b.count)
	if b.out.Len() > 0 {
		v.bar.clear()
		if _, err := v.out.Write(b.out.Bytes()); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	if b.err != nil {
		v.bar.clear()
		fmt.Fprintf(v.log, "dosewire: %s\n", printable(b.err.Error()))
	}
	if v.total.bytes > progressFrom {
		v.bar.show("validated", v.total.resources, 0)
	}
	return nil
}

func (b *batch) reset() {
	b.text, b.units, b.err, b.count = b.text[:0], b.units[:0], nil, tally{}
	b.out.Reset()
}
