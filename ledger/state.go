package ledger

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// StateTables are the tables that decisions alone make, in the order in which they are read. All that is in
// them can be made again from the sealed records.
var StateTables = [...]string{"organization", "client", "nomination", "prescription", "fill", "dispense", "delivered",
	"message", "hold", "patient_request", "patient_link"}

// StateRow is one row of a state table as text. Two rows are the same if and only if their texts are.
type StateRow struct {
	Table string
	Key   string // the primary key as text; no patient's or client's words
	Text  string // every column, as one JSON object
}

// StateReader reads the state tables. Safe for concurrent use.
type StateReader interface {
	// State calls begin with the head, then row with each row of each of StateTables in order, all of one
	// moment. Memory of messages that left no record, and of erased ones, is passed by. An error of either
	// function ends it and is returned.
	State(ctx context.Context, begin func(Head) error, row func(StateRow) error) error
}

// columns builds a row's text in a fixed order.
type columns struct{ b []byte }

func (c *columns) put(name string, value any) *columns {
	if len(c.b) == 0 {
		c.b = append(c.b, '{')
	} else {
		c.b = append(c.b, ',')
	}
	c.b = append(strconv.AppendQuote(c.b, name), ':')
	switch v := value.(type) {
	case ID:
		if v == (ID{}) {
			c.b = append(c.b, "null"...)
			return c
		}
		value = v.String()
	case Hash:
		if v == (Hash{}) {
			c.b = append(c.b, "null"...)
			return c
		}
		value = hex.EncodeToString(v[:])
	case []byte:
		value = string(v)
		if !utf8.Valid(v) { // nothing that we wrote
			value = `\x` + hex.EncodeToString(v)
		}
	}
	text, _ := json.Marshal(value) // ids, texts and numbers only: cannot fail
	c.b = append(c.b, text...)
	return c
}

func (c *columns) row(table, key string) StateRow {
	return StateRow{Table: table, Key: key, Text: string(append(c.b, '}'))}
}

func (k Key) text() string { return k.Org.String() + "/" + hex.EncodeToString(k.Hash[:]) }

// StateRow is p as its row in table prescription.
func (p Prescription) StateRow() StateRow {
	return new(columns).put("id", p.ID).put("clinic", p.Clinic).put("patient", p.Patient).put("record", p.Record).
		put("status", p.Status).put("pharmacy", p.Pharmacy).put("holder", p.Holder).put("claim", p.Claim).
		put("fills_allowed", p.FillsAllowed).put("fills_done", p.FillsDone).put("identity", p.Identity).put("group_id", p.Group).
		put("due_at", p.DueAt).put("version", p.Version).put("therapy", hex.EncodeToString(p.Therapy)).
		put("state", p.State).row("prescription", p.ID.String())
}

// StateRow is f as its row in table fill.
func (f Fill) StateRow() StateRow {
	return new(columns).put("prescription", f.Prescription).put("number", f.Number).put("pharmacy", f.Pharmacy).
		put("claim", f.Claim).put("record", f.Record).row("fill", f.Prescription.String()+"/"+strconv.Itoa(f.Number))
}

// StateRow is d as its row in table dispense.
func (d Dispense) StateRow() StateRow {
	return new(columns).put("pharmacy", d.Org).put("hash", d.Hash).put("resource", d.Resource).put("prescription", d.Prescription).
		put("claim", d.Claim).put("status", d.Status).put("version", d.Version).row("dispense", d.Key.text())
}

// StateRow is d as its row in table delivered.
func (d Delivered) StateRow() StateRow {
	return new(columns).put("pharmacy", d.Pharmacy).put("prescription", d.Prescription).put("identifier", d.Identifier).
		put("local", d.Local).row("delivered", d.Pharmacy.String()+"/"+d.Prescription.String())
}

// StateRow is n as its row in table nomination.
func (n Nomination) StateRow() StateRow {
	return new(columns).put("patient", n.Patient).put("pharmacy", n.Pharmacy).row("nomination", n.Patient.String())
}

// StateRow is o as its rows in tables organization and organization_identifier.
func (o Organization) StateRow() StateRow {
	identifiers := append([]Identifier{}, o.Identifiers...)
	intents := append([]string{}, o.Intents...)
	return new(columns).put("id", o.ID).put("kind", o.Kind).put("name", o.Name).put("sandbox", o.Sandbox).
		put("identifiers", identifiers).put("intents", intents).put("disabled", o.Disabled).put("signature", o.Signature).
		put("anchors", o.Anchors).row("organization", o.ID.String())
}

// StateRow is c as its row in table client.
func (c Client) StateRow() StateRow {
	return new(columns).put("id", c.ID).put("org", c.Org).put("secret", c.Secret).put("disabled", c.Disabled).row("client", c.ID.String())
}

// StateRow is m as its row in table message.
func (m Message) StateRow() StateRow {
	return new(columns).put("org", m.Org).put("hash", m.Hash).put("body", m.Body).put("record", m.Record).put("seq", m.Seq).
		put("answer", m.Answer).row("message", m.Key.text())
}

// StateRow is h as its row in table hold.
func (h Hold) StateRow() StateRow {
	return new(columns).put("id", h.ID).put("org", h.Org).put("patient", h.Patient).put("time", h.Time).row("hold", h.ID.String())
}

// StateRow is r as its row in table patient_request.
func (r PatientRequest) StateRow() StateRow {
	return new(columns).put("id", r.ID).put("patient", r.Patient).put("kind", r.Kind).put("time", r.Time).
		row("patient_request", r.ID.String())
}

// StateRow is l as its row in table patient_link.
func (l PatientLink) StateRow() StateRow {
	return new(columns).put("patient", l.Patient).put("person", l.Person).row("patient_link", l.Patient.String())
}
