package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dosewire/dosewire/internal/fault"
)

// saveBody writes a delivery where a crash leaves it whole or not at all, readable by its owner
// alone: it is a patient's prescription.
func saveBody(folder string, d delivery) (string, error) {
	fail := func(err error) (string, error) {
		return "", fault.New(fault.Unavailable, "the delivery could not be saved").Wrap(err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp(folder, ".receiving-*") // mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.Write(d.bytes)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fail(err)
	}
	path := filepath.Join(folder, fmt.Sprintf("%08d-%s.json", d.Number, d.Type))
	if err := os.Rename(f.Name(), path); err != nil {
		return fail(err)
	}
	return path, nil
}
