package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dosewire/dosewire/fhir"
)

// form is how judgements are printed.
type form struct {
	json  bool
	quiet bool // refused ones only
}

// judgement is what is said of one resource.
type judgement struct {
	File   string    `json:"file"`
	Line   int       `json:"line,omitempty"` // of NDJSON
	Type   string    `json:"type,omitempty"` // "" = none that FHIR R4 has
	Valid  bool      `json:"valid"`
	Issues []finding `json:"issues"`
}

// finding is one issue and its place in the file.
type finding struct {
	remark
	Line int `json:"line,omitempty"`
	Col  int `json:"col,omitempty"`
}

// judge fills in what is to be printed and counted.
func (b *batch) judge(f form) {
	lines := json.NewEncoder(&b.out)
	for _, u := range b.units {
		j := u.judge(b.text[u.start:u.end])
		b.count.add(j.tally())
		b.count.bytes += uint64(u.end - u.start)
		switch {
		case f.quiet && j.Valid:
		case f.json:
			_ = lines.Encode(j) // strings and numbers, into memory
		default:
			j.text(&b.out)
		}
	}
}

func (u unit) judge(body []byte) judgement {
	kind, issues := examine(body)
	_, refused := fhir.Refused(issues)
	j := judgement{File: u.file, Line: u.line, Type: kind, Valid: !refused, Issues: make([]finding, len(issues))}
	for i, issue := range issues {
		j.Issues[i] = finding{
			remark: remark{Severity: issue.Severity, Code: issue.ID, Text: issue.Text, Expression: issue.Expression},
			Line:   issue.Line, Col: issue.Col,
		}
		if u.line > 0 {
			j.Issues[i].Line = u.line // a line of NDJSON has no others inside
		}
	}
	return j
}

func examine(body []byte) (resourceType string, issues []fhir.Issue) {
	doc, err := fhir.Decode(body)
	if err != nil {
		return "", []fhir.Issue{fhir.IssueOf(err)}
	}
	return typeOf(doc), fhir.Validate(doc)
}

// typeOf is the resource's type as a log may show it: the sender's word may be anything.
func typeOf(d *fhir.Document) string {
	for _, attr := range d.LogValue().Group() {
		if name := attr.Value.String(); attr.Key == "type" && name == d.Type() {
			return name
		}
	}
	return ""
}

func (j judgement) tally() tally {
	t := tally{resources: 1}
	if !j.Valid {
		t.refused++
	}
	for _, i := range j.Issues {
		if i.Severity == "warning" {
			t.warnings++
		}
	}
	return t
}

func (j judgement) text(w *bytes.Buffer) {
	for _, i := range j.Issues {
		w.WriteString(printable(j.File))
		for _, n := range []int{i.Line, i.Col} {
			if n > 0 {
				fmt.Fprintf(w, ":%d", n)
			}
		}
		fmt.Fprintf(w, ": %s %s: %s", i.Severity, i.Code, i.Text)
		if i.Expression != "" {
			fmt.Fprintf(w, " (%s)", i.Expression)
		}
		w.WriteByte('\n')
	}
}

// printable is a text with a file's name in it as a terminal may show it: a control character would do something
// there.
func printable(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) < 0 {
		return text
	}
	quoted := strconv.QuoteToGraphic(text)
	return quoted[1 : len(quoted)-1]
}
