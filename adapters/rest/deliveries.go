package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/dosewire/dosewire/ledger"
)

// extensionDelivery is the extension of an entry that carries what NATS carries in headers.
const extensionDelivery = "https://dosewire.example/fhir/StructureDefinition/delivery"

type extension struct {
	URL         string      `json:"url"`
	ValueString string      `json:"valueString,omitempty"`
	Extension   []extension `json:"extension,omitempty"`
}

type link struct {
	Relation string `json:"relation"`
	URL      string `json:"url"`
}

// bundle is a collection of the deliveries, written by hand around the payloads, which stay byte for
// byte. The next link's cursor acknowledges this page.
func (s *Service) bundle(p pull, page []delivered) ([]byte, error) {
	next, size := p.after, 512
	for _, d := range page {
		next, size = d.Number, size+len(d.body)+1024
	}
	links, err := marshal([]link{{"self", s.pullURL(p.after, p.count)}, {"next", s.pullURL(next, p.count)}})
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, size)
	b = append(b, `{"resourceType":"Bundle","type":"collection","link":`...)
	b = append(b, links...)
	for i, d := range page {
		b = append(b, []string{`,"entry":[`, `,`}[min(i, 1)]...)
		if b, err = appendEntry(b, d); err != nil {
			return nil, err
		}
	}
	if len(page) > 0 {
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

func (s *Service) pullURL(after uint64, count int) string {
	return s.deps.BaseURL + "/fhir/$deliveries?after=" + strconv.FormatUint(after, 10) + "&_count=" + strconv.Itoa(count)
}

func appendEntry(b []byte, d delivered) ([]byte, error) {
	headers, err := marshal(headers(d))
	if err != nil {
		return nil, err
	}
	b = append(b, `{"extension":[`...)
	b = append(b, headers...)
	b = append(b, `],"fullUrl":"urn:uuid:`...)
	b = append(b, entryID(d.Effect).String()...)
	b = append(b, `","resource":`...)
	b = append(b, d.body...)
	return append(b, '}'), nil
}

// marshal is json.Marshal without escapes that a reader of a URL would stumble over.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("rest: encode: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// entryID is the same for a delivery whenever it is pulled: a UUIDv5 of its number for its receiver.
func entryID(e ledger.Effect) uuid.UUID {
	return uuid.NewSHA1(e.Org, strconv.AppendUint([]byte("d."), e.Number, 10))
}

// headers is what NATS carries beside a delivery.
func headers(e delivered) extension {
	x := extension{URL: extensionDelivery}
	add := func(name, value string) { x.Extension = append(x.Extension, extension{URL: name, ValueString: value}) }
	add("number", strconv.FormatUint(e.Number, 10))
	if e.Seq > 0 {
		add("cause", strconv.FormatUint(e.Seq, 10))
	}
	if e.Index != ledger.NoIndex {
		add("index", strconv.FormatUint(e.Index, 10))
	}
	if e.Prescription != (ledger.ID{}) {
		add("prescription", e.Prescription.String())
	}
	if e.Claim > 0 {
		add("claim", strconv.FormatUint(e.Claim, 10))
	}
	if e.State != "" {
		add("state", e.State)
	}
	if e.verdict != "" {
		add("signature", e.verdict)
	}
	for _, in := range e.safety {
		add("safety", in.String())
	}
	return x
}
