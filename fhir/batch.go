package fhir

import "github.com/dosewire/dosewire/internal/fault"

// BundleID is Bundle.identifier as one text, "" if there is none or the root is no Bundle.
func (d *Document) BundleID() string {
	if d.Type() != "Bundle" {
		return ""
	}
	if id := identifierOf(d.root().member("identifier")); id.Value != "" {
		return id.System + "|" + id.Value
	}
	return ""
}

// Unfit is what is wrong with the entries of a batch Bundle before anything in them is read, by
// position: CodeNotServed for one that asks for anything but creating or updating, CodeRequired for
// one that has no resource.
func Unfit(d *Document) map[int]Issue {
	unfit := map[int]Issue{}
	i := 0
	for e := range d.root().member("entry").items() {
		method := e.get("request", "method")
		switch {
		case method.present() && !method.is("POST") && !method.is("PUT"):
			unfit[i] = remark("error", fault.CodeNotServed, e, ".request.method").on(e)
		case !e.member("resource").present():
			unfit[i] = remark("error", fault.CodeRequired, e, ".resource").on(e)
		}
		i++
	}
	return unfit
}
