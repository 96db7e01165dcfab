package streams_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/dosewire/dosewire/streams"
)

// TestAnswerJSON holds the writing by hand against encoding/json, with every field set or not.
func TestAnswerJSON(t *testing.T) {
	same := func(a streams.Answer, issues []string, bare uint16) bool {
		a.Status, a.Issues = a.Status&0x7fffffff, nil
		for i := range a.Resources {
			r := &a.Resources[i]
			r.Version, r.Status, r.Issues = r.Version&0xffff, r.Status&0xfff, r.Issues&0xff
		}
		if len(issues) > 0 {
			a.Issues, _ = json.Marshal(issues)
		}
		v := reflect.ValueOf(&a).Elem()
		for i := range v.NumField() {
			if bare>>i&1 == 1 {
				v.Field(i).SetZero()
			}
		}
		for i := range a.Resources {
			r := reflect.ValueOf(&a.Resources[i]).Elem()
			for f := range r.NumField() {
				if rand.IntN(2) == 0 {
					r.Field(f).SetZero()
				}
			}
		}
		want, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.JSON(); string(got) != string(want) {
			t.Errorf("got  %s\nwant %s", got, want)
			return false
		}
		return true
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 2000}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{`a"b`, `a\b`, "a<b>&c", "a\nb\x00", "ä\u2028", "\xff", "plain text of ASCII"} {
		same(streams.Answer{Code: s, Resources: []streams.Resource{{Type: s, State: s}}}, []string{s}, 0)
	}
}
