package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/internal/hub/admin"
)

// credentialFile is the place for a credential that is still to be made. nil means none is wanted.
type credentialFile struct{ *os.File }

// reserve makes the file and refuses to replace one: it may hold the only copy of another token.
func reserve(path string) (*credentialFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, usageError{fmt.Errorf("--save: %w", err)}
	}
	return &credentialFile{f}, nil
}

func (f *credentialFile) save(c admin.Credential) error {
	if f == nil {
		return nil
	}
	enc := json.NewEncoder(f)
	enc.SetIndent("", "  ")
	if err := errors.Join(enc.Encode(c), f.Sync(), f.Close()); err != nil {
		return fault.New(fault.Unavailable, "the credential could not be written").Wrap(err)
	}
	return nil
}

func (f *credentialFile) abandon() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// loadCredential reads what save wrote.
func loadCredential(path string) (c admin.Credential, err error) {
	if path == "" {
		return c, usageError{fmt.Errorf("say who you are: --as FILE, written by `dosewire org add … --save FILE`")}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return c, usageError{err}
	}
	if err := json.Unmarshal(text, &c); err != nil || c.Token == "" || c.Org == "" {
		return c, usageError{fmt.Errorf("%s is not a credential", path)}
	}
	return c, nil
}
