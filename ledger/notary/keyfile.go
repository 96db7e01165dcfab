package notary

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/dosewire/dosewire/internal/fault"
	"github.com/dosewire/dosewire/ledger/trust"
)

// ErrKeyFile says why a key file cannot be used.
var ErrKeyFile = fault.New(fault.Denied, "notary: the key file cannot be used")

// Key is an Ed25519 key from a file: a log's or a witness's.
type Key struct {
	note.Signer
	Verifier note.Verifier
	VKey     string // what others are given: C2SP vkey
}

// LogKey opens the key file of a log, made with this name on first use.
func LogKey(path, name string) (*Key, error) {
	skey, public, err := openKey(path, name)
	if err != nil {
		return nil, err
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		return nil, ErrKeyFile.Wrap(errors.New("it does not hold a signer key"))
	}
	return withVerifier(s, trust.LogKey(name, public), trust.LogVerifier)
}

// WitnessKey opens the key file of a witness, made with this name on first use. It signs
// cosignature/v1, with the time.
func WitnessKey(path, name string) (*Key, error) {
	skey, public, err := openKey(path, name)
	if err != nil {
		return nil, err
	}
	s, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		return nil, ErrKeyFile.Wrap(errors.New("it does not hold a signer key"))
	}
	return withVerifier(s, trust.WitnessKey(name, public), trust.WitnessVerifier)
}

func withVerifier(s note.Signer, vkey string, open func(string) (note.Verifier, error)) (*Key, error) {
	v, err := open(vkey)
	if err != nil {
		return nil, err
	}
	return &Key{Signer: s, Verifier: v, VKey: vkey}, nil
}

// openKey reads PRIVATE+KEY+<name>+<id>+<base64 of type 1 and seed>, the form of sumdb/note. The file
// must be its owner's alone.
func openKey(path, name string) (skey string, public ed25519.PublicKey, err error) {
	if name == "" || strings.ContainsAny(name, "+\n\r\t ") {
		return "", nil, fault.New(fault.Invalid, "notary: a key's name has no spaces and no plus: "+name)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(path, name); err != nil {
			return "", nil, err
		}
		b, err = os.ReadFile(path) // perhaps another process's
	}
	if err != nil {
		return "", nil, ErrKeyFile.Wrap(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, ErrKeyFile.Wrap(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", nil, ErrKeyFile.Wrap(fmt.Errorf("%s has mode %04o: run chmod 600 %[1]s", path, info.Mode().Perm()))
	}
	skey = strings.TrimSpace(string(b))
	parts := strings.SplitN(skey, "+", 5)
	if len(parts) != 5 || parts[0] != "PRIVATE" || parts[1] != "KEY" {
		return "", nil, ErrKeyFile.Wrap(fmt.Errorf("%s does not hold a signer key", path))
	}
	if parts[2] != name {
		return "", nil, ErrKeyFile.Wrap(fmt.Errorf("%s is the key of %s, not of %s", path, parts[2], name))
	}
	seed, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != 1 {
		return "", nil, ErrKeyFile.Wrap(fmt.Errorf("%s does not hold an Ed25519 key", path))
	}
	return skey, ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey), nil
}

// makeKey writes a new key under another name and links it, so that it is there whole or not at all
// and the first of several wins.
func makeKey(path, name string) error {
	skey, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return ErrKeyFile.Wrap(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return ErrKeyFile.Wrap(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-key-*") // mode 0600
	if err != nil {
		return ErrKeyFile.Wrap(err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(skey + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return ErrKeyFile.Wrap(err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return ErrKeyFile.Wrap(err)
	}
	return syncDir(filepath.Dir(path))
}
