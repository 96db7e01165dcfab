package directory_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/internal/auth"
	"github.com/dosewire/dosewire/internal/directory"
	"github.com/dosewire/dosewire/ledger"
)

func id(n byte) ledger.ID { return ledger.ID{15: n} }

func npi(v string) ledger.Identifier { return ledger.Identifier{System: "urn:npi", Value: v} }

func TestClient(t *testing.T) {
	clinic := ledger.Organization{ID: id(1), Kind: "clinic"}
	client := ledger.Client{ID: id(9), Org: id(1), Secret: ledger.Hash{5}}
	for _, c := range []struct {
		name   string
		org    ledger.Organization
		client ledger.Client
		ask    ledger.ID
		ok     bool
	}{
		{"known", clinic, client, id(9), true},
		{"unknown", clinic, client, id(8), false},
		{"disabled client", clinic, ledger.Client{ID: id(9), Org: id(1), Disabled: true}, id(9), false},
		{"disabled organisation", ledger.Organization{ID: id(1), Kind: "clinic", Disabled: true}, client, id(9), false},
		{"organisation not there", ledger.Organization{ID: id(2), Kind: "clinic"}, client, id(9), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := directory.New([]ledger.Organization{c.org}, []ledger.Client{c.client})
			secret, org, role, ok := d.Client(c.ask)
			if ok != c.ok {
				t.Fatalf("ok = %v", ok)
			}
			if ok && (secret != [32]byte{5} || org != id(1) || role != auth.Clinic) {
				t.Errorf("got %v %v %v", secret, org, role)
			}
			if !ok && (secret != [32]byte{} || org != uuid.Nil || role != "") {
				t.Errorf("a refused client shows %v %v %v", secret, org, role)
			}
		})
	}
}

func TestByIdentifier(t *testing.T) {
	d := directory.New([]ledger.Organization{
		{ID: ledger.ID{}, Name: "hub"},
		{ID: id(2), Name: "younger", Identifiers: []ledger.Identifier{npi("1"), npi("2")}},
		{ID: id(1), Name: "older", Identifiers: []ledger.Identifier{npi("1")}},
	}, nil)
	for value, want := range map[string]string{"1": "older", "2": "younger", "3": "", "": ""} {
		if o, ok := d.ByIdentifier("urn:npi", value); o.Name != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", value, o.Name, ok, want)
		}
	}
	d.Apply([]ledger.Organization{{ID: id(2), Name: "younger", Identifiers: []ledger.Identifier{npi("3")}}}, nil)
	if _, ok := d.ByIdentifier("urn:npi", "2"); ok {
		t.Error("an identifier that was given up still leads to its organisation")
	}
	if o, _ := d.ByIdentifier("urn:npi", "3"); o.Name != "younger" {
		t.Errorf("a new identifier leads to %q", o.Name)
	}
}

func TestApplyReplacesAndCopies(t *testing.T) {
	mine := []ledger.Identifier{npi("1")}
	d := directory.New([]ledger.Organization{{ID: id(1), Name: "a", Identifiers: mine}, {ID: id(2), Name: "b"}}, nil)
	mine[0] = npi("changed by the caller")
	if o, _ := d.Organization(id(1)); o.Identifiers[0] != npi("1") {
		t.Error("the caller's slice is shared")
	}
	d.Apply([]ledger.Organization{{ID: id(2), Name: "A"}}, nil)
	var names []string
	for _, o := range d.Organizations() {
		names = append(names, o.Name)
	}
	if len(names) != 2 || names[0] != "A" || names[1] != "a" {
		t.Errorf("names %q, want [A a]", names)
	}
}

func TestReadersSeeWholeSnapshots(t *testing.T) {
	d := directory.New(nil, nil)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				// a client and its organisation are applied together
				if _, known := d.Organization(id(200)); known {
					if _, _, _, ok := d.Client(id(200)); !ok {
						t.Error("the organisation is there without its client")
						return
					}
				}
			}
		})
	}
	var writers sync.WaitGroup
	for n := byte(1); n <= 200; n++ {
		writers.Go(func() {
			d.Apply([]ledger.Organization{{ID: id(n), Kind: "clinic"}}, []ledger.Client{{ID: id(n), Org: id(n)}})
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if got := len(d.Organizations()); got != 200 {
		t.Errorf("%d organisations, want 200: a change was lost", got)
	}
}
