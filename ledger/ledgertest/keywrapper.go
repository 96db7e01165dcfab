package ledgertest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

// TestKeyWrapper runs the suite of a deployment key's protector. open is called once for each
// subtest.
func TestKeyWrapper(t *testing.T, open func(testing.TB) ledger.KeyWrapper) {
	aad := []byte("dosewire/kek/v1")
	secret := randomBytes(ledger.KeySize)
	wrap := func(t *testing.T, w ledger.KeyWrapper) []byte {
		t.Helper()
		blob, err := w.Wrap(t.Context(), secret, aad)
		if err != nil {
			t.Fatalf("Wrap: %v", err)
		}
		return blob
	}
	t.Run("RoundTrip", func(t *testing.T) {
		w := open(t)
		got, err := w.Unwrap(t.Context(), wrap(t, w), aad)
		if err != nil {
			t.Fatalf("Unwrap: %v", err)
		}
		same(t, "key", got, secret)
	})
	t.Run("HidesTheKey", func(t *testing.T) {
		w := open(t)
		first, second := wrap(t, w), wrap(t, w)
		if bytes.Contains(first, secret[:16]) {
			t.Error("the blob shows the key")
		}
		if bytes.Equal(first, second) {
			t.Error("two wrappings are equal")
		}
	})
	t.Run("BoundToItsPurpose", func(t *testing.T) {
		w := open(t)
		for _, other := range [][]byte{nil, []byte("dosewire/kek/v2"), append(slices.Clone(aad), 0)} {
			if _, err := w.Unwrap(t.Context(), wrap(t, w), other); err == nil {
				t.Errorf("unwrapped for %q", other)
			}
		}
	})
	t.Run("RefusesChangedBlobs", func(t *testing.T) {
		w := open(t)
		blob := wrap(t, w)
		for i := range blob {
			changed := slices.Clone(blob)
			changed[i] ^= 0x40
			if got, err := w.Unwrap(t.Context(), changed, aad); err == nil && !bytes.Equal(got, secret) {
				t.Fatalf("byte %d changed: another key came out", i)
			} else if err == nil {
				t.Errorf("byte %d changed: unnoticed", i)
			}
		}
		for _, n := range []int{0, 1, len(blob) - 1} {
			if _, err := w.Unwrap(t.Context(), blob[:n], aad); err == nil {
				t.Errorf("unwrapped %d of %d bytes", n, len(blob))
			}
		}
	})
}
