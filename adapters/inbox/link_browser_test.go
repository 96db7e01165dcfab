//go:build browser

package inbox

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

// A person adds a second clinic's prescriptions and removes them again, in a real browser.
func TestJoinInABrowser(t *testing.T) {
	h := newHousehold(t)
	there, _ := h.elsewhere("1980-05-03")
	s := h.serve()
	b := startChromium(t)
	b.screen(390, 844, 1, "light")
	b.open(s.URL + "/inbox/s/" + h.invite(h.ada))
	b.click("form button", "/inbox/")
	link := s.URL + "/inbox/s/" + h.invite(there)
	b.open(link)
	b.click("main form .primary-button", "/inbox/")
	b.until("document.querySelectorAll('.card').length === 6")
	b.until("document.querySelector('.banner.good') !== null")
	b.click(".sources a", "/inbox/from/"+h.app.ref(there))
	b.click("main form .primary-button", "/inbox/")
	b.until("document.querySelectorAll('.card').length === 5")
	if len(b.foreign) > 0 || len(b.faults) > 0 {
		t.Errorf("requests to others %v, complaints %v", b.foreign, b.faults)
	}
}

// TestLinkPictures draws what joining adds, as TestPictures does, and demands that it fits.
func TestLinkPictures(t *testing.T) {
	dir := os.Getenv("DOSEWIRE_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	h := newHousehold(t)
	there, _ := h.elsewhere("1980-05-03")
	silent := h.silent()
	s := h.serve()
	b := startChromium(t)
	b.open(s.URL + "/inbox/s/" + h.invite(h.ada))
	b.click("form button", "/inbox/")
	join := "/inbox/s/" + h.invite(there)
	draw := func(name, path string) {
		for _, size := range []struct {
			name          string
			width, height int
		}{{"small", 320, 844}, {"phone", 390, 844}, {"desktop", 1280, 900}} {
			for _, scheme := range []string{"light", "dark"} {
				b.screen(size.width, size.height, 1, scheme)
				b.open(s.URL + path)
				var wide int
				b.eval("document.documentElement.scrollWidth", &wide)
				if wide > size.width {
					t.Errorf("%s at %d px is %d px wide", path, size.width, wide)
				}
				var small []string
				b.eval(`[...document.querySelectorAll('main button, main a, summary')].filter((e) => e.checkVisibility())
					.map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
					.filter(([, r]) => r.height < 24 || r.width < 24).map(([n]) => n)`, &small)
				if len(small) > 0 {
					t.Errorf("%s at %d px: targets below 24 px: %v", path, size.width, small)
				}
				b.picture(filepath.Join(dir, fmt.Sprintf("inbox-%s-%s-%s.png", name, size.name, scheme)), true)
			}
		}
	}
	draw("join", join)
	h.mu.Lock()
	h.links = [][]ledger.ID{{h.ada, there}}
	h.mu.Unlock()
	draw("joined", "/inbox/?said=joined")
	draw("part", "/inbox/from/"+h.app.ref(there))
	stranger, _ := h.elsewhere("2011-12-24")
	h.mu.Lock()
	h.links = [][]ledger.ID{{h.ada, stranger}}
	h.mu.Unlock()
	draw("differ", "/inbox/")
	draw("silent", "/inbox/p/"+silent.String())
}

// silent issues a prescription that its pharmacy does not fetch.
func (h *household) silent() ledger.ID {
	return h.issue(h.clinic, h.ada, h.clock.Add(1), "r6", order("r6", "Cetirizine 10 mg tablet", "One tablet a day", "20", 1),
		rx.State{Phase: rx.Ready, FillsAllowed: 2, Pharmacy: h.river.String(), OfferedAt: 1, Alarmed: true}, "ready")
}
