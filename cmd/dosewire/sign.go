package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/dosewire/dosewire/internal/signature"
)

// signFlags are the flags with which send signs.
type signFlags struct {
	keyFile, certFile string
	key               *signature.Key // nil = messages are not signed
}

func (s *signFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&s.keyFile, "sign", "", "sign with this private key: PEM `file`, P-256 or Ed25519")
	fl.StringVar(&s.certFile, "cert", "", "its certificate and the intermediates: PEM `file`")
}

// load reads the files before anything is sent.
func (s *signFlags) load() error {
	if s.keyFile == "" && s.certFile == "" {
		return nil
	}
	if s.keyFile == "" || s.certFile == "" {
		return usageError{errors.New("--sign and --cert belong together")}
	}
	key, err := os.ReadFile(s.keyFile)
	if err != nil {
		return usageError{fmt.Errorf("--sign: %w", err)}
	}
	chain, err := os.ReadFile(s.certFile)
	if err != nil {
		return usageError{fmt.Errorf("--cert: %w", err)}
	}
	if s.key, err = signature.NewKey(key, chain); err != nil {
		return usageError{err}
	}
	return nil
}

// signature is that of a body, "" when none was asked for.
func (s *signFlags) signature(body []byte) (string, error) {
	if s.key == nil {
		return "", nil
	}
	return s.key.Sign(body)
}
