package push

import (
	"crypto/ecdsa"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dosewire/dosewire/internal/fault"
)

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vapid.pem")
	var all [8]*ecdsa.PrivateKey
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			key, err := loadKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = key
		})
	}
	wg.Wait()
	for _, key := range all[1:] {
		if !key.Equal(all[0]) {
			t.Fatal("two starts made two keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".vapid-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKeyFileThatIsWrongIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open.pem")
	if _, err := loadKey(open); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.pem")
	if err := os.WriteFile(other, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{open, other} {
		if _, err := loadKey(path); !errors.Is(err, errKeyFile) {
			t.Errorf("%s: got %v, want errKeyFile", filepath.Base(path), err)
		}
	}
	if b, _ := os.ReadFile(other); string(b) != "something else" {
		t.Error("replaced")
	}
}

func TestOptionsNameAllMistakes(t *testing.T) {
	err := Options{Subject: "ops", Workers: -1}.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("got %v", err)
	}
	for _, e := range joined.Unwrap() {
		if fault.KindOf(e) != fault.Invalid {
			t.Errorf("got kind %v", fault.KindOf(e))
		}
	}
	if err := (Options{KeyFile: "k"}).Validate(); err != nil {
		t.Error(err)
	}
}
