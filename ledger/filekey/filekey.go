package filekey

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger"
)

// Refusals of Open and Unwrap.
var (
	ErrMode   = fault.New(fault.Denied, "filekey: others may read the key")
	ErrSize   = fault.New(fault.Tampered, "filekey: the key file does not hold 32 bytes")
	ErrAbsent = fault.New(fault.Tampered, "filekey: the key file is absent: restore it from its backup")
	ErrUnwrap = fault.New(fault.Tampered, "filekey: this key file did not wrap this key, or it was changed")
	errFile   = fault.New(fault.Unavailable, "filekey: the key file cannot be used")
)

// blobVersion is the first byte of what Wrap returns.
const blobVersion = 1

const infoName = "dosewire/filekey/name/v1"

// Wrapper wraps with AES-256-GCM under the file's key.
type Wrapper struct {
	aead cipher.AEAD
	name string
}

var _ ledger.KeyWrapper = (*Wrapper)(nil)

// Open reads the key file at path, making it, and its folder if that is absent too, on first use.
// ErrMode when the file or its folder is open to others, ErrSize when it holds anything but 32 bytes.
func Open(path string) (*Wrapper, error) {
	key, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, err
		}
		key, err = read(path) // perhaps another process's
	}
	return wrapper(key, err)
}

// OpenExisting is Open for a deployment that has begun: a file that is not there has been lost, and
// a new one could not unwrap anything. ErrAbsent, and nothing is made.
func OpenExisting(path string) (*Wrapper, error) {
	key, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrAbsent.Wrap(fmt.Errorf("%s: %w", path, err))
	}
	return wrapper(key, err)
}

func wrapper(key []byte, err error) (*Wrapper, error) {
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errFile.Wrap(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, errFile.Wrap(err)
	}
	id, err := hkdf.Key(sha256.New, key, nil, infoName, 8)
	if err != nil {
		return nil, errFile.Wrap(err)
	}
	return &Wrapper{aead, "file:" + hex.EncodeToString(id)}, nil
}

// Name is "file:" and 64 bits derived from the key, one way: the same for each copy of the file.
func (w *Wrapper) Name() string { return w.name }

// Wrap returns version=1 ‖ nonce ‖ ciphertext ‖ tag.
func (w *Wrapper) Wrap(_ context.Context, key, aad []byte) ([]byte, error) {
	return w.aead.Seal([]byte{blobVersion}, nil, key, aad), nil
}

// Unwrap returns what Wrap was given. ErrUnwrap for any other blob, aad or key file.
func (w *Wrapper) Unwrap(_ context.Context, blob, aad []byte) ([]byte, error) {
	if len(blob) == 0 || blob[0] != blobVersion {
		return nil, ErrUnwrap
	}
	key, err := w.aead.Open(nil, nil, blob[1:], aad)
	if err != nil {
		return nil, ErrUnwrap.Wrap(err)
	}
	return key, nil
}

// read demands a private file in a private folder.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errFile.Wrap(err)
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil, errFile.Wrap(err)
	}
	if !info.Mode().IsRegular() || info.Size() != ledger.KeySize {
		return nil, ErrSize.Wrap(fmt.Errorf("%s has %d: restore it from its backup", path, info.Size()))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, ErrMode.Wrap(fmt.Errorf("%s has mode %04o: run chmod 600 %[1]s", path, info.Mode().Perm()))
	}
	if folder.Mode().Perm()&0o077 != 0 {
		return nil, ErrMode.Wrap(fmt.Errorf("%s has mode %04o: run chmod 700 %[1]s", filepath.Dir(path), folder.Mode().Perm()))
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, errFile.Wrap(err)
	}
	if len(key) != ledger.KeySize {
		return nil, ErrSize
	}
	return key, nil
}

// create writes the key under another name and links it to path, so that the file is there whole or
// not at all, and the first of several wins.
func create(path string) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return errFile.Wrap(err)
	}
	f, err := os.CreateTemp(folder, ".new-key-*") // mode 0600, O_EXCL
	if err != nil {
		return errFile.Wrap(err)
	}
	defer os.Remove(f.Name())
	key := make([]byte, ledger.KeySize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errFile.Wrap(err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return errFile.Wrap(err)
	}
	return syncFolder(folder)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return errFile.Wrap(err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return errFile.Wrap(err)
	}
	return nil
}
