package hub

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/internal/hub/admin"
	"github.com/dosewire/dosewire/ledger/filekey"
)

// refused runs a hub that must not become ready and returns why.
func refused(t *testing.T, c Config, specs ...adapters.Spec) error {
	t.Helper()
	h, err := New(t.Context(), c, Options{Adapters: specs, Log: &diaryLog{}, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(t.Context()) }()
	select {
	case <-h.Ready():
		t.Fatal("the hub is ready")
	case err = <-done:
	}
	return err
}

// TestLostKeysAreNotReplaced: new keys beside old records would find nothing that was recorded, and
// record it again.
func TestLostKeysAreNotReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		lose func(c Config) error
		want error
	}{
		"key database": {func(c Config) error {
			files, err := filepath.Glob(c.keysFile() + "*")
			for _, f := range files {
				err = errors.Join(err, os.Remove(f))
			}
			return errors.Join(err, os.RemoveAll(c.streamsDir()))
		}, ErrKeysLost},
		"key file": {func(c Config) error { return os.Remove(c.Keys.File) }, filekey.ErrAbsent},
	} {
		t.Run(name, func(t *testing.T) {
			c := lab(t).WithDefaults()
			h, stop := run(t, c)
			if _, err := admin.NewClient(h.AdminSocket()).AddOrganization(t.Context(), admin.NewOrganization{Kind: "clinic", Name: "North"}); err != nil {
				t.Fatal(err)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if err := tt.lose(c); err != nil {
				t.Fatal(err)
			}
			for range 2 { // what the refused start left behind does not let the next one in
				if err := refused(t, c); !errors.Is(err, tt.want) {
					t.Errorf("Run: %v, want %v", err, tt.want)
				}
			}
			if _, err := os.Stat(c.Keys.File); name == "key file" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a new key file was made: %v", err)
			}
		})
	}
}
