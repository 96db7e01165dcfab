package fhir

import "bytes"

// looksLikeHTML: a tag of HTML in a text that is no XHTML. Whoever shows it unescaped runs it. What stands between
// < and > for another reason, an address of mail or two comparisons, is none.
func looksLikeHTML(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '<')
		if i < 0 || i+1 >= len(text) {
			return false
		}
		text = text[i+1:]
		end := bytes.IndexAny(text, "<>")
		closed := end >= 0 && text[end] == '>'
		if end < 0 {
			end = len(text)
		}
		if isTag(text[:end], closed) {
			return true
		}
	}
}

// isTag judges what stands between < and the next > or <. Something that runs is a tag whatever its name, and
// whatever closes it.
func isTag(inner []byte, closed bool) bool {
	if len(inner) > 0 && inner[0] == '!' {
		return isDeclaration(inner[1:])
	}
	inner = bytes.TrimPrefix(inner, []byte("/"))
	if len(inner) == 0 || !isLetter(inner[0]) {
		return false
	}
	name, rest := inner, []byte(nil)
	if i := bytes.IndexAny(inner, " \t\r\n/"); i >= 0 {
		name, rest = inner[:i], bytes.Trim(inner[i:], " \t\r\n/")
	}
	assigned, handler := attributes(rest)
	if handler {
		return true
	}
	if !closed || !isHTML(name) {
		return false
	}
	return assigned || len(rest) == 0 || len(name) > 1 // words behind one letter are prose
}

// isDeclaration: a comment, a document type, a section.
func isDeclaration(text []byte) bool {
	return bytes.HasPrefix(text, []byte("--")) || bytes.HasPrefix(text, []byte("[CDATA[")) ||
		len(text) >= 7 && bytes.EqualFold(text[:7], []byte("doctype"))
}

// attributes reports whether some name=value is in the text, and whether one handles an event.
func attributes(text []byte) (assigned, handler bool) {
	for {
		i := bytes.IndexByte(text, '=')
		if i < 0 {
			return assigned, handler
		}
		name := bytes.TrimRight(text[:i], " \t\r\n")
		start := len(name)
		for start > 0 && (isLetter(name[start-1]) || isDigit(name[start-1]) || name[start-1] == '-' || name[start-1] == ':') {
			start--
		}
		name = name[start:]
		assigned = assigned || len(name) > 0
		handler = handler || len(name) > 3 && bytes.EqualFold(name[:2], []byte("on"))
		text = text[i+1:]
	}
}

// isHTML reports whether HTML has, or had, an element of that name, in upper or lower case.
func isHTML(name []byte) bool {
	if len(name) > 16 {
		return false
	}
	switch string(bytes.ToLower(name)) {
	case "a", "abbr", "acronym", "address", "applet", "area", "article", "aside", "audio", "b", "base", "basefont", "bdi", "bdo",
		"bgsound", "big", "blink", "blockquote", "body", "br", "button", "canvas", "caption", "center", "cite", "code", "col",
		"colgroup", "data", "datalist", "dd", "del", "details", "dfn", "dialog", "dir", "div", "dl", "dt", "em", "embed", "fieldset",
		"figcaption", "figure", "font", "footer", "form", "frame", "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header",
		"hgroup", "hr", "html", "i", "iframe", "image", "img", "input", "ins", "isindex", "kbd", "keygen", "label", "legend", "li",
		"link", "listing", "main", "map", "mark", "marquee", "math", "menu", "menuitem", "meta", "meter", "nav", "nobr", "noembed",
		"noframes", "noscript", "object", "ol", "optgroup", "option", "output", "p", "param", "picture", "plaintext", "pre",
		"progress", "q", "rp", "rt", "ruby", "s", "samp", "script", "search", "section", "select", "slot", "small", "source", "span",
		"strike", "strong", "style", "sub", "summary", "sup", "svg", "table", "tbody", "td", "template", "textarea", "tfoot", "th",
		"thead", "time", "title", "tr", "track", "tt", "u", "ul", "var", "video", "wbr", "xmp":
		return true
	}
	return false
}
