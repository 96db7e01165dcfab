package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // quiet hours are in patients' own zones, and the image has no files
)

func main() { os.Exit(run()) }

// run is main without os.Exit, so that the test scripts can call it.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := newRoot().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "dosewire: %v\n", err)
	}
	return exitCode(ctx, err)
}
