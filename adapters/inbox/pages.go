package inbox

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

// pages are the parsed templates and the files that go with them.
type pages struct {
	templates map[string]*template.Template
	files     map[string]file
}

type file struct {
	body []byte
	kind string
	tag  string // ETag
}

// message is a page that only says something.
type message struct {
	Title string
	Lines []string
	Home  bool // offer the way to the list
	Again bool // offer to try again
}

// frame is what every page is put into.
type frame struct {
	Title  string
	Signed bool
	Page   any
}

// page names and titles.
func titles() map[string]string {
	return map[string]string{
		"list.html": "Your prescriptions", "detail.html": "Prescription",
		"check.html": "Check this record", "code.html": "Collect code", "landing.html": "Open your inbox",
		"join.html": "Add prescriptions", "part.html": "Remove from this inbox", "message.html": "Prescription inbox",
	}
}

// parsePages parses everything once; pages write times in zone.
func parsePages(zone *time.Location) (*pages, error) {
	p := &pages{templates: map[string]*template.Template{}, files: map[string]file{}}
	for name := range titles() {
		t, err := template.New(name).Funcs(functions(zone)).ParseFS(web, "web/layout.html", "web/parts.html", "web/"+name)
		if err != nil {
			return nil, fmt.Errorf("inbox: template: %w", err)
		}
		p.templates[name] = t
	}
	err := fs.WalkDir(web, "web", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Ext(name) == ".html" && path.Base(name) != "offline.html" {
			return err
		}
		b, err := web.ReadFile(name)
		sum := sha256.Sum256(b)
		p.files[path.Base(name)] = file{b, kindOf(name), `"` + hex.EncodeToString(sum[:8]) + `"`}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("inbox: files: %w", err)
	}
	return p, nil
}

func kindOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".webmanifest":
		return "application/manifest+json"
	}
	return "text/html; charset=utf-8"
}

// static serves the files of the web folder; they hold nothing about anybody. Browsers keep them and
// ask whether they changed.
func (p *pages) static(w http.ResponseWriter, r *http.Request) {
	f, ok := p.files[path.Base(r.URL.Path)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// render writes a page whole or not at all.
func (a *app) render(w http.ResponseWriter, r *http.Request, status int, name string, page any) {
	f := frame{Title: titles()[name], Page: page, Signed: name != "landing.html" && name != "message.html"}
	if m, ok := page.(message); ok {
		f.Title = m.Title
	}
	var b bytes.Buffer
	if err := a.pages.templates[name].ExecuteTemplate(&b, "layout.html", f); err != nil {
		// A template error may quote a value, so its text goes nowhere.
		a.log.LogAttrs(r.Context(), slog.LevelError, "inbox: template failed", slog.String("route", name))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the client may be gone; there is nobody left to tell
}

func functions(zone *time.Location) template.FuncMap {
	return template.FuncMap{
		"stamp":    func(t time.Time) stamp { return stampIn(zone, t) },
		"date":     fhirDate,
		"unbroken": unbroken,
		"steps":    milestones,
		"add":      func(a, b int) int { return a + b },
	}
}

// stamp is a time as pages write it.
type stamp struct {
	ISO  string // for <time datetime>
	Day  string // 5 December
	Full string // 5 December 2026, 14:30 UTC
}

func stampIn(zone *time.Location, t time.Time) stamp {
	t = t.In(zone)
	return stamp{t.Format(time.RFC3339), t.Format("2 January"), t.Format("2 January 2006, 15:04 MST")}
}

// fhirDate writes a FHIR date or dateTime as precisely as it was given; what it cannot read is shown
// as sent.
func fhirDate(s string) string {
	day, _, _ := strings.Cut(s, "T")
	for layout, out := range map[string]string{"2006-01-02": "2 January 2006", "2006-01": "January 2006", "2006": "2006"} {
		if t, err := time.Parse(layout, day); err == nil {
			return t.Format(out)
		}
	}
	return s
}

// unbroken keeps a number and its unit on one line.
func unbroken(s string) string {
	words := strings.Split(s, " ")
	var b strings.Builder
	for i, w := range words {
		b.WriteString(w)
		switch {
		case i == len(words)-1:
		case w != "" && w[len(w)-1] >= '0' && w[len(w)-1] <= '9':
			b.WriteString("\u00a0")
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}
