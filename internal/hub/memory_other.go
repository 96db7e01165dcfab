//go:build !linux

package hub

// shed does nothing here.
func shed() error { return nil }
