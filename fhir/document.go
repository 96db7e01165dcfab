package fhir

import (
	"log/slog"
	"sync"
	"unicode/utf8"

	"github.com/dosewire/dosewire/internal/fault"
)

// Limits of a body (DESIGN §5).
const (
	MaxBytes = 1 << 20 // of the text
	MaxDepth = 64      // objects and arrays inside each other
	MaxNodes = 100_000 // values of any kind
)

// Document is one body, decoded strictly once: the bytes as received and an index over them. It is
// immutable and safe for concurrent reading. LogValue prints type and size only.
type Document struct {
	body  []byte
	nodes []node

	once  sync.Once
	scope *scope // what references lead to; built when first asked for
}

// Decode reads one JSON object (RFC 8259, and FHIR R4 §2.6.2 where it is stricter). A byte order mark
// is refused: RFC 8259 §8.1 forbids it on the wire, and the pharmacy would get it. The error is a
// *fault.Error (CodeSyntax, CodeEncoding, CodeDuplicateKey, CodeDepth, CodeNodes, CodeTooLarge, and
// CodeStructure for a body that is no object) whose
// Path is "line:column", 1-based and counted in characters.
// body must not be changed afterwards.
func Decode(body []byte) (*Document, error) {
	if len(body) > MaxBytes {
		return nil, fault.Of(fault.CodeTooLarge)
	}
	d := &decoder{body: body, nodes: make([]node, 0, len(body)/22+8)}
	if err := d.decode(); err != nil {
		return nil, err
	}
	return &Document{body: body, nodes: d.nodes}, nil
}

// Decoder decodes one body after the other into the same memory. The zero value is ready. A Document that it
// gave is good until the next; it belongs to one goroutine at a time.
type Decoder struct {
	nodes []node
	doc   Document
}

// Decode is the function of that name.
func (r *Decoder) Decode(body []byte) (*Document, error) {
	if len(body) > MaxBytes {
		return nil, fault.Of(fault.CodeTooLarge)
	}
	d := decoder{body: body, nodes: r.nodes[:0]}
	err := d.decode()
	r.nodes = d.nodes
	if err != nil {
		return nil, err
	}
	r.doc = Document{body: body, nodes: d.nodes}
	return &r.doc, nil
}

// Raw is the body as received.
func (d *Document) Raw() []byte { return d.body }

// Type is the root's resourceType, "" if absent.
func (d *Document) Type() string { return d.root().resourceType() }

// BundleType is Bundle.type, "" if the root is no Bundle or does not say.
func (d *Document) BundleType() string {
	if d.Type() != "Bundle" {
		return ""
	}
	return d.root().get("type").text()
}

// LogValue shows what may be shown of a clinical document. The type is the sender's text, so only a
// resource type that FHIR has is named.
func (d *Document) LogValue() slog.Value {
	name := d.Type()
	if !isResourceType(name) {
		name = "other"
	}
	return slog.GroupValue(slog.String("type", name), slog.Int("bytes", len(d.body)))
}

// String is LogValue's answer for those who print.
func (d *Document) String() string { return d.LogValue().String() }

// place turns an offset into a line and a column.
func place(body []byte, offset int) (line, col int) {
	line, start := 1, 0
	for i, c := range body[:offset] {
		if c == '\n' {
			line, start = line+1, i+1
		}
	}
	return line, utf8.RuneCount(body[start:offset]) + 1
}
