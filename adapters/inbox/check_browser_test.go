//go:build browser

package inbox

import (
	"testing"

	"github.com/dosewire/dosewire/adapters"
)

// A patient checks a record in a real browser under the strict policy; then the message that is shown is
// another one.
func TestCheckInABrowser(t *testing.T) {
	h := newHousehold(t)
	record := h.recordOf(h.collect)
	h.proven(t, record)
	s := h.serve()
	b := startChromium(t)
	b.screen(390, 844, 1, "light")
	b.open(s.URL + "/inbox/s/" + h.invite(h.ada))
	b.click("form button", "/inbox/")

	b.open(s.URL + "/inbox/p/" + h.collect.String() + "/check")
	b.until("!document.getElementById('check-now').hidden")
	b.eval("document.getElementById('check-now').click()", nil)
	b.until("document.querySelector('#check .banner.good')?.textContent === 'This record is genuine and unchanged'")
	b.until("document.getElementById('check-reason').textContent.includes('number 4 of 8') && document.getElementById('check-reason').textContent.includes('2 independent witnesses')")

	h.mu.Lock()
	h.records[record] = adapters.Plain{Record: h.records[record].Record, Body: append(h.records[record].Body, ' ')}
	h.mu.Unlock()
	b.eval("document.getElementById('check-now').click()", nil)
	b.until("document.querySelector('#check .banner.bad')?.textContent === 'Something is wrong with this record'")
	if len(b.foreign) > 0 {
		t.Errorf("requests to others: %v", b.foreign)
	}
	if len(b.faults) > 0 {
		t.Errorf("the browser complains: %v", b.faults)
	}
}
