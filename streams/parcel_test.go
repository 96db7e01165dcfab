package streams_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/dosewire/dosewire/streams"
)

func parcel() []streams.Message {
	return []streams.Message{
		{ID: "a.1", Subject: "rx.intake.a.Bundle", Header: nats.Header{"Rx-Claim": {"3"}, "traceparent": {"x", "y"}}, Body: []byte(`{"a":1}`)},
		{ID: "", Subject: "rx.intake.b.MedicationRequest", Body: bytes.Repeat([]byte("é"), 300)},
		{ID: "hub.1", Subject: "rx.fact.organization", Body: []byte{}},
	}
}

func TestParcel(t *testing.T) {
	packed := streams.Pack(parcel())
	got, err := streams.Unpack(packed)
	if err != nil || !reflect.DeepEqual(got, parcel()) {
		t.Errorf("got %+v, %v", got, err)
	}
	for n := range packed { // cut anywhere it is no parcel, or has fewer messages
		if cut, err := streams.Unpack(packed[:n]); err == nil && len(cut) >= len(got) {
			t.Errorf("cut at %d: %d messages", n, len(cut))
		}
	}
}

// What an organisation could make the server write on the parcels' subject has no id of the hub's.
func TestOnlyTheHubMakesParcels(t *testing.T) {
	h := startHub(t)
	forged := nats.NewMsg(streams.FactSubject("parcel"))
	forged.Data = streams.Pack(parcel())
	forged.Header.Set(streams.HeaderMsgID, "org.1")
	if _, err := h.js.PublishMsg(t.Context(), forged); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, h, streams.Intake, 1)
	if len(got) != 1 || got[0].Subject != streams.FactSubject("parcel") {
		t.Errorf("a stranger's parcel was opened: %+v", got)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(streams.Pack(parcel()))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, err := streams.Unpack(b)
		if err != nil {
			return
		}
		again, err := streams.Unpack(streams.Pack(messages))
		if err != nil || !reflect.DeepEqual(again, messages) {
			t.Errorf("packed again: %+v, %v", again, err)
		}
	})
}
