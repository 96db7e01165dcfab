package streams

import (
	"encoding/json"
	"strconv"
)

// JSON is a as json.Marshal has it, in a fraction of its time. Issues must be what json.Marshal makes: they are
// copied as they are.
func (a *Answer) JSON() []byte {
	t := make(text, 0, 512+len(a.Issues))
	t = append(t, '{')
	t.string("c", a.Correlation)
	t.number("status", uint64(a.Status), true)
	t.string("code", a.Code)
	t.bool("replayed", a.Replayed)
	if a.Index != nil {
		t.number("index", *a.Index, true)
	}
	t.string("leaf", a.Leaf)
	t.string("record", a.Record)
	if len(a.Resources) > 0 {
		t.key("resources")
		for i := range a.Resources {
			t = append(t, "[,"[min(i, 1)])
			a.Resources[i].json(&t)
		}
		t = append(t, ']')
	}
	t.string("signature", a.Signature)
	if len(a.Issues) > 0 {
		t.key("issues")
		t = append(t, a.Issues...)
	}
	return append(t, '}')
}

func (r *Resource) json(t *text) {
	*t = append(*t, '{')
	t.key("type")
	t.quote(r.Type)
	t.string("id", r.ID)
	t.number("version", uint64(r.Version), false)
	t.string("rx", r.Rx)
	t.string("state", r.State)
	t.number("claim", r.Claim, false)
	t.bool("holding", r.Holding)
	t.number("status", uint64(r.Status), true)
	t.string("code", r.Code)
	t.number("issues", uint64(r.Issues), false)
	*t = append(*t, '}')
}

// text is a JSON object being written. What is empty is left out, but for numbers that are always told.
type text []byte

func (t *text) key(name string) {
	if (*t)[len(*t)-1] != '{' {
		*t = append(*t, ',')
	}
	*t = append(append(append(*t, '"'), name...), '"', ':')
}

func (t *text) string(name, value string) {
	if value != "" {
		t.key(name)
		t.quote(value)
	}
}

func (t *text) number(name string, value uint64, always bool) {
	if value != 0 || always {
		t.key(name)
		*t = strconv.AppendUint(*t, value, 10)
	}
}

func (t *text) bool(name string, value bool) {
	if value {
		t.key(name)
		*t = append(*t, "true"...)
	}
}

// quote leaves whatever may need an escape to encoding/json.
func (t *text) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string: cannot fail
			*t = append(*t, quoted...)
			return
		}
	}
	*t = append(append(append(*t, '"'), s...), '"')
}
