package hub

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

// judge says what is wrong with a message before anything else is known of it.
type judge func(*fhir.Document) []fhir.Issue

// load reads the profiles. All mistakes at once, of kind Invalid.
func (c FHIR) load() (fhir.Profiles, error) {
	var errs []error
	read := func(path string) []byte {
		text, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, fault.New(fault.Invalid, "config: fhir: a file cannot be read: "+path))
		}
		return text
	}
	var sets [][]byte
	for _, path := range c.ValueSets {
		if text := read(path); text != nil {
			sets = append(sets, text)
		}
	}
	byURL := map[string]*fhir.Profile{}
	var urls []string
	for _, path := range c.Profiles {
		text := read(path)
		if text == nil {
			continue
		}
		p, err := fhir.ParseProfile(text, sets...)
		if err != nil {
			errs = append(errs, fault.New(fault.Invalid, "config: fhir.profiles: "+path+" is not a profile of a resource, or a value set is none").Wrap(err))
			continue
		}
		byURL[p.URL], urls = p, append(urls, p.URL)
	}
	profiles := fhir.Profiles{Closed: len(c.Accept) > 0}
	for _, line := range c.Accept {
		a, err := accepted(line)
		if err != nil {
			errs = append(errs, err)
		}
		a.Profile = byURL[a.URL]
		profiles.List = append(profiles.List, a)
	}
	if !profiles.Closed {
		for _, url := range urls {
			profiles.List = append(profiles.List, fhir.Accepted{URL: url, Profile: byURL[url]})
		}
	}
	return profiles, errors.Join(errs...)
}

// accepted reads "url", "url from" or "url from until". The last day is taken to its end in UTC.
func accepted(line string) (fhir.Accepted, error) {
	fields := strings.Fields(line)
	wrong := fault.New(fault.Invalid, "config: fhir.accept: an entry is not a URL, then a day such as 2026-01-31, then another")
	if len(fields) == 0 || len(fields) > 3 {
		return fhir.Accepted{}, wrong
	}
	a := fhir.Accepted{URL: fields[0]}
	for i, day := range fields[1:] {
		at, err := time.Parse(time.DateOnly, day)
		switch {
		case err != nil:
			return a, wrong
		case i == 0:
			a.From = at
		default:
			a.Until = at.AddDate(0, 0, 1).Add(-time.Nanosecond)
		}
	}
	return a, nil
}

// judging is base R4 and, for what that takes, the profiles as of today.
func judging(p fhir.Profiles, now func() time.Time) judge {
	if len(p.List) == 0 {
		return fhir.Validate
	}
	return func(d *fhir.Document) []fhir.Issue {
		issues := fhir.Validate(d)
		if _, refused := fhir.Refused(issues); refused {
			return issues
		}
		return append(issues, p.Check(d, now())...)
	}
}
