package fhir

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// narrative judges Narrative.div: well-formed XHTML with formatting only (txt-1), and something to be read
// or seen (txt-2). A div that names no namespace is taken for XHTML: in JSON it can be nothing else.
func (v *validator) narrative(e element, r *rule) {
	if e.kind() != str {
		return
	}
	something, ok := readNarrative(e.text())
	switch {
	case !ok:
		v.broken(r, e)
	case !something:
		v.broken(&rule{key: "txt-2", text: "The narrative has some content."}, e)
	}
}

const xhtml = "http://www.w3.org/1999/xhtml"

// readNarrative reports whether the text is such XHTML, and whether it shows anything.
func readNarrative(text string) (something, ok bool) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Entity = xml.HTMLEntity
	depth, roots := 0, 0
	for {
		start := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return something, roots == 1
		}
		if err != nil {
			return something, false
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			if t.Name.Space != xhtml && t.Name.Space != "" || depth == 0 && t.Name.Local != "div" || !isFormatting(t.Name.Local) ||
				!apart(text[start:d.InputOffset()]) || !distinctNames(t.Attr) || !harmless(t) {
				return something, false
			}
			something = something || t.Name.Local == "img"
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			blank := strings.TrimSpace(string(t)) == ""
			if depth == 0 && !blank {
				return something, false
			}
			something = something || !blank
		case xml.Directive, xml.ProcInst:
			return something, false
		}
	}
}

// isFormatting: the elements of HTML 4.0 chapters 7 to 11 and 15, without 9.4, and a, img, map, area.
func isFormatting(name string) bool {
	switch name {
	case "div", "span", "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "address", "bdo",
		"em", "strong", "cite", "dfn", "code", "samp", "kbd", "var", "abbr", "acronym", "blockquote", "q", "sub", "sup", "pre",
		"ul", "ol", "li", "dl", "dt", "dd",
		"table", "caption", "thead", "tfoot", "tbody", "colgroup", "col", "tr", "th", "td",
		"tt", "i", "b", "big", "small", "strike", "s", "u", "font", "center",
		"a", "img", "map", "area":
		return true
	}
	return false
}

// apart reports whether white space stands before each attribute of a start tag (XML 1.0 §3.1), which
// encoding/xml does not ask.
func apart(tag string) bool {
	var quote byte
	for i := range len(tag) {
		switch c := tag[i]; {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
			if next := tag[i+1]; next != '>' && next != '/' && next != ' ' && next != '\t' && next != '\n' && next != '\r' {
				return false
			}
		}
	}
	return true
}

// distinctNames: no attribute is given twice (XML 1.0 §3.1), which encoding/xml does not ask either.
func distinctNames(attributes []xml.Attr) bool {
	const few = 8
	if len(attributes) <= few {
		for i, a := range attributes {
			for _, b := range attributes[:i] {
				if a.Name == b.Name {
					return false
				}
			}
		}
		return true
	}
	seen := make(map[xml.Name]struct{}, len(attributes))
	for _, a := range attributes {
		seen[a.Name] = struct{}{}
	}
	return len(seen) == len(attributes)
}

// xmlNamespace is that of xml:lang and xml:space, the only attributes with a prefix that HTML's formatting has.
const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// harmless judges attributes: those of formatting, and no link that does something.
func harmless(t xml.StartElement) bool {
	for _, a := range t.Attr {
		name := a.Name.Local
		switch {
		case name == "xmlns" && a.Name.Space == "" || a.Name.Space == "xmlns":
			continue
		case a.Name.Space == xmlNamespace:
			if name != "lang" && name != "space" {
				return false
			}
		case a.Name.Space != "" || !isFormattingAttribute(name):
			return false
		case name == "href" || name == "src" || name == "cite" || name == "longdesc" || name == "background":
			if runs(a.Value, name == "src" || name == "background") {
				return false
			}
		}
	}
	return true
}

// runs reports whether a browser would run what a link leads to, or show it as a page of whom it stands with. It
// reads over control characters and spaces in front, and over line feeds and tabs anywhere.
func runs(link string, image bool) bool {
	scheme, rest, ok := strings.Cut(strings.TrimLeftFunc(link, func(r rune) bool { return r <= ' ' }), ":")
	if !ok {
		return false
	}
	switch strings.ToLower(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(scheme)) {
	case "javascript", "vbscript":
		return true
	case "data":
		return !image || !strings.HasPrefix(strings.ToLower(rest), "image/")
	}
	return false
}

func isFormattingAttribute(name string) bool {
	switch name {
	case "id", "class", "style", "title", "lang", "dir", "name", "href", "rel", "rev", "hreflang", "charset", "type", "target",
		"accesskey", "tabindex", "shape", "coords", "nohref", "src", "alt", "longdesc", "height", "width", "usemap", "ismap", "border",
		"hspace", "vspace", "cite", "datetime", "align", "valign", "char", "charoff", "span", "abbr", "axis", "headers", "scope",
		"rowspan", "colspan", "nowrap", "bgcolor", "background", "summary", "frame", "rules", "cellspacing", "cellpadding",
		"start", "value", "compact", "color", "face", "size", "noshade", "clear":
		return true
	}
	return false
}
