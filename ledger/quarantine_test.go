package ledger_test

import (
	"bytes"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

// A message of the intake and one that came past it may have the same numbers; neither opens as the other.
func TestQuarantinedKnowsItsPlace(t *testing.T) {
	key, r := fixture()
	stored := ledger.Quarantined{Epoch: 1, Seq: 4, Sub: 1 << 20, Org: r.Org}
	direct := stored
	direct.Epoch = 0
	for _, q := range []*ledger.Quarantined{&stored, &direct} {
		if err := ledger.SealQuarantined(key, q, []byte("body")); err != nil {
			t.Fatal(err)
		}
		if got, err := ledger.OpenQuarantined(key, *q); err != nil || !bytes.Equal(got, []byte("body")) {
			t.Errorf("epoch %d: %q, %v", q.Epoch, got, err)
		}
	}
	stored.Sealed, direct.Sealed = direct.Sealed, stored.Sealed
	for _, q := range []ledger.Quarantined{stored, direct} {
		if _, err := ledger.OpenQuarantined(key, q); err == nil {
			t.Errorf("opened as the other, epoch %d", q.Epoch)
		}
	}
}
