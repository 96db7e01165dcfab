package fhir

import (
	"bytes"

	"github.com/dosewire/dosewire/internal/fault"
)

func bundleRules(add adder) {
	typed := func(e element, names ...string) bool {
		for _, name := range names {
			if e.member("type").is(name) {
				return true
			}
		}
		return false
	}
	add("bdl-1", "There is a total only in a searchset or history.", func(e element) bool {
		return !e.has("total") || typed(e, "searchset", "history")
	}, "total")
	add("bdl-2", "An entry has a search only in a searchset.", func(e element) bool {
		return typed(e, "searchset") || !anyEntry(e, "search")
	}, "entry")
	add("bdl-3", "Each entry has a request in a batch, transaction or history, and in no other Bundle.", func(e element) bool {
		if typed(e, "batch", "transaction", "history") {
			return everyEntry(e, "request")
		}
		return !anyEntry(e, "request")
	}, "entry")
	add("bdl-4", "Each entry has a response in a batch-response, transaction-response or history, and in no other Bundle.", func(e element) bool {
		if typed(e, "batch-response", "transaction-response", "history") {
			return everyEntry(e, "response")
		}
		return !anyEntry(e, "response")
	}, "entry")
	add.anyOf("bdl-5", "An entry has a resource, a request or a response.", "resource", "request", "response")
	add("bdl-8", "A fullUrl does not name a version.", func(e element) bool {
		return !bytes.Contains(e.member("fullUrl").inner(), []byte("/_history/"))
	}, "fullUrl")
	add("bdl-9", "A document has an identifier with a system and a value.", func(e element) bool {
		id := e.member("identifier")
		return !typed(e, "document") || id.has("system") && id.has("value")
	})
	add("bdl-10", "A document has a timestamp.", func(e element) bool {
		return !typed(e, "document") || e.member("timestamp").present()
	})
	add("bdl-11", "The first resource of a document is a Composition.", func(e element) bool {
		return !typed(e, "document") || firstEntry(e).get("resource", "resourceType").is("Composition")
	})
	add("bdl-12", "The first resource of a message is a MessageHeader.", func(e element) bool {
		return !typed(e, "message") || firstEntry(e).get("resource", "resourceType").is("MessageHeader")
	})
}

func firstEntry(bundle element) element {
	for entry := range bundle.member("entry").items() {
		return entry
	}
	return element{}
}

func anyEntry(bundle element, name string) bool {
	for entry := range bundle.member("entry").items() {
		if entry.has(name) {
			return true
		}
	}
	return false
}

func everyEntry(bundle element, name string) bool {
	for entry := range bundle.member("entry").items() {
		if !entry.has(name) {
			return false
		}
	}
	return true
}

// fullURLs judges what references lead to: absolute (R4 §2.36.4), and one resource for each (several versions
// of one may share theirs).
func (v *validator) fullURLs(bundle element, r *rule) {
	entries := bundle.member("entry")
	given := versions{seen: make(map[string]element, entries.count())}
	history := bundle.member("type").is("history")
	for entry := range entries.items() {
		url := entry.member("fullUrl")
		if url.kind() != str {
			continue
		}
		text := url.text()
		if !absolute(text) || text == "urn:uuid:" {
			v.fail(fault.CodeValue, url, "")
		}
		if !history && given.again(text, entry) {
			v.broken(r, url)
		}
	}
	v.included(bundle)
}

// versions are the names of the entries so far. Few names are given twice, so what version an entry has is looked
// for when its name is.
type versions struct {
	seen map[string]element // the first entry of a name, absent when its version is in all
	all  map[[2]string]struct{}
}

// again reports whether an entry of that name and version was there before.
func (s *versions) again(name string, entry element) bool {
	first, twice := s.seen[name]
	if !twice {
		s.seen[name] = entry
		return false
	}
	if s.all == nil {
		s.all = map[[2]string]struct{}{}
	}
	if first.present() {
		s.all[[2]string{name, versionOf(first)}] = struct{}{}
		s.seen[name] = element{}
	}
	key := [2]string{name, versionOf(entry)}
	_, twice = s.all[key]
	s.all[key] = struct{}{}
	return twice
}

func versionOf(entry element) string { return entry.get("resource", "meta", "versionId").text() }
