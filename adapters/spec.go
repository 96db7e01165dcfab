package adapters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dosewire/dosewire/internal/fault"
)

// Runner serves until ctx is done, then finishes what it began.
type Runner interface {
	Run(ctx context.Context) error
}

// Spec is one adapter: its name in configuration and how to open it. New mounts its routes on
// d.Routes and returns what must run beside them, nil if nothing.
type Spec struct {
	Name string
	New  func(options json.RawMessage, d Deps) (Runner, error)
}

// Define makes a Spec whose options are decoded strictly into C. No options are the zero C.
func Define[C any](name string, open func(C, Deps) (Runner, error)) Spec {
	return Spec{Name: name, New: func(raw json.RawMessage, d Deps) (Runner, error) {
		var c C
		if len(raw) > 0 {
			if err := decode(raw, &c); err != nil {
				return nil, fault.New(fault.Invalid, "adapters: options of "+name).Wrap(err)
			}
		}
		r, err := open(c, d)
		if err != nil {
			return nil, fmt.Errorf("adapters: %s: %w", name, err)
		}
		return r, nil
	}}
}

// decode reads one JSON value and nothing after it; an unknown key is an error.
func decode(raw json.RawMessage, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}

var errTrailing = errors.New("something follows the options")
