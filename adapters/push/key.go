package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dosewire/dosewire/internal/fault"
)

// errKeyFile is returned for a key file that others can read or that holds something else. The
// operator must look: making a new key would end every subscription.
var errKeyFile = fault.New(fault.Invalid, "push: keyFile is not a private P-256 key readable by its owner alone")

const pemType = "PRIVATE KEY"

// loadKey reads the VAPID key, making it on first use. Two processes that start at once agree on the
// file that was there first.
func loadKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("push: make keyFile: %w", err)
	}
	return readKey(path)
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("push: keyFile: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, errKeyFile
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("push: keyFile: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, errKeyFile
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errKeyFile
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errKeyFile
	}
	return key, nil
}

// makeKey writes a whole file under another name and links it into place: a crash leaves either no
// key or a complete one, and a key that is there is never replaced.
func makeKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".vapid-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(pem.Encode(f, &pem.Block{Type: pemType, Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
