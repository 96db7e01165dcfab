package filekey

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dosewire/dosewire/ledger"
	"github.com/dosewire/dosewire/ledger/ledgertest"
)

func open(t testing.TB, path string) *Wrapper {
	t.Helper()
	w, err := Open(path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return w
}

func TestWrapper(t *testing.T) {
	ledgertest.TestKeyWrapper(t, func(t testing.TB) ledger.KeyWrapper {
		return open(t, filepath.Join(t.TempDir(), "keys", "deployment.key"))
	})
}

func TestFileIsPrivateAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "deployment.key")
	blob, err := open(t, path).Wrap(t.Context(), []byte("secret"), nil)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %04o, want %04o", filepath.Base(name), got, want)
		}
	}
	if got, err := open(t, path).Unwrap(t.Context(), blob, nil); err != nil || string(got) != "secret" {
		t.Errorf("after reopening: %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-key-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	other := open(t, filepath.Join(t.TempDir(), "keys", "deployment.key"))
	if _, err := other.Unwrap(t.Context(), blob, nil); !errors.Is(err, ErrUnwrap) {
		t.Errorf("another file's key: %v, want ErrUnwrap", err)
	}
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(path string) error
		want  error
	}{
		"file open to the group":   {func(p string) error { return os.Chmod(p, 0o640) }, ErrMode},
		"file open to all":         {func(p string) error { return os.Chmod(p, 0o604) }, ErrMode},
		"folder open to the group": {func(p string) error { return os.Chmod(filepath.Dir(p), 0o750) }, ErrMode},
		"short":                    {func(p string) error { return os.Truncate(p, 31) }, ErrSize},
		"empty":                    {func(p string) error { return os.Truncate(p, 0) }, ErrSize},
		"long":                     {func(p string) error { return os.Truncate(p, 33) }, ErrSize},
		"a folder":                 {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, ErrSize},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys", "deployment.key")
			open(t, path)
			if err := tt.spoil(path); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); !errors.Is(err, tt.want) {
				t.Errorf("Open: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestManyMakeOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "deployment.key")
	var (
		wg       sync.WaitGroup
		wrappers [8]*Wrapper
	)
	for i := range wrappers {
		wg.Go(func() {
			var err error
			if wrappers[i], err = Open(path); err != nil {
				t.Errorf("Open: %v", err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	blob, err := wrappers[0].Wrap(t.Context(), []byte("secret"), nil)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	for _, w := range wrappers {
		if _, err := w.Unwrap(t.Context(), blob, nil); err != nil {
			t.Errorf("Unwrap: %v", err)
		}
	}
}
