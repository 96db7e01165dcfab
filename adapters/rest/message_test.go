package rest_test

import (
	"strings"
	"testing"

	"github.com/dosewire/dosewire/adapters/adaptertest"
)

// TestBundleIdentifierIsTheMessageID of a batch too: one identifier, one message.
func TestBundleIdentifierIsTheMessageID(t *testing.T) {
	w := world(t)
	for _, rx := range []string{"rx-1", "rx-2"} {
		post(w, `{"resourceType":"Bundle","type":"batch","identifier":{"system":"urn:b","value":"7"},"entry":[{"resource":`+
			adaptertest.Request(rx)+`,"request":{"method":"POST","url":"MedicationRequest"}}]}`)
	}
	all := w.Submit.Published()
	if len(all) != 2 || all[0].ID != all[1].ID || !strings.HasSuffix(all[0].ID, ".urn:b|7") {
		t.Errorf("published: %+v", all)
	}
}
