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
			if t.Name.Space != xhtml && t.Name.Space != "" || depth == 0 && t.Name.Local != "div" || !isFormatting(t.Name.Local) || !harmless(t) {
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

// harmless judges attributes: those of formatting, and no link that does something.
func harmless(t xml.StartElement) bool {
	for _, a := range t.Attr {
		name := a.Name.Local
		switch {
		case name == "xmlns" || a.Name.Space == "xmlns":
			continue
		case !isFormattingAttribute(name):
			return false
		case name == "href" || name == "src" || name == "cite":
			scheme, _, ok := strings.Cut(strings.ToLower(strings.TrimSpace(a.Value)), ":")
			if ok && strings.ContainsAny("javascript vbscript", scheme) && (scheme == "javascript" || scheme == "vbscript") {
				return false
			}
		}
	}
	return true
}

func isFormattingAttribute(name string) bool {
	switch name {
	case "id", "class", "style", "title", "lang", "dir", "name", "href", "rel", "rev", "hreflang", "charset", "type", "target",
		"accesskey", "tabindex", "shape", "coords", "nohref", "src", "alt", "longdesc", "height", "width", "usemap", "ismap", "border",
		"hspace", "vspace", "cite", "datetime", "align", "valign", "char", "charoff", "span", "abbr", "axis", "headers", "scope",
		"rowspan", "colspan", "nowrap", "bgcolor", "background", "summary", "frame", "rules", "cellspacing", "cellpadding",
		"start", "value", "compact", "color", "face", "size", "noshade", "clear", "space":
		return true
	}
	return false
}
