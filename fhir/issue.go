package fhir

import (
	"errors"
	"strconv"
	"strings"

	"github.com/dosewire/dosewire/internal/fault"
)

// Issue is one fault or remark. ID is a fault.Code; Text never shows a value.
type Issue struct {
	Severity   string // fatal | error | warning | information
	Code       string // FHIR IssueType
	ID         string // fault.Code, or a FHIR constraint id such as tim-2
	Text       string
	Expression string // FHIRPath with indexes, e.g. Bundle.entry[1].resource.status
	Line, Col  int    // 1-based; 0 unknown
}

func (i Issue) refuses() bool { return i.Severity == "error" || i.Severity == "fatal" }

// Refused reports whether any issue is an error, and the HTTP status of the worst: the highest of
// the errors' statuses. A broken constraint of FHIR counts as RX_INVARIANT. status is 0 when nothing
// is refused.
func Refused(issues []Issue) (status int, refused bool) {
	for _, i := range issues {
		if !i.refuses() {
			continue
		}
		entry, ok := fault.Lookup(fault.Code(i.ID))
		if !ok {
			entry, _ = fault.Lookup(fault.CodeInvariant)
		}
		status, refused = max(status, entry.Status), true
	}
	return status, refused
}

// IssueOf turns any error into an issue: a *fault.Error by its code, one without a code by its kind
// where that says whether a retry helps, others as CodeInternal without their text.
func IssueOf(err error) Issue {
	code := fault.CodeOf(err)
	entry, ok := fault.Lookup(code)
	if !ok {
		code = fault.CodeInternal
		if fault.KindOf(err) == fault.Unavailable {
			code = fault.CodeUnavailable
		}
		entry, _ = fault.Lookup(code)
	}
	issue := Issue{Severity: "error", Code: entry.Issue, ID: string(code), Text: entry.Title}
	if errors.Is(err, errNoObject) {
		issue.Text = "The body is not a JSON object."
	}
	if path := pathOf(err); code != fault.CodeInternal && path != "" {
		issue.place(path)
	}
	return issue
}

// pathOf is the place of the outermost fault in the chain.
func pathOf(err error) string {
	for err != nil {
		if f, ok := err.(*fault.Error); ok {
			return f.Path()
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return ""
		}
		err = u.Unwrap()
	}
	return ""
}

// place takes "line:column" apart; any other path is an expression.
func (i *Issue) place(path string) {
	l, c, ok := strings.Cut(path, ":")
	line, err1 := strconv.Atoi(l)
	col, err2 := strconv.Atoi(c)
	if ok && err1 == nil && err2 == nil {
		i.Line, i.Col = line, col
		return
	}
	i.Expression = path
}

// remark is an issue of the catalogue at e, of whichever severity; below names an absent member.
func remark(severity string, code fault.Code, e element, below string) Issue {
	return catalogued(severity, code, e.expression()+below)
}

// catalogued is an issue with the catalogue's words.
func catalogued(severity string, code fault.Code, expression string) Issue {
	entry, _ := fault.Lookup(code)
	return Issue{Severity: severity, Code: entry.Issue, ID: string(code), Text: entry.Title, Expression: expression}
}

// on adds the line and column of e. That takes a look at all text before it, so only issues whose
// number is bounded have them.
func (i Issue) on(e element) Issue {
	if e.present() {
		i.Line, i.Col = place(e.doc.body, int(e.node().start))
	}
	return i
}

// expression is the FHIRPath of e with indexes, found by walking down to it. A choice is called by
// its element's name (MedicationRequest.medication), a name that FHIR does not have by none: a sender
// chose it, and it can be a patient's. "" for what is absent.
func (e element) expression() string {
	if !e.present() {
		return ""
	}
	var b strings.Builder
	here := e.doc.root()
	name := here.get("resourceType").text()
	if !isResourceType(name) {
		name = "Resource"
	}
	b.WriteString(name)
	def := types()[name]
	for here.at != e.at {
		def = here.step(&b, e.at, def)
		here = here.towards(e.at)
	}
	return b.String()
}

// towards is the direct member or element of e in whose subtree the node at stands.
func (e element) towards(at uint32) element {
	i := e.at + 1
	for e.doc.nodes[i].next <= at {
		i = e.doc.nodes[i].next
	}
	return element{e.doc, i}
}

// step writes the way from e towards the node at, and returns the type that stands there, nil when
// the table does not know it.
func (e element) step(b *strings.Builder, at uint32, def *typeDef) *typeDef {
	next := e.towards(at)
	if e.kind() == array {
		index := 0
		for i := range e.items() {
			if i.at == next.at {
				break
			}
			index++
		}
		b.WriteByte('[')
		b.WriteString(strconv.Itoa(index))
		b.WriteByte(']')
	} else {
		def = next.writeName(b, def)
	}
	if own := next.get("resourceType"); own.present() {
		return types()[own.text()]
	}
	return def
}

func (e element) writeName(b *strings.Builder, def *typeDef) *typeDef {
	name, under := strings.CutPrefix(e.name(), "_")
	var below *typeDef
	known := name == "resourceType" && !under
	if def != nil {
		if m, ok := def.member(name); ok {
			name, below, known = def.elements[m.element].name, m.def, true
			if under {
				below = types()["Element"]
			}
		}
	}
	if known {
		b.WriteByte('.')
		b.WriteString(name)
	}
	return below
}
