//go:build browser

package inbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dosewire/dosewire/fhir/rx"
	"github.com/dosewire/dosewire/ledger"
)

// The patient's whole way in a real browser under the strict policy: link, button, list, live change
// without a reload, choice of a pharmacy, sign-out. No request leaves the machine.
func TestInABrowser(t *testing.T) {
	h := newHousehold(t)
	s := h.serve()
	b := startChromium(t)
	b.screen(390, 844, 1, "light")

	b.open(s.URL + "/inbox/s/" + h.invite(h.ada))
	b.click("form button", "/inbox/")
	b.until("document.querySelectorAll('.card').length === 5")
	b.until("!document.getElementById('live-text').hidden")

	// Live: the card changes, the page does not reload, a screen reader hears it.
	b.eval("window.kept = true; window.scrollTo(0, 300)", nil)
	h.move(h.collect, rx.State{Phase: rx.Completed, FillsAllowed: 1, FillsDone: 1, Pharmacy: h.river.String()}, "completed")
	b.until("document.getElementById('said').textContent === 'Lisinopril 10 mg tablet: Collected'")
	var still bool
	b.eval("window.kept === true && window.scrollY > 200", &still)
	if !still {
		t.Error("the page was loaded again or jumped")
	}

	// The choice of a pharmacy.
	b.open(s.URL + "/inbox/p/" + h.choose.String())
	b.eval(fmt.Sprintf("document.querySelector('input[value=%q]').click()", h.hill), nil)
	h.move(h.collect, rx.State{Phase: rx.Completed, FillsAllowed: 1, FillsDone: 1, Pharmacy: h.river.String()}, "completed")
	b.until(fmt.Sprintf("document.querySelector('input[value=%q]').checked", h.hill)) // a live change keeps what was picked
	b.click(".choose button", "/inbox/p/"+h.choose.String())
	b.until("document.querySelector('.banner.good') !== null")
	h.mu.Lock()
	facts := len(h.sent)
	h.mu.Unlock()
	if facts != 1 {
		t.Errorf("%d facts, want 1", facts)
	}

	b.until("navigator.serviceWorker.getRegistration('/inbox/') !== undefined")
	b.click(".top button", "/inbox/signout")
	b.until("document.querySelector('h1').textContent === 'You are signed out'")
	b.open(s.URL + "/inbox/")
	b.until("document.querySelector('h1').textContent === 'Your inbox is closed'")

	if len(b.foreign) > 0 {
		t.Errorf("requests to others: %v", b.foreign)
	}
	if len(b.faults) > 0 {
		t.Errorf("errors in the page: %v", b.faults)
	}
}

// Pages reflow, and everything to press is large enough (WCAG 2.2, 1.4.10 and 2.5.8).
func TestNoPageIsWiderThanThePhone(t *testing.T) {
	h := newHousehold(t)
	coded := h.withCode()
	long := h.issue(h.clinic, h.ada, h.clock.Add(-time.Minute), "rx-long", order("rx-long", strings.Repeat("hydroxyethylamylopectin", 3), "", "20", 0),
		rx.State{Phase: rx.Ready, FillsAllowed: 1, Pharmacy: h.hill.String()}, "ready")
	s := h.serve()
	b := startChromium(t)
	b.open(s.URL + "/inbox/s/" + h.invite(h.ada))
	b.click("form button", "/inbox/")
	for _, width := range []int{320, 390, 1280} { // 320 px is a desktop at 400 % (WCAG 1.4.10)
		for _, path := range []string{"/inbox/", "/inbox/p/" + h.collect.String(), "/inbox/p/" + long.String(), "/inbox/p/" + h.choose.String(), "/inbox/p/" + h.choose.String() + "/code", "/inbox/p/" + coded.String() + "/code", "/inbox/s/x", "/inbox/none"} {
			b.screen(width, 844, 1, "light")
			b.open(s.URL + path)
			var wide int
			b.eval("document.documentElement.scrollWidth", &wide)
			if wide > width {
				t.Errorf("%s at %d px is %d px wide", path, width, wide)
			}
			var small []string
			b.eval(`[...document.querySelectorAll('main button, main a, main input, .top button, summary')]
				.filter((e) => e.checkVisibility() && e.type !== 'hidden')
				.map((e) => e.closest('label') ?? e).map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
				.filter(([, r]) => r.height < 24 || r.width < 24).map(([n]) => n)`, &small)
			if len(small) > 0 {
				t.Errorf("%s at %d px: targets below 24 px: %v", path, width, small)
			}
		}
	}
}

// TestPictures writes the screenshots of docs when DOSEWIRE_PICTURES names a folder, and to a
// temporary one otherwise: a page that cannot be drawn fails either way.
func TestPictures(t *testing.T) {
	dir := os.Getenv("DOSEWIRE_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	h := newHousehold(t)
	s := h.serve()
	b := startChromium(t)
	type shot struct{ name, path string }
	draw := func(shots ...shot) {
		for _, size := range []struct {
			name          string
			width, height int
		}{{"phone", 390, 844}, {"desktop", 1280, 900}} {
			for _, scheme := range []string{"light", "dark"} {
				b.screen(size.width, size.height, 1, scheme)
				for _, x := range shots {
					b.open(s.URL + x.path)
					b.until("document.body.dataset.live === undefined || !document.getElementById('live-text').hidden")
					b.picture(filepath.Join(dir, fmt.Sprintf("inbox-%s-%s-%s.png", x.name, size.name, scheme)), false)
				}
			}
		}
	}
	link := "/inbox/s/" + h.invite(h.ada)
	draw(shot{"landing", link})
	b.open(s.URL + link)
	b.click("form button", "/inbox/")
	draw(shot{"list", "/inbox/"}, shot{"detail", "/inbox/p/" + h.collect.String()}, shot{"choose", "/inbox/p/" + h.choose.String()})
	coded := h.withCode()
	draw(shot{"code", "/inbox/p/" + coded.String() + "/code"}, shot{"code-offer", "/inbox/p/" + h.choose.String() + "/code"})
	h.mu.Lock()
	for hash := range h.sessions { // the same session, a patient without prescriptions
		h.sessions[hash] = h.clinic
	}
	h.mu.Unlock()
	draw(shot{"empty", "/inbox/"})
}

// withCode issues a prescription with a collect code.
func (h *household) withCode() ledger.ID {
	id := h.issue(h.clinic, h.ada, h.clock, "r7", order("r7", "Cetirizine 10 mg tablet", "One tablet a day", "20", 1), rx.State{Phase: rx.Ready, FillsAllowed: 2}, "ready")
	h.coded(id, 1, true)
	return id
}
